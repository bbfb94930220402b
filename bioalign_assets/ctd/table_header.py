"""What stands above the rows of a CTD table file: the names of its columns, and when CTD made it.

CTD's own files open with ``#`` lines: terms of use, ``# Report created: …``, ``# Fields:``, the names on the
next line, and mostly a lone ``#``. Copies that went through a spreadsheet or pandas have a plain header line;
where a hand took lines away, the names may stand on the only line with ``#``. Nothing is taken to have a fixed length.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from bioalign_assets.ctd.container import open_container
from bioalign_assets.ctd.other_tables import told_as_it_is
from bioalign_assets.ctd.report_date import parse_report_date
from bioalign_assets.ctd.report_kind import ReportKind
from bioalign_assets.errors import ReleaseError

__all__ = ["LONGEST_LINE", "Header", "line_too_long", "read_header", "utf8_required"]

LONGEST_LINE = 1 << 20
"""In characters. CTD's longest has some thousands; one without an end would fill the memory."""
_FIELDS, _CREATED = "Fields:", "Report created:"
_MOST_ABOVE = 4 * LONGEST_LINE  # a file of nothing but "#" lines should not be read to its end


@dataclass(frozen=True, kw_only=True)
class Header:
    """What stands above the rows.

    :param columns: all column names, in file order
    :param delimiter: comma or tab
    :param report_created: when CTD made the file, in UTC; None where the file doesn't say so in a way we can
        read
    :param report_created_problem: why a date that stands there could not be read; else empty
    :param lines: number of lines above the first row
    :param size: number of bytes above the first row, uncompressed
    """

    columns: tuple[str, ...]
    delimiter: str
    report_created: datetime | None
    report_created_problem: str
    lines: int
    size: int


def read_header(path: Path, *, kind: ReportKind) -> Header:
    """Return the header of a CTD table file; of the rows no more than the first few are looked at.

    :param path: .csv or .tsv, gzipped or plain, whatever its name says
    :param kind: which report it should be
    :raises ReleaseError: if it is not that report
    :raises SourceError: if it can't be read, is a web page, empty, or a damaged gzip
    """
    report_created, problem, names, before = None, "", None, ""
    above: list[str] = []
    size = 0
    with open_container(path, kind=kind) as stream, utf8_required(path, kind=kind):
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        while names is None and size < _MOST_ABOVE and (line := text.readline(LONGEST_LINE + 1)):
            above.append(line)
            size += len(line)
            if len(line) > LONGEST_LINE:
                raise line_too_long(path, line=len(above), kind=kind)
            if len(above) == 1:
                line = line.removeprefix("\ufeff")
            comment = _content(line).lstrip("# \t")
            names = _names(line, is_below_fields=before == _FIELDS, kind=kind)
            if names is None:
                before = comment
                if comment.startswith(_CREATED):
                    report_created, problem = parse_report_date(comment.removeprefix(_CREATED))
        # a lone "#" closes the block; a first row may begin with "#" too, but has more than that
        if names is not None and (before == _FIELDS or line.startswith("#")):
            line = text.readline(LONGEST_LINE)
            if _content(line) == "#":
                above.append(line)
    if names is None:
        raise ReleaseError(
            str(path),
            found=f"{len(above)} lines of '#' without the names of the columns",
            expected="a line '# Fields:' with the names on the line below, or a plain header line",
            remedy=f"This is no CTD table, or its beginning was changed. {kind.by_hand}",
        )
    names_line = len(above) - (_content(above[-1]) == "#")
    return Header(
        columns=_required(names, line=names_line, subject=str(path), kind=kind),
        delimiter=_delimiter(names),
        report_created=report_created,
        report_created_problem=problem,
        lines=len(above),
        size=sum(len(line.encode()) for line in above),
    )


def _content(line: str) -> str:
    """Return what stands on a line: a spreadsheet pads each line of the block with delimiters."""
    return line.strip().rstrip(",\t")


def _names(line: str, *, is_below_fields: bool, kind: ReportKind) -> str | None:
    """Return the part of a line that holds the names of the columns; None if it is another line of the block.

    :param is_below_fields: the line above says that they follow
    """
    if is_below_fields:
        return line.lstrip("# \t")
    if _content(line) and not line.lstrip().startswith("#"):
        return line
    # of the line as it stands: a spreadsheet pads names and rows with as many delimiters
    inline = line.lstrip("# \t").removeprefix(_FIELDS).lstrip()
    return inline if set(kind.columns) <= set(_split(inline)) else None


def _delimiter(names: str) -> str:
    return "\t" if "\t" in names.strip() else ","


def _split(names: str) -> tuple[str, ...]:
    """Return the names that stand on a line."""
    fields = next(csv.reader([names.strip("\r\n")], delimiter=_delimiter(names)), [])
    columns = tuple(name.strip() for name in fields)
    return (columns[0].lstrip("# "), *columns[1:]) if columns else ()


def _required(names: str, *, line: int, subject: str, kind: ReportKind) -> tuple[str, ...]:
    """Return the names of the columns if those that the report's kind requires are among them, each once."""
    columns = _split(names)
    missing = [name for name in kind.columns if name not in columns]
    if missing:
        told = told_as_it_is(names, columns=columns, line=line, subject=subject, kind=kind)
        if told is not None:
            raise told
        raise ReleaseError(
            subject,
            found=f"no column {', '.join(_guess(name, columns) for name in missing)}; "
            f"the columns on line {line} are {_shown(columns)}",
            expected=f"{kind.title}, with the columns {', '.join(kind.columns)}",
            remedy=f"Rename the columns, or take the original. {kind.by_hand}",
        )
    twice = [name for name in kind.columns if columns.count(name) > 1]
    if twice:
        raise ReleaseError(
            subject,
            found=f"more than one column {', '.join(twice)}",
            expected="each column once",
            remedy=f"Remove the copies, or take the original. {kind.by_hand}",
        )
    return columns


def _guess(name: str, columns: tuple[str, ...]) -> str:
    plain = {column.lower().replace(" ", "").replace("_", ""): column for column in columns}
    close = get_close_matches(name.lower(), list(plain), n=1, cutoff=0.75)
    return f"{name} (is {plain[close[0]]!r} meant?)" if close else name


def _shown(columns: tuple[str, ...]) -> str:
    text = ", ".join(repr(column[:40]) for column in columns[:12])
    return f"{text} and {len(columns) - 12} more" if len(columns) > 12 else text


@contextmanager
def utf8_required(path: Path, *, kind: ReportKind) -> Iterator[None]:
    """Tell where the first byte of a file stands that is not UTF-8, if reading its text comes upon one.

    :raises ReleaseError: in place of Python's error, which knows no line: it decodes ahead in blocks
    """
    try:
        yield
    except UnicodeDecodeError as problem:
        where = found = ""
        number = 0
        with open_container(path, kind=kind) as stream:
            # a character has four bytes at most
            while line := stream.readline(4 * LONGEST_LINE):
                number += 1
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as bad:
                    where = f", line {number}"
                    found = f" 0x{line[bad.start]:02x} at byte {bad.start + 1} of the line,"
                    break
        raise ReleaseError(
            f"{path}{where}",
            found=f"the byte{found} which is not UTF-8",
            expected="text in UTF-8, as CTD writes it",
            remedy=f"Save it in UTF-8 where it was edited, or take the original. {kind.by_hand}",
        ) from problem


def line_too_long(path: Path, *, line: int, kind: ReportKind) -> ReleaseError:
    """Return the error about a line, or a row over several lines, that does not end."""
    return ReleaseError(
        f"{path}, line {line}",
        found=f"a row of more than {LONGEST_LINE:,} characters",
        expected="rows that end: CTD's have some thousands of characters at most",
        remedy=f"This is no CTD table, or its line ends were lost: take the original. {kind.by_hand}",
    )
