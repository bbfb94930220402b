"""The t-SNE map, and silhouettes on it and in the full space: draw, determinism, and the textbook formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation import clusters as module
from bioalign_assets.evaluation.clusters import (
    draw_stratified,
    map_rows,
    map_silhouette,
    map_silhouette_rows,
    silhouette,
    tsne_map,
)
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import embeddings, where


def naive_silhouette(distance, labels):
    values = []
    for row in range(len(labels)):
        own = (labels == labels[row]) & (np.arange(len(labels)) != row)
        a, b = distance[row, own].mean(), distance[row, labels != labels[row]].mean()
        values.append((b - a) / max(a, b))
    return np.mean(values)


def test_the_silhouette_of_a_map_equals_the_double_loop():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(30, 2)), rng.integers(0, 2, 30)
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    found = map_silhouette(points, labels=labels)["silhouette_tsne"]
    assert found.value == pytest.approx(naive_silhouette(distance, labels), abs=1e-12)
    assert found.n == 30


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(6, 30))
def test_the_silhouette_in_the_full_space_equals_the_double_loop(seed, rows):
    rng = np.random.default_rng(seed)
    matrix, labels = rng.normal(size=(rows, 5)) * rng.lognormal(size=(rows, 1)), np.arange(rows) % 2
    units = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    found = silhouette(matrix, labels=labels)["silhouette"]
    assert found.value == pytest.approx(naive_silhouette(1 - units @ units.T, labels), abs=1e-9)
    assert found.n == rows


def test_silhouettes_of_far_and_of_mixed_groups():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    for kind, name in ((map_silhouette, "silhouette_tsne"), (silhouette, "silhouette")):
        mixed = rng.normal(size=(60, 2))
        far = mixed * 0.05 + np.array([[1, 0], [0, 1]])[labels]
        assert kind(far, labels=labels)[name].value > 0.9
        assert abs(kind(mixed, labels=labels)[name].value) < 0.15


def test_chunks_change_no_silhouette(monkeypatch):
    rng = np.random.default_rng(0)
    matrix, labels = rng.normal(size=(400, 3)), np.arange(400) % 2
    whole = silhouette(matrix, labels=labels)["silhouette"].value
    monkeypatch.setattr(module, "_CHUNK_MIB", 0.1)
    assert silhouette(matrix, labels=labels)["silhouette"].value == pytest.approx(whole, abs=1e-12)


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
def test_a_map_of_few_rows_is_finite_and_repeats(rows):
    matrix = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    map_ = tsne_map(matrix, seed=0)
    assert map_.shape == (rows, 2)
    assert np.isfinite(map_).all()
    assert np.array_equal(map_, tsne_map(matrix, seed=0))


@pytest.mark.parametrize(("rows", "perplexity"), [(10, 3), (91, 30), (200, 30)])
def test_the_map_is_made_in_one_thread_with_a_perplexity_of_30_or_what_few_rows_allow(
    monkeypatch, rows, perplexity
):
    """t-SNE is chaotic: sums of several threads could end in another map."""
    seen = []

    class Watching(module.TSNE):
        def fit_transform(self, X):  # noqa: N803 - scikit-learn's name
            seen.append((self.perplexity, {library["num_threads"] for library in threadpool_info()}))
            return X[:, :2]

    monkeypatch.setattr(module, "TSNE", Watching)
    with threadpool_limits(limits=4):
        tsne_map(np.random.default_rng(0).normal(size=(rows, 4)), seed=0)
    assert seen == [(perplexity, {1})]


def test_vectors_that_are_all_the_same_raise():
    with pytest.raises(EvaluationError, match="all the same"):
        tsne_map(np.ones((20, 4)), seed=0)


def test_rows_of_the_map_are_drawn_statements_and_its_silhouette_sees_what_is_far_apart():
    cloud = embeddings(rows=120, width=10, shift=20.0)
    spec = EvaluationSpec(resamples=100, map_size=80)
    maps = map_rows(cloud, spec=spec)
    assert maps.schema == TABLES["evaluation.cluster_map"].arrow
    assert len(maps) == 80
    assert len(where(maps, label=1)) == 40
    source = {row["row_number"]: row for row in cloud.to_pylist()}
    for row in maps.to_pylist():
        assert (row["pair_id"], row["label"]) == tuple(
            source[row["row_number"]][n] for n in ("pair_id", "label")
        )
    found = map_silhouette_rows(maps, spec=spec).to_pylist()
    assert [(row["metric"], row["n"]) for row in found] == [("silhouette_tsne", 80)]
    assert found[0]["value"] > 0.6
