"""AUPRC against scikit-learn and a loop, ties included; its interval against drawn rows."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.intervals import bootstrap_auroc, ranking_replicates, resample_chunks
from bioalign_assets.evaluation.ranking import auprc_of_counts, bootstrap_auprc

_labelled = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-4, 4).map(lambda level: level / 7)), min_size=2, max_size=60
).filter(lambda rows: len({label for label, _ in rows}) == 2)


def auprc(labels, scores):
    return bootstrap_auprc(labels, scores, resamples=100, rng=np.random.default_rng(0)).value


@settings(deadline=None)
@given(_labelled)
def test_auprc_with_ties_equals_scikit_learn(rows):
    labels, scores = map(np.array, zip(*rows, strict=True))
    assert auprc(labels, scores) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


@settings(deadline=None)
@given(_labelled)
def test_auprc_ignores_monotone_changes_and_stays_in_range(rows):
    labels, scores = map(np.array, zip(*rows, strict=True))
    assert auprc(labels, np.exp(scores) * 5) == pytest.approx(auprc(labels, scores), abs=1e-12)
    found = bootstrap_auprc(labels, scores, resamples=100, rng=np.random.default_rng(1))
    assert 0 <= found.ci_low <= found.value <= found.ci_high <= 1


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([1, 0], [0.9, 0.1], 1.0),
        ([1, 0], [0.1, 0.9], 0.5),
        ([1, 0, 0, 0], [0.5] * 4, 0.25),
        ([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6], (1 + 2 / 3) / 2),
    ],
)
def test_known_values(labels, scores, expected):
    assert auprc(labels, scores) == pytest.approx(expected, abs=1e-15)


def test_replicates_are_scikit_learns_on_the_drawn_rows():
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 2, 80), rng.integers(0, 20, 80) / 20
    _, replicates = ranking_replicates(
        labels, scores, statistic=auprc_of_counts, resamples=200, rng=np.random.default_rng(11)
    )
    drawn = np.concatenate(list(resample_chunks(80, resamples=200, rng=np.random.default_rng(11))))
    expected = [average_precision_score(labels[rows], scores[rows]) for rows in drawn]
    assert replicates == pytest.approx(expected, abs=1e-12)


def test_one_class_resamples_never_enter():
    labels, scores = np.array([1] + [0] * 9), np.arange(10)[::-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bootstrap_auprc(labels, scores, resamples=500, rng=np.random.default_rng(0))
    assert (found.value, found.ci_low, found.ci_high) == (1.0, 1.0, 1.0)


def test_counts_without_one_label_have_no_area():
    counts = np.array([[0, 1, 0, 2], [1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]])
    assert np.array_equal(np.isnan(auprc_of_counts(counts)), [True, True, False, True])


def test_which_rows_are_drawn_depends_on_the_labels_alone():
    rng = np.random.default_rng(2)
    labels = np.array([1] * 3 + [0] * 9)  # draws of one label only do happen
    states = []
    for scores in (rng.random(12), np.zeros(12)):
        used = np.random.default_rng(5)
        ranking_replicates(labels, scores, statistic=auprc_of_counts, resamples=150, rng=used)
        states.append(used.bit_generator.state["state"]["state"])
    assert states[0] == states[1]


def test_one_class_raises_and_nan_too():
    with pytest.raises(EvaluationError, match="expected both"):
        auprc([1, 1], [0.1, 0.2])
    with pytest.raises(EvaluationError, match="not finite"):
        auprc([1, 0], [0.1, np.nan])


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(8)

    def draw(size):
        labels = rng.integers(0, 2, size)
        return labels, rng.normal(size=size) + labels

    truth = average_precision_score(*draw(400_000))
    held = 0
    for _ in range(300):
        found = bootstrap_auprc(*draw(200), resamples=300, rng=rng)
        held += found.ci_low <= truth <= found.ci_high
    assert 0.90 <= held / 300 <= 0.985, held


def test_auroc_still_uses_the_same_draws():
    """The value that the bootstrap gave before the machinery was shared."""
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 50), rng.random(50)
    found = bootstrap_auroc(labels, scores, resamples=100, rng=np.random.default_rng(1))
    cells = next(resample_chunks(50, resamples=100, rng=np.random.default_rng(1)))
    by_hand = [
        np.mean(
            [
                (a > b) + (a == b) / 2
                for a in scores[rows][labels[rows] == 1]
                for b in scores[rows][labels[rows] == 0]
            ]
        )
        for rows in cells
    ]
    assert (found.ci_low, found.ci_high) == pytest.approx(np.quantile(by_hand, [0.025, 0.975]), abs=1e-12)
