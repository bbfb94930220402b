"""The bootstrap: against textbook loops, scikit-learn and exact enumeration; its coverage and its speed."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from bioalign_assets.evaluation import intervals
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.intervals import (
    auroc,
    bootstrap_auroc,
    bootstrap_mean,
    bootstrap_share,
    percentile_estimate,
    resample_chunks,
)

_labelled = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-4, 4).map(lambda level: level / 7)), min_size=2, max_size=60
).filter(lambda rows: len({label for label, _ in rows}) == 2)


def naive_auroc(labels, scores):
    won = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for a, high in zip(labels, scores, strict=True)
        for b, low in zip(labels, scores, strict=True)
        if a == 1 and b == 0
    ]
    return sum(won) / len(won)


@settings(deadline=None)
@given(_labelled)
def test_auroc_with_ties_equals_the_double_loop_and_scikit_learn(rows):
    labels, scores = map(np.array, zip(*rows, strict=True))
    assert auroc(labels, scores) == pytest.approx(naive_auroc(labels, scores), abs=1e-12)
    assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@settings(deadline=None)
@given(_labelled)
def test_auroc_turns_over_with_the_labels_and_ignores_monotone_changes(rows):
    labels, scores = map(np.array, zip(*rows, strict=True))
    assert auroc(1 - labels, scores) == pytest.approx(1 - auroc(labels, scores), abs=1e-12)
    assert auroc(labels, np.exp(scores) * 5) == pytest.approx(auroc(labels, scores), abs=1e-12)


def test_auroc_replicates_are_scikit_learns_on_the_drawn_rows():
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 2, 80), rng.integers(0, 20, 80) / 20
    found = bootstrap_auroc(labels, scores, resamples=200, rng=np.random.default_rng(11))
    drawn = np.concatenate(list(resample_chunks(80, resamples=200, rng=np.random.default_rng(11))))
    expected = [roc_auc_score(labels[rows], scores[rows]) for rows in drawn]
    assert (found.ci_low, found.ci_high) == pytest.approx(np.quantile(expected, [0.025, 0.975]), abs=1e-12)
    assert found.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found.n == 80


def test_auroc_interval_matches_the_enumeration_of_all_resamples():
    labels, scores = np.array([1, 0, 1, 0, 1]), np.array([0.9, 0.4, 0.3, 0.6, 0.8])
    areas = [
        naive_auroc(labels[list(rows)], scores[list(rows)])
        for rows in itertools.product(range(5), repeat=5)
        if len(set(labels[list(rows)])) == 2
    ]
    found = bootstrap_auroc(labels, scores, resamples=20_000, rng=np.random.default_rng(0))
    # the areas are few distinct numbers: a quantile is one of them, and stands unless it lies on a step
    assert (found.ci_low, found.ci_high) == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=1e-9)


def test_one_class_resamples_are_drawn_again_and_never_enter():
    # a third of all resamples hold no positive
    labels = np.array([1] + [0] * 9)
    scores = np.arange(10)[::-1]
    found = bootstrap_auroc(labels, scores, resamples=500, rng=np.random.default_rng(0))
    assert (found.value, found.ci_low, found.ci_high) == (1.0, 1.0, 1.0)
    two = bootstrap_auroc([1, 0], [0.2, 0.7], resamples=300, rng=np.random.default_rng(0))
    assert (two.value, two.ci_low, two.ci_high) == (0.0, 0.0, 0.0)


def test_auroc_of_equal_scores_is_one_half_without_doubt():
    found = bootstrap_auroc([0, 1] * 20, np.full(40, 0.3), resamples=100, rng=np.random.default_rng(0))
    assert (found.value, found.ci_low, found.ci_high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0]])
def test_auroc_of_one_class_raises(labels):
    with pytest.raises(EvaluationError, match="expected both"):
        auroc(labels, [0.1, 0.2, 0.3])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_auroc_of_a_score_that_is_no_number_raises(bad):
    with pytest.raises(EvaluationError, match="1 of 3 that are not finite"):
        auroc([0, 1, 1], [0.1, bad, 0.3])


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([0, 1], [0.1, 0.2, 0.3]), ([0, 2, 1], [0.1, 0.2, 0.3]), ([], []), ([[0, 1]], [[0, 1]])],
)
def test_auroc_of_misshapen_input_raises(labels, scores):
    with pytest.raises(ValueError, match=r"labels|scores"):
        auroc(labels, scores)


def test_thousand_resamples_of_the_published_test_split_take_under_two_seconds():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 13_689)
    scores = rng.normal(size=13_689) + labels
    start = time.process_time()
    bootstrap_auroc(labels, scores, resamples=1000, rng=rng)
    assert time.process_time() - start < 2.0


def test_chunks_stay_in_their_bounds_and_change_no_draw():
    whole = np.concatenate(list(resample_chunks(50, resamples=33, rng=np.random.default_rng(1))))
    parts = list(resample_chunks(50, resamples=33, rng=np.random.default_rng(1), elements=120))
    assert [len(part) for part in parts] == [2] * 16 + [1]
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.shape == (33, 50)
    assert whole.min() >= 0
    assert whole.max() <= 49
    assert [
        len(part) for part in resample_chunks(50, resamples=2, rng=np.random.default_rng(1), elements=10)
    ] == [1, 1]


def test_share_interval_is_that_of_the_binomial():
    hits = np.arange(1000) < 838
    found = bootstrap_share(hits, resamples=200_000, rng=np.random.default_rng(0))
    exact = stats.binom.ppf([0.025, 0.975], 1000, 0.838) / 1000
    assert found.value == 0.838
    assert (found.ci_low, found.ci_high) == pytest.approx(exact, abs=1.01e-3)  # one hit more or less
    drawn = next(resample_chunks(1000, resamples=5000, rng=np.random.default_rng(5), elements=10**7))
    by_rows = np.quantile(hits[drawn].mean(axis=1), [0.025, 0.975])
    assert (found.ci_low, found.ci_high) == pytest.approx(by_rows, abs=2e-3)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_share_of_none_or_all_has_no_width(share):
    found = bootstrap_share(np.full(60, bool(share)), resamples=100, rng=np.random.default_rng(0))
    assert (found.value, found.ci_low, found.ci_high, found.n) == (share, share, share, 60)


def test_mean_interval_is_near_the_normal_one_and_deterministic():
    values = np.random.default_rng(0).normal(2.0, 3.0, size=400)
    found = bootstrap_mean(values, resamples=4000, rng=np.random.default_rng(1))
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    assert (found.ci_low, found.ci_high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.03
    )
    assert found == bootstrap_mean(values, resamples=4000, rng=np.random.default_rng(1))
    assert found != bootstrap_mean(values, resamples=4000, rng=np.random.default_rng(2))


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [[1.0]]])
def test_mean_of_nothing_or_of_nan_raises(values):
    with pytest.raises(ValueError, match="values"):
        bootstrap_mean(values, resamples=100, rng=np.random.default_rng(0))


def test_small_memory_gives_the_same_intervals(monkeypatch):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 90), rng.random(90)

    def both():
        return (
            bootstrap_auroc(labels, scores, resamples=150, rng=np.random.default_rng(2)),
            bootstrap_mean(scores, resamples=150, rng=np.random.default_rng(2)),
        )

    whole = both()
    monkeypatch.setattr(intervals.resample_chunks, "__kwdefaults__", {"elements": 200})
    assert both() == whole


@settings(deadline=None)
@given(st.floats(-1, 1), st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_an_interval_always_holds_its_value(value, replicates):
    found = percentile_estimate(value, replicates=np.array(replicates), n=3)
    assert found.ci_low <= found.value <= found.ci_high


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(20)
    rounds, n = 300, 120
    truth = stats.norm.cdf(1 / np.sqrt(2))  # P(N(1, 1) > N(0, 1))
    held = dict.fromkeys(("share", "mean", "auroc"), 0)
    for _ in range(rounds):
        labels = rng.integers(0, 2, n)
        area = bootstrap_auroc(labels, rng.normal(size=n) + labels, resamples=300, rng=rng)
        share = bootstrap_share(rng.random(n) < 0.7, resamples=300, rng=rng)
        mean = bootstrap_mean(rng.exponential(size=n), resamples=300, rng=rng)
        held["auroc"] += area.ci_low <= truth <= area.ci_high
        held["share"] += share.ci_low <= 0.7 <= share.ci_high
        held["mean"] += mean.ci_low <= 1.0 <= mean.ci_high
    # 95% of 300 is 285 with a standard deviation of 3.8; percentile intervals are known to run a little short
    assert all(0.90 <= count / rounds <= 0.985 for count in held.values()), held
