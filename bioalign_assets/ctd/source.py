"""Get a CTD file from wherever a source says (demo, URL, file, folder) and keep it, or leave nothing behind.

A file is fetched into a folder of its own beside the kept ones, checked, looked at by the caller, and only
then renamed, folder and all, to its SHA-256: a kept file is always whole and always parses. A process that is
killed leaves at most one such folder, which the first fetch a day later removes.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bioalign_assets.ctd.container import check_container, leading_text
from bioalign_assets.ctd.download import download, file_name_of
from bioalign_assets.ctd.report_kind import ASSOCIATIONS, ReportKind
from bioalign_assets.ctd.sighting import Sighting, of_content, of_validators, stat_of, validators_of
from bioalign_assets.ctd.source_address import (
    DEMO,
    form_of,
    local_file,
    passed_over,
    public_source,
    unreadable,
)
from bioalign_assets.ctd.synthetic_file import SYNTHETIC_NOTICE
from bioalign_assets.errors import BioAlignError, SourceError
from bioalign_assets.warehouse.hashing import file_sha256

__all__ = ["RawFile", "fetched", "keep", "told_about"]

_ASIDE = ".fetching-"  # a kept file's folder has a name of 64 hex digits, so the two are never mixed up
_STALE_AFTER_S = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A fetched file, kept as it came.

    :param path: where it is kept: ``<into>/<sha256>/<file name>``
    :param source_uri: where it came from: ``demo``, the URL without secrets, or ``file://…``
    :param file_name: its name at the source
    :param sha256: of its bytes
    :param bytes: its size
    :param is_synthetic: it is the demo release, generated here now or given as a file
    :param retrieved_at: in UTC
    :param sighting: how the source looked when it was fetched
    :param passed_over: one sentence on the files of a folder that may have been meant too; empty where there are none
    """

    path: Path
    source_uri: str
    file_name: str
    sha256: str
    bytes: int
    is_synthetic: bool
    retrieved_at: datetime
    sighting: Sighting
    passed_over: str = ""


@contextmanager
def fetched(
    source: str,
    *,
    into: Path,
    demo: Callable[[Path], None],
    stem: str,
    kind: ReportKind = ASSOCIATIONS,
    timeout_s: float = 60.0,
    demo_sighting: Sighting | None = None,
) -> Iterator[RawFile]:
    """Give the file that a source names, whole but not kept yet: it goes at the end unless ``keep`` took it.

    :param source: ``demo``, an http(s) URL, a file, or a folder whose newest report is taken: by the date in
        its header, or the time of the file where it has none. ``~`` is understood.
    :param into: folder of the kept files, made if missing
    :param demo: writes the demo file to the path that it is given
    :param stem: name of a file that has none of its own, without ``.csv.gz``
    :param kind: which report it should be
    :param timeout_s: longest silence of a server, in seconds
    :param demo_sighting: how the demo release looks; by its content if left out
    :raises SourceError: if there is no such source, it can't be reached, or it gives no whole data file
    :raises BioAlignError: whatever is raised meanwhile, told about the source: the path is gone when it is read
    """
    into.mkdir(parents=True, exist_ok=True)
    _remove_stale(into)
    aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=into))
    try:
        came = _acquire(source, aside=aside, demo=demo, stem=stem, kind=kind, timeout_s=timeout_s)
        file, uri, retrieved_at = came.file, came.uri, datetime.now(UTC)
        try:
            check_container(file, kind=kind)
            sha256, size = file_sha256(file), file.stat().st_size
            sighting = demo_sighting if uri == DEMO else came.sighting
            yield RawFile(
                path=file,
                source_uri=uri,
                file_name=file.name,
                sha256=sha256,
                bytes=size,
                is_synthetic=SYNTHETIC_NOTICE in leading_text(file, kind=kind),
                retrieved_at=retrieved_at,
                sighting=sighting or of_content(sha256, place=uri, size=size, stat=came.stat),
                passed_over=came.passed_over,
            )
        except BioAlignError as problem:
            raise told_about(problem, path=file, uri=uri) from problem
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class _Acquired:
    """A file that has come, as it came.

    :param sighting: how a URL looked, by the headers of the download; None where they told nothing
    :param stat: of a local file, before it was read
    :param passed_over: as in ``RawFile``
    """

    file: Path
    uri: str
    sighting: Sighting | None = None
    stat: str = ""
    passed_over: str = ""


def _acquire(
    source: str, *, aside: Path, demo: Callable[[Path], None], stem: str, kind: ReportKind, timeout_s: float
) -> _Acquired:
    """Put the source's file into the folder ``aside``."""
    form, source = form_of(source, kind=kind)
    if form == "demo":
        file = aside / f"{stem}.csv.gz"
        demo(file)
        return _Acquired(file=file, uri=DEMO)
    if form == "url":
        uri, file = public_source(source), aside / file_name_of(source, stem=stem)
        headers = download(source, to=file, kind=kind, timeout_s=timeout_s)
        if not file.stat().st_size:
            raise SourceError(uri, found="an empty answer", expected=kind.title, remedy=kind.by_hand)
        return _Acquired(
            file=file, uri=uri, sighting=of_validators(source, validators=validators_of(headers))
        )
    original = local_file(source, kind=kind)
    file = aside / original.name
    try:
        stat = stat_of(original)
        shutil.copyfile(original, file)
    except OSError as problem:
        raise unreadable(original, problem=problem, kind=kind) from problem
    return _Acquired(
        file=file, uri=original.resolve().as_uri(), stat=stat, passed_over=passed_over(source, kind=kind)
    )


def keep(raw: RawFile, *, into: Path) -> RawFile:
    """Keep a fetched file under its SHA-256; the same content is kept once.

    :param into: folder of the kept files
    :return: the file where it is kept
    :raises SourceError: if the folder can't take it
    """
    kept = into / raw.sha256
    for _ in range(2):
        for before in sorted(kept.iterdir()) if kept.is_dir() else []:
            if before.is_file() and file_sha256(before) == raw.sha256:
                os.utime(kept)  # by its age it would go, and the row that names it is not written yet
                return replace(raw, path=before)
        if kept.exists():  # damaged since it was kept
            shutil.rmtree(kept, ignore_errors=True)
        with raw.path.open("rb+") as written:
            os.fsync(written.fileno())
        raw.path.parent.chmod(0o755)  # mkdtemp makes folders that only we may enter
        with suppress(OSError):  # another process was faster: look again
            raw.path.parent.replace(kept)
            return replace(raw, path=kept / raw.path.name)
    raise SourceError(
        str(kept), found="a folder that can't be written", expected="room for the fetched file",
        remedy="Check permissions and free space there, and that nothing else writes into it.",
    )  # fmt: skip


def _remove_stale(into: Path) -> None:
    oldest = time.time() - _STALE_AFTER_S
    for folder in into.glob(f"{_ASIDE}*"):
        with suppress(OSError):
            if max(path.stat().st_mtime for path in (folder, *folder.iterdir())) < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def told_about(problem: BioAlignError, *, path: Path, uri: str) -> BioAlignError:
    """Return an error with the source in place of the path aside, which no longer exists when it is read."""
    told = [part.replace(str(path), uri) for part in (problem.subject, problem.found, problem.remedy)]
    return type(problem)(told[0], found=told[1], expected=problem.expected, remedy=told[2])
