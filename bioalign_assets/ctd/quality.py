"""Checks of a release: what must hold for its rows, each a pure function that says what it found."""

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.ctd.spreadsheet import POSSIBLE_DATES
from bioalign_assets.findings import Finding

__all__ = [
    "DIRECT_EVIDENCE",
    "LARGEST_UNKNOWN_EVIDENCE",
    "associations_are_distinct",
    "curated_rows_exist",
    "evidence_is_known",
    "names_are_told_apart",
    "release_fits_associations",
    "symbols_are_no_dates",
]

DIRECT_EVIDENCE = ("marker/mechanism", "therapeutic")
"""The kinds of direct evidence that make an association a positive."""
LARGEST_UNKNOWN_EVIDENCE = 0.01
"""If a larger share of the rows with direct evidence has other words, they were rewritten or are new."""

_MOST_NAMED = 5
# Letters of other scripts that are drawn as Latin ones, and the dashes and quotes that programs put for plain ones
# (of Unicode's confusables, those that a keyboard or an autocorrection gives)
_DRAWN_ALIKE = str.maketrans(
    "АВСЕНІЈКМОРЅТХУЗаеорсухіјѕһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧον‐‑‒–—―−‘’ʼ′“”″",
    "ABCEHIJKMOPSTXY3aeopcyxijshdqwABEZHIKMNOPTYXov-------''''\"\"\"",
)


def release_fits_associations(release: pa.Table) -> Finding:
    """Check that exactly one release is in force and that it has associations.

    :param release: ``ctd.release``
    """
    rows = release["rows"].to_pylist()
    return Finding(
        passed=len(rows) == 1 and rows[0] > 0,
        summary=f"{len(rows)} release in force, with {sum(rows):,} associations",
        counts={"releases": len(rows), "associations": sum(rows)},
    )


def associations_are_distinct(associations: pa.Table) -> Finding:
    """Check that no gene and disease stand in two rows.

    :param associations: ``ctd.associations``
    """
    keys = ["gene_id", "disease_id"]
    repeated = len(associations) - len(associations.group_by(keys).aggregate([]))
    return Finding(
        passed=repeated == 0,
        summary=f"{repeated:,} of {len(associations):,} rows repeat a gene and disease",
        counts={"rows": len(associations), "repeated": repeated},
    )


def curated_rows_exist(associations: pa.Table) -> Finding:
    """Check that there are rows of which curation makes positives.

    :param associations: ``ctd.associations``
    """
    is_known, parents = _evidence(associations)
    curated = len(np.unique(parents[is_known]))
    unknown = evidence_is_known(associations)
    return Finding(
        passed=curated > 0,
        summary=f"{curated:,} of {len(associations):,} rows have direct evidence that is known"
        + (f"; {unknown.summary}" if unknown.counts["unknown"] else ""),
        counts={"rows": len(associations), "curated": curated},
    )


def evidence_is_known(associations: pa.Table) -> Finding:
    """Check that nearly all words of direct evidence are those of which curation makes positives.

    :param associations: ``ctd.associations``
    """
    is_known, parents = _evidence(associations)
    rows, unknown = len(np.unique(parents)), len(np.unique(parents[~is_known]))
    words = pc.list_flatten(associations["direct_evidence"])
    named = [
        f"{word['values'][:60]!r} in {word['counts'] / rows:.2%}"
        for word in sorted(
            pc.value_counts(words).to_pylist(), key=lambda word: (-word["counts"], word["values"])
        )
        if word["values"] not in DIRECT_EVIDENCE
    ]
    return Finding(
        passed=unknown <= LARGEST_UNKNOWN_EVIDENCE * rows,
        summary=f"{unknown:,} of {rows:,} rows with direct evidence ({unknown / max(rows, 1):.2%}) have other "
        f"words than {' and '.join(DIRECT_EVIDENCE)}{f' ({_some(named)})' if named else ''}",
        counts={"rows": rows, "unknown": unknown},
    )


def names_are_told_apart(associations: pa.Table) -> Finding:
    """Check that no two genes and no two diseases have names that look alike.

    Names that differ in the case of letters count as different: CTD has such diseases.

    :param associations: ``ctd.associations``
    """
    alike = [
        names
        for column in ("gene_symbol", "disease_name")
        for names in _alike(pc.unique(associations[column]).to_pylist())
    ]
    named = [" and ".join(ascii(name) for name in names) for names in alike]
    return Finding(
        passed=not alike,
        summary=f"{len(alike):,} names stand there in spellings that look alike{f' ({_some(named)})' if named else ''}",
        counts={"alike": len(alike)},
    )


def symbols_are_no_dates(associations: pa.Table) -> Finding:
    """Check for symbols that a spreadsheet may have made of others, and that worms have too, such as ``SEP-1``.

    What can only be a date was refused where the file was read.

    :param associations: ``ctd.associations``
    """
    genes = associations.group_by(["gene_symbol", "gene_id"]).aggregate([])
    is_date = pc.match_substring_regex(genes["gene_symbol"], rf"\A{POSSIBLE_DATES}\z")
    found = (
        genes.filter(is_date).sort_by([("gene_symbol", "ascending"), ("gene_id", "ascending")]).to_pylist()
    )
    named = [f"{gene['gene_symbol']!r} with the GeneID {gene['gene_id']}" for gene in found]
    return Finding(
        passed=not found,
        summary=f"{len(found):,} gene symbols may be dates that a spreadsheet made"
        + (f" ({_some(named)}); worms have such genes too" if named else ""),
        counts={"dates": len(found)},
    )


def _evidence(associations: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return of each word of direct evidence whether it is known, and the number of its row. Shape: (words,) each."""
    lists = associations["direct_evidence"].combine_chunks()
    lists = pa.concat_arrays(lists.chunks) if isinstance(lists, pa.ChunkedArray) else lists
    is_known = pc.is_in(lists.flatten(), value_set=pa.array(DIRECT_EVIDENCE))
    return is_known.to_numpy(zero_copy_only=False).astype(bool), pc.list_parent_indices(lists).to_numpy()


def _alike(names: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """Yield the names that are drawn alike; only those with letters beyond ASCII can be like another."""
    drawn: dict[str, list[str]] = {}
    for name in names:
        if not name.isascii():
            drawn.setdefault(_as_drawn(name), []).append(name)
    plain = {name for name in names if name.isascii()}
    for look, spelled in sorted(drawn.items()):
        if look in plain:
            spelled.insert(0, look)
        if len(spelled) > 1:
            yield tuple(spelled)


def _as_drawn(name: str) -> str:
    return unicodedata.normalize("NFKC", name).translate(_DRAWN_ALIKE)


def _some(named: Sequence[str]) -> str:
    more = f" and {len(named) - _MOST_NAMED:,} more" if len(named) > _MOST_NAMED else ""
    return ", ".join(named[:_MOST_NAMED]) + more
