"""KG separation: against the double loop, its geometry, its bias correction and its coverage."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.evaluation import kg_separation as module
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.kg_separation import kg_separation, mean_cosine
from bioalign_assets.evaluation.vectors import unit_vectors


def naive_mean_cosine(rows):
    cosines = [
        float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
        for a, b in itertools.product(rows, rows)
    ]
    return sum(cosines) / len(cosines)


def separation(matrix, labels, *, resamples=100, seed=0):
    return kg_separation(matrix, labels, resamples=resamples, rng=np.random.default_rng(seed))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9), st.integers(1, 6))
def test_equals_the_double_loop_over_all_pairs_self_pairs_included(seed, true, false, width):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(true + false, width)) * rng.uniform(0.01, 100, size=(true + false, 1))
    labels = np.array([1] * true + [0] * false)
    expected = naive_mean_cosine(matrix[labels == 1]) - naive_mean_cosine(matrix[labels == 0])
    found = separation(matrix, labels)
    assert found["kg_separation_signed"].value == pytest.approx(expected, abs=1e-12)
    assert found["kg_separation"].value == pytest.approx(abs(expected), abs=1e-12)
    for estimate in found.values():
        assert estimate.ci_low <= estimate.value <= estimate.ci_high
        assert estimate.n == true + false


@pytest.mark.parametrize("n", [1, 2, 5])
def test_equal_vectors_have_mean_cosine_one_and_opposite_ones_zero(n):
    assert mean_cosine(np.tile([0.6, 0.8], (n, 1))) == pytest.approx(1.0, abs=1e-12)
    assert mean_cosine(np.array([[1.0, 0.0], [-1.0, 0.0]] * n)) == 0.0


def test_best_and_worst_input():
    tight, wide = np.tile([1.0, 0.0], (6, 1)), np.array([[1.0, 0.0], [-1.0, 0.0]] * 3)
    labels = [1] * 6 + [0] * 6
    assert separation(np.vstack([tight, wide]), labels)["kg_separation"].value == pytest.approx(1.0)
    # two tight groups in opposite corners: what the metric can't see
    assert separation(np.vstack([tight, -tight]), labels)["kg_separation"].value == pytest.approx(0.0)


def test_swapping_the_labels_turns_the_sign_and_keeps_the_absolute():
    rng = np.random.default_rng(0)
    matrix, labels = rng.normal(size=(40, 5)) + np.linspace(0, 2, 40)[:, None], np.arange(40) // 20
    there, back = separation(matrix, labels), separation(matrix, 1 - labels)
    assert back["kg_separation_signed"].value == pytest.approx(
        -there["kg_separation_signed"].value, abs=1e-12
    )
    assert back["kg_separation"].value == pytest.approx(there["kg_separation"].value, abs=1e-12)


def test_lengths_and_rotations_of_the_vectors_do_not_matter():
    rng = np.random.default_rng(0)
    matrix, labels = rng.normal(size=(30, 4)) + 1, np.arange(30) % 2
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    plain = separation(matrix, labels)["kg_separation"].value
    stretched = matrix * rng.uniform(1e-3, 1e3, size=(30, 1))
    assert separation(stretched, labels)["kg_separation"].value == pytest.approx(plain, abs=1e-12)
    assert separation(matrix @ rotation, labels)["kg_separation"].value == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_tiny_and_huge_float32_vectors_keep_their_direction(scale):
    matrix = np.array([[3.0, 4.0], [-4.0, 3.0]]) * scale
    assert unit_vectors(matrix.astype(np.float32)) == pytest.approx(
        np.array([[0.6, 0.8], [-0.8, 0.6]]), rel=1e-6
    )


def test_the_correction_is_the_exact_bias_of_the_bootstrap():
    units = unit_vectors(np.random.default_rng(0).normal(size=(4, 3)) + 0.3)
    plain = [
        np.square(units[list(rows)].mean(axis=0)).sum() for rows in itertools.product(range(4), repeat=4)
    ]
    value = mean_cosine(units)
    assert np.mean(plain) - value == pytest.approx((1 - value) / 4, abs=1e-12)


def test_replicates_centre_on_the_figure_for_classes_of_very_different_size():
    rng = np.random.default_rng(1)
    small = unit_vectors(rng.normal(size=(6, 4)) + 0.4)
    replicates = module._replicates(small, resamples=40_000, rng=rng)
    error = replicates.std() / 200
    assert abs(replicates.mean() - mean_cosine(small)) < 4 * error
    assert (1 - mean_cosine(small)) / 6 > 20 * error  # without the correction it would be off by this


def test_replicates_equal_a_plain_loop_over_the_drawn_rows():
    units = unit_vectors(np.random.default_rng(2).normal(size=(12, 3)) + 0.5)
    found = module._replicates(units, resamples=60, rng=np.random.default_rng(4))
    drawn = np.random.default_rng(4).integers(12, size=(60, 12))
    expected = [naive_mean_cosine(units[rows]) - (1 - mean_cosine(units)) / 12 for rows in drawn]
    assert found == pytest.approx(np.array(expected), abs=1e-12)


def test_small_memory_gives_the_same_interval(monkeypatch):
    rng = np.random.default_rng(0)
    matrix, labels = rng.normal(size=(60, 4)) + 0.5, np.arange(60) % 2
    whole = separation(matrix, labels)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 64)
    parts = separation(matrix, labels)
    for name, estimate in whole.items():
        assert (parts[name].ci_low, parts[name].ci_high) == pytest.approx(
            (estimate.ci_low, estimate.ci_high), abs=1e-12
        )


def test_where_the_classes_are_alike_the_absolute_interval_starts_at_zero_and_holds_the_value():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = separation(rng.normal(size=(60, 6)) + 0.7, np.arange(60) % 2, seed=seed)
        signed, absolute = found["kg_separation_signed"], found["kg_separation"]
        assert absolute.ci_low <= absolute.value <= absolute.ci_high
        if signed.ci_low <= 0 <= signed.ci_high:
            assert absolute.ci_low == 0.0
        assert absolute.ci_high == max(abs(signed.ci_low), abs(signed.ci_high))


@pytest.mark.parametrize("concentration", [0.0, 0.6])
def test_signed_interval_covers_the_expected_figure_about_as_often_as_it_says(concentration):
    """Unequal classes, where the uncorrected bootstrap would lie off by its bias."""
    true, false, width = 30, 90, 5
    rng = np.random.default_rng(7)
    population = {
        1: unit_vectors(rng.normal(size=(200_000, width)) + concentration),
        0: unit_vectors(rng.normal(size=(200_000, width)) + 0.3),
    }
    # E||mean of n unit vectors||^2 = ||mu||^2 + (1 - ||mu||^2)/n
    square = {label: mean_cosine(rows) for label, rows in population.items()}
    expected = (square[1] + (1 - square[1]) / true) - (square[0] + (1 - square[0]) / false)
    labels = np.array([1] * true + [0] * false)
    held, rounds = 0, 300
    for _ in range(rounds):
        matrix = np.vstack(
            [
                population[1][rng.integers(200_000, size=true)],
                population[0][rng.integers(200_000, size=false)],
            ]
        )
        estimate = kg_separation(matrix, labels, resamples=300, rng=rng)["kg_separation_signed"]
        held += estimate.ci_low <= expected <= estimate.ci_high
    assert 0.89 <= held / rounds <= 0.99, held / rounds


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_raises(bad):
    matrix = np.ones((4, 3))
    matrix[2, 1] = bad
    with pytest.raises(EvaluationError, match="1 of 4 vectors"):
        separation(matrix, [0, 1, 0, 1])


def test_a_vector_without_length_raises():
    matrix = np.ones((4, 3))
    matrix[1] = 0
    with pytest.raises(EvaluationError, match="1 of 4 vectors"):
        separation(matrix, [0, 1, 0, 1])


@pytest.mark.parametrize(("labels", "missing"), [([1] * 4, "no false"), ([0] * 4, "no true")])
def test_one_class_raises(labels, missing):
    with pytest.raises(ValueError, match=missing):
        separation(np.ones((4, 3)), labels)


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2, 1]])
def test_labels_that_do_not_fit_raise(labels):
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        separation(np.ones((4, 3)), labels)
