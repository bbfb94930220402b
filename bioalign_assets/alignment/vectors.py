"""Vectors of names, checked, centred and scaled: what every measure reads.

Vectors of a kind are centred at their mean before any cosine: language models' lie in a narrow cone (Ethayarajh
2019, https://doi.org/10.18653/v1/D19-1006), and what all names share says nothing about which belong together.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.utils.extmath import randomized_svd

from bioalign_assets.alignment.graph import Graph, Kind
from bioalign_assets.errors import EvaluationError

__all__ = ["COMPONENTS", "Representation", "centred_units", "principal_units", "representation"]

Matrix = npt.NDArray[np.floating[Any]]

COMPONENTS = 128
"""That a map between kinds is made of: a rotation of thousands would fit any few thousand edges"""

_EXACT = 1_024
_NAMED = 3  # names that an error tells
_NO_LENGTH = 1e-6  # of the longest centred vector: what is nearer to the mean is the mean, but for rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class Representation:
    """Unit vectors of all names of a graph, centred by kind; a name that stands at the mean has zeros."""

    genes: Matrix
    """float32, shape (genes, width)"""
    diseases: Matrix
    """float32, shape (diseases, width), another width than the genes' only where they don't share a space"""
    share_space: bool
    """Whether a gene's and a disease's axes are the same, so that their cosine means something as it is"""

    def of(self, kind: Kind) -> Matrix:
        """Return the vectors of a kind."""
        return self.genes if kind == "gene" else self.diseases

    @cached_property
    def principal(self) -> "Representation":
        """The same on the first principal components of either kind, ``COMPONENTS`` at most and as many of both."""
        width = min(COMPONENTS, self.genes.shape[1], self.diseases.shape[1])
        return Representation(
            genes=principal_units(self.genes, components=width),
            diseases=principal_units(self.diseases, components=width),
            share_space=False,
        )


def representation(
    graph: Graph, *, genes: npt.ArrayLike, diseases: npt.ArrayLike, share_space: bool = True
) -> Representation:
    """Return the vectors of all names of a graph, centred by kind and scaled to length one.

    :param genes: in the order of the graph's genes, shape (genes, width)
    :param diseases: in the order of the graph's diseases, shape (diseases, width)
    :param share_space: whether both come from one map; nothing is said of cosines across kinds otherwise
    :raises EvaluationError: if vectors are missing, not finite, or all the same
    """
    return Representation(
        genes=centred_units(genes, names=graph.genes, subject="vectors of the genes"),
        diseases=centred_units(diseases, names=graph.diseases, subject="vectors of the diseases"),
        share_space=share_space,
    )


def centred_units(vectors: npt.ArrayLike, *, names: pa.Array, subject: str) -> Matrix:
    """Return vectors less their mean, at length one; zeros where nothing is left. float32, shape (names, width).

    :param vectors: shape (names, width), width at least 1
    :param subject: what they are, for the error
    :raises EvaluationError: if vectors are missing, not finite, or all the same
    """
    matrix = np.asarray(vectors)
    if matrix.ndim != 2 or len(matrix) != len(names) or not matrix.shape[1]:
        raise _unusable(subject, found=f"an array of shape {matrix.shape} for {len(names):,} names")
    matrix = matrix.astype(np.float64)
    # by the largest entry first: squares of very large or small entries leave the range of doubles
    largest = np.abs(matrix).max()
    if not np.isfinite(largest):
        bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        raise _unusable(
            subject, found=f"{len(bad):,} of {len(names):,} with NaN or infinity ({_named(names, bad)})"
        )
    matrix /= largest or 1.0
    matrix -= matrix.mean(axis=0)
    length = np.linalg.norm(matrix, axis=1)
    if length.max() <= _NO_LENGTH:
        raise _unusable(subject, found=f"the same vector for all {len(names):,} names")
    length[length <= _NO_LENGTH * length.max()] = np.inf
    return (matrix / length[:, None]).astype(np.float32)


def principal_units(units: Matrix, *, components: int) -> Matrix:
    """Return vectors on their first principal components, at length one; shape (names, components).

    The components are those of the unit vectors' second moments: exact up to a width of 1,024, and above it by random
    projections with seven power iterations (Halko, Martinsson and Tropp 2011, https://doi.org/10.1137/090771806), for
    the exact ones of 4,096 dimensions take a minute. float32; zeros where nothing is left.

    :param components: at most the width
    """
    if units.shape[1] > _EXACT:
        _, _, axes = randomized_svd(
            units, n_components=components, n_oversamples=32, n_iter=7, random_state=0
        )
        units = units @ axes.T
    elif components < units.shape[1]:
        _, axes = np.linalg.eigh(units.T.astype(np.float64) @ units)
        units = units @ axes[:, : -components - 1 : -1].astype(np.float32)
    length = np.linalg.norm(units, axis=1, keepdims=True)
    return np.divide(units, length, out=np.zeros_like(units), where=length > _NO_LENGTH)


def _unusable(subject: str, *, found: str) -> EvaluationError:
    return EvaluationError(
        subject,
        found=found,
        expected="a finite vector for each name of the graph, and not the same for all",
        remedy="Embed the names again; if it stays, the model overflows in its number type, or it reads nothing of a "
        "name.",
    )


def _named(names: pa.Array, places: npt.NDArray[np.intp]) -> str:
    told = ", ".join(names.take(pa.array(places[:_NAMED])).to_pylist())
    return told + (", …" if len(places) > _NAMED else "")
