"""One look at everything: what is in progress, what failed, and which stale partitions may be made now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import dagster as dg

from bioalign_assets.dagster_private import latest_checks, unfinished_attempts, unpartitioned_attempt
from bioalign_assets.freshness.history import History
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph, key_of
from bioalign_assets.freshness.stale import Settings, State, stale_because, state_of, version_now

__all__ = ["CODE_TAG", "WALK_TAG", "Look", "at_work_elsewhere", "in_progress"]

CODE_TAG = "bioalign/code"
"""Tag of a run: a hash of the code versions that it runs with. What failed under another code is tried again."""
WALK_TAG = "bioalign/walk"
"""Tag of a run: the walk that it is a part of."""
_AT_WORK = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
_TO_BEGIN = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
_PARTITION, _FIRST, _LAST = (
    "dagster/partition", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end",
)  # fmt: skip


def in_progress(graph: PartitionGraph, *, instance: dg.DagsterInstance) -> Mapping[AssetPartition, str]:
    """Return the asset partitions that runs are at work on, or wait to be, each with its run.

    From a run's record until its end: a partition that a run has already made counts too.
    """
    return _of_runs(graph, instance=instance, statuses=(*_AT_WORK, *_TO_BEGIN))


def at_work_elsewhere(
    graph: PartitionGraph, *, instance: dg.DagsterInstance, walk: str
) -> Mapping[AssetPartition, str]:
    """Return the same of runs that have begun: what is queued where no daemon is would be waited for in vain.

    :param walk: whose own runs are left out (:data:`WALK_TAG`)
    """
    return _of_runs(graph, instance=instance, statuses=_AT_WORK, but_of=walk)


def _of_runs(
    graph: PartitionGraph,
    *,
    instance: dg.DagsterInstance,
    statuses: Sequence[dg.DagsterRunStatus],
    but_of: str | None = None,
) -> dict[AssetPartition, str]:
    found = {}
    for run in instance.get_runs(dg.RunsFilter(statuses=statuses)):
        if but_of is not None and run.tags.get(WALK_TAG) == but_of:
            continue
        selection = run.asset_selection
        assets = graph.assets if selection is None else tuple(".".join(key.path) for key in selection)
        if selection is None and run.asset_check_selection:
            continue  # it only checks
        for asset in assets:
            for partition in _partitions_of(run, asset=asset, graph=graph):
                found[AssetPartition(asset, partition)] = run.run_id
    return found


def _partitions_of(run: dg.DagsterRun, *, asset: str, graph: PartitionGraph) -> tuple[str | None, ...]:
    if asset not in graph.assets:  # another code location's
        return ()
    every = graph.partitions[asset]
    if not graph.is_partitioned(asset):
        return (None,)
    if _PARTITION in run.tags:
        return (run.tags[_PARTITION],)
    if run.tags.get(_FIRST) in every and run.tags.get(_LAST) in every:
        return every[every.index(run.tags[_FIRST]) : every.index(run.tags[_LAST]) + 1]
    return every


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """How all asset partitions stand at one moment. It reads what it is asked for, and each thing once.

    :param under_way: what is in progress; read before the history, so that a run that ends between the two counts as in
        progress still, and not as one that has made nothing
    :param settings: of the study file as it is read now; those that were observed last by default
    :param code: what :data:`CODE_TAG` is now
    """

    graph: PartitionGraph
    history: History
    instance: dg.DagsterInstance
    under_way: Mapping[AssetPartition, str]
    settings: Settings | None = None
    code: str = ""
    _states: dict[AssetPartition, State] = field(default_factory=dict)
    _pending_above: dict[AssetPartition, bool] = field(default_factory=dict)
    _failed_attempts: dict[str, Mapping[str | None, tuple[str, int]]] = field(default_factory=dict)
    _failed_checks: dict[AssetPartition, tuple[str, ...]] = field(default_factory=dict)

    def state(self, node: AssetPartition) -> State:
        """Return whether an asset partition is fresh, stale or missing."""
        if node not in self._states:
            self._states[node] = state_of(
                node, graph=self.graph, history=self.history, settings=self.settings
            )
        return self._states[node]

    def why(self, node: AssetPartition) -> str:
        """Return why an asset partition is stale, in words; an empty text if it isn't."""
        return "; ".join(stale_because(node, graph=self.graph, history=self.history, settings=self.settings))

    @cached_property
    def due(self) -> Mapping[str, frozenset[str | None]]:
        """The partitions that are stale and may be made now, by asset.

        Not what is in progress or reads something that is; not what comes after something stale, at whatever distance
        (also what nobody refreshes by itself), so that a chain is made once, in order; not what failed, until
        something that it reads changes; not what reads something whose blocking check failed.
        """
        found: dict[str, set[str | None]] = {}
        for node in self.graph:
            if self.state(node) == "stale" and self._may_be_made(node):
                found.setdefault(node.asset, set()).add(node.partition)
        return {asset: frozenset(partitions) for asset, partitions in found.items()}

    def _may_be_made(self, node: AssetPartition) -> bool:
        if node in self.under_way or any(parent in self.under_way for parent in self.graph.parents(node)):
            return False
        return not self.is_pending_above(node) and not self.has_failed(node) and not self.held_by_checks(node)

    def is_pending_above(self, node: AssetPartition) -> bool:
        """Whether something that a partition is made from, at whatever distance, is stale and will be made anew."""
        if node not in self._pending_above:
            self._pending_above[node] = any(
                self.is_pending_above(parent)
                or (self.state(parent) == "stale" and not self.has_failed(parent))
                for parent in self.graph.parents(node)
            )
        return self._pending_above[node]

    def has_failed(self, node: AssetPartition) -> bool:
        """Whether the last run that was to make a partition failed, and nothing that it reads has changed since."""
        if node.asset not in self._failed_attempts:
            self._failed_attempts[node.asset] = self._attempts(node.asset)
        attempt = self._failed_attempts[node.asset].get(node.partition)
        if attempt is None:
            return False
        run_id, planned = attempt
        run = self.instance.get_run_by_id(run_id)
        if run is None or run.status not in {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}:
            return False
        if run.tags.get(CODE_TAG, self.code) != self.code:
            return False
        return all(
            self.history.version_at(parent, planned)
            == version_now(parent, history=self.history, settings=self.settings)
            for edge in self.graph.edges[node.asset]
            for parent in (AssetPartition(edge.parent, each) for each in edge.reads.get(node.partition, ()))
        )

    def _attempts(self, asset: str) -> Mapping[str | None, tuple[str, int]]:
        if self.graph.is_partitioned(asset):
            return dict(unfinished_attempts(self.instance, key_of(asset)).items())
        attempt = unpartitioned_attempt(self.instance, key_of(asset))
        return {} if attempt is None else {None: attempt}

    def held_by_checks(self, node: AssetPartition) -> tuple[str, ...]:
        """Return what the failed blocking checks of that said which a partition is made from, each with its name."""
        return tuple(told for parent in self.graph.parents(node) for told in self._failed_checks_of(parent))

    def _failed_checks_of(self, node: AssetPartition) -> tuple[str, ...]:
        """Return the blocking checks of a partition whose last result is a failure that is an error.

        Dagster's own condition counts a warning as a failure, and holds everything back for good after a new check was
        added, because that one has no result yet.
        """
        if node not in self._failed_checks:
            checks = self.graph.blocking_checks(node.asset)
            latest = latest_checks(self.instance, checks, partition=node.partition) if checks else {}
            self._failed_checks[node] = tuple(
                f"{node} {check.name}: {found.description}"
                for check, found in latest.items()
                if not found.passed and found.severity == dg.AssetCheckSeverity.ERROR
            )
        return self._failed_checks[node]
