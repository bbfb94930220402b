"""Replicates over names against a naive version, and pairs of representations on the same draws."""

import numpy as np
import pytest

from bioalign_assets.alignment.measures import measure, target_of
from bioalign_assets.alignment.ranks import centred_ranks
from bioalign_assets.alignment.representations import random_vectors
from bioalign_assets.alignment.resampling import _correlations, _mean_of_edges, replicates
from bioalign_assets.alignment.rewiring import rewire
from bioalign_assets_tests.alignment._make import planted_graph, random_graph


def test_correlations_are_those_of_pairs_drawn_one_by_one():
    rng = np.random.default_rng(0)
    first, second = (centred_ranks(rng.normal(size=9 * 8 // 2)) for _ in range(2))
    square = np.zeros((2, 9, 9))
    square[:, *np.triu_indices(9, 1)] = first, second
    square += square.transpose(0, 2, 1)
    names = rng.integers(9, size=(20, 9))
    drawn = np.array([np.bincount(each, minlength=9) for each in names], dtype=np.float32)
    found = _correlations(first, second, drawn=drawn)
    for value, chosen in zip(found, names, strict=True):
        pairs = [(a, b) for i, a in enumerate(chosen) for b in chosen[:i] if a != b]
        columns = [[matrix[pair] for pair in pairs] for matrix in square]
        assert value == pytest.approx(np.corrcoef(*columns)[0, 1], abs=1e-5)


def test_edges_count_as_the_product_of_their_ends():
    gene, disease, cosine = np.array([0, 0, 3]), np.array([1, 5, 5]), np.array([0.1, 0.2, 0.6])
    found = _mean_of_edges(cosine, gene=gene, disease=disease, resamples=300, rng=np.random.default_rng(0))
    assert found.min() >= 0.1 - 1e-9
    assert found.max() <= 0.6 + 1e-9
    assert len(np.unique(found.round(9))) > 5


def test_replicates_lie_around_the_figure_and_come_with_every_measure():
    graph = planted_graph()
    target = target_of(rewire(graph, count=3, rng=np.random.default_rng(0)), rng=np.random.default_rng(0))
    vectors = random_vectors(graph, rng=np.random.default_rng(1))
    drawn = replicates(vectors, target=target, resamples=400, rng=np.random.default_rng(2))
    figures = measure(vectors, target=target)
    assert list(drawn) == list(figures)
    for name, figure in figures.items():
        assert drawn[name].shape == (400,)
        assert drawn[name].std() > 0
        assert abs(drawn[name].mean() - figure.value) < drawn[name].std()


def test_two_representations_meet_the_same_draws():
    graph = random_graph()
    target = target_of(rewire(graph, count=3, rng=np.random.default_rng(0)), rng=np.random.default_rng(0))
    vectors = random_vectors(graph, rng=np.random.default_rng(1))
    one, again, other = (
        replicates(vectors, target=target, resamples=50, rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    for name, values in one.items():
        assert (values == again[name]).all()
        assert (values != other[name]).any()
