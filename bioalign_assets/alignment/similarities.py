"""How alike two names are by what is known of them: partners in the graph, place in MEDIC, spelling, degree.

All are of the pairs of some names, a kind's core, in the order of ``numpy.triu_indices``. Partners and tree are alike
in few pairs, so they come as those pairs alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from bioalign_assets.alignment.graph import Places

__all__ = [
    "NGRAMS",
    "SparsePairs",
    "cosines",
    "degree_figures",
    "name_cosines",
    "profile_squares",
    "tree_overlaps",
]

Floats = npt.NDArray[np.floating[Any]]

NGRAMS = {"analyzer": "char_wb", "ngram_range": (3, 5)}
"""Of a name alone: runs of 3 to 5 characters within its words, padded at their borders. The n-gram baseline reads
across words because it has whole statements, where borders tell gene from disease"""


@dataclass(frozen=True, kw_only=True, eq=False)
class SparsePairs:
    """A similarity of all pairs of some names: those above zero."""

    names: int
    first: Places
    """Place of the first name of each pair among the names, below ``second``; shape (pairs above zero,)"""
    second: Places
    levels: npt.NDArray[np.float64]
    """The distinct similarities above zero, ascending; shape (levels,)"""
    level: npt.NDArray[np.int64]
    """Which of them each pair has; shape (pairs above zero,)"""

    @property
    def places(self) -> Places:
        """The place of each pair among all of them; shape (pairs above zero,)."""
        rows = self.first.astype(np.int64)
        return (rows * (2 * self.names - rows - 1) // 2 + self.second - rows - 1).astype(np.int32)


def profile_squares(ends: Places, *, partners: Places, core: Places) -> SparsePairs:
    """Return the squared cosines of the sets of partners of the core's names, above zero and at most 1.

    The cosine of two sets is |A and B| / sqrt(|A| |B|) (Salton and McGill 1983). Its square orders pairs alike, and is
    a division of whole numbers: what is equal comes out equal.

    :param ends: the place of each edge's name of the core's kind; shape (edges,)
    :param partners: the place of its other name; shape (edges,)
    :param core: places of the names, each with an edge
    """
    row_of = np.full(max(ends.max(initial=0), core.max()) + 1, -1)
    row_of[core] = np.arange(len(core))
    rows = row_of[ends]
    is_core = rows >= 0
    rows, columns = rows[is_core], partners[is_core]
    profiles = sp.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)))
    degrees = np.bincount(rows, minlength=len(core)).astype(np.float64)
    return _overlaps(profiles, of_shared=lambda shared, i, j: shared**2 / (degrees[i] * degrees[j]))


def tree_overlaps(tree_numbers: Sequence[Sequence[str]]) -> SparsePairs:
    """Return how much of MEDIC's tree two diseases share: |A and B| / |A or B| of their nodes, above zero, at most 1.

    The nodes of a disease are its tree numbers and all above them (C04.557 and C04). This is simUI, Jaccard's index of
    the induced graphs (Gentleman 2005; Pesquita et al. 2009, https://doi.org/10.1371/journal.pcbi.1000443).

    :param tree_numbers: of each disease, at least one
    """
    nodes: dict[str, int] = {}
    rows, columns = [], []
    for row, numbers in enumerate(tree_numbers):
        for node in {node for number in numbers for node in _and_above(number)}:
            rows.append(row)
            columns.append(nodes.setdefault(node, len(nodes)))
    above = sp.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)))
    sizes = np.bincount(rows).astype(np.float64)
    return _overlaps(above, of_shared=lambda shared, i, j: shared / (sizes[i] + sizes[j] - shared))


def name_cosines(names: pa.Array) -> npt.NDArray[np.float32]:
    """Return the cosines of the names' character n-grams (TF-IDF), in [0, 1]; shape (pairs,)."""
    grams = TfidfVectorizer(**NGRAMS, dtype=np.float32).fit_transform(names.to_pylist())
    return (grams @ grams.T).toarray()[np.triu_indices(len(names), 1)]


def degree_figures(degrees: npt.NDArray[np.integer]) -> list[Floats]:
    """Return |log k_i - log k_j| and log k_i + log k_j of each pair; shape (pairs,) each.

    :param degrees: at least 1, shape (names,)
    """
    logs = np.log(degrees)
    first, second = np.triu_indices(len(degrees), 1)
    return [np.abs(logs[first] - logs[second]), logs[first] + logs[second]]


def cosines(units: Floats) -> Floats:
    """Return the cosines of all pairs of unit vectors; shape (pairs,)."""
    return (units @ units.T)[np.triu_indices(len(units), 1)]


def _overlaps(sets: sp.csr_matrix, *, of_shared: Any) -> SparsePairs:
    shared = (sets @ sets.T).tocoo(copy=False)
    above = shared.row < shared.col
    first, second = shared.row[above].astype(np.int32), shared.col[above].astype(np.int32)
    values = of_shared(shared.data[above].astype(np.float64), first, second)
    levels, level = np.unique(values, return_inverse=True)
    return SparsePairs(names=sets.shape[0], first=first, second=second, levels=levels, level=level)


def _and_above(number: str) -> list[str]:
    """Return a tree number and those above it: C04.557/C562 is below C04.557, and that below C04."""
    parts = number.replace("/", ".").split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
