"""Which runs still have a process, told by file locks that the kernel lets go of when their process ends.

A process number says little: containers that share a warehouse number their processes alike, a new container has a
new host name, and numbers are used again. A lock is held exactly as long as its process lives, however it ends, and
all containers of a machine see it. (The warehouse must lie where locks work, as Dagster's SQLite files need anyway.)

A process that executes a run holds a file of its own, ``<run>.<part>.<process number>-<random>``: part ``run`` is
the process that conducts the run, ``step`` one that works on its steps.
"""

import fcntl
import multiprocessing
import os
import signal
import threading
import time
import uuid
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from bioalign_assets.warehouse.atomic import PARTIAL_SUFFIX, remove_leftovers
from bioalign_assets.warehouse.locks import is_held

__all__ = [
    "FORGET_AFTER_S",
    "Life",
    "Part",
    "end_with_conductor",
    "end_with_parent",
    "forget",
    "hold",
    "let_go",
    "life",
    "marked",
    "runs_held",
]


class Part(StrEnum):
    """What a process does for a run."""

    RUN = "run"
    STEP = "step"


class Life(StrEnum):
    """What the locks tell of a run."""

    UNMARKED = "unmarked"
    """No process has ever held it."""
    LIVING = "living"
    """The process that conducts it lives (or, where one process does everything, that one)."""
    ORPHANED = "orphaned"
    """The process that conducted it is gone; one that works on a step still lives and may still write."""
    GONE = "gone"
    """All processes that ever held it are gone."""


FORGET_AFTER_S = 3600.0
"""How long the marks of an ended run stay, in seconds."""

_held: dict[Path, int] = {}
"""The files that this process holds, and their descriptors."""
_watching = threading.Event()


def hold(folder: Path, run: str, *, part: Part) -> None:
    """Mark a run as alive until this process ends, or lets go of it."""
    start = f"{run}.{part}."
    if any(path.parent == folder and path.name.startswith(start) for path in _held):
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{start}{os.getpid()}-{uuid.uuid4().hex[:8]}"
    # locked before it gets its name: nobody may see it without its lock, and take the run for a dead one
    aside = path.with_name(path.name + PARTIAL_SUFFIX)
    descriptor = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    aside.rename(path)
    _held[path] = descriptor


def let_go(folder: Path, run: str) -> None:
    """End this process's marks of a run; for a process that outlives its runs, once the run's end is recorded."""
    for path in [path for path in _held if path.parent == folder and _run_of(path) == run]:
        path.unlink(missing_ok=True)
        os.close(_held.pop(path))


def runs_held(folder: Path) -> set[str]:
    """Return the runs that this process holds."""
    return {_run_of(path) for path in _held if path.parent == folder}


def life(folder: Path, run: str) -> Life:
    """Return what the locks tell of a run now; a run without a living process stays so."""
    of_run = _marks(folder, run=run, part=Part.RUN)
    if any(is_held(path) for path in of_run):
        return Life.LIVING
    of_steps = _marks(folder, run=run, part=Part.STEP)  # looked for last: who is gone starts no more of them
    if any(is_held(path) for path in of_steps):
        return Life.ORPHANED if of_run else Life.LIVING
    return Life.GONE if of_run or of_steps else Life.UNMARKED


def marked(folder: Path) -> set[str]:
    """Return the runs that have marks, of living processes or of ended ones."""
    return {_run_of(path) for path in folder.glob("*") if not path.name.endswith(PARTIAL_SUFFIX)}


def forget(folder: Path, run: str, *, older_than_s: float = FORGET_AFTER_S) -> None:
    """Remove the marks of a run that has ended, and what processes left that were killed while they marked.

    :param older_than_s: younger marks stay: a step that had just been started when its conductor was killed looks
        for the conductor's mark
    """
    now = time.time()
    for part in Part:
        for path in _marks(folder, run=run, part=part):
            with suppress(FileNotFoundError):  # another process forgets it too
                if now - path.stat().st_mtime > older_than_s:
                    path.unlink()
    remove_leftovers(folder)


def end_with_conductor(folder: Path, run: str) -> None:
    """Let this process end when the one is killed that conducts the run and started it.

    Nobody would record what this one does, and it would train on for hours beside its own rerun. Does nothing in
    a process that was not started by a run's conductor.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and any(
        path.name.split(".")[2].startswith(f"{parent.pid}-")
        for path in _marks(folder, run=run, part=Part.RUN)
    ):
        end_with_parent()


def end_with_parent() -> None:
    """Let this process, which another one started through ``multiprocessing``, end when that one is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None and not _watching.is_set():
        _watching.set()
        threading.Thread(target=_wait_and_end, args=(parent,), name="end-with-conductor", daemon=True).start()


def _wait_and_end(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    # at once and whatever the main thread is at; every write of ours bears being killed
    os.kill(os.getpid(), signal.SIGKILL)


def _run_of(path: Path) -> str:
    return path.name.split(".")[0]


def _marks(folder: Path, *, run: str, part: Part) -> list[Path]:
    return [path for path in folder.glob(f"{run}.{part}.*") if not path.name.endswith(PARTIAL_SUFFIX)]
