"""What killed runs leave: a record that says they go on, and slots that nobody gives back. Both are mended here.

Every process that executes a run holds a lock for it (``marks.py``): the multiprocess run worker through
``executor.py``, a process that works on steps through the warehouse resource. A run that has such marks, none of them
held, was killed.
"""

import os
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from bioalign_assets.dagster_private import free_slots, runs_with_slots
from bioalign_assets.execution import marks
from bioalign_assets.execution.marks import Life, Part
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["UNMARKED_FOR_S", "hold_run", "marks_folder", "mend_killed_runs", "owner_tags"]

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
    folder = marks_folder(instance)
    for earlier in marks.runs_held(folder) - {run_id}:
        if _is_over(instance, earlier):
            marks.let_go(folder, earlier)
    marks.hold(folder, run_id, part=part)
    if part is Part.STEP:
        marks.end_with_conductor(folder, run_id)


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
    folder = marks_folder(instance)
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
    for run_id in marks.marked(folder):
        if _is_over(instance, run_id) and marks.life(folder, run_id) is Life.GONE:
            marks.forget(folder, run_id)
    return ended


def marks_folder(instance: dg.DagsterInstance) -> Path:
    """Return the folder of the marks of an instance's runs."""
    return Path(instance.root_directory) / "at_work"


def _settled(folder: Path, run_id: str) -> Life:
    """Return a run's life, after its orphaned steps have had time to end."""
    deadline = time.monotonic() + _ORPHAN_S
    while (life := marks.life(folder, run_id)) is Life.ORPHANED and time.monotonic() < deadline:
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
    for run_id in runs_with_slots(instance):
        is_at_work = marks.life(folder, run_id) in {Life.LIVING, Life.ORPHANED}
        if _is_over(instance, run_id) and not is_at_work:
            free_slots(instance, run_id)
