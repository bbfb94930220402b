"""Get a CTD file from wherever a source says (demo, URL, file, folder) and keep it, or leave nothing behind.

A file is fetched into a folder of its own beside the kept ones, checked, parsed by the caller's ``verify``,
and only then renamed, folder and all, to its SHA-256: a kept file is always whole and always parses. A
process that is killed leaves at most one such folder, which the first fetch a day later removes.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from bioalign_assets.ctd.container import check_container, leading_text
from bioalign_assets.ctd.download import download, file_name_of, public_form
from bioalign_assets.ctd.report_kind import ASSOCIATIONS, ReportKind
from bioalign_assets.ctd.synthetic_file import SYNTHETIC_NOTICE
from bioalign_assets.ctd.table_file import read_header
from bioalign_assets.errors import BioAlignError, SourceError
from bioalign_assets.warehouse.hashing import file_sha256

__all__ = ["DEMO", "RawFile", "fetch"]

T = TypeVar("T")

DEMO = "demo"
_ASIDE = ".fetching-"  # a kept file's folder has a name of 64 hex digits, so the two are never mixed up
_STALE_AFTER_S = 24 * 3600
_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_FORMS = "'demo', a URL (http or https), a file (.csv or .tsv, gzipped or plain) or a folder with such files"


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
    """

    path: Path
    source_uri: str
    file_name: str
    sha256: str
    bytes: int
    is_synthetic: bool
    retrieved_at: datetime


def fetch(
    source: str,
    *,
    into: Path,
    demo: Callable[[Path], None],
    stem: str,
    verify: Callable[[Path], T],
    kind: ReportKind = ASSOCIATIONS,
    timeout_s: float = 60.0,
) -> tuple[RawFile, T]:
    """Get the file that a source names, verify it and keep it; the same content is kept once.

    :param source: ``demo``, an http(s) URL, a file, or a folder whose newest report is taken: by the date in
        its header, or the time of the file where it has none. ``~`` is understood.
    :param into: folder of the kept files, made if missing
    :param demo: writes the demo file to the path that it is given
    :param stem: name of a file that has none of its own, without ``.csv.gz``
    :param verify: parses the file and returns anything; what it raises stops the fetch, and nothing is kept
    :param kind: which report it should be
    :param timeout_s: longest silence of a server, in seconds
    :raises SourceError: if there is no such source, it can't be reached, or it gives no whole data file
    :raises BioAlignError: whatever ``verify`` raises, told about the source
    """
    into = Path(into)
    into.mkdir(parents=True, exist_ok=True)
    _remove_stale(into)
    aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=into))
    try:
        file, source_uri = _acquire(
            source.strip(), aside=aside, demo=demo, stem=stem, kind=kind, timeout_s=timeout_s
        )
        retrieved_at = datetime.now(UTC)
        try:
            check_container(file, kind=kind)
            is_synthetic = source_uri == DEMO or SYNTHETIC_NOTICE in leading_text(file, kind=kind)
            verified = verify(file)
        except BioAlignError as problem:
            raise _told_about(source_uri, problem=problem, path=file) from problem
        sha256, size = file_sha256(file), file.stat().st_size
        kept = _keep(file, sha256=sha256, into=into)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    raw = RawFile(
        path=kept,
        source_uri=source_uri,
        file_name=file.name,
        sha256=sha256,
        bytes=size,
        is_synthetic=is_synthetic,
        retrieved_at=retrieved_at,
    )
    return raw, verified


def _acquire(
    source: str, *, aside: Path, demo: Callable[[Path], None], stem: str, kind: ReportKind, timeout_s: float
) -> tuple[Path, str]:
    """Put the source's file into the folder ``aside``; return it there, and the source's URI."""
    if source == DEMO:
        file = aside / f"{stem}.csv.gz"
        demo(file)
        return file, DEMO
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    if scheme in {"http", "https"}:
        return _from_url(source, aside=aside, stem=stem, kind=kind, timeout_s=timeout_s)
    if scheme == "file":
        source = unquote(source.partition("://")[2])
    elif scheme or not source:
        found = f"a URL with the scheme {scheme!r}" if scheme else "no source"
        remedy = f"Set {kind.setting} to one of these."
        raise SourceError(kind.setting, found=found, expected=_FORMS, remedy=remedy)
    original = _local(source, kind=kind)
    file = aside / original.name
    try:
        shutil.copyfile(original, file)
    except OSError as problem:
        raise _unreadable(original, problem=problem, kind=kind) from problem
    return file, original.resolve().as_uri()


def _from_url(url: str, *, aside: Path, stem: str, kind: ReportKind, timeout_s: float) -> tuple[Path, str]:
    try:
        uri, file = public_form(url), aside / file_name_of(url, stem=stem)
    except ValueError as problem:
        found, remedy = f"a broken URL ({problem})", "Correct the URL."
        raise SourceError(kind.setting, found=found, expected=_FORMS, remedy=remedy) from problem
    download(url, to=file, kind=kind, timeout_s=timeout_s)
    if not file.stat().st_size:
        raise SourceError(uri, found="an empty answer", expected=kind.title, remedy=kind.by_hand)
    return file, uri


def _local(source: str, *, kind: ReportKind) -> Path:
    try:
        path = Path(source).expanduser()
        if path.is_dir():
            return _newest(path, kind=kind)
        if path.is_file():
            return path
        found = "something that is neither file nor folder" if path.exists() else "nothing there"
    except (OSError, RuntimeError, ValueError) as problem:  # no permission, no such home, a NUL in the path
        raise _unreadable(source, problem=problem, kind=kind) from problem
    remedy = f"Check the path (a relative one starts at {Path.cwd()}), or set {kind.setting} anew."
    raise SourceError(source, found=found, expected=_FORMS, remedy=remedy)


def _newest(folder: Path, *, kind: ReportKind) -> Path:
    """Return the newest report of this kind right in the folder; other files are passed over."""
    dated: list[tuple[datetime, float, str, Path]] = []
    passed_over: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.name.lower().endswith(_SUFFIXES) or not path.is_file():
            continue
        try:
            header = read_header(path, kind=kind)
        except BioAlignError as problem:
            passed_over.append(f"{path.name} ({problem.found[:120]})")
            continue
        modified = path.stat().st_mtime
        date = header.report_created or datetime.fromtimestamp(modified, UTC)
        dated.append((date, modified, path.name, path))
    if dated:
        return max(dated)[-1]
    seen = f"; passed over: {'; '.join(passed_over[:5])}" if passed_over else ""
    more = f" and {len(passed_over) - 5} more" if len(passed_over) > 5 else ""
    raise SourceError(
        str(folder),
        found=f"a folder without such a file{seen}{more}",
        expected=f"a file with a name that ends in {', '.join(_SUFFIXES)} and holds {kind.title} "
        f"(columns {', '.join(kind.columns)})",
        remedy=kind.by_hand,
    )


def _keep(file: Path, *, sha256: str, into: Path) -> Path:
    """Rename the file's folder to its hash, or return the same content that was kept before."""
    kept = into / sha256
    for _ in range(2):
        for before in sorted(kept.iterdir()) if kept.is_dir() else []:
            if before.is_file() and file_sha256(before) == sha256:
                return before
        if kept.exists():  # damaged since it was kept
            shutil.rmtree(kept, ignore_errors=True)
        with file.open("rb+") as written:
            os.fsync(written.fileno())
        file.parent.chmod(0o755)  # mkdtemp makes folders that only we may enter
        with suppress(OSError):  # another process was faster: look again
            file.parent.replace(kept)
            return kept / file.name
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


def _told_about(source_uri: str, *, problem: BioAlignError, path: Path) -> BioAlignError:
    """Return the error with the source in place of the path aside, which no longer exists when it is read."""
    told = [part.replace(str(path), source_uri) for part in (problem.subject, problem.found, problem.remedy)]
    return type(problem)(told[0], found=told[1], expected=problem.expected, remedy=told[2])


def _unreadable(path: str | Path, *, problem: Exception, kind: ReportKind) -> SourceError:
    reason = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
    remedy = f"Check that the path is right and that you may read it, or set {kind.setting} anew."
    return SourceError(str(path), found=reason, expected=_FORMS, remedy=remedy)
