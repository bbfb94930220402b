"""Paired tests against published values, scipy and permutations; level, coverage and broken input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.evaluation.confusion import (
    CONFUSION_METRICS,
    confusion_counts,
    confusion_figures,
)
from bioalign_assets.evaluation.paired import (
    FEW_DISCORDANT,
    bootstrap_p_value,
    compare_confusion,
    compare_replicates,
    compare_shares,
    mcnemar,
)


def exact(b, c):
    """The two-sided binomial p-value by hand."""
    n, less = b + c, min(b, c)
    tail = sum(math.comb(n, k) for k in range(less + 1)) / 2**n
    return min(1.0, 2 * tail)


@given(st.integers(0, 24), st.integers(0, 24))
@settings(deadline=None)
def test_few_discordant_rows_give_the_exact_binomial_test(b, c):
    p_value, test = mcnemar(b, c)
    if b + c < FEW_DISCORDANT:
        assert test == "mcnemar-exact"
        assert p_value == pytest.approx(exact(b, c), abs=1e-12)
    else:
        assert test == "mcnemar"


@pytest.mark.parametrize(
    ("b", "c", "p_value"),
    [
        (59, 6, 1.1115e-10),  # statistic (53 - 1)^2 / 65 = 41.6
        (150, 86, 4.115e-05),  # Agresti's approval ratings: (64 - 1)^2 / 236 = 16.818
        (121, 59, 5.45e-06),  # (62 - 1)^2 / 180 = 20.672
        (20, 20, 1.0),
        (0, 0, 1.0),
        (1, 0, 1.0),
        (0, 6, 0.03125),
        (10, 2, 0.03857421875),
    ],
)
def test_known_values(b, c, p_value):
    assert mcnemar(b, c)[0] == pytest.approx(p_value, rel=2e-3)


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None)
def test_mcnemar_is_symmetric_and_a_probability_near_the_exact_one(b, c):
    p_value, test = mcnemar(b, c)
    assert (p_value, test) == mcnemar(c, b)
    assert 0 <= p_value <= 1
    assert abs(p_value - exact(b, c)) < 0.015


def test_negative_counts_raise():
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 3)


def test_the_bootstrap_p_value_and_its_floor():
    assert bootstrap_p_value(np.full(999, 0.1)) == 0.002
    assert bootstrap_p_value(np.full(999, -0.1)) == 0.002
    assert bootstrap_p_value(np.zeros(999)) == 1.0
    assert bootstrap_p_value(np.r_[np.full(950, 1.0), np.full(49, -1.0)]) == pytest.approx(0.1)
    assert bootstrap_p_value(np.r_[np.ones(50), -np.ones(50)]) == 1.0


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50))
@settings(deadline=None)
def test_the_bootstrap_p_value_is_a_positive_probability_and_symmetric(changes):
    found = bootstrap_p_value(np.array(changes))
    assert 0 < found <= 1
    assert found == bootstrap_p_value(-np.array(changes))


def test_replicates_are_paired():
    rng = np.random.default_rng(0)
    shared = rng.normal(0.6, 0.05, 1000)
    found = compare_replicates((0.6, shared), (0.62, shared + 0.02), n=500)
    assert (found.change_ci_low, found.change_ci_high) == pytest.approx((0.02, 0.02))
    assert found.change == pytest.approx(0.02)
    assert found.p_value == pytest.approx(2 / 1001)
    same = compare_replicates((0.6, shared), (0.6, shared), n=500)
    assert (same.change, same.change_ci_low, same.change_ci_high, same.p_value) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match="number"):
        compare_replicates((0.6, shared), (0.6, shared[:10]), n=500)


def test_a_share_that_rises_where_both_fail_alike_is_seen():
    before = np.arange(200) < 100
    after = np.arange(200) < 112  # the same rows right, and 12 more
    found = compare_shares(before, after, resamples=2000, rng=np.random.default_rng(0))
    assert (found.untuned, found.tuned, found.n, found.test) == (0.5, 0.56, 200, "mcnemar-exact")
    assert found.p_value == pytest.approx(2 / 2**12)
    assert 0 < found.change_ci_low < 0.06 < found.change_ci_high
    swapped = compare_shares(after, before, resamples=2000, rng=np.random.default_rng(0))
    assert swapped.change == -found.change
    assert swapped.p_value == found.p_value


def test_the_interval_of_a_share_is_that_of_drawn_rows():
    rng = np.random.default_rng(1)
    before, after = rng.random(300) < 0.5, rng.random(300) < 0.6
    found = compare_shares(before, after, resamples=5000, rng=rng)
    drawn = rng.integers(300, size=(5000, 300))
    expected = np.quantile(after[drawn].mean(axis=1) - before[drawn].mean(axis=1), [0.025, 0.975])
    assert (found.change_ci_low, found.change_ci_high) == pytest.approx(expected, abs=0.012)


@pytest.mark.parametrize(("before", "after"), [([], []), ([True], [True, False]), ([[True]], [[True]])])
def test_misshapen_shares_raise(before, after):
    with pytest.raises(ValueError, match="shapes"):
        compare_shares(before, after, resamples=100, rng=np.random.default_rng(0))


def confused(labels, before, after, *, seed=0, resamples=400):
    rngs = {name: np.random.default_rng([seed, place]) for place, name in enumerate(CONFUSION_METRICS)}
    return compare_confusion(labels, untuned=before, tuned=after, resamples=resamples, rngs=rngs)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1, max_size=50))
def test_confusion_figures_are_those_of_each_side(rows):
    labels, before, after = map(np.array, zip(*rows, strict=True))
    found = confused(labels, before, after, resamples=100)
    for name in CONFUSION_METRICS:
        assert found[name].untuned == float(confusion_figures(confusion_counts(labels, before))[name])
        assert found[name].tuned == float(confusion_figures(confusion_counts(labels, after))[name])
        assert found[name].change_ci_low <= found[name].change <= found[name].change_ci_high


def test_equal_answers_have_no_change_and_no_width():
    rng = np.random.default_rng(0)
    labels, said = rng.integers(0, 2, 80), rng.integers(0, 2, 80)
    for change in confused(labels, said, said).values():
        assert (change.change, change.change_ci_low, change.change_ci_high, change.p_value) == (0, 0, 0, 1)


def test_the_interval_of_mcc_is_that_of_drawn_rows():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 300)
    before = np.where(rng.random(300) < 0.6, labels, 1 - labels)
    after = np.where(rng.random(300) < 0.4, before, labels)
    found = confused(labels, before, after, resamples=4000)["mcc"]
    changes = []
    for rows in rng.integers(300, size=(4000, 300)):
        sides = [
            confusion_figures(confusion_counts(labels[rows], said[rows]))["mcc"] for said in (before, after)
        ]
        changes.append(sides[1] - sides[0])
    expected = np.quantile(changes, [0.025, 0.975])
    assert (found.change_ci_low, found.change_ci_high) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("labels", "before", "after"), [([0, 1], [0, 2], [0, 1]), ([0, 1], [0, 1], [0]), ([0, 3], [0, 1], [0, 1])]
)
def test_broken_answers_raise(labels, before, after):
    with pytest.raises(ValueError, match="0 or 1"):
        confused(labels, before, after)


def test_tests_reject_about_as_rarely_as_they_say_when_nothing_changed():
    rng = np.random.default_rng(3)
    rounds, rejected = 400, {"shares": 0, "mcc": 0}
    for _ in range(rounds):
        labels = rng.integers(0, 2, 150)
        sides = [np.where(rng.random(150) < 0.7, labels, 1 - labels) for _ in range(2)]
        share = compare_shares(sides[0] == labels, sides[1] == labels, resamples=100, rng=rng)
        rejected["shares"] += share.p_value < 0.05
        rngs = dict.fromkeys(CONFUSION_METRICS, rng)
        mcc = compare_confusion(labels, untuned=sides[0], tuned=sides[1], resamples=400, rngs=rngs)["mcc"]
        rejected["mcc"] += mcc.p_value < 0.05
    # 5% of 400 is 20 with a standard deviation of 4.4; the corrected McNemar test is known to be conservative
    assert 4 <= rejected["shares"] <= 33, rejected
    assert 8 <= rejected["mcc"] <= 38, rejected
