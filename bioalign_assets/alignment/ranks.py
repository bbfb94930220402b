"""Rank correlations of one dense similarity with many sparse ones: Spearman's, plain and partial, in sparse products.

Spearman's rho is Pearson's r of ranks, ties at their mean rank (Spearman 1904; scipy.stats.spearmanr does the same).
A graph's similarities are zero for most pairs, and all of these have one rank: only how far each other pair's rank
lies above it is kept. A partial correlation is that of what ordinary least squares leaves of the ranks, given the
covariates' ranks (Conover 1999, section 5.4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.stats import rankdata

from bioalign_assets.alignment.similarities import SparsePairs
from bioalign_assets.errors import EvaluationError

__all__ = ["Covariates", "SparseRanks", "centred_ranks", "correlations", "permuted"]

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Covariates:
    """What is held fixed: directions in the space of pairs, by the covariates' ranks. None of them is the mean."""

    basis: Doubles
    """Orthonormal, each column of mean zero; shape (pairs, up to the number of covariates)"""

    @classmethod
    def of(cls, similarities: Sequence[Floats]) -> "Covariates":
        """Return the directions of some similarities' ranks; constant ones, and what others say too, fall away.

        :param similarities: shape (pairs,) each
        """
        ranks = np.column_stack([centred_ranks(each) for each in similarities])
        basis, sizes, _ = np.linalg.svd(ranks, full_matrices=False)
        return cls(basis=np.ascontiguousarray(basis[:, sizes > 1e-9 * max(sizes[0], 1.0)]))

    def rest_of(self, ranks: Doubles) -> Doubles:
        """Return what the covariates leave of centred ranks; shape (pairs,)."""
        return ranks - self.basis @ (self.basis.T @ ranks)


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseRanks:
    """Ranks of several similarities of the same pairs, mostly zero: the graph's first, then its nulls'."""

    pairs: int
    places: tuple[npt.NDArray[np.int32], ...]
    """Places of each similarity's entries among the pairs"""
    above: tuple[npt.NDArray[np.float32], ...]
    """How far their ranks lie above that of the pairs that are zero: exact, multiples of 0.5"""
    length: Doubles
    """Of the centred ranks; shape (similarities,)"""
    rest: Doubles
    """Length of what covariates leave of them; shape (similarities,)"""

    @classmethod
    def of(
        cls, similarities: Iterator[SparsePairs], *, covariates: Covariates, subject: str
    ) -> "SparseRanks":
        """Return the ranks of similarities, which are read one by one.

        :param similarities: of the same names, the graph's first
        :param subject: what they are of, for the error
        :raises EvaluationError: if a similarity is the same for all pairs
        """
        places, above, length, rest = [], [], [], []
        pairs, level = 0, np.empty(0, dtype=np.int64)
        for number, each in enumerate(similarities):
            pairs = each.names * (each.names - 1) // 2
            if each.level is not level:  # names dealt out anew have the same ones
                level, ranks = each.level, _above_zeros(each.level, zeros=pairs - len(each.level))
                squared, as_stored = float(ranks @ ranks - ranks.sum() ** 2 / pairs), ranks.astype(np.float32)
            if squared <= 0:
                raise _constant(subject, pairs=pairs, above_zero=len(level), number=number)
            explained = covariates.basis[each.places].T @ ranks
            places.append(each.places)
            above.append(as_stored)
            length.append(np.sqrt(squared))
            rest.append(np.sqrt(max(squared - float(explained @ explained), 0.0)))
        return cls(
            pairs=pairs,
            places=tuple(places),
            above=tuple(above),
            length=np.array(length),
            rest=np.array(rest),
        )

    def products(self, columns: Sequence[Doubles]) -> Doubles:
        """Return the inner products of all ranks with some columns of mean zero.

        :param columns: shape (pairs,) each
        :return: shape (similarities, columns)
        """
        found = []
        for places, above in zip(self.places, self.above, strict=True):
            row = sp.csr_matrix((above.astype(np.float64), places, [0, len(places)]), shape=(1, self.pairs))
            # a column each: scipy's product with several at once takes 2.7 times as long
            found.append([(row @ column)[0] for column in columns])
        return np.array(found)

    def dense(self) -> Doubles:
        """Return the centred ranks of the first similarity; shape (pairs,)."""
        ranks = np.zeros(self.pairs)
        ranks[self.places[0]] = self.above[0]
        return ranks - ranks.mean()


def permuted(similarity: SparsePairs, *, count: int, rng: np.random.Generator) -> Iterator[SparsePairs]:
    """Yield a similarity, and then as it is when its names are dealt out anew, several times."""
    yield similarity
    for _ in range(count):
        name_of = rng.permutation(similarity.names).astype(np.int32)
        first, second = name_of[similarity.first], name_of[similarity.second]
        yield SparsePairs(
            names=similarity.names,
            first=np.minimum(first, second),
            second=np.maximum(first, second),
            levels=similarity.levels,
            level=similarity.level,
        )


def correlations(columns: tuple[Doubles, Doubles], *, ranks: SparseRanks) -> tuple[Doubles, Doubles]:
    """Return the rank correlation, and the partial one, of a similarity with each sparse one.

    :param columns: its centred ranks, and what the covariates leave of them; shape (pairs,) each
    :return: in [-1, 1], shape (similarities,) each; 0 where covariates leave nothing
    """
    products = ranks.products(columns)
    found = []
    for product, column, length in zip(products.T, columns, (ranks.length, ranks.rest), strict=True):
        size = float(np.linalg.norm(column)) * length
        # what is left of explained ranks is rounding: a correlation of it would be anything
        left = size > 1e-6 * float(np.linalg.norm(columns[0])) * ranks.length
        found.append(np.clip(np.divide(product, size, out=np.zeros_like(product), where=left), -1, 1))
    return found[0], found[1]


def centred_ranks(values: Floats) -> Doubles:
    """Return the ranks of values less their mean, ties at their mean rank; shape as ``values``."""
    return rankdata(values) - (len(values) + 1) / 2


def _above_zeros(level: npt.NDArray[np.int64], *, zeros: int) -> Doubles:
    """Return how far the mean rank of each pair's level lies above that of so many zeros, or above 0 without any."""
    counts = np.bincount(level)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return (ranks + (zeros - 1) / 2 if zeros else ranks)[level]


def _constant(subject: str, *, pairs: int, above_zero: int, number: int) -> EvaluationError:
    which = "the graph" if not number else f"rewiring {number}"
    return EvaluationError(
        subject,
        found=f"{above_zero:,} of {pairs:,} pairs above zero in {which}, and one value for all",
        expected="some that are more alike than others",
        remedy="Take a larger release: names that share no partner can't be ordered by what they share.",
    )
