"""Several runs of a study at once: processes that each execute one run after another.

For tiny models, of which each takes one thread. What the runs write is as safe from one another as runs of the UI and
the daemon are (the warehouse is made for that), and trainings take turns in their pool.
"""

import multiprocessing
import os
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from typing import Self

from dagster._utils.interrupts import capture_interrupts
from tqdm import tqdm

from bioalign_assets.errors import BioAlignError, WarehouseError
from bioalign_assets.running import PlannedRun, execute
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.terminal import keep_terminal, terminal
from bioalign_assets.warehouse.at_work import end_with_parent

__all__ = ["Hands", "Outcome"]

Outcome = tuple[PlannedRun, str | BioAlignError, float]
"""A run, its id or what its failing asset said, and its wall time in seconds."""
_TICK_S = 0.5
_TO_END_S = 10.0
"""How long a process that is told to end may take to record the end of its run."""


@dataclass(kw_only=True)
class _Hand:
    process: BaseProcess
    connection: Connection
    planned: PlannedRun | None = None
    """What it executes now"""
    started: float = 0.0
    """When it began that, on the clock of ``time.perf_counter``"""


class Hands:
    """A few processes that execute runs; enter it as a context, at whose end they are gone."""

    def __init__(self, count: int, *, study: Study, settings: Settings) -> None:
        """Take note of what the processes need.

        :param count: how many; each takes about a gigabyte of memory
        """
        self._count = count
        self._study = study
        self._settings = settings
        # a fork of a process that holds Delta's threads would hang; the fork server holds none, and imports torch once
        self._context = multiprocessing.get_context("forkserver")
        self._hands: list[_Hand] = []

    def __enter__(self) -> Self:
        """Let the fork server import what takes long, while the caller goes on."""
        self._context.set_forkserver_preload(["bioalign_assets.preload", "dagster"])
        ensure_running()
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes; of a run that is under way, its end is recorded."""
        for hand in self._hands:
            if hand.planned is not None:
                hand.process.terminate()  # which Dagster takes as an interrupt
            hand.connection.close()  # for one that is idle, or has ended its run meanwhile
        deadline = time.monotonic() + _TO_END_S
        for hand in self._hands:
            hand.process.join(max(0.0, deadline - time.monotonic()))
            hand.process.kill()
            hand.process.join()
        self._hands.clear()

    def _start(self) -> None:
        for _ in range(self._count):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=_work, args=(theirs, self._study, self._settings))
            process.start()
            theirs.close()  # else we would wait for an answer of a process that is gone
            self._hands.append(_Hand(process=process, connection=ours))

    def execute(self, runs: Sequence[PlannedRun]) -> Iterator[Outcome]:
        """Execute runs, each after those that make what it reads; give each as it ends.

        Of the runs that may begin, one that trains goes first, for one trains at a time. After a run has failed that
        may not fail, no other is begun; those under way are given, and the failed one comes last.

        :param runs: what they come after is waited for if it is among them
        :raises WarehouseError: if a process was killed
        """
        if not self._hands:
            self._start()
        waiting = list(runs)
        failure: Outcome | None = None
        with tqdm(
            total=len(runs), unit="run", file=terminal(), disable=None, leave=False, dynamic_ncols=True
        ) as bar:
            while waiting or self._busy:
                self._hand_out(waiting)
                bar.set_description(", ".join(planned.title for planned in self._under_way))
                try:
                    ended = list(self._ended())
                except (WarehouseError, RuntimeError):
                    if failure is None:
                        raise
                    break  # the first error is the one to tell
                for outcome in ended:
                    bar.update()
                    planned, told, _ = outcome
                    if isinstance(told, BioAlignError) and planned.may_fail:
                        waiting = [run for run in waiting if not run.needs_it]
                    elif isinstance(told, BioAlignError):
                        waiting.clear()
                        failure = failure or outcome
                        continue
                    bar.clear()  # the caller may print a line
                    yield outcome
        if failure is not None:
            yield failure

    def _hand_out(self, waiting: list[PlannedRun]) -> None:
        """Give idle hands what may begin; take it from the list."""
        for hand in self._hands:
            under_way = self._under_way
            unfinished = {run.title for run in (*waiting, *under_way)}
            one_trains = any(run.trains for run in under_way)
            ready = [run for run in waiting if not run.after & unfinished and not (run.trains and one_trains)]
            if ready and hand.planned is None:
                run = next((run for run in ready if run.trains), ready[0])
                waiting.remove(run)
                hand.planned, hand.started = run, time.perf_counter()
                try:
                    hand.connection.send(run)
                except OSError as error:
                    raise _killed(run) from error
        if waiting and not self._busy:
            raise RuntimeError(
                f"nothing makes what these runs read: {', '.join(run.title for run in waiting)}"
            )

    @property
    def _busy(self) -> list[_Hand]:
        return [hand for hand in self._hands if hand.planned is not None]

    @property
    def _under_way(self) -> list[PlannedRun]:
        return [hand.planned for hand in self._hands if hand.planned is not None]

    def _ended(self) -> Iterator[Outcome]:
        """Give the runs that have ended by now, after a wait for the next one that is short enough for a bar."""
        told = wait([hand.connection for hand in self._busy], timeout=_TICK_S)
        for hand in self._busy:
            if hand.connection not in told or hand.planned is None:
                continue
            planned = hand.planned
            try:
                answer = hand.connection.recv()
            except (EOFError, OSError) as error:
                raise _killed(planned) from error
            finally:
                hand.planned = None
            if isinstance(answer, _Broken):
                raise RuntimeError(f"{planned.title}:\n{answer.trace}")  # noqa: TRY004 - an error of programming there
            yield planned, answer, time.perf_counter() - hand.started


@dataclass(frozen=True)
class _Broken:
    """An error that is none of ours, as text: not every exception survives the way between processes."""

    trace: str


def _work(connection: Connection, study: Study, settings: Settings) -> None:
    """Execute what comes through a connection, until the process is ended."""
    end_with_parent()
    # Ctrl-C is for the caller, which then ends this process, and with it what Dagster started here
    os.setpgid(0, 0)
    warnings.simplefilter("ignore")  # as the command line does
    # what the bars of two processes drew would fall on one line: the caller has one for all
    keep_terminal(drawn=False)
    # its own lock is a semaphore between processes, which Python complains of where this one is killed
    tqdm.set_lock(threading.RLock())
    # a request to end is heard at the next step of a run, not in the midst of recording one
    with capture_interrupts(), suppress(KeyboardInterrupt):
        _execute_all(connection, study=study, settings=settings)


def _execute_all(connection: Connection, *, study: Study, settings: Settings) -> None:
    try:
        run = _executor(study, settings=settings)
    except Exception:  # noqa: BLE001 - told as the answer to the first request
        error = _Broken(traceback.format_exc())
        run = lambda _: error  # noqa: E731
    with suppress(EOFError, OSError):  # the caller is gone, or has closed its end
        while True:
            connection.send(run(connection.recv()))


def _executor(study: Study, *, settings: Settings) -> Callable[[PlannedRun], str | BioAlignError | _Broken]:
    """Return what executes a run in this process and gives its id, or what went wrong."""
    from bioalign_assets.definitions import build_defs
    from bioalign_assets.instance import open_instance

    job = build_defs(settings=settings, study=study).resolve_implicit_global_asset_job_def()
    instance = open_instance(settings.warehouse)

    def run(planned: PlannedRun) -> str | BioAlignError | _Broken:
        try:
            return execute(planned, job=job, instance=instance, study=study)
        except BioAlignError as error:
            return error
        except Exception:  # noqa: BLE001 - the caller raises it
            return _Broken(traceback.format_exc())

    return run


def _killed(planned: PlannedRun) -> WarehouseError:
    return WarehouseError(
        f"The process of {planned.title}", found="that it was killed", expected="its answer",
        remedy="If the machine ran out of memory, run bioalign demo --at-once 1. What is finished stays.",
    )  # fmt: skip
