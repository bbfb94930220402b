"""What stands above the rows of a CTD table file: the names of its columns, and when CTD made it.

CTD's own files open with ``#`` lines: terms of use, ``# Report created: …``, ``# Fields:``, the names on the
next line, and mostly a lone ``#``. Copies that went through a spreadsheet or pandas have a plain header line.
Neither is taken to have a fixed length.
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
from bioalign_assets.ctd.report_date import parse_report_date
from bioalign_assets.ctd.report_kind import ReportKind
from bioalign_assets.errors import ReleaseError

__all__ = ["Header", "read_header", "utf8_required"]

_MOST_LINES = 10_000  # a file of nothing but "#" lines should not be read to its end
_LONGEST_LINE = 1 << 20  # nor a binary file that has no line ends


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
    report_created, problem, names = None, "", None
    above: list[str] = []
    with open_container(path, kind=kind) as stream, utf8_required(path, kind=kind):
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        while names is None and len(above) < _MOST_LINES and (line := text.readline(_LONGEST_LINE)):
            above.append(line)
            if len(above) == 1:
                line = line.removeprefix("\ufeff")
            # a spreadsheet pads each line of the block with delimiters
            content = line.strip().rstrip(",\t")
            comment = content.lstrip("# \t")
            if content and not content.startswith("#"):
                names, names_line = line, len(above)
            elif comment.startswith("Report created:"):
                report_created, problem = parse_report_date(comment.removeprefix("Report created:"))
            elif comment == "Fields:":
                above.append(text.readline(_LONGEST_LINE))
                names, names_line = above[-1].lstrip("# \t"), len(above)
                # a lone "#" closes the block; a first row may begin with "#" too, but has more than that
                if (line := text.readline(_LONGEST_LINE)).strip().rstrip(",\t") == "#":
                    above.append(line)
    if names is None:
        raise ReleaseError(
            str(path),
            found=f"{len(above)} lines of '#' without the names of the columns",
            expected="a line '# Fields:' with the names on the line below, or a plain header line",
            remedy=f"This is no CTD table, or its beginning was changed. {kind.by_hand}",
        )
    delimiter = "\t" if "\t" in names.strip() else ","
    columns = next(csv.reader([names.strip("\r\n")], delimiter=delimiter), [])
    return Header(
        columns=_required(columns, line=names_line, subject=str(path), kind=kind),
        delimiter=delimiter,
        report_created=report_created,
        report_created_problem=problem,
        lines=len(above),
        size=sum(len(line.encode()) for line in above),
    )


def _required(names: list[str], *, line: int, subject: str, kind: ReportKind) -> tuple[str, ...]:
    """Return the names of the columns if those that the report's kind requires are among them, each once."""
    columns = tuple(name.strip() for name in names)
    missing = [name for name in kind.columns if name not in columns]
    if missing:
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
        with open_container(path, kind=kind) as stream:
            for number, line in enumerate(stream, start=1):
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
