"""Edge alignment: does a gene lie in the direction of its diseases, as it is or after a rotation?

As it is: the mean cosine of gene and disease over the edges, vectors centred by kind. Through a map: one that keeps
lengths and angles (orthogonal Procrustes: Schönemann 1966, https://doi.org/10.1007/BF02289451), fitted on some edges
and measured on others, which says whether both kinds are laid out alike though apart. The map is fitted anew where a
rewiring moves the edges that it is fitted on. It is between the first principal components of either kind, 128 at most.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import orthogonal_procrustes
from scipy.sparse import csr_matrix

from bioalign_assets.alignment.graph import Places
from bioalign_assets.alignment.rewiring import Rewirings
from bioalign_assets.alignment.vectors import Representation
from bioalign_assets.models.threads import in_threads

__all__ = ["cosines_of_edges", "edge_cosines", "fitted_map", "procrustes_cosines"]

_EDGES_AT_ONCE = 2048
_GENES_AT_ONCE = 1024  # with the cosines to all diseases: 24 MiB for the real release

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]


def edge_cosines(vectors: Representation, *, rewirings: Rewirings) -> Doubles:
    """Return the mean cosine over the edges of the graph, and of each rewiring; in [-1, 1], (1 + rewirings,)."""
    gene, diseases = rewirings.graph.gene, rewirings.with_the_graph()
    order = np.argsort(gene, kind="stable")
    present, start = np.unique(gene[order], return_index=True)
    ends = np.append(start, len(order))

    def sums(first: int) -> Doubles:
        genes = present[first : first + _GENES_AT_ONCE]
        cosines = vectors.genes[genes] @ vectors.diseases.T
        edges = order[ends[first] : ends[first + len(genes)]]
        row = np.searchsorted(genes, gene[edges])
        return np.array([cosines[row, each[edges]].sum(dtype=np.float64) for each in diseases])

    total = np.sum(in_threads(sums, range(0, len(present), _GENES_AT_ONCE)), axis=0)
    return total / max(1, len(gene))


def cosines_of_edges(vectors: Representation, *, gene: Places, disease: Places) -> Doubles:
    """Return the cosine of each edge, in [-1, 1]; shape (edges,)."""

    def of_block(first: int) -> Doubles:
        block = slice(first, first + _EDGES_AT_ONCE)
        products = vectors.genes[gene[block]] * vectors.diseases[disease[block]]
        return products.sum(axis=1, dtype=np.float64)

    return np.concatenate(in_threads(of_block, range(0, len(gene), _EDGES_AT_ONCE)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sums:
    """Of the outer products of gene and disease over edges: all that a map and its mean cosine need of them."""

    genes: Floats
    diseases: Floats

    def over(self, gene: Places, *, disease: Places) -> Doubles:
        """Return the sum; shape (components, components).

        :param gene: of each edge, ascending, as a graph has them
        """
        ends = np.searchsorted(gene, np.arange(len(self.genes) + 1))
        shape = (len(self.genes), len(self.diseases))
        edges = csr_matrix((np.ones(len(gene), dtype=np.float32), disease, ends), shape=shape)
        return (self.genes.T @ (edges @ self.diseases)).astype(np.float64)


def procrustes_cosines(vectors: Representation, *, fitted: Rewirings, measured: Rewirings) -> Doubles:
    """Return the mean cosine over the measured edges through the map fitted on the others; (1 + rewirings,).

    :param fitted: edges that the maps are fitted on, and what stands in their places in each rewiring
    :param measured: edges that the cosines are of, none of them fitted on, over as many rewirings
    """
    sums = _Sums(genes=vectors.principal.genes, diseases=vectors.principal.diseases)
    graphs = fitted.with_the_graph()
    # where the fitted edges stay in all rewirings, so does the map
    same = None if (graphs != graphs[0]).any() else _rotation(sums.over(fitted.graph.gene, disease=graphs[0]))

    def mean_cosine(edges: tuple[Places, Places]) -> float:
        fit, asked = edges
        rotation = _rotation(sums.over(fitted.graph.gene, disease=fit)) if same is None else same
        # the mean of u Q . v is the inner product of Q with the sum of u v'
        return float(np.vdot(rotation, sums.over(measured.graph.gene, disease=asked)) / len(asked))

    return np.array(in_threads(mean_cosine, zip(graphs, measured.with_the_graph(), strict=True)))


def fitted_map(vectors: Representation, *, gene: Places, disease: Places) -> Representation:
    """Return the vectors with the genes' turned towards the diseases', on principal components.

    :param gene: of each edge that the map is fitted on, ascending
    :param disease: of each edge that the map is fitted on
    """
    parts = vectors.principal
    sums = _Sums(genes=parts.genes, diseases=parts.diseases)
    rotation = _rotation(sums.over(gene, disease=disease)).astype(np.float32)
    return Representation(genes=parts.genes @ rotation, diseases=parts.diseases, share_space=True)


def _rotation(sums: Doubles) -> Doubles:
    """Return the orthogonal Q with the largest sum of u Q . v over the edges; shape (components, components)."""
    # the solution for matrices A and B is that of A'B alone
    rotation, _ = orthogonal_procrustes(np.eye(len(sums)), sums)
    return rotation
