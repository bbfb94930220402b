"""Calibration error and Brier score against loops and scikit-learn; bins with ties; the interval's coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from bioalign_assets.evaluation.calibration import BINS, CalibrationError, brier, calibration_bins
from bioalign_assets.evaluation.intervals import resample_chunks

_rows = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]))),
    min_size=1,
    max_size=80,
)


def error(labels, p_true, *, resamples=100, seed=0):
    rng = np.random.default_rng(seed)
    return CalibrationError(labels, p_true=p_true).estimate(resamples=resamples, rng=rng)


@settings(deadline=None, max_examples=60)
@given(_rows)
def test_the_error_is_the_loop_over_its_bins_and_in_range(rows):
    labels, p_true = map(np.array, zip(*rows, strict=True))
    bins = calibration_bins(p_true)
    expected = sum(
        np.mean(bins == each) * abs(p_true[bins == each].mean() - labels[bins == each].mean())
        for each in set(bins.tolist())
    )
    found = error(labels, p_true)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert 0 <= found.ci_low <= found.value <= found.ci_high <= 1
    assert found.n == len(rows)


@settings(deadline=None, max_examples=60)
@given(_rows)
def test_bins_go_up_with_p_true_and_keep_ties_together(rows):
    p_true = np.array([each for _, each in rows])
    bins = calibration_bins(p_true)
    order = np.argsort(p_true, kind="stable")
    assert (np.diff(bins[order]) >= 0).all()
    assert len(set(bins.tolist())) <= BINS
    for value in set(p_true.tolist()):
        assert len(set(bins[p_true == value].tolist())) == 1


def test_bins_of_distinct_values_hold_equally_many():
    sizes = np.bincount(calibration_bins(np.random.default_rng(0).random(1000)))
    assert len(sizes) == BINS
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(
    ("labels", "p_true", "expected"),
    [
        ([1, 1, 0, 0], [1.0, 1.0, 0.0, 0.0], 0.0),
        ([0, 0, 1, 1], [1.0, 1.0, 0.0, 0.0], 1.0),
        ([1, 0, 1, 0], [0.5] * 4, 0.0),
        ([1, 1, 1, 0], [0.5] * 4, 0.25),
    ],
)
def test_known_values(labels, p_true, expected):
    assert error(labels, p_true).value == pytest.approx(expected, abs=1e-15)


def test_interval_covers_the_truth_of_a_badly_calibrated_model_and_leans_down_for_a_good_one():
    rng = np.random.default_rng(1)
    held = lower = 0
    for _ in range(200):
        p_true = rng.random(400)
        labels = (rng.random(400) < p_true / 2).astype(int)  # says twice what is so: the gap is p / 2
        bins = calibration_bins(p_true)
        truth = sum(p_true[bins == each].sum() / 2 for each in range(BINS)) / 400
        found = CalibrationError(labels, p_true=p_true).estimate(resamples=100, rng=rng)
        held += found.ci_low <= truth <= found.ci_high
        good = (rng.random(400) < p_true).astype(int)
        told = CalibrationError(good, p_true=p_true).estimate(resamples=100, rng=rng)
        lower += told.value - told.ci_low > told.ci_high - told.value
    assert 0.90 <= held / 200 <= 0.99, held
    assert lower > 180


def test_the_interval_is_the_reflected_percentiles_of_drawn_rows(monkeypatch):
    rng = np.random.default_rng(2)
    p_true = rng.random(150)
    labels = (rng.random(150) < p_true**2).astype(int)
    found = error(labels, p_true, seed=9)
    bins = calibration_bins(p_true)
    drawn = next(resample_chunks(150, resamples=100, rng=np.random.default_rng(9)))
    replicates = [
        sum(abs((p_true - labels)[rows][bins[rows] == each].sum()) for each in range(BINS)) / 150
        for rows in drawn
    ]
    low, high = np.quantile(replicates, [0.025, 0.975])
    expected = (max(0, 2 * found.value - high), max(found.value, 2 * found.value - low))
    assert (found.ci_low, found.ci_high) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setitem(resample_chunks.__kwdefaults__, "elements", 1000)
    assert error(labels, p_true, seed=9) == found


@settings(deadline=None, max_examples=50)
@given(_rows)
def test_brier_equals_scikit_learn(rows):
    labels, p_true = map(np.array, zip(*rows, strict=True))
    found = brier(labels, p_true=p_true)
    assert found.value == pytest.approx(brier_score_loss(labels, p_true, pos_label=1), abs=1e-12)
    assert found.n == len(rows)
