"""What a source names: the demo release, a URL, or a file here; in a folder, the newest report.

Nothing is fetched here, and of a local file only the header is read.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from bioalign_assets.ctd.report_kind import ReportKind
from bioalign_assets.ctd.table_header import read_header
from bioalign_assets.errors import BioAlignError, SourceError

__all__ = ["DEMO", "SOURCE_FORMS", "form_of", "local_file", "passed_over", "public_source", "unreadable"]

DEMO = "demo"
SOURCE_FORMS = (
    "'demo', a URL (http or https), a file (.csv or .tsv, gzipped or plain) or a folder with such files"
)
# as browsers and wget name what they have not yet whole
_UNFINISHED = re.compile(
    r"\.(?:part|partial|crdownload|download|tmp|aria2|opdownload|!ut|filepart)(?:\.\d+)?$", re.IGNORECASE
)
# of a file that is passed over it is told if a person may have meant it; other files may lie there by thousands
_MEANT = re.compile(r"ctd|\.(?:csv|tsv|txt|tab|gz|zip|xlsx?|ods|xml|json)\b", re.IGNORECASE)
_MOST_NAMED = 5
_HOST = re.compile(r"(?:[\w.%~-]+|\[[0-9A-Fa-f:.%]+\])(?::\d*)?")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)


def public_source(source: str) -> str:
    """Return a source as it may be shown and kept: without user, password, query and fragment, which may be secret.

    The one way in which a source of whatever form comes into a message, a record or a file. Where a URL is so broken
    that nobody knows what is secret in it, nothing but its scheme is shown. A path stays as it is.

    :param source: as a person gave it; also one that is no source
    """
    source = source.strip()
    found = _URL.fullmatch(source)
    if found is None:
        return source if _is_path(source) else _hidden(source)
    scheme, rest = found["scheme"], found["rest"]
    if scheme.lower() == "file":
        return source if rest.startswith("/") or "@" not in rest else f"{scheme}://…"
    place = re.split(r"[?#;&]|%3f", rest, maxsplit=1, flags=re.IGNORECASE)[0]  # a query, also a misspelt one
    network, slash, path = place.partition("/")
    host = network.rpartition("@")[2]
    # a password or token with a slash or a question mark in it ends the host too early
    is_torn = "@" not in network and "@" in rest and not path.startswith("@")
    if is_torn or not _HOST.fullmatch(host) or "://" in path:
        return f"{scheme}://…"
    return f"{scheme}://{host}{slash}{path}"


def _is_path(source: str) -> bool:
    """Return whether a source names something on this machine, or looks like nothing but a path."""
    try:
        is_there = Path(source).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        is_there = False
    return is_there or not re.search(r"[?@]|https?:", source, re.IGNORECASE)


def _hidden(source: str) -> str:
    """Return what can be shown of an address that is none: nothing before the last @, or after a question mark."""
    plain = source.partition("?")[0]
    before, mark, after = plain.rpartition("@")
    return f"…@{after}" if mark and before else plain


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
        except ValueError:  # its text quotes the URL, and so would the record of its cause
            raise SourceError(
                kind.setting,
                found=f"a broken URL ({public_source(source)})",
                expected=SOURCE_FORMS,
                remedy="Correct the URL.",
            ) from None
        return "url", source
    if scheme == "file":
        return "path", unquote(source.partition("://")[2])
    if scheme or not source:
        found = f"a URL with the scheme {scheme!r}" if scheme else "no source"
        remedy = f"Set {kind.setting} to one of these."
        raise SourceError(kind.setting, found=found, expected=SOURCE_FORMS, remedy=remedy)
    return "path", source


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
    raise SourceError(public_source(source), found=found, expected=SOURCE_FORMS, remedy=remedy)


def passed_over(source: str, *, kind: ReportKind) -> str:
    """Return one sentence on the files of a folder that may have been meant and are no such report; else nothing.

    :param source: as for ``local_file``; anything else passes nothing over
    """
    folder = Path(source).expanduser()
    try:
        if not folder.is_dir():
            return ""
        others = _looked_at(folder, kind=kind)[1]
    except OSError as problem:  # something was removed meanwhile
        raise unreadable(source, problem=problem, kind=kind) from problem
    meant = {path: why for path, why in others.items() if _MEANT.search(path.name)}
    return f"Passed over in {folder}: {_listed(meant)}." if meant else ""


def _newest(folder: Path, *, kind: ReportKind) -> Path:
    """Return the newest report of this kind right in the folder."""
    dated, others = _looked_at(folder, kind=kind)
    if dated:
        return max(dated)[-1]
    seen = f"; passed over: {_listed(others)}" if others else ""
    raise SourceError(
        str(folder),
        found=f"a folder without such a file{seen}",
        expected=f"a file that holds {kind.title}, as .csv or .tsv, gzipped or plain, whatever its name "
        f"(columns {', '.join(kind.columns)})",
        remedy=kind.by_hand,
    )


def _looked_at(
    folder: Path, *, kind: ReportKind
) -> tuple[list[tuple[datetime, float, str, Path]], dict[Path, str]]:
    """Return the reports right in a folder with what orders them, and the other files with why they are none.

    By their bytes, whatever their names: wget appends ``.1``, browsers ``(1)``, people ``- Copy`` or ``.txt``.
    """
    dated: list[tuple[datetime, float, str, Path]] = []
    others: dict[Path, str] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if _UNFINISHED.search(path.name):
            others[path] = "a download that is not finished"
            continue
        try:
            header = read_header(path, kind=kind)
        except BioAlignError as problem:
            others[path] = problem.found[:120]
            continue
        modified = path.stat().st_mtime
        date = header.report_created or datetime.fromtimestamp(modified, UTC)
        dated.append((date, modified, path.name, path))
    return dated, others


def _listed(others: Mapping[Path, str]) -> str:
    """Return some files with why they were passed over, first those that may have been meant."""
    ordered = sorted(others, key=lambda path: not _MEANT.search(path.name))
    more = f" and {len(ordered) - _MOST_NAMED} more" if len(ordered) > _MOST_NAMED else ""
    return "; ".join(f"{path.name} ({others[path]})" for path in ordered[:_MOST_NAMED]) + more


def unreadable(path: str | Path, *, problem: Exception, kind: ReportKind) -> SourceError:
    """Return the error for a path that the system would not let us read."""
    reason = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
    remedy = f"Check that the path is right and that you may read it, or set {kind.setting} anew."
    return SourceError(public_source(str(path)), found=reason, expected=SOURCE_FORMS, remedy=remedy)
