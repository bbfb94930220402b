"""What the graph would be by chance: rewirings that keep how many partners each gene and each disease has.

Edges swap diseases two by two (double edge swaps: Maslov and Sneppen 2002, https://doi.org/10.1126/science.1065103;
as a null model: Milo, Kashtan, Itzkovitz, Newman and Alon 2003, arXiv cond-mat/0312028). Well-known genes stay
well-known, so what an embedding has in common with a rewiring is what it knows of degree.

All edges are paired at random at once. A swap is made if its four pairs of names (two that are, two that would be)
stand nowhere else among all edges and all that the swaps of the round would make. Seen from the other side a round
looks the same, so the chain is symmetric and every graph of these degrees equally likely in the end. A tenth of the
swaps is not tried, at random: so any single swap can be made alone, and graphs of one-to-one partners don't alternate
between even and odd.

Mixing, on the release of 2025-08-27 (34,222 edges), by the share of edges that a rewiring has in common with the
graph: 10.5% after 2 rounds, 4.9% after 4, 4.23% after 6, 4.14% after 8, and 4.13 to 4.19% from there to 30 rounds
(edges drawn by degree would have 3.9 to 4.6%). A round tries 0.45 swaps an edge; 24 of them are the usual ten
swaps an edge. All rewirings start from one graph that is as many rounds away from the real one: then the real one and
its rewirings are exchangeable under the null hypothesis however well they are mixed, and permutation p-values exact
(Besag and Clifford 1989, https://doi.org/10.1093/biomet/76.4.633).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.alignment.graph import Graph, Places
from bioalign_assets.errors import EvaluationError
from bioalign_assets.models.threads import in_threads

__all__ = ["ROUNDS", "Rewirings", "rewire", "rewirings_from_table", "rewirings_table"]

ROUNDS = 24
"""Of swaps between the graph and where the rewirings start, and from there to each"""

_LEAST_EDGES = 20
_MOST_LEFT = 0.5  # of the edges, in the mean: a graph that keeps more is compared with itself
_TRIED = 0.9
_LAST_BITS = (1 << 18) - 1

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rewirings:
    """A graph and its rewirings: the genes' edges stay in their places, with other diseases."""

    graph: Graph
    diseases: Places
    """Place of the disease of each edge in each rewiring; shape (rewirings, edges)"""

    def __len__(self) -> int:
        return len(self.diseases)

    def of_edges(self, edges: Flags) -> "Rewirings":
        """Return the graph of some edges, and what stands in their places in the rewirings.

        Genes keep their degrees. Diseases do if these are the edges that were moved, and in the mean if they were
        chosen at random; otherwise this is no null.

        :param edges: which to keep; shape (edges,)
        """
        return Rewirings(graph=self.graph.of_edges(edges), diseases=self.diseases[:, edges])

    def with_the_graph(self) -> Places:
        """Return the diseases of the graph itself, and below it those of the rewirings; (1 + rewirings, edges)."""
        return np.concatenate([self.graph.disease[None, :], self.diseases])

    def share_left(self) -> float:
        """Return the mean share of the graph's edges that a rewiring has too, in [0, 1]."""
        size = len(self.graph.diseases)
        gene = self.graph.gene.astype(np.int64) * size
        codes = np.sort(gene + self.graph.disease)
        return float(np.mean([_are_in(gene + each, ascending=codes).mean() for each in self.diseases]))


def rewire(
    graph: Graph,
    *,
    count: int = 200,
    rng: np.random.Generator,
    moved: Flags | None = None,
    rounds: int = ROUNDS,
) -> Rewirings:
    """Return degree-preserving rewirings of a graph, none with an edge twice.

    Where a representation was fitted on some edges, the null of the others is theirs alone: these swap among each
    other, and never become an edge that was fitted on, as held-out edges never are one. Were the fitted edges rewired
    too, a rewiring would hold pairs that the representation has learnt.

    :param count: rewirings
    :param moved: edges that swap, each degree among them kept; the others stay as they are; shape (edges,)
    :param rounds: of swaps
    :raises EvaluationError: if fewer than 20 edges can swap, or the rewirings are mostly the graph itself
    """
    moved = np.ones(len(graph.gene), dtype=bool) if moved is None else moved
    places = np.flatnonzero(moved)
    if len(places) < _LEAST_EDGES:
        raise _not_to_be_rewired(graph.of_edges(moved), found=f"{len(places)} edges")
    start = _swapped(graph, graph.disease, places=places, rounds=rounds, rng=rng)
    diseases = in_threads(
        lambda own: _swapped(graph, start, places=places, rounds=rounds, rng=own), rng.spawn(count)
    )
    made = Rewirings(graph=graph, diseases=np.stack(diseases))
    left = made.of_edges(moved).share_left()
    if left > _MOST_LEFT:
        raise _not_to_be_rewired(
            graph.of_edges(moved),
            found=f"{len(places):,} edges, {left:.0%} of which every rewiring has too, in the mean",
        )
    return made


def rewirings_table(rewirings: Rewirings) -> pa.Table:
    """Return rewirings as a table: rewiring (int32), diseases (list of int32, in the order of the edges)."""
    count, edges = rewirings.diseases.shape
    lists = pa.ListArray.from_arrays(
        pa.array(np.arange(count + 1, dtype=np.int32) * edges), pa.array(rewirings.diseases.ravel())
    )
    return pa.table({"rewiring": pa.array(np.arange(count, dtype=np.int32)), "diseases": lists})


def rewirings_from_table(table: pa.Table, *, graph: Graph) -> Rewirings:
    """Return the rewirings of a graph that a table holds.

    :param table: rewiring and diseases, in any order
    :raises EvaluationError: if they are not of this graph
    """
    lists = table.sort_by("rewiring")["diseases"].combine_chunks()
    flat = np.asarray(lists.flatten()).astype(np.int32)
    expected = np.sort(graph.disease)
    if (
        flat.size != len(table) * len(expected)
        or (np.sort(flat.reshape(len(table), -1), axis=1) != expected).any()
    ):
        raise EvaluationError(
            "rewirings of the graph",
            found=f"{len(table)} rewirings whose diseases are not those of its {len(expected):,} edges",
            expected="each disease as often as in the graph",
            remedy="Rewire the graph of this release again.",
        )
    return Rewirings(graph=graph, diseases=flat.reshape(len(table), -1))


def _swapped(
    graph: Graph,
    disease: Places,
    *,
    places: npt.NDArray[np.int64],
    rounds: int,
    rng: np.random.Generator,
) -> Places:
    """Return each edge's disease after some rounds of swaps among the edges at some places; shape (edges,)."""
    gene = graph.gene.astype(np.int64) * len(graph.diseases)
    disease = disease.astype(np.int64)
    half = len(places) // 2
    for _ in range(rounds):
        here, there = rng.permutation(places)[: 2 * half].reshape(2, half)
        tried = rng.random(half) < _TRIED
        here, there = here[tried], there[tried]
        codes = np.concatenate([gene + disease, gene[here] + disease[there], gene[there] + disease[here]])
        ordered = np.sort(codes)
        repeated = _are_in(codes, ascending=ordered[1:][ordered[1:] == ordered[:-1]])
        is_edge, new = repeated[: len(gene)], repeated[len(gene) :].reshape(2, -1)
        fits = ~(is_edge[here] | is_edge[there] | new[0] | new[1])
        here, there = here[fits], there[fits]
        disease[here], disease[there] = disease[there], disease[here]
    return disease.astype(np.int32)


def _are_in(values: npt.NDArray[np.int64], *, ascending: npt.NDArray[np.int64]) -> Flags:
    """Return which values stand in a sorted array; shape as ``values``."""
    found = np.zeros(len(values), dtype=bool)
    if not len(ascending):
        return found
    # most values are told apart by their last bits; to search each would be two thirds of the time of a rewiring
    has_such = np.zeros(_LAST_BITS + 1, dtype=bool)
    has_such[ascending & _LAST_BITS] = True
    maybe = np.flatnonzero(has_such[values & _LAST_BITS])
    nearest = np.minimum(np.searchsorted(ascending, values[maybe]), len(ascending) - 1)
    found[maybe] = ascending[nearest] == values[maybe]
    return found


def _not_to_be_rewired(graph: Graph, *, found: str) -> EvaluationError:
    pairs = len(np.unique(graph.gene)) * len(np.unique(graph.disease))
    return EvaluationError(
        "graph to rewire",
        found=f"{found} ({len(graph.gene) / max(1, pairs):.0%} of the pairs of its genes and diseases)",
        expected=f"at least {_LEAST_EDGES} edges, most of which can be others with the degrees as they are",
        remedy="Take a larger release: in a graph so small or so dense nothing is left that degree does not decide.",
    )
