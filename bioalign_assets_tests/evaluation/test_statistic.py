"""Means, shares and rankings: against loops, scikit-learn and exact enumeration; intervals, changes, coverage, speed."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.intervals import resample_chunks
from bioalign_assets.evaluation.statistic import Mean, Share, auroc, auroc_of_counts

_labelled = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-4, 4).map(lambda level: level / 7)), min_size=2, max_size=60
).filter(lambda rows: len({label for label, _ in rows}) == 2)


def drawn(statistic, *, resamples=200, seed=0):
    return statistic.estimate(resamples=resamples, rng=np.random.default_rng(seed))


def changed(untuned, tuned, *, resamples=1000, seed=0):
    return untuned.change_to(tuned, resamples=resamples, rng=np.random.default_rng(seed))


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
def test_auroc_with_ties_equals_the_double_loop_and_turns_over_with_the_labels(rows):
    labels, scores = map(np.array, zip(*rows, strict=True))
    found = auroc(labels, scores=scores).value
    assert found == pytest.approx(naive_auroc(labels, scores), abs=1e-12)
    assert auroc(1 - labels, scores=scores).value == pytest.approx(1 - found, abs=1e-12)
    assert auroc(labels, scores=np.exp(scores) * 5).value == pytest.approx(found, abs=1e-12)


def test_auroc_is_taken_on_the_very_rows_that_are_drawn():
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 2, 80), rng.integers(0, 20, 80) / 20
    statistic = auroc(labels, scores=scores)
    rows = np.concatenate(list(resample_chunks(80, resamples=60, rng=np.random.default_rng(11))))
    expected = np.array([roc_auc_score(labels[each], scores[each]) for each in rows])
    replicates = statistic.replicates(resamples=60, rng=np.random.default_rng(11))
    assert replicates == pytest.approx(expected, abs=1e-12)
    found = drawn(statistic, resamples=60, seed=11)
    assert (found.ci_low, found.ci_high) == pytest.approx(np.quantile(expected, [0.025, 0.975]), abs=1e-12)
    assert (found.value, found.n) == (pytest.approx(roc_auc_score(labels, scores), abs=1e-12), 80)


def test_the_interval_of_auroc_matches_the_enumeration_of_all_resamples():
    labels, scores = np.array([1, 0, 1, 0, 1]), np.array([0.9, 0.4, 0.3, 0.6, 0.8])
    areas = [
        naive_auroc(labels[list(rows)], scores[list(rows)])
        for rows in itertools.product(range(5), repeat=5)
        if len(set(labels[list(rows)])) == 2
    ]
    found = drawn(auroc(labels, scores=scores), resamples=20_000)
    # the areas are few distinct numbers: a quantile is one of them, and stands unless it lies on a step
    assert (found.ci_low, found.ci_high) == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=1e-9)


def test_resamples_of_one_label_are_drawn_again_and_never_enter():
    # a third of all resamples hold no positive
    statistic = auroc([1] + [0] * 9, scores=np.arange(10)[::-1])
    assert np.array_equal(statistic.replicates(resamples=500, rng=np.random.default_rng(0)), np.ones(500))
    counts = np.array([[0, 1, 0, 2], [1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]])
    assert np.array_equal(np.isnan(auroc_of_counts(counts)), [True, True, False, True])


def test_which_rows_are_drawn_depends_on_the_labels_alone():
    labels = np.array([1] * 3 + [0] * 9)  # draws of one label only do happen
    states = []
    for scores in (np.random.default_rng(2).random(12), np.zeros(12)):
        rng = np.random.default_rng(5)
        auroc(labels, scores=scores).replicates(resamples=150, rng=rng)
        states.append(rng.bit_generator.state["state"]["state"])
    assert states[0] == states[1]


def test_auroc_of_equal_scores_is_one_half_without_doubt():
    found = drawn(auroc([0, 1] * 20, scores=np.full(40, 0.3)))
    assert (found.value, found.ci_low, found.ci_high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0]])
def test_auroc_of_one_label_raises(labels):
    with pytest.raises(EvaluationError, match="expected both"):
        auroc(labels, scores=[0.1, 0.2, 0.3])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_raises(bad):
    with pytest.raises(EvaluationError, match="1 of 3 that are not finite"):
        auroc([0, 1, 1], scores=[0.1, bad, 0.3])


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([0, 1], [0.1, 0.2, 0.3]), ([0, 2, 1], [0.1, 0.2, 0.3]), ([], []), ([[0, 1]], [[0, 1]])],
)
def test_auroc_of_misshapen_input_raises(labels, scores):
    with pytest.raises(ValueError, match=r"labels|scores"):
        auroc(labels, scores=scores)


def test_thousand_resamples_of_the_published_test_split_take_under_two_seconds():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 13_689)
    statistic = auroc(labels, scores=rng.normal(size=13_689) + labels)
    start = time.process_time()
    drawn(statistic, resamples=1000)
    assert time.process_time() - start < 2.0


def test_the_interval_of_a_share_is_that_of_the_binomial():
    found = drawn(Share(np.arange(1000) < 838), resamples=200_000)
    exact = stats.binom.ppf([0.025, 0.975], 1000, 0.838) / 1000
    assert (found.value, found.n) == (0.838, 1000)
    assert (found.ci_low, found.ci_high) == pytest.approx(exact, abs=1.01e-3)  # one hit more or less


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_none_or_all_has_no_width(share):
    found = drawn(Share(np.full(60, bool(share))))
    assert (found.value, found.ci_low, found.ci_high, found.n) == (share, share, share, 60)


def test_a_mean_is_taken_on_the_very_rows_that_are_drawn():
    values = np.random.default_rng(0).normal(2.0, 3.0, size=40)
    statistic = Mean(values)
    rows = np.concatenate(list(resample_chunks(40, resamples=50, rng=np.random.default_rng(1))))
    assert statistic.replicates(resamples=50, rng=np.random.default_rng(1)) == pytest.approx(
        np.array([np.mean([values[row] for row in each]) for each in rows]), abs=1e-12
    )
    assert (statistic.value, statistic.n) == (pytest.approx(values.mean(), abs=1e-12), 40)
    assert drawn(statistic, seed=1) == drawn(statistic, seed=1) != drawn(statistic, seed=2)


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [[1.0]]])
def test_a_mean_of_nothing_or_of_nan_raises(values):
    with pytest.raises(ValueError, match="values"):
        Mean(values)


def test_small_memory_gives_the_same_replicates(monkeypatch):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 90), rng.random(90)
    statistics = (auroc(labels, scores=scores), Mean(scores))
    whole = [each.replicates(resamples=150, rng=np.random.default_rng(2)) for each in statistics]
    monkeypatch.setitem(resample_chunks.__kwdefaults__, "elements", 200)
    for each, expected in zip(statistics, whole, strict=True):
        assert np.array_equal(each.replicates(resamples=150, rng=np.random.default_rng(2)), expected)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(20)
    rounds, n = 300, 120
    truth = {"auroc": stats.norm.cdf(1 / np.sqrt(2)), "share": 0.7, "mean": 1.0}  # P(N(1, 1) > N(0, 1)) first
    held = dict.fromkeys(truth, 0)
    for _ in range(rounds):
        labels = rng.integers(0, 2, n)
        statistics = {
            "auroc": auroc(labels, scores=rng.normal(size=n) + labels),
            "share": Share(rng.random(n) < 0.7),
            "mean": Mean(rng.exponential(size=n)),
        }
        for name, statistic in statistics.items():
            found = statistic.estimate(resamples=200, rng=rng)
            held[name] += found.ci_low <= truth[name] <= found.ci_high
    # 95% of 300 is 285 with a standard deviation of 3.8; percentile intervals are known to run a little short
    assert all(0.90 <= count / rounds <= 0.985 for count in held.values()), held


def test_a_change_is_resampled_with_both_models_on_the_same_rows():
    rng = np.random.default_rng(0)
    values = rng.normal(size=100)
    shifted = changed(Mean(values), Mean(values + 0.02))
    assert (shifted.change_ci_low, shifted.change_ci_high) == pytest.approx((0.02, 0.02))
    assert shifted.change == pytest.approx(0.02)
    assert (shifted.test, shifted.n) == ("paired-bootstrap", 100)
    assert shifted.p_value == pytest.approx(2 / 1001)
    labels, scores = rng.integers(0, 2, 60), rng.random(60)
    same = changed(auroc(labels, scores=scores), auroc(labels, scores=scores * 2))
    assert (same.change, same.change_ci_low, same.change_ci_high, same.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("kind", [Mean, Share])
def test_a_change_on_other_rows_raises(kind):
    with pytest.raises(ValueError, match="same rows of both, found 2 and 3"):
        changed(kind([0, 1]), kind([0, 1, 1]))


def test_a_share_that_rises_where_both_fail_alike_is_seen():
    before = Share(np.arange(200) < 100)
    after = Share(np.arange(200) < 112)  # the same rows right, and 12 more
    found = changed(before, after)
    assert (found.untuned, found.tuned, found.n, found.test) == (0.5, 0.56, 200, "mcnemar-exact")
    assert found.p_value == pytest.approx(2 / 2**12)
    assert 0 < found.change_ci_low < 0.06 < found.change_ci_high
    swapped = changed(after, before)
    assert (swapped.change, swapped.p_value) == (-found.change, found.p_value)


def test_the_interval_of_a_change_of_share_is_that_of_drawn_rows():
    rng = np.random.default_rng(1)
    before, after = rng.random(300) < 0.5, rng.random(300) < 0.6
    found = changed(Share(before), Share(after), resamples=5000)
    rows = rng.integers(300, size=(5000, 300))
    expected = np.quantile(after[rows].mean(axis=1) - before[rows].mean(axis=1), [0.025, 0.975])
    assert (found.change_ci_low, found.change_ci_high) == pytest.approx(expected, abs=0.012)


def test_tests_reject_about_as_rarely_as_they_say_when_nothing_changed():
    rng = np.random.default_rng(3)
    rounds, rejected = 300, {"share": 0, "mean": 0}
    for _ in range(rounds):
        for name, make in (
            ("share", lambda: Share(rng.random(150) < 0.7)),
            ("mean", lambda: Mean(rng.random(150))),
        ):
            rejected[name] += make().change_to(make(), resamples=200, rng=rng).p_value < 0.05
    # 5% of 300 is 15 with a standard deviation of 3.8; the corrected McNemar test is known to be conservative
    assert 3 <= rejected["share"] <= 26, rejected
    assert 6 <= rejected["mean"] <= 27, rejected
