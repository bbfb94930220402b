"""What is slow to make for the tests: made once for all workers, and kept between runs."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from filelock import FileLock

_STALE_AFTER = 14 * 24 * 3600.0  # seconds since the last use


def kept(name: str, *, made_from: Iterable[Path | str], build: Callable[[Path], None]) -> Path:
    """Return a folder that ``build`` has filled, in this run or in an earlier one.

    All who ask for the same share the folder: read it, and change only a copy.

    Args:
        name: What the folder holds; the name of its place in the user's cache.
        made_from: All that the content follows from: files and folders (their content counts, with the names inside a
            folder) and texts, such as versions and settings. Another content is another folder.
        build: Fills the empty folder that it is given, while all others who ask for this name wait. The folder takes
            its place when it is whole. Where it fails, nothing stays and its error is raised.
    """
    place = _cache() / name
    place.mkdir(parents=True, exist_ok=True)
    folder = place / _key(made_from)
    with FileLock(place.with_name(f"{name}.lock")):
        if not folder.is_dir():
            _remove_stale(place)
            _make(folder, build)
        os.utime(folder)
    return folder


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bioalign-tests"


def _key(made_from: Iterable[Path | str]) -> str:
    digest = hashlib.sha256()
    for part in made_from:
        for piece in _pieces(part):
            digest.update(b"%d:" % len(piece) + piece)
    return digest.hexdigest()[:32]


def _pieces(part: Path | str) -> Iterator[bytes]:
    if isinstance(part, str):
        yield part.encode()
    elif part.is_dir():
        for file in sorted(part.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(part).as_posix().encode()
                yield file.read_bytes()
    else:
        yield part.read_bytes()


def _make(folder: Path, build: Callable[[Path], None]) -> None:
    aside = folder.with_suffix(".unfinished")
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
    aside.mkdir()
    try:
        build(aside)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_stale(place: Path) -> None:
    for old in place.iterdir():
        if time.time() - old.stat().st_mtime > _STALE_AFTER:
            shutil.rmtree(old)
