"""The one automation condition: an asset partition is rerun when what it was made from has changed.

It looks at the level (recorded input versions against present ones), never at the edge (something was updated):
``AutomationCondition.eager()`` reruns everything on an identical download, and a condition of
``data_version_changed`` alone loses what arrives during a run or while the daemon is down. Built on internals of
Dagster, whose minor version is pinned; the cases in ``automation/test_refresh_when_stale.py`` hold it.
"""

from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

import dagster as dg
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.definitions.events import AssetKeyPartitionKey

from bioalign_assets.automation.blocking import failed_blocking_checks
from bioalign_assets.automation.graph import parent_partitions

__all__ = ["refresh_when_stale"]

Condition: TypeAlias = dg.AutomationCondition[dg.AssetKey]
_Holds: TypeAlias = Callable[[dg.AssetKey, str | None], bool]


class _PartitionCondition(Condition):
    """A condition that looks at one asset partition at a time."""

    @property
    def requires_cursor(self) -> bool:
        """Nothing is kept between ticks: the event log says it all."""
        return False

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        """Return those of the candidate partitions for which it holds."""
        view = context.asset_graph_view
        candidates = context.candidate_subset.expensively_compute_asset_partitions()
        holds = self.looker(view)
        true = {each for each in candidates if holds(each.asset_key, each.partition_key)}
        return dg.AutomationResult(context, view.get_asset_subset_from_asset_partitions(context.key, true))

    @abstractmethod
    def looker(self, view: AssetGraphView) -> _Holds:
        """Return what says of an asset partition whether the condition holds."""


class IsStale(_PartitionCondition):
    """The recorded inputs, settings or code version of a partition differ from the present ones, read anew."""

    def looker(self, view: AssetGraphView) -> _Holds:
        """Return what looks at the event log as it is now."""
        # a view of its own: what the tick read at its start may have been overtaken by a run that ended since
        fresh = AssetGraphView(
            temporal_context=view._temporal_context,  # noqa: SLF001 - no public way to make a view
            instance=view.instance,
            asset_graph=view.asset_graph,
        )
        return _says_stale(CachingStaleStatusResolver(view.instance, view.asset_graph, fresh))


class IsStaleCached(_PartitionCondition):
    """The same, read once a tick: for a first look, and for looking at ancestors."""

    def looker(self, view: AssetGraphView) -> _Holds:
        """Return what looks at the event log as this tick has read it."""
        return _ancestry(view).is_stale


class AncestorIsPending(Condition):
    """Something that a partition is made from, at whatever distance, is stale and its run has not failed.

    One walk that remembers what it saw: Dagster's ``any_deps_match``, nested once for each asset of the longest
    chain, goes every way through the graph, and took most of the time of a tick.
    """

    @property
    def requires_cursor(self) -> bool:
        """Nothing is kept between ticks: the event log says it all."""
        return False

    async def evaluate(  # type: ignore[override]  # as Dagster's own conditions that wait for something
        self, context: dg.AutomationContext[dg.AssetKey]
    ) -> dg.AutomationResult[dg.AssetKey]:
        """Return those of the candidate partitions for which it holds."""
        view = context.asset_graph_view
        ancestry = _ancestry(view)
        candidates = context.candidate_subset.expensively_compute_asset_partitions()
        true = {
            each for each in candidates if await ancestry.is_pending_above(each.asset_key, each.partition_key)
        }
        return dg.AutomationResult(context, view.get_asset_subset_from_asset_partitions(context.key, true))


class HeldByCheck(_PartitionCondition):
    """A blocking check of something that a partition is made from failed."""

    def looker(self, view: AssetGraphView) -> _Holds:
        """Return what looks at the checks of a partition's parents."""
        return lambda key, partition: bool(
            failed_blocking_checks(
                parent_partitions(view, key, partition), graph=view.asset_graph, instance=view.instance
            )
        )


class _Ancestry:
    """What one tick knows of the partitions above others, each looked at once."""

    def __init__(self, view: AssetGraphView) -> None:
        self._view = view
        self.is_stale = _says_stale(CachingStaleStatusResolver(view.instance, view.asset_graph, view))
        self._failed: dict[dg.AssetKey, AbstractSet[AssetKeyPartitionKey]] = {}
        self._pending_above: dict[AssetKeyPartitionKey, bool] = {}

    async def is_pending_above(self, key: dg.AssetKey, partition: str | None) -> bool:
        """Whether any ancestor of a partition is pending."""
        here = AssetKeyPartitionKey(key, partition)
        # remembered when it is known, not before: Dagster evaluates several assets at once
        if here not in self._pending_above:
            self._pending_above[here] = await self._look_above(here)
        return self._pending_above[here]

    async def _look_above(self, here: AssetKeyPartitionKey) -> bool:
        for parent in parent_partitions(self._view, here.asset_key, here.partition_key):
            if await self._is_pending(*parent) or await self.is_pending_above(*parent):
                return True
        return False

    async def _is_pending(self, key: dg.AssetKey, partition: str | None) -> bool:
        if not self.is_stale(key, partition):
            return False
        if key not in self._failed:
            failed = await self._view.compute_execution_failed_subset(
                key=key, from_subset=self._view.get_full_subset(key=key)
            )
            self._failed[key] = failed.expensively_compute_asset_partitions()
        return AssetKeyPartitionKey(key, partition) not in self._failed[key]


def _ancestry(view: AssetGraphView) -> _Ancestry:
    ancestry: _Ancestry | None = getattr(view, "_bioalign_ancestry", None)
    if ancestry is None:  # kept with the view, which lives as long as the tick
        ancestry = _Ancestry(view)
        view._bioalign_ancestry = ancestry  # type: ignore[attr-defined]  # noqa: SLF001
    return ancestry


def _says_stale(resolver: CachingStaleStatusResolver) -> _Holds:
    return lambda key, partition: resolver.get_status(key, partition) == StaleStatus.STALE


def refresh_when_stale() -> Condition:
    """Return the condition of every asset below the sources.

    A partition that was never materialised stays so; one whose run failed is tried again when something that it
    depends on changes; one waits for all stale ancestors (also those that nobody refreshes automatically), so
    that a chain is rerun once, in order.
    """
    condition = dg.AutomationCondition
    # of any kind of asset: that is how Dagster types the first of these
    deps_changed: dg.AutomationCondition[Any] = condition.any_deps_match(condition.data_version_changed())
    code_changed: dg.AutomationCondition[Any] = condition.code_version_changed()
    changed = deps_changed | code_changed
    retried: dg.AutomationCondition[Any] = ~condition.execution_failed() | changed.since_last_handled()
    return (
        # these two stand before IsStale: otherwise a run that ends in mid-tick is launched twice
        ~condition.in_progress()
        & ~condition.any_deps_in_progress()
        # most partitions are fresh on most ticks, and go no further
        & IsStaleCached()
        & ~AncestorIsPending()
        & retried
        & IsStale()
        & ~HeldByCheck()
    ).with_label("refresh_when_stale")
