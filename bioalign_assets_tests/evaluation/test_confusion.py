"""Figures of the confusion matrix against scikit-learn; their intervals and changes against drawn rows."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef, precision_score, recall_score

from bioalign_assets.evaluation.answers import Answers
from bioalign_assets.evaluation.confusion import (
    CONFUSION,
    ConfusionFigure,
    confusion_counts,
    confusion_figures,
)

NAMES = [metric.name for metric in CONFUSION.metrics]
_answered = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


def said(labels, predicted):
    return Answers(
        labels=np.asarray(labels), predicted=np.asarray(predicted), p_true=np.full(len(labels), 0.5)
    )


def figures(labels, predicted):
    return {name: each.value for name, each in CONFUSION.statistics(said(labels, predicted)).items()}


@settings(deadline=None, max_examples=50)
@given(_answered)
def test_all_figures_equal_scikit_learn(rows):
    labels, predicted = map(np.array, zip(*rows, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that one label only is there
        expected = {"mcc": matthews_corrcoef(labels, predicted)}
    for name, positive in (("true", 1), ("false", 0)):
        told = {"y_true": labels, "y_pred": predicted, "pos_label": positive, "zero_division": 0}
        expected[f"precision_{name}"] = precision_score(**told)
        expected[f"recall_{name}"] = recall_score(**told)
        expected[f"f1_{name}"] = f1_score(**told)
    assert figures(labels, predicted) == pytest.approx(expected, abs=1e-12)
    assert list(expected) == NAMES


@pytest.mark.parametrize("answer", [0, 1])
def test_one_answer_to_everything_has_no_correlation_and_zero_precision_of_the_other(answer):
    found = figures([0, 1, 0, 1, 1], [answer] * 5)
    other, given_one = ("true", "false") if answer == 0 else ("false", "true")
    assert (
        found["mcc"] == found[f"precision_{other}"] == found[f"recall_{other}"] == found[f"f1_{other}"] == 0
    )
    assert found[f"recall_{given_one}"] == 1.0


def test_perfect_and_reversed_answers():
    labels = np.arange(10) % 2
    assert set(figures(labels, labels).values()) == {1.0}
    assert figures(labels, 1 - labels) == dict.fromkeys(NAMES, 0.0) | {"mcc": -1.0}


def test_counts_of_a_large_test_set_stay_in_the_range_of_numbers():
    counts = np.array([10**6, 10, 10**6, 10]) * 10**3
    assert confusion_figures(counts)["mcc"] == pytest.approx(1 - 2e-5, abs=1e-6)


@pytest.fixture(scope="module")
def drawn():
    """Labels, two models' answers that agree mostly, and the counts of both on 4,000 draws of rows."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    before = np.where(rng.random(300) < 0.75, labels, 1 - labels)
    after = np.where(rng.random(300) < 0.6, before, labels)
    cells = np.array(
        [
            [confusion_counts(labels[rows], side[rows]) for side in (before, after)]
            for rows in rng.integers(300, size=(4000, 300))
        ]
    )
    return labels, before, after, confusion_figures(cells)


@pytest.mark.parametrize("name", NAMES)
def test_intervals_are_those_of_drawn_rows(drawn, name):
    labels, before, _, replicates = drawn
    statistic = ConfusionFigure(name, answers=said(labels, before))
    found = statistic.estimate(resamples=4000, rng=np.random.default_rng(1))
    expected = np.quantile(replicates[name][:, 0], [0.025, 0.975])
    assert (found.ci_low, found.ci_high) == pytest.approx(expected, abs=0.012)
    assert found.n == 300


@pytest.mark.parametrize("name", NAMES)
def test_changes_are_those_of_drawn_rows_with_both_answers(drawn, name):
    labels, before, after, replicates = drawn
    untuned, tuned = (ConfusionFigure(name, answers=said(labels, side)) for side in (before, after))
    found = untuned.change_to(tuned, resamples=4000, rng=np.random.default_rng(1))
    assert (found.untuned, found.tuned) == (untuned.value, tuned.value)
    expected = np.quantile(replicates[name][:, 1] - replicates[name][:, 0], [0.025, 0.975])
    assert (found.change_ci_low, found.change_ci_high) == pytest.approx(expected, abs=0.012)


def test_equal_answers_have_no_change_and_no_width():
    rng = np.random.default_rng(0)
    answers = said(rng.integers(0, 2, 80), rng.integers(0, 2, 80))
    for statistic in CONFUSION.statistics(answers).values():
        change = statistic.change_to(statistic, resamples=400, rng=np.random.default_rng(0))
        assert (change.change, change.change_ci_low, change.change_ci_high, change.p_value) == (0, 0, 0, 1)
