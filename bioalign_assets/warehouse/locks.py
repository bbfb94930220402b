"""Locks between processes: held as long as their process lives, waited for with a limit, and told who holds them.

The kernel lets go of a lock when its process ends, however it ends. A process that was stopped (Ctrl-Z, a debugger)
holds it on, so nobody waits for good.
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from bioalign_assets.errors import WarehouseError

__all__ = ["WAIT_S", "HeldError", "is_held", "locked"]

WAIT_S = 60.0
"""What is done under such a lock takes seconds, also where a dozen processes wait for it."""


class HeldError(WarehouseError):
    """Another process holds a lock for longer than it is waited for."""


@contextmanager
def locked(path: Path, *, subject: str, wait_s: float | None = None) -> Iterator[None]:
    """Hold a lock for the length of the block.

    :param path: of the lock's file; beside it stands who holds it, ``<name>.holder``
    :param subject: what can't be done without it, for an error
    :param wait_s: seconds to wait for another process, ``WAIT_S`` by default
    :raises HeldError: if it is held for longer
    """
    lock, note = FileLock(path), path.with_name(f"{path.name}.holder")
    wait_s = WAIT_S if wait_s is None else wait_s
    try:
        lock.acquire(timeout=wait_s)
    except Timeout as error:
        raise HeldError(
            subject, found=f"{path.name} held for {wait_s:g} s and more by {_read(note)}",
            expected="a few seconds each",
            remedy="Where that process was stopped (Ctrl-Z), let it go on (fg, or kill -CONT and its number) or end it "
            "(kill -KILL, which every write bears); where it is at work, run this again.",
        ) from error  # fmt: skip
    try:
        note.write_text(_this_process(), encoding="utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock on a file, without taking it."""
    import fcntl  # here: it is not on Windows, where the command line must start to say so

    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # its holder has let go, or another process has mended the run
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look don't see each other
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _this_process() -> str:
    # no more of the command than its first words: what follows may name a source with its password
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
    since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()} ({command}) since {since}"


def _read(note: Path) -> str:
    try:
        return note.read_text(encoding="utf-8") or "a process that has just begun"
    except FileNotFoundError:
        return "a process that did not say who it is"
