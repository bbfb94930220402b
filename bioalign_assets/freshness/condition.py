"""The one automation condition: an asset partition is made anew when what it was made from has changed.

It looks at the level (what was read against what is there), never at the edge (something was updated):
``AutomationCondition.eager()`` reruns everything on an identical download, and a condition of
``data_version_changed`` alone loses what arrives during a run or while the daemon is down.
"""

import threading
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import dagster as dg

from bioalign_assets.dagster_private import AssetKeyPartitionKey, identity, newest_event_id
from bioalign_assets.freshness.history import History
from bioalign_assets.freshness.look import Look, in_progress
from bioalign_assets.freshness.partition_graph import PartitionGraph

__all__ = ["RefreshWhenStale"]

Condition: TypeAlias = dg.AutomationCondition[dg.AssetKey]


class RefreshWhenStale(Condition):
    """Stale, and may be made now (``Look.due``). A partition that was never made stays so."""

    def __init__(self, code: str) -> None:
        """Take a hash of the code versions that are loaded (``CODE_TAG``): what failed under another is tried again."""
        self._code = code

    @property
    def name(self) -> str:
        """As the UI shows it."""
        return "refresh_when_stale"

    @property
    def description(self) -> str:
        """What the UI says about it."""
        return "Made from other rows, settings or code than there are now, with nothing in the way"

    @property
    def requires_cursor(self) -> bool:
        """Nothing is kept between ticks: the event log says it all."""
        return False

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        """Return those of the candidate partitions that are due."""
        view = context.asset_graph_view
        look = _look_of(view.asset_graph, instance=view.instance, code=self._code, tick=view)
        due = look.due.get(".".join(context.key.path), frozenset())
        subset = view.get_asset_subset_from_asset_partitions(
            context.key, {AssetKeyPartitionKey(context.key, partition) for partition in due}
        )
        return dg.AutomationResult(context, subset.compute_intersection(context.candidate_subset))


class _Watched:
    """What a process keeps of one instance between ticks."""

    def __init__(self, graph: PartitionGraph) -> None:
        self.history = History(graph)
        self.graph = graph
        self.lock = threading.Lock()
        self.look: Look | None = None
        self.newest = -1
        self.tick: Any = None

    def look_again(self, instance: dg.DagsterInstance, *, code: str, tick: Any) -> Look:
        """Return one look for a whole tick; the one before where no event is new and nothing is in progress."""
        with self.lock:
            if self.look is not None and self.tick is tick:
                return self.look
            self.tick = tick
            newest = newest_event_id(instance)
            is_same = self.look is not None and newest == self.newest and not self.look.under_way
            if self.look is None or not is_same or self.look.code != code:
                under_way = in_progress(self.graph, instance=instance)
                self.newest = self.history.read(instance=instance)
                self.look = Look(
                    graph=self.graph, history=self.history, instance=instance, under_way=under_way, code=code
                )
            return self.look


_watched: WeakKeyDictionary[Any, dict[tuple[str, str], _Watched]] = WeakKeyDictionary()
_first = threading.Lock()


def _look_of(asset_graph: Any, *, instance: dg.DagsterInstance, code: str, tick: Any) -> Look:
    place = instance.root_directory if instance.is_persistent else str(id(instance))
    with _first:
        of_graph = _watched.setdefault(asset_graph, {})
        key = (identity(instance), place)
        if key not in of_graph:
            of_graph[key] = _Watched(PartitionGraph(asset_graph))
    return of_graph[key].look_again(instance, code=code, tick=tick)
