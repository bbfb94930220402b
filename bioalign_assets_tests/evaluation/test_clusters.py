"""The t-SNE map and its silhouette: draw, determinism, and the textbook formula."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.evaluation import clusters as module
from bioalign_assets.evaluation.clusters import (
    cluster_map,
    cluster_quality,
    draw_stratified,
    space_silhouette,
    tsne_map,
)
from bioalign_assets.evaluation.errors import EvaluationError


def naive_silhouette(points, labels):
    values = []
    for i, point in enumerate(points):
        distance = np.sqrt(((points - point) ** 2).sum(axis=1))
        own = [distance[j] for j in range(len(points)) if labels[j] == labels[i] and j != i]
        other = [distance[j] for j in range(len(points)) if labels[j] != labels[i]]
        a, b = np.mean(own), np.mean(other)
        values.append((b - a) / max(a, b))
    return float(np.mean(values))


def test_silhouette_equals_the_double_loop():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(30, 2)), rng.integers(0, 2, 30)
    found = cluster_quality(points, labels, resamples=100, rng=rng)["silhouette_tsne"]
    assert found.value == pytest.approx(naive_silhouette(points, labels), abs=1e-12)
    assert found.n == 30


def test_silhouette_of_far_and_of_mixed_groups():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    far = rng.normal(size=(60, 2)) + 1000 * labels[:, None]
    mixed = rng.normal(size=(60, 2))
    best = cluster_quality(far, labels, resamples=100, rng=rng)["silhouette_tsne"]
    none = cluster_quality(mixed, labels, resamples=100, rng=rng)["silhouette_tsne"]
    assert best.value > 0.99
    assert abs(none.value) < 0.1
    assert best.ci_low <= best.value <= best.ci_high


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(1, 40), st.integers(1, 40), st.integers(0, 100))
def test_draw_keeps_both_labels_their_shares_and_the_order(size, true, false, seed):
    labels = np.random.default_rng(seed).permutation([1] * true + [0] * false)
    rows = draw_stratified(labels, size=size, rng=np.random.default_rng(seed))
    assert len(rows) == min(size, true + false)
    assert (np.diff(rows) > 0).all()
    assert set(labels[rows]) == {0, 1}
    assert abs(labels[rows].sum() - len(rows) * true / (true + false)) <= 1


def test_draw_depends_on_the_generator_alone():
    labels = np.arange(100) % 2
    first, again, other = (draw_stratified(labels, size=30, rng=np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("rows", [10, 11, 40])
def test_map_of_few_rows_is_finite(rows):
    matrix = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    map_ = tsne_map(matrix, seed=0)
    assert map_.shape == (rows, 2)
    assert np.isfinite(map_).all()
    assert np.array_equal(map_, tsne_map(matrix, seed=0))


_SCRIPT = """
import hashlib, numpy as np
from bioalign_assets.evaluation.clusters import tsne_map
matrix = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
print(hashlib.sha256(tsne_map(matrix, seed=1).tobytes()).hexdigest())
"""


def test_map_does_not_depend_on_the_number_of_threads():
    import os

    def digest(threads):
        env = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        return subprocess.run(
            [sys.executable, "-c", _SCRIPT], env=env, check=True, capture_output=True
        ).stdout

    assert digest("1") == digest("4")


def test_map_separates_what_is_far_apart():
    labels = np.arange(120) % 2
    matrix = np.random.default_rng(0).normal(size=(120, 10)) + 20 * labels[:, None]
    drawn = cluster_map(matrix, labels, size=80, seed=3, rng=np.random.default_rng(0))
    found = cluster_quality(
        drawn.coordinates, labels[drawn.rows], resamples=100, rng=np.random.default_rng(0)
    )
    assert drawn.coordinates.shape == (80, 2)
    assert found["silhouette_tsne"].value > 0.6


def test_vectors_that_are_all_the_same_raise():
    with pytest.raises(EvaluationError, match="all the same"):
        tsne_map(np.ones((20, 4)), seed=0)


def space(matrix, labels, *, seed=0):
    return space_silhouette(matrix, labels, resamples=200, rng=np.random.default_rng(seed))["silhouette"]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(6, 30))
def test_silhouette_in_the_full_space_equals_the_double_loop(seed, rows):
    rng = np.random.default_rng(seed)
    matrix, labels = rng.normal(size=(rows, 5)) * rng.lognormal(size=(rows, 1)), np.arange(rows) % 2
    units = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    distance = 1 - units @ units.T
    values = []
    for row in range(rows):
        own = (labels == labels[row]) & (np.arange(rows) != row)
        a, b = distance[row, own].mean(), distance[row, labels != labels[row]].mean()
        values.append((b - a) / max(a, b))
    found = space(matrix, labels)
    assert found.value == pytest.approx(np.mean(values), abs=1e-9)
    assert -1 <= found.ci_low <= found.value <= found.ci_high <= 1
    assert found.n == rows


def test_silhouette_in_the_full_space_sees_directions_and_no_lengths():
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    matrix = rng.normal(size=(80, 20)) * 0.05
    matrix[np.arange(80), labels] += 1
    far = space(matrix, labels)
    assert far.value > 0.9
    stretched = space(matrix * rng.lognormal(3, 3, size=(80, 1)), labels)
    assert stretched.value == pytest.approx(far.value, abs=1e-9)


def test_chunks_change_no_silhouette(monkeypatch):
    rng = np.random.default_rng(0)
    matrix, labels = rng.normal(size=(400, 3)), np.arange(400) % 2
    whole = space(matrix, labels)
    monkeypatch.setattr(module, "_CHUNK_MIB", 0.1)
    assert space(matrix, labels).value == pytest.approx(whole.value, abs=1e-12)


def test_a_vector_without_length_has_no_silhouette():
    with pytest.raises(EvaluationError, match="1 of 6 vectors"):
        space(np.vstack([np.zeros(3), np.eye(3), np.eye(3)[:2]]), np.arange(6) % 2)
