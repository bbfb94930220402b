"""Figures of the confusion matrix against scikit-learn, and their intervals against drawn rows."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef, precision_score, recall_score

from bioalign_assets.evaluation.confusion import (
    CONFUSION_METRICS,
    bootstrap_confusion,
    confusion_counts,
    confusion_figures,
)

_answered = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


def figures(labels, predicted):
    return {
        name: float(value) for name, value in confusion_figures(confusion_counts(labels, predicted)).items()
    }


def rngs(seed=0):
    return {name: np.random.default_rng([seed, place]) for place, name in enumerate(CONFUSION_METRICS)}


@settings(deadline=None)
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
    assert tuple(figures(labels, predicted)) == CONFUSION_METRICS


@settings(deadline=None)
@given(_answered)
def test_swapping_the_labels_swaps_true_and_false(rows):
    labels, predicted = map(np.array, zip(*rows, strict=True))
    found, swapped = figures(labels, predicted), figures(1 - labels, 1 - predicted)
    assert found["mcc"] == pytest.approx(swapped["mcc"], abs=1e-12)
    for kind in ("precision", "recall", "f1"):
        assert found[f"{kind}_true"] == swapped[f"{kind}_false"]


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
    assert figures(labels, 1 - labels) == dict.fromkeys(CONFUSION_METRICS, 0.0) | {"mcc": -1.0}


def test_counts_of_a_large_test_set_stay_in_the_range_of_numbers():
    counts = np.array([10**6, 10, 10**6, 10]) * 10**3
    assert confusion_figures(counts)["mcc"] == pytest.approx(1 - 2e-5, abs=1e-6)


def test_intervals_are_those_of_drawn_rows():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    predicted = np.where(rng.random(300) < 0.75, labels, 1 - labels)
    found = bootstrap_confusion(labels, predicted, resamples=4000, rngs=rngs())
    drawn = rng.integers(300, size=(4000, 300))
    cells = np.stack([confusion_counts(labels[rows], predicted[rows]) for rows in drawn])
    for name, replicates in confusion_figures(cells).items():
        low, high = np.quantile(replicates, [0.025, 0.975])
        assert (found[name].ci_low, found[name].ci_high) == pytest.approx((low, high), abs=0.012)
        assert found[name].value == pytest.approx(figures(labels, predicted)[name])
        assert found[name].n == 300


def test_each_figure_draws_from_its_own_generator():
    labels, predicted = [0, 1, 0, 1, 1, 1, 0], [0, 1, 1, 1, 0, 1, 0]
    plain = bootstrap_confusion(labels, predicted, resamples=100, rngs=rngs())
    moved = rngs()
    moved["mcc"].random(10)
    other = bootstrap_confusion(labels, predicted, resamples=100, rngs=moved)
    assert {name for name in CONFUSION_METRICS if plain[name] != other[name]} <= {"mcc"}


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(4)
    cells = np.array([0.4, 0.1, 0.35, 0.15])  # TP, FP, TN, FN
    truth = {name: float(value) for name, value in confusion_figures(cells * 10**6).items()}
    held = dict.fromkeys(CONFUSION_METRICS, 0)
    for _ in range(300):
        kind = rng.choice(4, size=200, p=cells)
        labels, predicted = np.isin(kind, (0, 3)).astype(int), np.isin(kind, (0, 1)).astype(int)
        found = bootstrap_confusion(
            labels, predicted, resamples=300, rngs=dict.fromkeys(CONFUSION_METRICS, rng)
        )
        for name in CONFUSION_METRICS:
            held[name] += found[name].ci_low <= truth[name] <= found[name].ci_high
    assert all(0.90 <= count / 300 <= 0.985 for count in held.values()), held
