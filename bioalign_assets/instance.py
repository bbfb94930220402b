"""The Dagster instance (runs, events, asset history) of a warehouse: it lives under the warehouse too.

Here is also what frees the runs that were killed. Every process that executes a run holds a lock for it
(``warehouse/at_work.py``): the multiprocess run worker through :func:`held`, a process that works on steps through
the warehouse resource. A run that has such marks, none of them held, was killed.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.instance.ref import InstanceRef
from filelock import FileLock

from bioalign_assets.warehouse import at_work
from bioalign_assets.warehouse.at_work import Life, Part
from bioalign_assets.warehouse.atomic import written_aside
from bioalign_assets.warehouse.schemas import TABLES

__all__ = [
    "UNMARKED_FOR_S",
    "build_mending_sensor",
    "dagster_home",
    "held",
    "hold_run",
    "mend_killed_runs",
    "open_instance",
    "owner_tags",
]

_SETTINGS = """\
# Written by BioAlign when the warehouse was made; yours to change.
nux:
  enabled: false  # no pop-up at the first visit
telemetry:
  enabled: false
concurrency:
  pools:
    # Trainings share a pool: one at a time over all runs, so that one card trains one model. With more cards (or a
    # card with room), raise it; the next training that starts goes by it.
    default_limit: 1
"""
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""QUEUED is none of them: the daemon launches what is queued, also after a restart."""
UNMARKED_FOR_S = 180.0
"""A run of ours that no process holds after so long was killed before it could be marked, or never launched.

Seconds; a process marks its run within seconds of its launch. Dagster gives a run as long to start."""
_ORPHAN_S = 10.0
"""How long to wait for steps whose conductor was killed: they end themselves, at once unless they are stuck."""


def dagster_home(root: Path) -> Path:
    """Return the folder of the instance of a warehouse folder (what ``DAGSTER_HOME`` names)."""
    return root.absolute() / "dagster"


def open_instance(root: Path) -> dg.DagsterInstance:
    """Return the instance of a warehouse; it is set up if it is new."""
    home = dagster_home(root)
    home.mkdir(parents=True, exist_ok=True)
    # two processes that set up a new instance at once would race in its migration
    with FileLock(home / ".setup.lock"):
        if not (home / "dagster.yaml").exists():
            with written_aside(home / "dagster.yaml") as aside:
                aside.write_text(_SETTINGS, encoding="utf-8")
        instance = dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home)))
        instance.get_run_records(limit=1)  # the first access creates the tables
    return instance


def owner_tags() -> Mapping[str, str]:
    """Return tags that tell a person which process executes a run. Nothing is decided by them."""
    return {"bioalign/host": socket.gethostname(), "bioalign/process": str(os.getpid())}


def hold_run(instance: dg.DagsterInstance, run_id: str, *, part: Part = Part.RUN) -> None:
    """Mark a run as alive for as long as this process lives; in an instance that is not kept, do nothing.

    A mark is never given back at the end of the work: between that and the record of the run's end it would look
    killed. A process that executes many runs lets go of the earlier ones here, when their end is on record.
    """
    if not instance.is_persistent:
        return
    folder = _folder(instance)
    for earlier in at_work.runs_held(folder) - {run_id}:
        if _is_over(instance, earlier):
            at_work.let_go(folder, earlier)
    at_work.hold(folder, run_id, part=part)
    if part is Part.STEP:
        at_work.end_with_conductor(folder, run_id)


class _Held(dg.Executor):
    """An executor that holds each run for as long as the process that conducts it lives."""

    def __init__(self, executor: dg.Executor, *, is_light: Callable[[str], bool]) -> None:
        self._executor = executor
        self._is_light = is_light

    @property
    def retries(self) -> Any:
        return self._executor.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._executor.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        hold_run(plan_context.instance, plan_context.run_id)
        executor = self._executor
        if all(self._is_light(step) for step in execution_plan.step_keys_to_execute):
            executor = InProcessExecutor(self.retries, self.step_dependency_config)
        yield from executor.execute(plan_context, execution_plan)


def _is_never_light(_: str) -> bool:
    return False


def held(
    executor: dg.ExecutorDefinition, *, is_light: Callable[[str], bool] = _is_never_light
) -> dg.ExecutorDefinition:
    """Return an executor that does the same, and whose runs :func:`mend_killed_runs` knows to live.

    :param is_light: says of a step's name whether it may run in the conductor's process; a run of such steps
        alone does, and is spared a process for each (a table has up to a dozen checks, each a step)
    """

    def create(context: dg.InitExecutorContext) -> _Held:
        assert executor.executor_creation_fn is not None  # noqa: S101 - only Dagster's abstract ones have none
        return _Held(executor.executor_creation_fn(context), is_light=is_light)

    return dg.ExecutorDefinition(
        name=executor.name,
        config_schema=executor.config_schema,  # type: ignore[arg-type] # the converted form is taken as well
        requirements=executor.get_requirements,
        executor_creation_fn=create,
        description=executor.description,
    )


def mend_killed_runs(instance: dg.DagsterInstance, *, unmarked_for_s: float = UNMARKED_FOR_S) -> list[str]:
    """End the runs on record whose processes are gone, and free the pool slots that ended runs still have.

    Without this a run that was killed stays in progress for good, and the next training waits for its slot.
    Safe at any time and in any process, also while runs are at work here or in another container.

    A run is ended if processes held it and all are gone, or if none ever did within ``unmarked_for_s`` (only one
    of our definitions: what others run in this instance is not marked, and left alone). It is then a failed run, or a
    canceled one if somebody had asked for that. A run whose conductor is gone, but not yet its steps, is waited
    for a little; if its steps are stuck it is left for the next call.

    :return: the ids of the runs that were ended
    """
    folder = _folder(instance)
    ended = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)):
        run_id = record.dagster_run.run_id
        life = _settled(folder, run_id)
        since = max(record.create_timestamp, record.update_timestamp)
        is_dead = life is Life.GONE or (
            life is Life.UNMARKED
            and _is_ours(record.dagster_run)
            and (datetime.now(tz=UTC) - since).total_seconds() > unmarked_for_s
        )
        # it may have ended well since it was read: what is on record of a process that is gone does not change
        if is_dead and not _is_over(instance, run_id):
            _end(instance, run_id)
            ended.append(run_id)
    _free_slots(instance, folder=folder)
    for run_id in at_work.marked(folder):
        if _is_over(instance, run_id) and at_work.life(folder, run_id) is Life.GONE:
            at_work.forget(folder, run_id)
    return ended


def build_mending_sensor(*, every_s: int = 30) -> dg.SensorDefinition:
    """Return a sensor that lets the daemon mend killed runs while it lives on.

    :param every_s: seconds between two looks
    """

    @dg.sensor(
        name="mend_killed_runs",
        description="Ends runs whose processes were killed, and frees the training slots that they held.",
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def mend(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        ended = mend_killed_runs(context.instance)
        return dg.SkipReason(f"Ended killed runs: {', '.join(ended)}" if ended else "No run was killed.")

    return mend


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory) / "at_work"


def _settled(folder: Path, run_id: str) -> Life:
    """Return a run's life, after its orphaned steps have had time to end."""
    deadline = time.monotonic() + _ORPHAN_S
    while (life := at_work.life(folder, run_id)) is Life.ORPHANED and time.monotonic() < deadline:
        time.sleep(0.1)
    return life


def _is_over(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished  # none: a person has deleted it


def _is_ours(run: dg.DagsterRun) -> bool:
    """Whether a run is of our definitions, or, where no code location is on record, of our assets."""
    if run.job_code_origin is not None:
        module = getattr(run.job_code_origin.repository_origin.code_pointer, "module", "")
        return str(module).startswith("bioalign_assets.")
    checks = {check.asset_key for check in run.asset_check_selection or ()}
    names = {".".join(key.path) for key in {*(run.asset_selection or ()), *checks}}
    return bool(names) and names <= set(TABLES)


def _end(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is None:
        return
    message = "The process that executed this run is gone."
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message=message)
    else:
        instance.report_run_failed(run, message=message)


def _free_slots(instance: dg.DagsterInstance, *, folder: Path) -> None:
    """Free the slots and the places in the queue of runs that are over (or deleted) and have no process."""
    storage = instance.event_log_storage
    for run_id in storage.get_concurrency_run_ids():
        is_at_work = at_work.life(folder, run_id) in {Life.LIVING, Life.ORPHANED}
        if _is_over(instance, run_id) and not is_at_work:
            storage.free_concurrency_slots_for_run(run_id)
