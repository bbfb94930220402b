"""What a disk says against being read or written, by whatever library it comes, as an error that a person can mend."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bioalign_assets.errors import DiskFullError, WarehouseError

__all__ = ["disk_error", "existing_parent", "is_disk_full", "why_not_written"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_TEXTS = (
    "No space left on device",
    "Disk quota exceeded",
    "(os error 28)",
    "database or disk is full",  # SQLite, which holds the history
)
_REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_REFUSED_TEXTS = (
    "Read-only file system",
    "attempt to write a readonly database",
    "unable to open database file",
    "disk I/O error",
    "database disk image is malformed",  # a copy of one that another process was at
)
_UNSAID_TEXTS = ("inline_container.cc", "PytorchStreamWriter", "disk I/O error")
"""torch.save tells of a short write by a place in its source, SQLite of anything: what the system said is lost."""
_STORAGE = ("sqlite3", "sqlalchemy", "pyarrow", "duckdb", "_duckdb", "safetensors", "torch", "_internal")
"""Modules whose errors have others' words in them; the last is that of Delta's own."""
_PROBE = 1 << 20


def is_disk_full(error: BaseException, *, folder: Path, needed: int) -> bool:
    """Return whether an error, or one that it came of, is that of a full disk.

    :param folder: on the disk that is written to
    :param needed: bytes that were to be written, to judge an error that doesn't say
    """
    return any(
        (isinstance(link, OSError) and link.errno in _FULL)
        or (_is_of_storage(link) and any(text in str(link) for text in _FULL_TEXTS))
        or (
            any(text in str(link) for text in _UNSAID_TEXTS)
            and shutil.disk_usage(existing_parent(folder)).free < needed
        )
        for link in _chain(error)
    )


def disk_error(error: BaseException, *, folder: Path) -> WarehouseError | None:
    """Return what a disk had against it, if an error is of that kind or came of one; None if it is of another.

    :param folder: the warehouse, or another folder on the disk that is written to
    """
    there = existing_parent(folder)
    of_system = next((link for link in _chain(error) if isinstance(link, OSError)), None)
    place = str((of_system.filename if of_system is not None else None) or folder)
    if is_disk_full(error, folder=folder, needed=_PROBE):
        free = shutil.disk_usage(there).free
        return DiskFullError(
            place, found=f"a full disk ({free / 1e6:,.1f} MB free in {there})", expected="room to write",
            remedy="Free some (bioalign vacuum --dry-run says what it could), or name a folder on a larger disk in "
            "BIOALIGN_WAREHOUSE. What is finished is kept; run it again to go on.",
        )  # fmt: skip
    is_refused = of_system is not None and of_system.errno in _REFUSED
    if is_refused or any(
        text in str(link) for link in _chain(error) if _is_of_storage(link) for text in _REFUSED_TEXTS
    ):
        reason = of_system.strerror if of_system is not None else "a database that can't be read or written"
        return WarehouseError(
            place, found=f"what can't be read or written ({reason})",
            expected="a folder to read and write in",
            remedy="Give yourself the right to, or name another folder in BIOALIGN_WAREHOUSE. Of a warehouse that can "
            "only be read, bioalign status, leaderboard, report, sql and export do without.",
        )  # fmt: skip
    # what a network says is none of a disk's, and an error without a number is a library's own
    if of_system is None or of_system.errno is None or isinstance(of_system, ConnectionError | TimeoutError):
        return None
    return WarehouseError(
        place, found=f"{of_system.strerror or of_system} ({type(of_system).__name__})",
        expected="a file system that does what it is asked",
        remedy="See to what is named here and run it again: what is finished is kept.",
    )  # fmt: skip


def why_not_written(folder: Path) -> str:
    """Return why a folder, or the one that it would be made in, can't be written; an empty text if it can.

    It is tried, for a disk that is read-only or full has the same permissions as any. Nothing is left there.
    """
    try:
        with tempfile.TemporaryFile(dir=existing_parent(folder)) as probe:
            probe.write(b"\0" * _PROBE)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def existing_parent(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    there = folder.absolute()
    while not there.is_dir() and there != there.parent:
        there = there.parent
    return there


def _is_of_storage(error: BaseException) -> bool:
    """Return whether an error came from what stores things: their words are read, not those of anything else."""
    return isinstance(error, OSError | RuntimeError) or type(error).__module__.split(".")[0] in _STORAGE


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came of.

    What was only being handled when an error of ours was raised is not its cause; libraries that store things raise so.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:  # chains of contexts can have circles
        yield link
        seen.add(id(link))
        is_ours = isinstance(
            link, ArithmeticError | AttributeError | LookupError | NameError | TypeError | ValueError
        )
        context = None if link.__suppress_context__ or is_ours else link.__context__
        link = link.__cause__ or context
