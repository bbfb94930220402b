r"""Calibration: is p_true a probability that one may believe?

The expected calibration error (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017) bins the rows by p_true
and averages the gap between mean p_true and share of true statements. Bins hold equal numbers of rows: tuned
models push nearly all p_true to the two ends, where bins of equal width would leave most of them empty and
judge the rest by a handful of rows (Nixon et al. 2019). The Brier score needs no bins.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.answers import Answers
from bioalign_assets.evaluation.intervals import Estimate, percentile_ends, resample_chunks
from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.statistic import Mean, Statistic

__all__ = ["BINS", "CALIBRATION", "CalibrationError", "brier", "calibration_bins"]

BINS = 15  # as in Guo et al. 2017

Floats = npt.NDArray[np.float64]


def calibration_bins(p_true: Floats) -> npt.NDArray[np.integer[Any]]:
    """Return the bin of each row: at most 15, with equally many rows but for ties, which stay together.

    :param p_true: in [0, 1], shape (n,)
    :returns: from 0, ascending with p_true, shape (n,)
    """
    # edges are values that occur, and the last row of its bin: equal rows can't fall apart
    edges = np.quantile(p_true, np.arange(1, BINS) / BINS, method="inverted_cdf")
    return np.searchsorted(np.unique(edges), p_true, side="left")


class CalibrationError(Statistic):
    """The expected calibration error: sum over bins of (rows in it / n) x |mean p_true - share of true|, in [0, 1].

    :param labels: 1 or 0, shape (n,)
    :param p_true: in [0, 1], shape (n,)
    """

    def __init__(self, labels: npt.ArrayLike, *, p_true: npt.ArrayLike) -> None:
        chance = np.asarray(p_true, dtype=np.float64)
        self.bins = calibration_bins(chance)
        self.gaps = chance - np.asarray(labels, dtype=np.float64)
        self.n, self.size = len(self.gaps), int(self.bins.max()) + 1
        sums = np.bincount(self.bins, weights=self.gaps, minlength=self.size)
        self.value = float(np.abs(sums).sum() / self.n)

    def replicates(self, *, resamples: int, rng: np.random.Generator) -> Floats:
        """Return the error on each resample; the sample's bins are held."""
        kept = []
        for drawn in resample_chunks(self.n, resamples=resamples, rng=rng):
            shape = len(drawn), self.size
            flat = (self.bins[drawn] + (np.arange(shape[0]) * self.size)[:, None]).ravel()
            sums = np.bincount(flat, weights=self.gaps[drawn].ravel(), minlength=shape[0] * shape[1])
            kept.append(np.abs(sums.reshape(shape)).sum(axis=1) / self.n)
        return np.concatenate(kept)

    def estimate(self, *, resamples: int, rng: np.random.Generator) -> Estimate:
        """Return the error with its basic bootstrap interval, cut at 0 and widened to hold the figure.

        2 x figure - percentiles (Davison and Hinkley 1997, section 5.2). The figure is a mean of absolute values,
        so noise lifts it above the truth, and lifts the resamples above the figure once more: plain percentiles
        would lie too high. Reflected, they lean to the side where the truth is. For a model that is calibrated
        perfectly the truth is the end of the range, and the interval still misses it more often than 1 in 20.
        """
        low, high = percentile_ends(self.replicates(resamples=resamples, rng=rng))
        return Estimate(
            value=self.value,
            ci_low=min(self.value, max(0.0, 2 * self.value - high)),
            ci_high=max(self.value, min(1.0, 2 * self.value - low)),
            n=self.n,
        )


def brier(labels: npt.ArrayLike, *, p_true: npt.ArrayLike) -> Mean:
    """Return the Brier score, the mean of (p_true - label)^2 (Brier 1950).

    :param labels: 1 or 0, shape (n,)
    :param p_true: in [0, 1], shape (n,)
    :returns: value in [0, 1]; always saying 1/2 gets 1/4
    """
    return Mean(np.square(np.asarray(p_true, dtype=np.float64) - np.asarray(labels, dtype=np.float64)))


def _statistics(answers: Answers) -> dict[str, Statistic]:
    return {
        "calibration_error": CalibrationError(answers.labels, p_true=answers.p_true),
        "brier": brier(answers.labels, p_true=answers.p_true),
    }


CALIBRATION = Family(
    metrics=(
        Metric(
            name="calibration_error",
            title="Calibration error",
            range=(0.0, 1.0),
            direction="lower",
            formula="sum over at most 15 bins of equally many rows, ordered by p_true, of (rows in it / n) x "
            "|mean p_true - share of true statements|; ties stay in one bin",
            source="Naeini, Cooper and Hauskrecht 2015, https://doi.org/10.1609/aaai.v29i1.9602; Guo et al. 2017, "
            "https://arxiv.org/abs/1706.04599; bins of equal mass: Nixon et al. 2019, "
            "https://arxiv.org/abs/1904.01685",
            cannot_tell="Whether p_true tells statements apart: saying the share of true statements each time is "
            "calibrated; and small samples lift it above 0 for any model.",
        ),
        Metric(
            name="brier",
            title="Brier score",
            range=(0.0, 1.0),
            direction="lower",
            formula="mean of (p_true - label)^2",
            source="Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
            cannot_tell="Whether a high score comes from bad order or from bad calibration: it counts both.",
        ),
    ),
    table="evaluation.zero_shot",
    reads="answers",
    statistics=_statistics,
)
