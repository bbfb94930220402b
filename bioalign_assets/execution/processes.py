"""Where runs are executed: in this process, or in processes of their own.

What the runs write is as safe from one another as runs of the UI and the daemon are (the warehouse is made for that),
and trainings take turns in their pool.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any, Protocol, Self

import dagster as dg
from tqdm import tqdm

from bioalign_assets.dagster_private import interrupts_heard
from bioalign_assets.errors import BioAlignError, WarehouseError
from bioalign_assets.execution.instance import open_instance
from bioalign_assets.execution.marks import end_with_parent
from bioalign_assets.execution.runs import PlannedRun, execute
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.terminal import keep_terminal
from bioalign_assets.warehouse.disk import disk_error

__all__ = ["Executes", "InProcesses", "InThisProcess", "Workplace", "failure_of"]

_TO_END_S = 10.0
"""How long a process that is told to end may take to record the end of its run."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What it takes to execute runs of a study, in whatever process."""

    study: Study
    settings: Settings
    build: Callable[..., dg.Definitions]
    """Makes the definitions: a function of a module, called as ``build(settings=…, study=…)``"""


class Executes(Protocol):
    """Something that executes runs."""

    at_once: int
    """How many at once"""

    def submit(self, planned: PlannedRun) -> "Future[str]":
        """Begin a run; its result is the run's id, or its exception what went wrong."""
        ...


@dataclass
class InThisProcess:
    """Executes runs here, one after another."""

    job: dg.JobDefinition
    instance: dg.DagsterInstance
    study: Study
    at_once: int = 1

    def submit(self, planned: PlannedRun) -> "Future[str]":
        """Execute a run, and return what came of it.

        :raises KeyboardInterrupt: if it was interrupted
        """
        done: Future[str] = Future()
        try:
            done.set_result(execute(planned, job=self.job, instance=self.instance, study=self.study))
        except Exception as error:  # noqa: BLE001 - the walk tells it
            done.set_exception(error)
        return done


@dataclass(frozen=True, kw_only=True)
class _Process:
    """A pool of one process: if it is killed, the others go on."""

    pool: ProcessPoolExecutor
    number: "Future[int]"
    """Its process number, once it has begun"""
    told: "Future[str]"
    """What came of its last run"""


class InProcesses:
    """Executes runs in processes of their own; enter it as a context, at whose end they are gone."""

    def __init__(self, workplace: Workplace, *, at_once: int, is_kept: bool) -> None:
        """Take note of what the processes need.

        :param at_once: how many; each takes about a gigabyte of memory
        :param is_kept: whether a process goes on to another run; else each run has a new one, whose memory is given
            back for certain (a published model's)
        """
        self.at_once = at_once
        self._workplace = workplace
        self._is_kept = is_kept
        self._processes: list[_Process] = []

    def __enter__(self) -> Self:
        """Let the fork server import what takes long, while the caller goes on."""
        # a fork of a process that holds Delta's threads would hang; the fork server holds none, and imports torch once
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["bioalign_assets.execution.forkserver_imports", "dagster"])
        ensure_running()
        return self

    def submit(self, planned: PlannedRun) -> "Future[str]":
        """Begin a run in a process that is idle, or a new one."""
        idle = None
        for process in [each for each in self._processes if each.told.done()]:
            self._processes.remove(process)
            if self._is_kept and idle is None and not isinstance(process.told.exception(), BrokenProcessPool):
                idle = process
            else:
                process.pool.shutdown(wait=False)
        pool = self._new_pool() if idle is None else idle.pool
        number = pool.submit(os.getpid) if idle is None else idle.number
        self._processes.append(_Process(pool=pool, number=number, told=pool.submit(_execute, planned)))
        return self._processes[-1].told

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("forkserver"), initializer=_begin,
            initargs=(self._workplace, self.at_once == 1),
        )  # fmt: skip

    def __exit__(self, *error: object) -> None:
        """End the processes; of a run that is under way, its end is recorded."""
        for process in self._processes:
            process.pool.shutdown(wait=False, cancel_futures=True)
        begun = {
            process.number.result(): process.told.done()
            for process in self._processes
            if process.number.done() and process.number.exception() is None
        }
        ours = [child for child in multiprocessing.active_children() if child.pid in begun]
        for child in ours:
            if not begun[child.pid or 0]:
                child.terminate()  # which Dagster takes as an interrupt
        deadline = time.monotonic() + _TO_END_S
        for child in ours:
            child.join(max(0.0, deadline - time.monotonic()))
            child.kill()
            child.join()
        self._processes.clear()
        gc.collect()  # their semaphores, which Python complains of where this process leaves without collecting them


_here: InThisProcess | BioAlignError | None = None
"""In a process that executes runs: what executes them, or why nothing can."""


def _begin(workplace: Workplace, is_alone: bool) -> None:  # noqa: FBT001 - a pool's initializer has places alone
    """Make a process one that executes runs."""
    global _here  # noqa: PLW0603 - a process is one such place
    end_with_parent()
    sys.unraisablehook = _unraisable
    # Ctrl-C is for the caller, which then ends this process, and with it what Dagster started here
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # as the command line does
    # what the bars of two processes drew would fall on one line: the caller has one for all
    keep_terminal(drawn=is_alone)
    # its own lock is a semaphore between processes, which Python complains of where this one is killed
    tqdm.set_lock(threading.RLock())
    try:
        defs = workplace.build(settings=workplace.settings, study=workplace.study)
        _here = InThisProcess(
            job=defs.resolve_implicit_global_asset_job_def(),
            instance=open_instance(workplace.settings.warehouse),
            study=workplace.study,
        )
    except BioAlignError as error:
        _here = error
    except Exception as error:
        _here = disk_error(error, folder=workplace.settings.warehouse)
        if _here is None:
            raise


def _unraisable(found: Any) -> None:
    """Say nothing of a request to end that comes while a library clears up: Python prints a traceback of it."""
    if not isinstance(found.exc_value, dg.DagsterExecutionInterruptedError | KeyboardInterrupt):
        sys.__unraisablehook__(found)


def _execute(planned: PlannedRun) -> str:
    if not isinstance(_here, InThisProcess):
        raise _here or RuntimeError("this process was not begun")
    try:
        # a request to end is heard at the next step of a run, not in the midst of recording one
        with interrupts_heard():
            return execute(planned, job=_here.job, instance=_here.instance, study=_here.study)
    except BioAlignError:
        raise
    except KeyboardInterrupt:
        os._exit(1)  # the caller told it to end, and its run's end is on record
    except RuntimeError as error:
        if "Query interrupted" in str(error):  # DuckDB's word for the same
            os._exit(1)
        raise _told(planned, error) from None
    except Exception as error:  # noqa: BLE001 - of a library, of a card, or ours: it ends this run and no other
        raise _told(planned, error) from None  # not every exception survives the way between processes


def _told(planned: PlannedRun, error: Exception) -> BioAlignError:
    """Return what to tell of an error outside of the steps, as where a run is put on record."""
    if isinstance(_here, InThisProcess):
        of_disk = disk_error(error, folder=Path(_here.instance.root_directory))
        if of_disk is not None:
            return of_disk
    traceback.print_exc()
    return BioAlignError(
        planned.title,
        found=f"an error that nobody foresaw: {type(error).__name__}: {' '.join(str(error).split())}",
        expected="a run that ends",
        remedy="Where it came from stands above, and in the events of the run.",
    )


def failure_of(done: "Future[Any]", *, planned: PlannedRun) -> BioAlignError | None:
    """Return what a run failed with; None if it succeeded.

    :raises BaseException: of a run in this process, an error of programming, as it is
    """
    error = done.exception()
    if error is None or isinstance(error, BioAlignError):
        return error
    if isinstance(error, BrokenProcessPool):
        return WarehouseError(
            f"The process of {planned.title}", found="that it was killed", expected="its answer",
            remedy="If the machine ran out of memory, run it again with --at-once 1. What is finished stays.",
        )  # fmt: skip
    raise error
