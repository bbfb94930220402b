"""Read any CTD table file as columns of text: CSV or TSV, gzipped or plain, with CTD's block or not.

Every field stays text, for a gene may be called NA; types are the business of ``release`` and ``diseases``.
Memory does not grow with the file.

pyarrow reads the rows, ten times as fast as a loop in Python; but it takes quotes that don't match for text, and
knows no line numbers. So it gets blocks of whole rows whose quotes are sound. From the first other block on
Python's ``csv`` reads row by row, and is strict: it says what is wrong on which line, or reads what is only odd.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

from bioalign_assets.ctd.container import open_container
from bioalign_assets.ctd.report_kind import ReportKind
from bioalign_assets.ctd.table_header import LONGEST_LINE, line_too_long, read_header, utf8_required
from bioalign_assets.errors import ReleaseError

__all__ = ["TableFile"]

_BLOCK_BYTES = 4 << 20
_BATCH_ROWS = 65_536
_LONGEST_FIELD = 1 << 17  # in characters; the longest in a real release has some hundreds
_EDGES = np.frombuffer(b",\r\n", dtype=np.uint8)


class _Odd(Exception):  # noqa: N818 - not an error: a block that pyarrow might read otherwise than we do
    pass


class TableFile:
    """A table: its header, and its rows as text.

    :param path: .csv or .tsv, gzipped or plain, whatever its name says
    :param kind: which report it should be
    :raises ReleaseError, SourceError: as ``read_header``
    """

    def __init__(self, path: Path, *, kind: ReportKind) -> None:
        self.path = path
        self.kind = kind
        self.header = read_header(path, kind=kind)
        self._is_tabbed = self.header.delimiter == "\t"
        self._places = [self.header.columns.index(name) for name in kind.columns]

    def batches(self, *, show_progress: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield consecutive rows, of the columns that the report's kind requires, every field as text.

        Blank lines are passed over.

        :param show_progress: show a bar on a terminal while a large file is read
        :raises ReleaseError: for a row with another number of fields, quotes that don't match, bytes that are
            not UTF-8, or a file without rows
        :raises SourceError: for a gzip that is truncated or damaged
        """
        count = 0
        try:
            for block in self._blocks(show_progress=show_progress):
                batch = self._parsed(block)
                yield batch
                count += len(batch)
        except (_Odd, pa.ArrowInvalid):
            rows = islice(self._rows(), count, None)
            while some := [row for _, row in islice(rows, _BATCH_ROWS)]:
                fields = [pa.array([row[place] for row in some], type=pa.string()) for place in self._places]
                yield pa.RecordBatch.from_arrays(fields, names=self.kind.columns)
                count += len(some)
        if not count:
            raise ReleaseError(
                str(self.path),
                found="column names, but no rows",
                expected=f"{self.kind.title}, at least one row",
                remedy=f"The file was probably cut off when it was saved. {self.kind.by_hand}",
            )

    def lines_of(self, rows: Sequence[int]) -> Mapping[int, int]:
        """Return the line number, from 1, at which each of some rows starts.

        :param rows: their numbers among all rows, from 0, in ascending order
        :raises ReleaseError, SourceError: as ``batches``, for what is wrong above them
        """
        numbered, lines, read = self._rows(), {}, 0
        for row in rows:
            lines[row] = next(islice(numbered, row - read, None))[0]
            read = row + 1
        return lines

    def _blocks(self, *, show_progress: bool) -> Iterator[bytes]:
        """Yield the bytes below the header in blocks of whole rows."""
        with open_container(self.path, kind=self.kind, show_progress=show_progress) as stream:
            stream.read(self.header.size)
            rest = b""
            while len(read := stream.read(_BLOCK_BYTES)) == _BLOCK_BYTES:
                block = rest + read
                end = _end_of_rows(block, is_quoted=not self._is_tabbed)
                yield block[:end]
                rest = block[end:]
            if rest or read:
                yield rest + read

    def _parsed(self, block: bytes) -> pa.RecordBatch:
        # a mark of UTF-8 that is the first row's own would be dropped
        if block.startswith(b"\xef\xbb\xbf") or not (self._is_tabbed or _quotes_are_sound(block)):
            raise _Odd
        # a name may stand there twice; all columns are read, so that all are seen to be UTF-8
        names = [str(place) for place in range(len(self.header.columns))]
        table = read_csv(
            pa.BufferReader(block),
            read_options=ReadOptions(column_names=names, block_size=len(block) + 1, use_threads=False),
            parse_options=ParseOptions(
                delimiter=self.header.delimiter,
                quote_char=False if self._is_tabbed else '"',
                newlines_in_values=True,
            ),
            convert_options=ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
        longest = max(pc.max(pc.binary_length(fields)).as_py() or 0 for fields in table.columns)
        if (
            longest > _LONGEST_FIELD
        ):  # in bytes, so that it may be a shorter one: the reader of rows will tell
            raise _Odd
        fields = [table[place].combine_chunks() for place in self._places]
        if self._is_tabbed:
            fields = [_column_unquoted(column) for column in fields]
        return pa.RecordBatch.from_arrays(fields, names=self.kind.columns)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number at which a row starts (from 1) and its fields, in the order of the header."""
        width, start = len(self.header.columns), self.header.lines
        # CTD's tab-separated files don't quote; a stray quote must not swallow the lines behind it
        quoting: Literal[0, 3] = csv.QUOTE_NONE if self._is_tabbed else csv.QUOTE_MINIMAL
        with (
            open_container(self.path, kind=self.kind) as stream,
            utf8_required(self.path, kind=self.kind),
        ):
            stream.read(self.header.size)
            text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
            lines = _Lines(text)
            reader = csv.reader(lines, delimiter=self.header.delimiter, quoting=quoting, strict=True)
            try:
                for row in reader:
                    line, start = start + 1, self.header.lines + reader.line_num
                    lines.length = 0
                    if not row:
                        continue
                    if len(row) != width:
                        raise self._wrong_width(row, line=line)
                    if max(map(len, row)) > _LONGEST_FIELD:
                        raise self._field_too_long(line=line)
                    yield line, [_unquoted(field) for field in row] if self._is_tabbed else row
            except _TooLong as problem:
                raise line_too_long(self.path, line=start + 1, kind=self.kind) from problem
            except csv.Error as problem:
                if "field larger than field limit" in str(problem):
                    raise self._field_too_long(line=start + 1) from problem
                raise ReleaseError(
                    f"{self.path}, line {start + 1}",
                    found=f"a row that can't be split into fields ({problem})",
                    expected="fields whose double quotes are closed, and doubled inside a field",
                    remedy=f"Look at the quotes from there on, or take the original. {self.kind.by_hand}",
                ) from problem

    def _field_too_long(self, *, line: int) -> ReleaseError:
        return ReleaseError(
            f"{self.path}, line {line}",
            found=f"a field of more than {_LONGEST_FIELD:,} characters",
            expected="fields as CTD writes them: names, numbers and lists of some hundreds of characters",
            remedy="A double quote that is never closed, or another file: look at the line, or take the original. "
            f"{self.kind.by_hand}",
        )

    def _wrong_width(self, row: list[str], *, line: int) -> ReleaseError:
        return ReleaseError(
            f"{self.path}, line {line}",
            found=f"{len(row)} fields in the row that starts with {row[0][:60]!r}",
            expected=f"{len(self.header.columns)} fields, as many as columns",
            remedy=f"The file was cut off or edited: mend it, or take the original. {self.kind.by_hand}",
        )


class _TooLong(Exception):  # noqa: N818 - told as an error that knows the line
    pass


class _Lines:
    """The lines of a text; raises where a row has no end, before it fills the memory.

    :ivar length: characters of the row that is being read; to be set to 0 by who has read one
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.length = 0
        self._text = text

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST_LINE + 1 - self.length)
        if not line:
            raise StopIteration
        self.length += len(line)
        if self.length > LONGEST_LINE:
            raise _TooLong
        return line


def _end_of_rows(block: bytes, *, is_quoted: bool) -> int:
    """Return where the last whole row of a block ends: at a line end that stands in no quotes.

    :raises _Odd: if none ends there
    """
    marks = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(marks == ord("\n")) + 1
    if is_quoted:
        quotes_before = np.searchsorted(np.flatnonzero(marks == ord('"')), ends)
        ends = ends[quotes_before % 2 == 0]
    if not ends.size:
        raise _Odd
    return int(ends[-1])


def _quotes_are_sound(block: bytes) -> bool:
    """Return whether quotes stand around whole fields only, and doubled inside of these (RFC 4180, section 2).

    Quotes that follow each other are looked at as one run. One of odd length opens a field or closes it; one of
    even length is text inside of a field, or a whole field.

    :param block: whole rows, separated by commas
    """
    marks = np.frombuffer(b"\n%b\n" % block, dtype=np.uint8)
    quotes = np.flatnonzero(marks == ord('"'))
    is_first = np.diff(quotes, prepend=-1) > 1
    first, last = quotes[is_first], quotes[np.roll(is_first, -1)]
    follows_edge = np.isin(marks[first - 1], _EDGES)
    precedes_edge = np.isin(marks[last + 1], _EDGES)
    turns = (last - first) % 2 == 0
    is_inside = (np.cumsum(turns) - turns) % 2 == 1
    opens_wrongly = follows_edge & ~precedes_edge & (turns == is_inside)
    closes_wrongly = turns & ~follows_edge & ~(precedes_edge & is_inside)
    return not (opens_wrongly.any() or closes_wrongly.any() or turns.sum() % 2)


def _column_unquoted(fields: pa.Array) -> pa.Array:
    if not pc.any(pc.starts_with(fields, '"')).as_py():
        return fields
    return pa.array(map(_unquoted, fields.to_pylist()), type=pa.string())


def _unquoted(field: str) -> str:
    """Undo the quoting that pandas and spreadsheets do in tab-separated files; leave other quotes alone."""
    if len(field) < 2 or field[0] != '"' or field[-1] != '"':
        return field
    inside = field[1:-1]
    return field if '"' in inside.replace('""', "") else inside.replace('""', '"')
