"""From fields of text to typed Arrow columns, with the line number where a field is not what it should be.

The text is checked as text, with one regular expression per column, before it becomes a number: so nothing is
ever guessed, rounded or taken for a missing value. What can only be meant one way, such as a blank at the end of a
name, is mended; ``Remarks`` keeps count of it, so that it is told.
"""

import unicodedata
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.ctd.table_file import TableFile
from bioalign_assets.errors import ReleaseError

__all__ = [
    "DISEASE_ID",
    "INVISIBLE",
    "FieldForm",
    "Remarks",
    "mended_names",
    "name_forms",
    "require_form",
    "require_parts",
    "split_lists",
    "trimmed",
]

INVISIBLE = (
    r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}"
    # not of these categories, but drawn as nothing all the same, or as a blank (Unicode's default ignorable ones)
    r"\x{034F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{2800}\x{3164}\x{FE00}-\x{FE0F}\x{FFA0}"
    r"\x{E0000}-\x{E0FFF}\x{2065}\x{FFF0}-\x{FFF8}"
    # what a program writes where it lost a character
    r"\x{FFFD}]"
)
"""Regular expression (RE2) of a character that nobody sees: with it, two names look like one."""

_BLANKS = r"\p{Zs}+"
_MOST_NAMED = 5
_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FieldForm:
    """How the fields of one column must look.

    :param column: CTD's name of the column
    :param pattern: regular expression (RE2) that the whole field matches, or each part of a list
    :param expected: the same in words
    :param remedy: what probably went wrong, a whole sentence; may be empty
    :param is_refused: turn it round: no field may match the pattern
    """

    column: str
    pattern: str
    expected: str
    remedy: str = ""
    is_refused: bool = False

    def is_broken_by(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        """Return which texts do not have this form. Shape: (len(texts),)."""
        matches = pc.match_substring_regex(texts, rf"\A(?:{self.pattern})\z").to_numpy(zero_copy_only=False)
        return matches == self.is_refused


DISEASE_ID = FieldForm(
    column="DiseaseID", pattern="(?:MESH|OMIM):[A-Za-z0-9]+", expected="an identifier MESH:… or OMIM:…"
)
"""How every CTD report names a disease."""


def name_forms(column: str, *, what: str) -> tuple[FieldForm, FieldForm]:
    """Return the two forms of a column of names: there is one, and nothing in it is unseen.

    :param column: CTD's name of the column
    :param what: what the column names, such as "a disease name"
    """
    return (
        FieldForm(column=column, pattern="(?s).+", expected=what),
        FieldForm(
            column=column,
            pattern=f"(?s).*{INVISIBLE}.*",
            expected=f"{what} without characters that nobody sees",
            is_refused=True,
        ),
    )


@dataclass(kw_only=True)
class Remarks:
    """What was mended, or is odd and stays, in the rows of a file: how often, and where first."""

    _counts: dict[str, int] = field(default_factory=dict)
    _first: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, rows: _Rows) -> None:
        """Note some rows, if there are any.

        :param what: what there is, the beginning of a sentence
        :param rows: their numbers among all rows of the table, from 0
        """
        if len(rows):
            self._counts[what] = self._counts.get(what, 0) + len(rows)
            self._first.setdefault(what, int(rows[0]))

    def told(self, table: TableFile) -> tuple[str, ...]:
        """Return one sentence for each thing noted, with how often and the first line of it."""
        if not self._first:
            return ()
        lines = table.lines_of(sorted(set(self._first.values())))
        return tuple(
            f"{what}: {count:,} time{'s' if count > 1 else ''}, first on line {lines[self._first[what]]}."
            for what, count in self._counts.items()
        )


def trimmed(fields: pa.Array, *, column: str, rows: _Rows, remarks: Remarks) -> pa.Array:
    """Return fields without the blanks at their ends, of whatever kind; noted where there were some.

    :param fields: text, shape: (rows,)
    :param rows: shape: (rows,), the number of each row among all rows of the table, from 0
    """
    plain = pc.utf8_trim_whitespace(fields)
    remarks.note(f"Blanks at the ends of {column}, taken away", rows[_differ(plain, fields)])
    return plain


def mended_names(fields: pa.Array, *, column: str, rows: _Rows, remarks: Remarks) -> pa.Array:
    """Return names in one spelling of those that look alike: trimmed, single plain blanks, composed (Unicode's NFC).

    :param fields: text, shape: (rows,)
    :param rows: shape: (rows,), the number of each row among all rows of the table, from 0
    """
    names = trimmed(fields, column=column, rows=rows, remarks=remarks)
    single = pc.replace_substring_regex(names, _BLANKS, " ")
    remarks.note(
        f"Blanks inside of {column} that are no single plain one, made one", rows[_differ(single, names)]
    )
    composed = pc.utf8_normalize(single, form="NFC")
    remarks.note(f"Letters and accents apart in {column}, composed", rows[_differ(composed, single)])
    return composed


def _differ(first: pa.Array, second: pa.Array) -> npt.NDArray[np.bool_]:
    return pc.not_equal(first, second).to_numpy(zero_copy_only=False).astype(bool)


def require_form(fields: pa.Array, *, form: FieldForm, rows: _Rows, table: TableFile) -> None:
    """Raise if a field does not have its form.

    :param fields: text, shape: (rows,)
    :param rows: shape: (rows,), the number of each row among all rows of the table, from 0
    :param table: where the fields stand
    :raises ReleaseError: naming line and content of the first fields that are wrong, and how many more there are
    """
    wrong = np.flatnonzero(form.is_broken_by(fields))
    if wrong.size:
        raise _refused([(int(rows[at]), fields[at].as_py()) for at in wrong], form=form, table=table)


def require_parts(lists: pa.Array, *, form: FieldForm, rows: _Rows, table: TableFile) -> None:
    """Raise if a part of a list does not have its form.

    :param lists: lists of text, shape: (rows,)
    :raises ReleaseError: as ``require_form``
    """
    parts, parents = lists.flatten(), pc.list_parent_indices(lists).to_numpy()
    wrong = np.flatnonzero(form.is_broken_by(parts))
    if wrong.size:
        raise _refused([(int(rows[parents[at]]), parts[at].as_py()) for at in wrong], form=form, table=table)


def _refused(wrong: list[tuple[int, str]], *, form: FieldForm, table: TableFile) -> ReleaseError:
    """Return the error about values that do not have their form.

    :param wrong: row and value of each, in the order of the rows
    """
    named = wrong[:_MOST_NAMED]
    lines = table.lines_of(sorted({row for row, _ in named}))
    (first_row, first), *others = named
    further = [f"line {lines[row]}: {_shown(value)}" for row, value in others]
    if len(wrong) > len(named):
        further.append(f"{len(wrong) - len(named):,} more in the rows that follow")
    told = f" ({'; '.join(further)})" if further else ""
    return ReleaseError(
        f"{table.path}, line {lines[first_row]}",
        found=f"the {form.column} {_shown(first)}{told}",
        expected=form.expected,
        remedy=" ".join(
            part for part in (form.remedy, "Mend the line, or take the original.", table.kind.by_hand) if part
        ),
    )


def _shown(value: str) -> str:
    """Return a value as an error shows it; what nobody would see stands there by its number."""
    short = value[:80]
    is_unseen = any(
        unicodedata.category(sign) == "Mn" or sign in "\u115f\u1160\u2800\u3164\uffa0\ufffd" for sign in short
    )
    return ascii(short) if is_unseen else repr(short)


def split_lists(fields: pa.Array, *, column: str, rows: _Rows, remarks: Remarks) -> pa.Array:
    """Split fields at ``|``, without the blanks around a part; an empty field becomes an empty list.

    Empty parts between two bars are left out. That and blanks are noted.

    :param fields: text, shape: (rows,)
    :param rows: shape: (rows,), the number of each row among all rows of the table, from 0
    :return: lists of text, shape: (rows,), no nulls
    """
    split = pc.split_pattern(fields, "|")
    parents = pc.list_parent_indices(split).to_numpy()
    parts = trimmed(split.flatten(), column=f"a part of {column}", rows=rows[parents], remarks=remarks)
    is_kept = pc.not_equal(parts, "").to_numpy(zero_copy_only=False)
    is_list = pc.match_substring(fields, "|").to_numpy(zero_copy_only=False).astype(bool)
    remarks.note(
        f"Nothing between two bars in {column}, passed over", rows[parents[~is_kept & is_list[parents]]]
    )
    counts = np.bincount(parents[is_kept], minlength=len(fields))
    offsets = np.zeros(len(fields) + 1, dtype=np.int32)
    np.cumsum(counts, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), parts.filter(pa.array(is_kept)))
