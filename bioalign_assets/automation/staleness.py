"""What is fresh, stale or missing, asset partition by asset partition, with the reason.

The same reading of the event log as the automation's condition and the UI's marks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import dagster as dg
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleCause, StaleStatus

from bioalign_assets.automation.blocking import failed_blocking_checks
from bioalign_assets.automation.graph import parent_partitions
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["PartitionState", "Staleness", "ordered_partitions", "partition_states"]

State = Literal["fresh", "stale", "missing"]
_STATES: dict[StaleStatus, State] = {
    StaleStatus.FRESH: "fresh",
    StaleStatus.STALE: "stale",
    StaleStatus.MISSING: "missing",
}


@dataclass(frozen=True, kw_only=True)
class PartitionState:
    """How one asset partition stands.

    :param asset: ``room.table``
    :param partition: None for an asset without partitions
    :param state: ``stale`` means: made from other inputs, settings or code than the present ones
    :param why: for a stale one what changed; for a fresh one which ancestor is stale, if any; else empty
    """

    asset: str
    partition: str | None
    state: State
    why: str


class Staleness:
    """The state of the asset graph at one moment; make another one to look again."""

    def __init__(self, defs: dg.Definitions, *, instance: dg.DagsterInstance) -> None:
        self._view = AssetGraphView.for_test(defs, instance)
        self._graph = self._view.asset_graph
        self._resolver = CachingStaleStatusResolver(instance, self._graph, self._view)

    def state(self, key: dg.AssetKey, partition: str | None) -> State:
        """Return whether a partition is fresh, stale or missing."""
        return _STATES[self._resolver.get_status(key, partition)]

    def why(self, key: dg.AssetKey, partition: str | None) -> str:
        """Return why a partition is stale, in words; an empty text if it isn't."""
        causes = self._resolver.get_stale_causes(key, partition)
        return "; ".join(dict.fromkeys(_told(cause) for cause in causes))

    def parents(self, key: dg.AssetKey, partition: str | None) -> list[tuple[dg.AssetKey, str | None]]:
        """Return the asset partitions that a partition is made from."""
        return list(parent_partitions(self._view, key, partition))

    def failed_checks(self, key: dg.AssetKey, partition: str | None) -> list[str]:
        """Return what the failed blocking checks of that said which a partition is made from."""
        return failed_blocking_checks(
            self.parents(key, partition), graph=self._graph, instance=self._view.instance
        )


def partition_states(defs: dg.Definitions, *, instance: dg.DagsterInstance) -> list[PartitionState]:
    """Return the state of every asset partition of a study, from the sources to the report."""
    staleness = Staleness(defs, instance=instance)
    unsettled: dict[tuple[dg.AssetKey, str | None], str] = {}
    states = []
    for key, partitions in ordered_partitions(defs):
        for partition in partitions:
            state, why = staleness.state(key, partition), staleness.why(key, partition)
            above = [parent for parent in staleness.parents(key, partition) if parent in unsettled]
            if state == "stale":
                unsettled[key, partition] = _name(key, partition)
            elif state == "fresh" and above:
                root = unsettled[above[0]]
                unsettled[key, partition] = root
                why = f"{root} is stale: this follows if that comes out different"
            states.append(PartitionState(asset=".".join(key.path), partition=partition, state=state, why=why))
    return states


def ordered_partitions(defs: dg.Definitions) -> Iterator[tuple[dg.AssetKey, Sequence[str | None]]]:
    """Give every table's asset with its partitions, none before what it is made from (a test holds that)."""
    graph = defs.resolve_asset_graph()
    for name in TABLES:
        key = dg.AssetKey(name.split("."))
        partitions_def = graph.get(key).partitions_def
        yield key, [None] if partitions_def is None else list(partitions_def.get_partition_keys())


def _told(cause: StaleCause) -> str:
    changed = cause.dependency
    if changed is None:
        return cause.reason
    name = _name(changed.asset_key, changed.partition_key)
    if changed.asset_key.path[0] == "study":
        return f"the settings {name} in the study file changed"
    if cause.reason.startswith("has a new dependency on"):
        return f"reads {name}, which it did not before"
    if cause.reason.startswith("removed dependency"):
        return f"no longer reads {name}"
    return f"{name} changed"


def _name(key: dg.AssetKey, partition: str | None) -> str:
    return key.to_user_string() + (f"[{partition}]" if partition else "")
