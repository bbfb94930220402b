"""The one automation condition: an asset partition is rerun when what it was made from has changed.

It looks at the level (recorded input versions against present ones), never at the edge (something was updated):
``AutomationCondition.eager()`` reruns everything on an identical download, and a condition of
``data_version_changed`` alone loses what arrives during a run or while the daemon is down. Built on internals of
Dagster, whose minor version is pinned; the cases in ``automation/test_refresh_when_stale.py`` hold it.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import dagster as dg
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus

from bioalign_assets.automation.blocking import failed_blocking_checks
from bioalign_assets.automation.graph import parent_partitions

__all__ = ["LONGEST_CHAIN", "refresh_when_stale"]

LONGEST_CHAIN = 8
"""Assets on the longest way from the release to the report (a test compares it with the graph)."""

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
        resolver: CachingStaleStatusResolver | None = getattr(view, "_bioalign_resolver", None)
        if resolver is None:  # kept with the view, which lives as long as the tick
            resolver = CachingStaleStatusResolver(view.instance, view.asset_graph, view)
            view._bioalign_resolver = resolver  # type: ignore[attr-defined]  # noqa: SLF001
        return _says_stale(resolver)


class HeldByCheck(_PartitionCondition):
    """A blocking check of something that a partition is made from failed."""

    def looker(self, view: AssetGraphView) -> _Holds:
        """Return what looks at the checks of a partition's parents."""
        return lambda key, partition: bool(
            failed_blocking_checks(
                parent_partitions(view, key, partition), graph=view.asset_graph, instance=view.instance
            )
        )


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
    pending: Condition = (IsStaleCached() & ~condition.execution_failed()).with_label("stale_and_not_failed")
    upstream = pending
    for _ in range(LONGEST_CHAIN - 1):
        upstream = pending | condition.any_deps_match(upstream)
    return (
        # these two stand before IsStale: otherwise a run that ends in mid-tick is launched twice
        ~condition.in_progress()
        & ~condition.any_deps_in_progress()
        # most partitions are fresh on most ticks, and go no further
        & IsStaleCached()
        & ~condition.any_deps_match(upstream).with_label("upstream_refresh_pending")
        & retried
        & IsStale()
        & ~HeldByCheck()
    ).with_label("refresh_when_stale")
