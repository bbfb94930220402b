"""Read any CTD table file as a stream of rows of text: CSV or TSV, gzipped or plain, with CTD's block or not.

CTD's own files open with ``#`` lines: terms of use, ``# Report created: …``, ``# Fields:``, the names on the
next line, and mostly a lone ``#``. Copies that went through a spreadsheet or pandas have a plain header line.
Neither is taken to have a fixed length. Every field stays text, for a gene may be called NA; types are the
business of ``release`` and ``diseases``. Memory does not grow with the file.
"""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Literal

from bioalign_assets.ctd.container import open_container
from bioalign_assets.ctd.report_date import parse_report_date
from bioalign_assets.ctd.report_kind import ReportKind
from bioalign_assets.errors import ReleaseError

__all__ = ["Batch", "Header", "TableFile", "open_table", "read_header"]

_BATCH_ROWS = 65_536
_LONGEST_BLOCK_LINES = 10_000  # a file of nothing but "#" lines should not be read to its end
_LONGEST_HEADER_LINE = 1 << 20  # nor a binary file that has no line ends


@dataclass(frozen=True, kw_only=True)
class Header:
    """What stands above the rows.

    :param columns: all column names, in file order
    :param delimiter: comma or tab
    :param report_created: when CTD made the file, in UTC; None where the file doesn't say so in a way we can
        read
    :param report_created_problem: why a date that stands there could not be read; else empty
    :param lines: number of lines above the first row
    """

    columns: tuple[str, ...]
    delimiter: str
    report_created: datetime | None
    report_created_problem: str
    lines: int


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Consecutive rows, by column.

    :param lines: shape: (rows,), line number in the file, from 1, at which row i starts
    :param columns: name to fields, each of shape (rows,)
    """

    lines: list[int]
    columns: dict[str, tuple[str, ...]]


class TableFile:
    """An open table: its header, and its rows to be read once. Made by ``open_table``."""

    def __init__(self, text: io.TextIOBase, *, path: Path, kind: ReportKind) -> None:
        self._text = text
        self._subject = str(path)
        self._path = path
        self._kind = kind
        self._read_ahead: list[str] = []
        with self._explained():
            self.header = self._read_header()

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number at which a row starts (from 1) and its fields, in the order of the header.

        Blank lines are passed over.

        :raises ReleaseError: for a row with another number of fields, quotes that don't match, bytes that are
            not UTF-8, or a file without rows
        :raises SourceError: for a gzip that is truncated or damaged
        """
        width, start, any_row = len(self.header.columns), self.header.lines, False
        is_tabbed = self.header.delimiter == "\t"
        # CTD's tab-separated files don't quote; a stray quote must not swallow the lines behind it
        quoting: Literal[0, 3] = csv.QUOTE_NONE if is_tabbed else csv.QUOTE_MINIMAL
        with self._explained():
            lines = chain(self._read_ahead, self._text)
            reader = csv.reader(lines, delimiter=self.header.delimiter, quoting=quoting, strict=True)
            try:
                for row in reader:
                    line, start = start + 1, self.header.lines + reader.line_num
                    if not row:
                        continue
                    if len(row) != width:
                        raise self._wrong_width(row, line=line)
                    any_row = True
                    yield line, [_unquoted(field) for field in row] if is_tabbed else row
            except csv.Error as problem:
                raise ReleaseError(
                    f"{self._subject}, line {start + 1}",
                    found=f"a row that can't be split into fields ({problem})",
                    expected="fields whose double quotes are closed, and doubled inside a field",
                    remedy=f"Look at the quotes from there on, or take the original. {self._kind.by_hand}",
                ) from problem
        if not any_row:
            raise ReleaseError(
                self._subject,
                found="column names, but no rows",
                expected=f"{self._kind.title}, at least one row",
                remedy=f"The file was probably cut off when it was saved. {self._kind.by_hand}",
            )

    def batches(self, *, skip: Callable[[list[str]], bool] | None = None) -> Iterator[Batch]:
        """Yield the rows as batches of the columns that the report's kind requires.

        :param skip: rows (all fields, in the order of the header) for which it is true are left out
        :raises ReleaseError, SourceError: as ``rows``
        """
        places = [self.header.columns.index(name) for name in self._kind.columns]
        lines: list[int] = []
        rows: list[list[str]] = []
        for line, row in self.rows():
            if skip is not None and skip(row):
                continue
            lines.append(line)
            rows.append(row)
            if len(rows) == _BATCH_ROWS:
                yield self._batch(lines, rows=rows, places=places)
                lines, rows = [], []
        if rows:
            yield self._batch(lines, rows=rows, places=places)

    def _batch(self, lines: list[int], *, rows: list[list[str]], places: list[int]) -> Batch:
        fields = list(zip(*rows, strict=True))
        named = zip(self._kind.columns, places, strict=True)
        return Batch(lines=lines, columns={name: fields[place] for name, place in named})

    def _read_header(self) -> Header:
        """Consume the lines above the rows."""
        report_created, problem, lines = None, "", 0
        while lines < _LONGEST_BLOCK_LINES and (line := self._text.readline(_LONGEST_HEADER_LINE)):
            lines += 1
            # a spreadsheet pads each line of the block with delimiters
            content = line.strip().rstrip(",\t")
            if not content.startswith("#"):
                if not content:
                    continue
                return self._header(line, report_created=report_created, problem=problem, lines=lines)
            comment = content.lstrip("# \t")
            if comment.startswith("Report created:"):
                report_created, problem = parse_report_date(comment.removeprefix("Report created:"))
            elif comment == "Fields:":
                names = self._text.readline(_LONGEST_HEADER_LINE)
                lines += 1 + self._skip_lone_hash()
                return self._header(
                    names.lstrip("# \t"), report_created=report_created, problem=problem, lines=lines
                )
        raise ReleaseError(
            self._subject,
            found=f"{lines} lines of '#' without the names of the columns",
            expected="a line '# Fields:' with the names on the line below, or a plain header line",
            remedy=f"This is no CTD table, or its beginning was changed. {self._kind.by_hand}",
        )

    def _skip_lone_hash(self) -> int:
        """Consume the line behind the names if it is the lone ``#`` that closes the block.

        A first row may begin with ``#`` too, so one line only, and only when nothing else stands on it.
        """
        line = self._text.readline()
        if line.strip().rstrip(",\t") == "#":
            return 1
        self._read_ahead = [line] if line else []
        return 0

    def _header(self, line: str, *, report_created: datetime | None, problem: str, lines: int) -> Header:
        delimiter = "\t" if "\t" in line.strip() else ","
        names = next(csv.reader([line.strip("\r\n")], delimiter=delimiter), [])
        columns = tuple(name.strip() for name in names)
        missing = [name for name in self._kind.columns if name not in columns]
        if missing:
            raise ReleaseError(
                self._subject,
                found=f"no column {', '.join(_guess(name, columns) for name in missing)}; "
                f"the columns on line {lines} are {_shown(columns)}",
                expected=f"{self._kind.title}, with the columns {', '.join(self._kind.columns)}",
                remedy=f"Rename the columns, or take the original. {self._kind.by_hand}",
            )
        twice = [name for name in self._kind.columns if columns.count(name) > 1]
        if twice:
            raise ReleaseError(
                self._subject,
                found=f"more than one column {', '.join(twice)}",
                expected="each column once",
                remedy=f"Remove the copies, or take the original. {self._kind.by_hand}",
            )
        return Header(
            columns=columns,
            delimiter=delimiter,
            report_created=report_created,
            report_created_problem=problem,
            lines=lines,
        )

    def _wrong_width(self, row: list[str], *, line: int) -> ReleaseError:
        return ReleaseError(
            f"{self._subject}, line {line}",
            found=f"{len(row)} fields in the row that starts with {row[0][:60]!r}",
            expected=f"{len(self.header.columns)} fields, as many as columns",
            remedy=f"The file was cut off or edited: mend it, or take the original. {self._kind.by_hand}",
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as problem:
            raise self._not_utf8() from problem

    def _not_utf8(self) -> ReleaseError:
        """Say where the first byte stands that is not UTF-8: decoding runs ahead in blocks, so look again."""
        where = found = ""
        with open_container(self._path, kind=self._kind) as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as problem:
                    where = f", line {number}"
                    found = f" 0x{line[problem.start]:02x} at byte {problem.start + 1} of the line,"
                    break
        return ReleaseError(
            f"{self._subject}{where}",
            found=f"the byte{found} which is not UTF-8",
            expected="text in UTF-8, as CTD writes it",
            remedy=f"Save it in UTF-8 where it was edited, or take the original. {self._kind.by_hand}",
        )


def _unquoted(field: str) -> str:
    """Undo the quoting that pandas and spreadsheets do in tab-separated files; leave other quotes alone."""
    if len(field) < 2 or field[0] != '"' or field[-1] != '"':
        return field
    inside = field[1:-1]
    return field if '"' in inside.replace('""', "") else inside.replace('""', '"')


def _guess(name: str, columns: tuple[str, ...]) -> str:
    plain = {column.lower().replace(" ", "").replace("_", ""): column for column in columns}
    close = get_close_matches(name.lower(), list(plain), n=1, cutoff=0.75)
    return f"{name} (is {plain[close[0]]!r} meant?)" if close else name


def _shown(columns: tuple[str, ...]) -> str:
    text = ", ".join(repr(column[:40]) for column in columns[:12])
    return f"{text} and {len(columns) - 12} more" if len(columns) > 12 else text


@contextmanager
def open_table(path: Path, *, kind: ReportKind, show_progress: bool = False) -> Iterator[TableFile]:
    """Open a CTD table file and read its header.

    :param path: .csv or .tsv, gzipped or plain, whatever its name says
    :param kind: which report it should be
    :param show_progress: show a bar on a terminal while a large file is read
    :raises ReleaseError: if it is not that report
    :raises SourceError: if it can't be read, is a web page, empty, or a damaged gzip
    """
    with open_container(path, kind=kind, show_progress=show_progress) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        try:
            yield TableFile(text, path=path, kind=kind)
        finally:
            if not text.closed:
                text.detach()  # the stream belongs to the container


def read_header(path: Path, *, kind: ReportKind) -> Header:
    """Return only the header of a CTD table file.

    :raises ReleaseError, SourceError: as ``open_table``
    """
    with open_table(path, kind=kind) as table:
        return table.header
