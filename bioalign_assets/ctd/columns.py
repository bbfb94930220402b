"""From fields of text to typed Arrow columns, with the line number where a field is not what it should be.

The text is checked as text, with one regular expression per column, before it becomes a number: so nothing is
ever guessed, rounded or taken for a missing value.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.ctd.table_file import TableFile
from bioalign_assets.errors import ReleaseError

__all__ = ["FieldForm", "require_form", "split_lists"]


@dataclass(frozen=True, kw_only=True)
class FieldForm:
    """How the fields of one column must look.

    :param column: CTD's name of the column
    :param pattern: regular expression (RE2) that the whole field matches
    :param expected: the same in words
    :param remedy: what probably went wrong, a whole sentence; may be empty
    :param is_refused: turn it round: no field may match the pattern
    """

    column: str
    pattern: str
    expected: str
    remedy: str = ""
    is_refused: bool = False


def require_form(fields: pa.Array, *, form: FieldForm, rows: npt.NDArray[np.int64], table: TableFile) -> None:
    """Raise if a field does not have its form.

    :param fields: text, shape: (rows,)
    :param rows: shape: (rows,), the number of each row among all rows of the table, from 0
    :param table: where the fields stand
    :raises ReleaseError: naming the line and content of the first field that is wrong, and how many there are
    """
    matches = pc.match_substring_regex(fields, rf"\A(?:{form.pattern})\z").to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(matches == form.is_refused)
    if not wrong.size:
        return
    first = int(wrong[0])
    more = f" (and {wrong.size - 1} more in the rows that follow)" if wrong.size > 1 else ""
    remedy = " ".join(
        part for part in (form.remedy, "Mend the line, or take the original.", table.kind.by_hand) if part
    )
    raise ReleaseError(
        f"{table.path}, line {table.line_of(int(rows[first]))}",
        found=f"the {form.column} {fields[first].as_py()[:80]!r}{more}",
        expected=form.expected,
        remedy=remedy,
    )


def split_lists(fields: pa.Array) -> pa.Array:
    """Split fields at ``|``; an empty field becomes an empty list, and empty parts are left out.

    :param fields: text, shape: (rows,)
    :return: lists of text, shape: (rows,), no nulls
    """
    split = pc.split_pattern(fields, "|")
    parts = split.flatten()
    is_kept = pc.not_equal(parts, "").to_numpy(zero_copy_only=False)
    parents = pc.list_parent_indices(split).to_numpy()
    counts = np.bincount(parents[is_kept], minlength=len(fields))
    offsets = np.zeros(len(fields) + 1, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), parts.filter(pa.array(is_kept)))
