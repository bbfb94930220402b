"""Edge alignment: does a gene lie in the direction of its diseases, as it is or after a rotation?

As it is: the mean cosine of gene and disease over the edges, vectors centred by kind. Through a map: one that keeps
lengths and angles (orthogonal Procrustes: Schönemann 1966, https://doi.org/10.1007/BF02289451), fitted on some edges
and measured on others, which says whether both kinds are laid out alike though apart. The map is fitted anew where a
rewiring moves the edges that it is fitted on. It is between the first principal components of either kind, 128 at most:
a rotation of thousands of dimensions would fit any few thousand edges.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import orthogonal_procrustes
from scipy.sparse import csr_matrix

from bioalign_assets.alignment.graph import Places
from bioalign_assets.alignment.rewiring import Rewirings
from bioalign_assets.alignment.vectors import Representation, principal_units

__all__ = ["COMPONENTS", "cosines_of_edges", "edge_cosines", "fitted_map", "procrustes_cosines"]

COMPONENTS = 128

_GENES_AT_ONCE = 1024  # with the cosines to all diseases: 24 MiB for the real release

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]


def edge_cosines(vectors: Representation, *, rewirings: Rewirings) -> Doubles:
    """Return the mean cosine over the edges of the graph, and of each rewiring; in [-1, 1], (1 + rewirings,)."""
    gene, diseases = rewirings.graph.gene, rewirings.with_the_graph()
    order = np.argsort(gene, kind="stable")
    present, start = np.unique(gene[order], return_index=True)
    ends = np.append(start, len(order))
    total = np.zeros(len(diseases))
    for first in range(0, len(present), _GENES_AT_ONCE):
        genes = present[first : first + _GENES_AT_ONCE]
        cosines = vectors.genes[genes] @ vectors.diseases.T
        edges = order[ends[first] : ends[first + len(genes)]]
        row = np.searchsorted(genes, gene[edges])
        for number, each in enumerate(diseases):
            total[number] += cosines[row, each[edges]].sum(dtype=np.float64)
    return total / max(1, len(gene))


def cosines_of_edges(vectors: Representation, *, gene: Places, disease: Places) -> Doubles:
    """Return the cosine of each edge, in [-1, 1]; shape (edges,)."""
    return np.einsum("ew,ew->e", vectors.genes[gene], vectors.diseases[disease], dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sums:
    """Of the outer products of gene and disease over edges: all that a map and its mean cosine need of them."""

    genes: Floats
    diseases: Floats

    def over(self, gene: Places, *, disease: Places) -> Doubles:
        """Return the sum; shape (components, components)."""
        ones = np.ones(len(gene), dtype=np.float32)
        edges = csr_matrix((ones, (gene, disease)), shape=(len(self.genes), len(self.diseases)))
        return (self.genes.T @ (edges @ self.diseases)).astype(np.float64)


def procrustes_cosines(
    vectors: Representation, *, fitted: Rewirings, measured: Rewirings, components: int = COMPONENTS
) -> Doubles:
    """Return the mean cosine over the measured edges through the map fitted on the others; (1 + rewirings,).

    :param fitted: edges that the maps are fitted on, and what stands in their places in each rewiring
    :param measured: edges that the cosines are of, none of them fitted on, over as many rewirings
    """
    sums = _Sums(**_principal(vectors, components=components))
    found = []
    before, rotation = None, np.empty(0)
    for fit, asked in zip(fitted.with_the_graph(), measured.with_the_graph(), strict=True):
        if before is None or (fit != before).any():  # where the fitted edges stay, so does the map
            before, rotation = fit, _rotation(sums.over(fitted.graph.gene, disease=fit))
        # the mean of u Q . v is the inner product of Q with the sum of u v'
        found.append(np.vdot(rotation, sums.over(measured.graph.gene, disease=asked)) / len(asked))
    return np.array(found)


def fitted_map(
    vectors: Representation, *, gene: Places, disease: Places, components: int = COMPONENTS
) -> Representation:
    """Return the vectors with the genes' turned towards the diseases', on principal components.

    :param gene: of each edge that the map is fitted on
    :param disease: of each edge that the map is fitted on
    """
    parts = _principal(vectors, components=components)
    rotation = _rotation(_Sums(**parts).over(gene, disease=disease)).astype(np.float32)
    return Representation(genes=parts["genes"] @ rotation, diseases=parts["diseases"], share_space=True)


def _principal(vectors: Representation, *, components: int) -> dict[str, Floats]:
    width = min(components, vectors.genes.shape[1], vectors.diseases.shape[1])
    return {
        "genes": principal_units(vectors.genes, components=width),
        "diseases": principal_units(vectors.diseases, components=width),
    }


def _rotation(sums: Doubles) -> Doubles:
    """Return the orthogonal Q with the largest sum of u Q . v over the edges; shape (components, components)."""
    # the solution for matrices A and B is that of A'B alone
    rotation, _ = orthogonal_procrustes(np.eye(len(sums)), sums)
    return rotation
