"""The knowledge graph that a geometry is held against: genes, diseases, and the distinct pairs that are curated.

Names and edges are in the order of the alphabet, so a graph hangs on the set of its associations alone.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.identity import mix64, name_hashes
from bioalign_assets.curation.positives import stable_positives
from bioalign_assets.errors import EvaluationError

__all__ = [
    "MOST", "Graph", "Kind", "core", "edge_hashes", "edges_table", "graph_of", "graph_of_edges", "graph_of_pairs",
]  # fmt: skip

Kind = Literal["gene", "disease"]
Places = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]

MOST = 1_500
"""Names of a kind that are compared, at most"""

_LEAST_CORE = 3  # names: a correlation over the pairs of two is over one pair


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A bipartite graph; each edge once, by gene and then disease when it was made from names."""

    genes: pa.Array
    """Distinct gene symbols, ascending; shape (genes,)"""
    diseases: pa.Array
    """Distinct disease names, ascending; shape (diseases,)"""
    gene: Places
    """Place of each edge's gene among ``genes``; shape (edges,)"""
    disease: Places
    """Place of each edge's disease among ``diseases``; shape (edges,)"""

    def names(self, kind: Kind) -> pa.Array:
        """Return the names of a kind."""
        return self.genes if kind == "gene" else self.diseases

    def ends(self, kind: Kind) -> Places:
        """Return the place of each edge's gene, or disease; shape (edges,)."""
        return self.gene if kind == "gene" else self.disease

    def degrees(self, kind: Kind) -> npt.NDArray[np.int64]:
        """Return how many partners each name of a kind has, at least 0; shape (names,)."""
        return np.bincount(self.ends(kind), minlength=len(self.names(kind)))

    def of_edges(self, edges: npt.NDArray[np.bool_]) -> "Graph":
        """Return the graph of some edges, over the same names (some of them then without a partner).

        :param edges: which to keep; shape (edges,)
        """
        return Graph(
            genes=self.genes, diseases=self.diseases, gene=self.gene[edges], disease=self.disease[edges]
        )


def graph_of(associations: pa.Table) -> Graph:
    """Return the graph of a release: every pair of names that CTD has curated with direct evidence.

    :param associations: ``ctd.associations``
    :raises CurationError: if nothing is curated
    """
    return graph_of_edges(stable_positives(associations))


def graph_of_edges(edges: pa.Table) -> Graph:
    """Return the graph of a table of edges, such as ``edges_table`` makes of one.

    :param edges: gene_symbol and disease_name, among others
    """
    return graph_of_pairs(edges["gene_symbol"], diseases=edges["disease_name"])


def graph_of_pairs(genes: pa.ChunkedArray | pa.Array, *, diseases: pa.ChunkedArray | pa.Array) -> Graph:
    """Return the graph of pairs of names, whatever their order and how often each stands there.

    :param genes: gene symbol of each pair; shape (pairs,)
    :param diseases: disease name of each pair; shape (pairs,)
    """
    gene_names, gene = _encoded(genes)
    disease_names, disease = _encoded(diseases)
    codes = np.unique(gene.astype(np.int64) * len(disease_names) + disease)
    ends = [each.astype(np.int32) for each in np.divmod(codes, max(1, len(disease_names)))]
    return Graph(genes=gene_names, diseases=disease_names, gene=ends[0], disease=ends[1])


def edges_table(graph: Graph) -> pa.Table:
    """Return the edges by name, which ``graph_of_edges`` makes the same graph of: gene_symbol, disease_name."""
    return pa.table(
        {"gene_symbol": graph.genes.take(graph.gene), "disease_name": graph.diseases.take(graph.disease)}
    )


def core(graph: Graph, *, kind: Kind, least: int = 3, most: int = MOST, seed: int = 0) -> Places:
    """Return the places of the names whose similarities are compared: those with enough partners, or some of them.

    A name with one or two partners has a profile that says next to nothing; and pairs grow with the square of the
    names. Of more than ``most`` those with the lowest hashes are taken, so that nearly the same names are taken in
    the next release. What that costs, by ``python -m benchmarks.alignment --sampling``: of the 3,419 genes with three
    partners in the release of 2025-08-27 (1,284 diseases have three, all are taken) the RSA of TransE, .334 over all,
    has a standard deviation of .006 over draws of 1,500, and that of names' LSA, .0065, one of .0035 (.0054 over
    1,000). Mutual neighbours depend on how many names there are to choose from: .164 over all, .177 over 1,500, .189
    over 1,000, so they are compared over the same names only.

    :param least: partners that a name must have
    :param most: names at most
    :param seed: of the hash that decides which
    :return: ascending; shape (names,), at least 3
    :raises EvaluationError: if there are fewer than three such names
    """
    degrees = graph.degrees(kind)
    places = np.flatnonzero(degrees >= least)
    if len(places) < _LEAST_CORE:
        raise EvaluationError(
            f"{kind}s of the graph",
            found=f"{len(places)} with at least {least} partners, of {np.count_nonzero(degrees):,} with one",
            expected=f"at least {_LEAST_CORE}, so that there are pairs to compare",
            remedy="Take a larger release: over so few names no agreement can be told from chance.",
        )
    if len(places) > most:
        names = graph.names(kind).take(pa.array(places)).to_pylist()
        hashes = name_hashes(names, kind=kind, purpose="core", seed=seed)
        places = np.sort(places[np.argsort(hashes, kind="stable")[:most]])
    return places.astype(np.int32)


def edge_hashes(graph: Graph, *, seed: int) -> Hashes:
    """Return one hash an edge, of its two names and the seed alone; shape (edges,)."""
    of_genes = name_hashes(graph.genes.to_pylist(), kind="gene", purpose="split", seed=seed)
    of_diseases = name_hashes(graph.diseases.to_pylist(), kind="disease", purpose="split", seed=seed)
    return mix64(of_genes[graph.gene] + of_diseases[graph.disease])


def _encoded(column: pa.ChunkedArray | pa.Array) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the distinct names, ascending, and the place of each row's."""
    names = pc.unique(column)
    names = names.take(pc.array_sort_indices(names))
    return names, np.asarray(pc.index_in(column, value_set=names)).astype(np.int64)
