"""The Dagster instance (runs, events, asset history) of a warehouse: it lives under the warehouse too."""

import os
import socket
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.instance.ref import InstanceRef
from filelock import FileLock

from bioalign_assets.warehouse.atomic import written_aside

__all__ = ["dagster_home", "mend_killed_runs", "open_instance", "owner_tags"]

_SETTINGS = """\
# Written by BioAlign when the warehouse was made; yours to change.
nux:
  enabled: false  # no pop-up at the first visit
telemetry:
  enabled: false
concurrency:
  pools:
    # trainings share a pool: one at a time over all runs, so that one card trains one model
    default_limit: 1
"""
_HOST, _PROCESS = "bioalign/host", "bioalign/process"
_CLOCK_S = 2.0
"""The kernel tells when a process started to about a second."""


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
    """Return tags that tell which process executes a run."""
    return {_HOST: socket.gethostname(), _PROCESS: str(os.getpid())}


def mend_killed_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs whose process on this machine is gone, and free the pool slots that they held.

    Without this a run that was killed stays in progress for good, and the next training waits for its slot.
    Call it before this process starts a run of its own.

    :return: the ids of the mended runs
    """
    mended = []
    unfinished = dg.RunsFilter(
        tags={_HOST: socket.gethostname()},
        statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING],
    )
    for record in instance.get_run_records(unfinished):
        run = record.dagster_run
        if not _is_at_work(int(run.tags[_PROCESS]), since=record.create_timestamp):
            instance.report_run_failed(run, message="The process that executed this run is gone.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            mended.append(run.run_id)
    return mended


def _is_at_work(process: int, *, since: datetime) -> bool:
    """Whether the process that made a run at a given time can still be the one that has its number."""
    if process == os.getpid():
        return False  # this process has no run yet, so the number belonged to an earlier one
    try:
        found = psutil.Process(process)
        is_younger = found.create_time() > since.timestamp() + _CLOCK_S
        return not is_younger and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
