"""Rewirings: degrees kept, no edge twice, every wiring equally likely, mixed; what can't be rewired is told."""

from collections import Counter
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chisquare

from bioalign_assets.alignment import rewiring as module
from bioalign_assets.alignment.graph import graph_of_pairs
from bioalign_assets.alignment.rewiring import rewire, rewirings_from_table, rewirings_table
from bioalign_assets.errors import EvaluationError
from bioalign_assets_tests.alignment._make import random_graph


@pytest.mark.parametrize("seed", range(4))
def test_every_degree_is_kept_no_edge_stands_twice_and_the_graph_is_another(seed):
    graph = random_graph(seed)
    found = rewire(graph, count=30, rng=np.random.default_rng(seed))
    degrees = graph.degrees("disease")
    for diseases in found.diseases:
        assert (np.bincount(diseases, minlength=len(degrees)) == degrees).all()
        assert len(set(zip(graph.gene, diseases, strict=True))) == len(diseases)
        assert (diseases != graph.disease).any()
    assert len(np.unique(found.diseases, axis=0)) == 30


def test_edges_that_stay_are_as_they_were_and_no_moved_one_becomes_one_of_them():
    graph = random_graph(1)
    moved = np.random.default_rng(0).random(len(graph.gene)) < 0.4
    found = rewire(graph, count=20, rng=np.random.default_rng(0), moved=moved)
    assert (found.diseases[:, ~moved] == graph.disease[~moved]).all()
    chosen = found.of_edges(moved)
    assert (np.sort(chosen.diseases, axis=1) == np.sort(chosen.graph.disease)).all()
    assert chosen.share_left() < 0.5
    codes = graph.gene.astype(int) * len(graph.diseases) + found.diseases
    assert all(len(np.unique(each)) == len(each) for each in codes)


@pytest.mark.parametrize(
    ("gene", "disease"),
    [
        ([0, 0, 1, 2, 2, 3], [0, 1, 0, 1, 2, 2]),
        ([0, 0, 1, 1, 2], [0, 1, 0, 2, 3]),  # an odd number of edges
        ([0, 1, 2], [0, 1, 2]),  # partners one to one: with no swap left out, one parity each
        ([0, 1, 2, 3], [0, 1, 2, 3]),
    ],
)
def test_all_wirings_of_the_degrees_are_equally_likely(gene, disease, monkeypatch):
    monkeypatch.setattr(module, "_LEAST_EDGES", 2)
    monkeypatch.setattr(module, "_MOST_LEFT", 1.0)
    graph = graph_of_pairs(
        pa.array([str(each) for each in gene]), diseases=pa.array([str(each) for each in disease])
    )
    possible = {
        frozenset(pairs)
        for order in permutations(disease)
        if len(set(pairs := tuple(zip(gene, order, strict=True)))) == len(gene)
    }
    found = rewire(graph, count=1500, rng=np.random.default_rng(0), rounds=60)
    counts = Counter(
        frozenset(zip(graph.gene.tolist(), each.tolist(), strict=True)) for each in found.diseases
    )
    assert set(counts) == possible
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_they_are_mixed():
    graph = random_graph(2, genes=300, diseases=150, edges=1500)
    left = {
        rounds: rewire(graph, count=20, rng=np.random.default_rng(0), rounds=rounds).share_left()
        for rounds in (1, module.ROUNDS, 3 * module.ROUNDS)
    }
    assert left[module.ROUNDS] == pytest.approx(left[3 * module.ROUNDS], abs=0.01)
    assert left[1] > left[module.ROUNDS] + 0.1


def test_the_same_generator_gives_the_same_rewirings():
    graph = random_graph()
    first, second, other = (
        rewire(graph, count=3, rng=np.random.default_rng(seed)).diseases for seed in (1, 1, 2)
    )
    assert (first == second).all()
    assert (first != other).any()


def test_a_table_holds_them():
    graph = random_graph()
    made = rewire(graph, count=5, rng=np.random.default_rng(0))
    table = rewirings_table(made)
    assert table.schema.types == [pa.int32(), pa.list_(pa.int32())]
    shuffled = table.take([3, 1, 4, 0, 2])
    assert (rewirings_from_table(shuffled, graph=graph).diseases == made.diseases).all()
    with pytest.raises(EvaluationError, match="5 rewirings whose diseases are not those of its"):
        rewirings_from_table(table, graph=random_graph(3))


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([(gene, gene % 3) for gene in range(12)], "12 edges"),
        ([(0, disease) for disease in range(30)], "30 edges, 100% of which every rewiring has too"),
        (  # all pairs but one of each gene
            [(gene, disease) for gene in range(6) for disease in range(6) if gene != disease],
            r"30 edges, [89]\d% of which .*\(83% of the pairs",
        ),
    ],
    ids=["small", "star", "dense"],
)
def test_what_cannot_be_rewired_is_told(pairs, found):
    gene, disease = np.array(pairs).T.astype(str)
    graph = graph_of_pairs(pa.array(gene), diseases=pa.array(disease))
    with pytest.raises(EvaluationError, match=f"graph to rewire: found {found}"):
        rewire(graph, count=10, rng=np.random.default_rng(0))
