"""Every private name of Dagster's that we use, in one place, each with its reason and the public thing to change to.

Nothing else imports from ``dagster._…`` or calls a storage of an instance. Dagster's minor version is held in
pyproject.toml for these names; a test goes through all of them, so that a new minor tells at once what it broke.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

# The tag that bears a data version. Instead: an attribute of dg.AssetMaterialization and dg.AssetObservation.
from dagster._core.definitions.data_version import DATA_VERSION_TAG

# One partition of an asset, as automation conditions answer with. Instead: a public subset of partition keys.
from dagster._core.definitions.events import AssetKeyPartitionKey

# What a failed blocking check raises out of a run. Instead: the name as a public one, as other errors have it.
from dagster._core.errors import DagsterAssetCheckFailedError

# Latest results of checks by partition. Instead: a public fetch_asset_check_executions that takes partitions.
from dagster._core.event_api import PartitionKeyFilter

# A run of light steps in the conductor's process. Instead: a public class of dg.in_process_executor.
from dagster._core.executor.in_process import InProcessExecutor

# An instance of a folder, whatever DAGSTER_HOME says. Instead: dg.DagsterInstance.from_config, once it is public.
from dagster._core.instance.ref import InstanceRef

# Read a check's history by how it ended. Instead: a status filter of a public fetch_asset_check_executions.
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

# A request to end is heard between the steps of a run. Instead: a public way to interrupt execute_in_process.
from dagster._utils.interrupts import capture_interrupts

__all__ = [
    "DATA_VERSION_TAG",
    "AssetKeyPartitionKey",
    "DagsterAssetCheckFailedError",
    "InProcessExecutor",
    "InstanceRef",
    "evaluated_check",
    "free_slots",
    "identity",
    "interrupts_heard",
    "latest_checks",
    "latest_event_ids",
    "limit_pool",
    "newest_event_id",
    "partition_versions",
    "run_files",
    "runs_with_slots",
    "unfinished_attempts",
    "unpartitioned_attempt",
    "widen_pool",
]

STORAGE_METHODS: Mapping[str, Mapping[str, str]] = {
    "event_log_storage": {
        "get_maximum_record_id": "a look costs nothing where no event is new. Instead: a cursor of the instance",
        "get_latest_storage_id_by_partition": "all partitions of an asset in one query. Instead: "
        "instance.fetch_materializations with a limit a partition",
        "get_latest_tags_by_partition": "data versions at a moment. Instead: the same of fetch_materializations",
        "get_latest_asset_partition_materialization_attempts_without_materializations": "which partitions failed. "
        "Instead: a public status of asset partitions",
        "get_latest_asset_check_execution_by_key": "results of checks. Instead: fetch_asset_check_executions",
        "get_asset_check_execution_history": "the last result that was evaluated. Instead: the same",
        "get_concurrency_run_ids": "runs that hold slots. Instead: the concurrency API of the instance",
        "get_pool_limits": "an adopted instance may have a limit for trainings. Instead: the same",
        "set_concurrency_slots": "or be given one. Instead: the same",
        "free_concurrency_slots_for_run": "a killed run keeps its slot for good. Instead: run monitoring that frees it",
    },
    "run_storage": {
        "get_run_storage_id": "which instance this is, wherever it lies. Instead: an id of dg.DagsterInstance",
    },
}
"""Methods of an instance's storages, which are no public API: why each is called, and what to change to."""


def identity(instance: dg.DagsterInstance) -> str:
    """Return what tells an instance from any other, also after its folder was moved or its database dumped."""
    found: str = instance.run_storage.get_run_storage_id()  # type: ignore[attr-defined]  # of all SQL storages
    return found


def newest_event_id(instance: dg.DagsterInstance) -> int:
    """Return the id of the newest event on record; 0 where there is none."""
    return instance.event_log_storage.get_maximum_record_id() or 0


def latest_event_ids(
    instance: dg.DagsterInstance, key: dg.AssetKey, *, observed: bool, after: int
) -> Mapping[str, int]:
    """Return the id of the newest materialisation (or observation) of each partition that has one after an event."""
    kind = dg.DagsterEventType.ASSET_OBSERVATION if observed else dg.DagsterEventType.ASSET_MATERIALIZATION
    return instance.event_log_storage.get_latest_storage_id_by_partition(key, kind, after_cursor=after)


def partition_versions(
    instance: dg.DagsterInstance, key: dg.AssetKey, *, observed: bool, until: int
) -> Mapping[str, str]:
    """Return the data version that each partition had when an event was the newest, that one counted."""
    kind = dg.DagsterEventType.ASSET_OBSERVATION if observed else dg.DagsterEventType.ASSET_MATERIALIZATION
    found = instance.event_log_storage.get_latest_tags_by_partition(
        key, kind, [DATA_VERSION_TAG], before_cursor=until + 1
    )
    return {partition: tags[DATA_VERSION_TAG] for partition, tags in found.items()}


def unfinished_attempts(instance: dg.DagsterInstance, key: dg.AssetKey) -> Mapping[str, tuple[str, int]]:
    """Return, for partitions whose last run was to make them and has not, that run and the event that planned it."""
    return instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations(
        key
    )


def unpartitioned_attempt(instance: dg.DagsterInstance, key: dg.AssetKey) -> tuple[str, int] | None:
    """Return the same of an asset without partitions; None if its last run has made it."""
    for record in instance.get_asset_records([key]):
        entry = record.asset_entry
        planned, made = entry.last_planned_materialization_storage_id, entry.last_materialization_storage_id
        run = entry.last_planned_materialization_run_id
        if planned is not None and run is not None and (made is None or planned > made):
            return run, planned
    return None


def latest_checks(
    instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey], *, partition: str | None
) -> Mapping[dg.AssetCheckKey, dg.AssetCheckEvaluation]:
    """Return the last evaluation of checks of one partition; one that is only planned is none."""
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        checks, PartitionKeyFilter(key=partition) if partition is not None else None
    )
    events = {key: record.event.dagster_event for key, record in latest.items() if record.event is not None}
    return {
        key: event.asset_check_evaluation_data
        for key, event in events.items()
        if event is not None and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }


def evaluated_check(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """Return the last evaluation of a check, whatever was planned since; None before the first."""
    evaluated = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    history = instance.event_log_storage.get_asset_check_execution_history(check, limit=1, status=evaluated)
    events = [record.event.asset_check_evaluation for record in history if record.event is not None]
    return events[0] if events else None


def runs_with_slots(instance: dg.DagsterInstance) -> Iterator[str]:
    """Give the runs that hold a slot of a pool, or wait for one."""
    yield from instance.event_log_storage.get_concurrency_run_ids()


def free_slots(instance: dg.DagsterInstance, run_id: str) -> None:
    """Free the slots of a run, and its places in the queues for them."""
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def run_files(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    """Return the files that an instance keeps of a run alone: its events in SQLite, and what its steps printed.

    ``delete_run`` leaves them behind. Instead: a ``delete_run`` that does not.
    """
    home = Path(instance.root_directory)
    return [*(home / "history" / "runs").glob(f"{run_id}.db*"), *(home / "storage").glob(run_id)]


@contextmanager
def interrupts_heard() -> Iterator[None]:
    """Hear a request to end (SIGTERM) between the steps of runs in this block, not in the midst of recording one."""
    with capture_interrupts():
        yield


def limit_pool(instance: dg.DagsterInstance, pool: str, *, to: int) -> None:
    """Give a pool a limit, where the instance has none for it."""
    storage = instance.event_log_storage
    has_default = instance.get_concurrency_config().pool_config.default_pool_limit is not None
    if not has_default and pool not in {limit.name for limit in storage.get_pool_limits()}:
        storage.set_concurrency_slots(pool, to)


def widen_pool(instance: dg.DagsterInstance, pool: str, *, to: int) -> None:
    """Let a pool hold so many at once, whatever its limit was."""
    instance.event_log_storage.set_concurrency_slots(pool, to)
