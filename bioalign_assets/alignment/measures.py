"""All figures of a representation against a graph and its rewirings: what is compared is prepared once.

Representational similarity (RSA): Spearman's correlation, over pairs of names of a kind, between the cosines of their
vectors and the cosines of their sets of partners (Kriegeskorte, Mur and Bandettini 2008,
https://doi.org/10.3389/neuro.06.004.2008); the same against MEDIC's tree. Partial: given how alike the bare names are
spelt and how many partners both have (|log k - log k'| and log k + log k'). The other measures stand in
``neighbours`` and ``edges``. The null of the tree deals its diseases out anew.

All are the same for vectors that are turned, scaled or shifted, and whatever the order of the associations.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.alignment.edges import edge_cosines, procrustes_cosines
from bioalign_assets.alignment.graph import MOST, Graph, Kind, Places, core, edge_hashes
from bioalign_assets.alignment.neighbours import K, Neighbours, graph_neighbours, mutual_shares, tie_order
from bioalign_assets.alignment.nulls import Agreement
from bioalign_assets.alignment.ranks import (
    Covariates,
    RankedPairs,
    SparseRanks,
    centred_ranks,
    correlations,
    permuted,
)
from bioalign_assets.alignment.rewiring import Rewirings
from bioalign_assets.alignment.similarities import (
    cosines,
    degree_figures,
    name_cosines,
    profile_squares,
    tree_overlaps,
)
from bioalign_assets.alignment.vectors import Representation
from bioalign_assets.models.threads import in_threads

__all__ = ["MEASURES", "Comparison", "Target", "compared", "measure", "target_of", "tree_of"]

MEASURES = (
    "disease_rsa", "disease_partial_rsa", "disease_mutual_knn",
    "gene_rsa", "gene_partial_rsa", "gene_mutual_knn",
    "tree_rsa", "tree_partial_rsa",
    "edge_cosine", "edge_procrustes",
)  # fmt: skip

Flags = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

_LEAST_IN_TREE = 10  # diseases: over fewer the tree's null has hardly any values
_FITTED = 0.8  # of the edges, where none are named: the map is fitted on them, and measured on the others


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """What is known of some names of one kind, from the graph and its rewirings or from MEDIC's tree."""

    name: str
    """gene, disease or tree: what the figures' names begin with"""
    kind: Kind
    core: Places
    """Of the names among all of their kind; shape (names,)"""
    ranks: SparseRanks
    covariates: Covariates
    neighbours: Neighbours | None
    """Shape (1 + rewirings, names, k)"""

    def columns_of(self, units: npt.NDArray[np.floating[Any]]) -> tuple[Doubles, Doubles]:
        """Return the centred ranks of the names' cosines, and what the covariates leave of them; shape (pairs,) each.

        :param units: vectors of the names, centred, at length one; shape (names, width)
        """
        ranks = centred_ranks(cosines(units))
        return ranks, self.covariates.rest_of(ranks)

    @property
    def nbytes(self) -> int:
        """Memory that it takes, in bytes."""
        ranks = sum(each.places.nbytes + each.above.nbytes for each in self.ranks.each)
        return (
            ranks + self.covariates.basis.nbytes + (0 if self.neighbours is None else self.neighbours.nbytes)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """All that representations of the names are held against."""

    rewirings: Rewirings
    """Of the edges whose agreement is asked"""
    comparisons: tuple[Comparison, ...]
    fitted: Rewirings
    """Of the edges that the Procrustes map is fitted on"""
    held_out: Rewirings
    """Of the edges that it is measured on"""

    @property
    def nbytes(self) -> int:
        """Memory that it takes, in bytes."""
        wired = sum(each.diseases.nbytes for each in (self.rewirings, self.fitted, self.held_out))
        return wired + sum(each.nbytes for each in self.comparisons)


def target_of(
    rewirings: Rewirings,
    *,
    rng: np.random.Generator,
    edges: Flags | None = None,
    fitted: Flags | None = None,
    medic: pa.Table | None = None,
    most: int = MOST,
    seed: int = 0,
) -> Target:
    """Prepare a graph, or some of its edges, for any number of representations of its names.

    :param rewirings: of the whole graph; where ``edges`` are some of it, with these moved
    :param rng: deals out the diseases of the tree's null
    :param edges: whose agreement is asked (those held out from training, say): all by default; shape (edges,)
    :param fitted: edges that the Procrustes map is fitted on, none of those asked; by default the map is fitted on
        four in five of the edges asked, by hash, and measured on the fifth
    :param medic: ``ctd.diseases``; without it there is no figure of the tree
    :param most: names of a kind that are compared, at most
    :param seed: of the hashes that draw names, order of ties and edges
    :raises EvaluationError: if fewer than three genes, or diseases, have three partners, or nothing differs
    """
    graph = rewirings.graph
    edges = np.ones(len(graph.gene), dtype=bool) if edges is None else edges
    held_out = edges
    if fitted is None:
        hashes = edge_hashes(graph, seed=seed)
        fitted = edges & (hashes < np.uint64(_FITTED * 2.0**64))
        held_out = edges & ~fitted
    if (fitted & held_out).any() or not fitted.any() or not held_out.any():
        raise ValueError("the map is fitted on some edges and measured on others")
    asked = rewirings.of_edges(edges)
    kinds: tuple[Kind, ...] = ("disease", "gene")
    comparisons = [_of_partners(asked, kind=kind, most=most, seed=seed) for kind in kinds]
    tree = (
        None
        if medic is None
        else tree_of(asked.graph, medic=medic, permutations=len(rewirings), rng=rng, most=most, seed=seed)
    )
    return Target(
        rewirings=asked,
        comparisons=(*comparisons, *([] if tree is None else [tree])),
        fitted=rewirings.of_edges(fitted),
        held_out=rewirings.of_edges(held_out),
    )


def measure(
    vectors: Representation, *, target: Target, measures: Collection[str] = MEASURES
) -> dict[str, Agreement]:
    """Return the figures of a representation, each with its null.

    ``…_rsa``, ``…_partial_rsa`` and the edges' are in [-1, 1], ``…_mutual_knn`` in [0, 1]. Those of the tree are only
    there with MEDIC, ``edge_cosine`` only where genes and diseases share a space.

    :param vectors: of the graph's names
    :param measures: which are asked; what one costs stands in ``benchmarks/alignment.py``
    """
    found: dict[str, Agreement] = {}
    for each in target.comparisons:
        if any(name.startswith(each.name) for name in measures):
            found |= compared(vectors.of(each.kind)[each.core], comparison=each, measures=measures)
    if "edge_cosine" in measures and vectors.share_space:
        found["edge_cosine"] = Agreement.of(edge_cosines(vectors, rewirings=target.rewirings))
    if "edge_procrustes" in measures:
        found["edge_procrustes"] = Agreement.of(
            procrustes_cosines(vectors, fitted=target.fitted, measured=target.held_out)
        )
    return {name: found[name] for name in MEASURES if name in found and name in measures}


def compared(
    units: npt.NDArray[np.floating[Any]], *, comparison: Comparison, measures: Collection[str]
) -> dict[str, Agreement]:
    """Return the figures of one comparison.

    :param units: vectors of its names, centred, at length one; shape (names, width)
    :param measures: which are asked
    """
    plain, partial, knn = (f"{comparison.name}_{what}" for what in ("rsa", "partial_rsa", "mutual_knn"))
    found = {}
    if plain in measures or partial in measures:
        figures = correlations(comparison.columns_of(units), ranks=comparison.ranks)
        found = {name: Agreement.of(each) for name, each in zip((plain, partial), figures, strict=True)}
    if comparison.neighbours is not None and knn in measures:
        found[knn] = Agreement.of(mutual_shares(units, neighbours=comparison.neighbours).mean(axis=1))
    return found


def _of_partners(rewirings: Rewirings, *, kind: Kind, most: int, seed: int) -> Comparison:
    graph = rewirings.graph
    places = core(graph, kind=kind, most=most, seed=seed)
    names = graph.names(kind).take(pa.array(places))
    order = tie_order(names, kind=kind, seed=seed)
    covariates = _covariates(graph, kind=kind, core=places)

    def prepared(diseases: Places) -> tuple[RankedPairs, Neighbours]:
        ends, partners = (graph.gene, diseases) if kind == "gene" else (diseases, graph.gene)
        similarity = profile_squares(ends, partners=partners, core=places)
        ranks = RankedPairs.of(similarity, covariates=covariates, subject=f"partners of the {kind}s")
        return ranks, graph_neighbours(similarity, order=order, k=min(K, len(places) - 1))

    made = in_threads(prepared, rewirings.with_the_graph())
    return Comparison(
        name=kind,
        kind=kind,
        core=places,
        ranks=SparseRanks(each=[ranks for ranks, _ in made]),
        covariates=covariates,
        neighbours=np.stack([neighbours for _, neighbours in made]),
    )


def tree_of(
    graph: Graph,
    *,
    medic: pa.Table,
    permutations: int,
    rng: np.random.Generator,
    most: int = MOST,
    seed: int = 0,
) -> Comparison | None:
    """Return what MEDIC's tree says of the graph's core diseases that it has; nothing where those are fewer than ten.

    :param medic: ``ctd.diseases``
    :param permutations: how often its diseases are dealt out anew, for the null
    :param most: diseases that are compared, at most
    :param seed: of the hash that draws them
    """
    places = core(graph, kind="disease", most=most, seed=seed)
    names = graph.diseases.take(pa.array(places))
    numbers = _tree_numbers(medic)
    known = [place for place, name in enumerate(names.to_pylist()) if numbers.get(name)]
    if len(known) < _LEAST_IN_TREE:
        return None
    places = places[known]
    covariates = _covariates(graph, kind="disease", core=places)
    overlaps = tree_overlaps([numbers[names[place].as_py()] for place in known])
    ranks = in_threads(
        lambda each: RankedPairs.of(each, covariates=covariates, subject="MEDIC's tree"),
        permuted(overlaps, count=permutations, rng=rng),
    )
    return Comparison(
        name="tree",
        kind="disease",
        core=places,
        ranks=SparseRanks(each=ranks),
        covariates=covariates,
        neighbours=None,
    )


def _tree_numbers(medic: pa.Table) -> dict[str, list[str]]:
    names, numbers = medic["disease_name"].to_pylist(), medic["tree_numbers"].to_pylist()
    return {name: held for name, held in zip(names, numbers, strict=True) if held}


def _covariates(graph: Graph, *, kind: Kind, core: Places) -> Covariates:
    names = graph.names(kind).take(pa.array(core))
    degrees = graph.degrees(kind)[core]
    return Covariates.of([name_cosines(names), *degree_figures(degrees)])
