"""KG separation: against the double loop, its geometry, its bias correction and its coverage."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.evaluation import kg_separation as module
from bioalign_assets.evaluation.kg_separation import KG_SEPARATION, SignedSeparation, mean_cosine
from bioalign_assets.inference.vectors import unit_vectors


def naive_mean_cosine(rows):
    cosines = [
        float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
        for a, b in itertools.product(rows, rows)
    ]
    return sum(cosines) / len(cosines)


def signed(matrix, labels):
    return SignedSeparation(matrix, labels=labels).value


def estimates(matrix, labels, *, resamples=100, seed=0):
    statistics = KG_SEPARATION.statistics(matrix, labels=labels, seed=0)
    found = KG_SEPARATION.estimates(
        statistics, resamples=resamples, generator=lambda _: np.random.default_rng(seed)
    )
    return found["kg_separation_signed"], found["kg_separation"]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9), st.integers(1, 6))
def test_equals_the_double_loop_over_all_pairs_self_pairs_included(seed, true, false, width):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(true + false, width)) * rng.uniform(0.01, 100, size=(true + false, 1))
    labels = np.array([1] * true + [0] * false)
    expected = naive_mean_cosine(matrix[labels == 1]) - naive_mean_cosine(matrix[labels == 0])
    with_sign, absolute = estimates(matrix, labels)
    assert with_sign.value == pytest.approx(expected, abs=1e-12)
    assert absolute.value == abs(with_sign.value)
    for estimate in (with_sign, absolute):
        assert -1 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
        assert estimate.n == true + false


@pytest.mark.parametrize("n", [1, 2, 5])
def test_equal_vectors_have_mean_cosine_one_and_opposite_ones_zero(n):
    assert mean_cosine(np.tile([0.6, 0.8], (n, 1))) == pytest.approx(1.0, abs=1e-12)
    assert mean_cosine(np.array([[1.0, 0.0], [-1.0, 0.0]] * n)) == 0.0


def test_best_and_worst_input():
    tight, wide = np.tile([1.0, 0.0], (6, 1)), np.array([[1.0, 0.0], [-1.0, 0.0]] * 3)
    labels = [1] * 6 + [0] * 6
    assert signed(np.vstack([tight, wide]), labels) == pytest.approx(1.0)
    # two tight groups in opposite corners: what the metric can't see
    assert signed(np.vstack([tight, -tight]), labels) == pytest.approx(0.0)


def test_lengths_and_rotations_of_the_vectors_do_not_matter_and_swapped_labels_turn_the_sign():
    rng = np.random.default_rng(0)
    matrix, labels = rng.normal(size=(30, 4)) + np.linspace(0, 2, 30)[:, None], np.arange(30) // 15
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    plain = signed(matrix, labels)
    assert signed(matrix * rng.uniform(1e-3, 1e3, size=(30, 1)), labels) == pytest.approx(plain, abs=1e-12)
    assert signed(matrix @ rotation, labels) == pytest.approx(plain, abs=1e-12)
    assert signed(matrix, 1 - labels) == pytest.approx(-plain, abs=1e-12)


def test_the_correction_is_the_exact_bias_of_the_bootstrap():
    units = unit_vectors(np.random.default_rng(0).normal(size=(4, 3)) + 0.3)
    plain = [
        np.square(units[list(rows)].mean(axis=0)).sum() for rows in itertools.product(range(4), repeat=4)
    ]
    value = mean_cosine(units)
    assert np.mean(plain) - value == pytest.approx((1 - value) / 4, abs=1e-12)


def test_replicates_equal_a_plain_loop_over_the_drawn_rows_of_each_class(monkeypatch):
    rng = np.random.default_rng(2)
    matrix, labels = rng.normal(size=(20, 3)) + 0.5, np.array([1] * 12 + [0] * 8)
    statistic = SignedSeparation(matrix, labels=labels)
    found = statistic.replicates(resamples=60, rng=np.random.default_rng(4))
    again = np.random.default_rng(4)
    expected = np.zeros(60)
    for code, sign, size in ((1, 1, 12), (0, -1, 8)):
        units = unit_vectors(matrix[labels == code])
        excess = (1 - mean_cosine(units)) / size
        drawn = again.integers(size, size=(60, size))
        expected += [sign * (naive_mean_cosine(units[rows]) - excess) for rows in drawn]
    assert found == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 64)
    small = statistic.replicates(resamples=60, rng=np.random.default_rng(4))
    assert small == pytest.approx(found, abs=1e-12)


def test_where_the_classes_are_alike_the_absolute_interval_starts_at_zero_and_holds_the_value():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        with_sign, absolute = estimates(rng.normal(size=(60, 6)) + 0.7, np.arange(60) % 2, seed=seed)
        ends = abs(with_sign.ci_low), abs(with_sign.ci_high)
        across = with_sign.ci_low <= 0 <= with_sign.ci_high
        assert absolute.ci_low == (0.0 if across else min(ends))
        assert absolute.ci_high == max(ends)


def test_signed_interval_covers_the_expected_figure_about_as_often_as_it_says():
    """Unequal classes, where the uncorrected bootstrap would lie off by its bias."""
    true, false, width, many = 30, 90, 5, 100_000
    rng = np.random.default_rng(7)
    population = {
        1: unit_vectors(rng.normal(size=(many, width))),
        0: unit_vectors(rng.normal(size=(many, width)) + 0.3),
    }
    # E||mean of n unit vectors||^2 = ||mu||^2 + (1 - ||mu||^2)/n
    square = {label: mean_cosine(rows) for label, rows in population.items()}
    expected = (square[1] + (1 - square[1]) / true) - (square[0] + (1 - square[0]) / false)
    labels = np.array([1] * true + [0] * false)
    held, rounds = 0, 150
    for _ in range(rounds):
        drawn = [population[1][rng.integers(many, size=true)], population[0][rng.integers(many, size=false)]]
        statistic = SignedSeparation(np.vstack(drawn), labels=labels)
        estimate = statistic.estimate(resamples=200, rng=rng)
        held += estimate.ci_low <= expected <= estimate.ci_high
    assert 0.89 <= held / rounds <= 0.99, held / rounds


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([1] * 4, "no false"), ([0] * 4, "no true"), ([0, 1], "labels must be 0 or 1"),
        ([0, 1, 2, 1], "labels must be 0 or 1"),
    ],
)  # fmt: skip
def test_one_class_and_labels_that_do_not_fit_raise(labels, told):
    with pytest.raises(ValueError, match=told):
        signed(np.ones((4, 3)), labels)


def test_permuted_figures_equal_a_plain_loop_over_permuted_labels(monkeypatch):
    matrix, labels = np.random.default_rng(2).normal(size=(20, 3)) + 0.5, np.array([1] * 13 + [0] * 7)
    statistic = SignedSeparation(matrix, labels=labels)
    found = statistic.permuted(permutations=40, rng=np.random.default_rng(4))
    again = np.random.default_rng(4)
    expected = [signed(matrix, again.permuted(labels.astype(float))) for _ in range(40)]
    assert found == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 64)
    small = statistic.permuted(permutations=40, rng=np.random.default_rng(4))
    assert small == pytest.approx(found, abs=1e-12)


def test_chance_gives_a_smaller_class_a_larger_figure_and_that_much_is_the_null():
    """Drawn without replacement: E||mean of n of N||^2 = ||u||^2 + (1 - ||u||^2) (N - n) / (n (N - 1))."""
    matrix, labels = np.random.default_rng(0).normal(size=(60, 4)) + 0.3, np.array([1] * 10 + [0] * 50)
    with_sign, absolute = estimates(matrix, labels, resamples=4000)
    spread = 1 - mean_cosine(unit_vectors(matrix))
    assert with_sign.null_mean == pytest.approx(spread / 59 * (50 / 10 - 10 / 50), rel=0.05)
    assert absolute.null_mean >= abs(with_sign.null_mean)
    assert absolute.p_value == with_sign.p_value
    assert (absolute.n_true, absolute.n_false, absolute.n) == (10, 50, 60)


def test_p_is_the_share_of_all_labellings_with_at_least_the_figure():
    matrix, true = np.random.default_rng(5).normal(size=(9, 3)) + 0.4, 3
    labellings = [
        np.isin(np.arange(9), chosen).astype(int) for chosen in itertools.combinations(range(9), true)
    ]
    figures = np.array([abs(signed(matrix, labels)) for labels in labellings])
    for place in (0, 20, 60, int(figures.argmax())):
        exact = np.mean(figures >= figures[place] - 1e-12)
        _, absolute = estimates(matrix, labellings[place], resamples=3000)
        assert absolute.p_value == pytest.approx(exact, abs=0.03)  # three standard errors
        assert absolute.null_mean == pytest.approx(figures.mean(), rel=0.05)


def test_chance_has_a_small_p_about_as_often_as_it_says_and_a_tighter_class_always():
    labels = np.array([1] * 25 + [0] * 75)
    below, rounds = 0, 300
    for seed in range(rounds):
        matrix = np.random.default_rng(seed).normal(size=(100, 5)) + 0.5
        below += estimates(matrix, labels, seed=seed)[1].p_value <= 0.05
        matrix[labels == 1] += 3.0
        assert estimates(matrix, labels, seed=seed)[1].p_value == 1 / 101
    assert 3 <= below <= 27  # 15 expected with a standard deviation of 3.8


def test_p_does_not_see_classes_that_lie_apart_across_the_axis_of_the_cone():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    matrix = rng.normal(size=(200, 3)) * 0.1 + [5.0, 0.0, 0.0]
    matrix[:, 1] += np.where(labels == 1, 2.0, -2.0)
    assert estimates(matrix, labels)[1].p_value > 0.05
