"""What a source names: the demo release, a URL, or a file here; in a folder, the newest report.

Nothing is fetched here, and of a local file only the header is read.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from bioalign_assets.ctd.download import public_form
from bioalign_assets.ctd.report_kind import ReportKind
from bioalign_assets.ctd.table_header import read_header
from bioalign_assets.errors import BioAlignError, SourceError

__all__ = ["DEMO", "SOURCE_FORMS", "form_of", "local_file", "public_source", "unreadable"]

DEMO = "demo"
SOURCE_FORMS = (
    "'demo', a URL (http or https), a file (.csv or .tsv, gzipped or plain) or a folder with such files"
)
_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def form_of(source: str, *, kind: ReportKind) -> tuple[Literal["demo", "url", "path"], str]:
    """Return which form a source has, and the source: trimmed, a ``file://`` URL as a path.

    :raises SourceError: if it is none of the forms, or a broken URL
    """
    source = source.strip()
    if source == DEMO:
        return "demo", source
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    if scheme in {"http", "https"}:
        try:
            urlsplit(source)
        except ValueError as problem:
            raise SourceError(
                kind.setting,
                found=f"a broken URL ({problem})",
                expected=SOURCE_FORMS,
                remedy="Correct the URL.",
            ) from problem
        return "url", source
    if scheme == "file":
        return "path", unquote(source.partition("://")[2])
    if scheme or not source:
        found = f"a URL with the scheme {scheme!r}" if scheme else "no source"
        remedy = f"Set {kind.setting} to one of these."
        raise SourceError(kind.setting, found=found, expected=SOURCE_FORMS, remedy=remedy)
    return "path", source


def public_source(source: str, *, kind: ReportKind) -> str:
    """Return the source as it may be shown: a URL without what may be secret in it.

    :raises SourceError: as ``form_of``
    """
    form, source = form_of(source, kind=kind)
    return public_form(source) if form == "url" else source


def local_file(source: str, *, kind: ReportKind) -> Path:
    """Return the file that a path names: itself, or the newest report in the folder.

    :param source: a path; ``~`` is understood
    :raises SourceError: if nothing is there, it can't be read, or the folder holds no such report
    """
    try:
        path = Path(source).expanduser()
        if path.is_dir():
            return _newest(path, kind=kind)
        if path.is_file():
            return path
        found = "something that is neither file nor folder" if path.exists() else "nothing there"
    except (OSError, RuntimeError, ValueError) as problem:  # no permission, no such home, a NUL in the path
        raise unreadable(source, problem=problem, kind=kind) from problem
    remedy = f"Check the path (a relative one starts at {Path.cwd()}), or set {kind.setting} anew."
    raise SourceError(source, found=found, expected=SOURCE_FORMS, remedy=remedy)


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


def unreadable(path: str | Path, *, problem: Exception, kind: ReportKind) -> SourceError:
    """Return the error for a path that the system would not let us read."""
    reason = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
    remedy = f"Check that the path is right and that you may read it, or set {kind.setting} anew."
    return SourceError(str(path), found=reason, expected=SOURCE_FORMS, remedy=remedy)
