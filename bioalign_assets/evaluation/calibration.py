r"""Calibration: is p_true a probability that one may believe?

The expected calibration error (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017) bins the rows by p_true
and averages the gap between mean p_true and share of true statements. Bins hold equal numbers of rows: tuned
models push nearly all p_true to the two ends, where bins of equal width would leave most of them empty and
judge the rest by a handful of rows (Nixon et al. 2019). The Brier score needs no bins.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.intervals import (
    CONFIDENCE,
    Estimate,
    bootstrap_mean,
    resample_chunks,
)

__all__ = ["BINS", "bootstrap_brier", "bootstrap_calibration_error", "calibration_bins", "squared_errors"]

BINS = 15  # as in Guo et al. 2017

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer[Any]]


def calibration_bins(p_true: npt.ArrayLike) -> Integers:
    """Return the bin of each row: at most 15, with equally many rows but for ties, which stay together.

    :param p_true: in [0, 1], shape (n,)
    :returns: from 0, ascending with p_true, shape (n,)
    """
    chance = np.asarray(p_true, dtype=np.float64)
    # edges are values that occur, and the last row of its bin: equal rows can't fall apart
    edges = np.quantile(chance, np.arange(1, BINS) / BINS, method="inverted_cdf")
    return np.searchsorted(np.unique(edges), chance, side="left")


def bootstrap_calibration_error(
    labels: npt.ArrayLike, p_true: npt.ArrayLike, *, resamples: int, rng: np.random.Generator
) -> Estimate:
    """Return the expected calibration error: sum over bins of (rows in it / n) x |mean p_true - share of true|.

    Interval: the basic bootstrap interval (2 x figure - percentiles; Davison and Hinkley 1997, section 5.2), cut
    at 0 and widened to hold the figure; the sample's bins are held. The figure is a mean of absolute values,
    so noise lifts it above the truth, and lifts the resamples above the figure once more: plain percentiles
    would lie too high. Reflected, they lean to the side where the truth is. For a model that is calibrated
    perfectly the truth is the end of the range, and the interval still misses it more often than 1 in 20.

    :param labels: 1 or 0, shape (n,)
    :param p_true: in [0, 1], shape (n,)
    :returns: value in [0, 1]
    """
    chance = np.asarray(p_true, dtype=np.float64)
    bins = calibration_bins(chance)
    gaps = chance - np.asarray(labels, dtype=np.float64)
    n, size = len(gaps), int(bins.max()) + 1
    value = float(np.abs(np.bincount(bins, weights=gaps, minlength=size)).sum() / n)
    replicates = []
    for drawn in resample_chunks(n, resamples=resamples, rng=rng):
        count = len(drawn)
        flat = (bins[drawn] + (np.arange(count) * size)[:, None]).ravel()
        sums = np.bincount(flat, weights=gaps[drawn].ravel(), minlength=count * size).reshape(count, size)
        replicates.append(np.abs(sums).sum(axis=1) / n)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(np.concatenate(replicates), [tail, 1.0 - tail])
    return Estimate(
        value=value,
        ci_low=min(value, max(0.0, 2 * value - float(high))),
        ci_high=max(value, min(1.0, 2 * value - float(low))),
        n=n,
    )


def squared_errors(labels: npt.ArrayLike, p_true: npt.ArrayLike) -> Floats:
    """Return (p_true - label)^2 of each row, shape (n,)."""
    return np.square(np.asarray(p_true, dtype=np.float64) - np.asarray(labels, dtype=np.float64))


def bootstrap_brier(
    labels: npt.ArrayLike, p_true: npt.ArrayLike, *, resamples: int, rng: np.random.Generator
) -> Estimate:
    """Return the Brier score, the mean of (p_true - label)^2 (Brier 1950).

    :param labels: 1 or 0, shape (n,)
    :param p_true: in [0, 1], shape (n,)
    :returns: value in [0, 1]; always saying 1/2 gets 1/4
    """
    return bootstrap_mean(squared_errors(labels, p_true), resamples=resamples, rng=rng)
