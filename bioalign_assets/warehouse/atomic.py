"""Write aside, then rename: files and directories that are either whole or not there.

A temporary name always bears the suffix ``.partial``: nothing that reads the warehouse looks at such a name,
and :func:`remove_leftovers` clears those that a killed process left behind.
"""

import glob
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "LEFTOVER_AGE_S",
    "PARTIAL_SUFFIX",
    "leftovers",
    "publish_directory",
    "remove",
    "remove_leftovers",
    "size_of",
    "written_aside",
]

PARTIAL_SUFFIX = ".partial"
LEFTOVER_AGE_S = 24 * 3600.0
"""Younger leftovers may belong to a process that is still at work."""


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Give a temporary path beside ``target``; rename it to ``target`` when the block ends well.

    On an error the temporary file is removed and ``target`` stays as it was. Readers that hold the old file
    open keep reading it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}{PARTIAL_SUFFIX}")
    try:
        yield aside
        aside.replace(target)
    finally:
        _remove(aside)


def publish_directory(parent: Path, build: Callable[[Path], str], *, start: str = "") -> Path:
    """Let ``build`` fill a temporary directory and rename it to the name that ``build`` returns.

    :param parent: folder that receives it
    :param build: fills the directory it is given and returns its final name, such as a content hash
    :param start: what the temporary directory's name begins with, to be found among others
    :return: the published directory. If one of that name stands there already (the same content, made before
        or by another process), it is kept and the new one is dropped. Its time is that of now either way: what
        nobody names any more is removed by its age, and a row that names it may be about to be written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    aside = parent / f"{start}{uuid.uuid4().hex}{PARTIAL_SUFFIX}"
    aside.mkdir()
    try:
        target = parent / build(aside)
        if not target.exists():
            try:
                aside.replace(target)
            except OSError:
                if not target.exists():  # else another process published the same content just now
                    raise
        os.utime(target)
        return target
    finally:
        _remove(aside)


def leftovers(
    folder: Path, *, start: str = "", older_than_s: float = LEFTOVER_AGE_S, now: float | None = None
) -> list[Path]:
    """Return the temporary files and directories that killed processes left right below ``folder``.

    :param start: only those whose names begin so
    :param older_than_s: seconds since the last change
    :param now: seconds since 1970; the clock's by default
    """
    now = time.time() if now is None else now
    stale = []
    for path in folder.glob(f"{glob.escape(start)}*{PARTIAL_SUFFIX}*"):
        with suppress(FileNotFoundError):  # its owner has just finished
            if now - path.stat().st_mtime > older_than_s:
                stale.append(path)
    return stale


def remove_leftovers(folder: Path, *, start: str = "", older_than_s: float = LEFTOVER_AGE_S) -> list[Path]:
    """Remove what :func:`leftovers` gives; return it."""
    stale = leftovers(folder, start=start, older_than_s=older_than_s)
    for path in stale:
        _remove(path)
    return stale


def remove(path: Path) -> None:
    """Remove a file or directory; one that is gone already is no error.

    It is renamed first: a removal that is cut short leaves nothing that looks whole.
    """
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{PARTIAL_SUFFIX}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        _remove(aside)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a directory; 0 if it is gone."""
    files = path.rglob("*") if path.is_dir() else [path]
    size = 0
    for file in files:
        with suppress(FileNotFoundError):
            size += 0 if file.is_dir() else file.lstat().st_size
    return size


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        try:
            os.unlink(path)  # noqa: PTH108 - one call, no race between a test and the removal
        except FileNotFoundError:
            return
