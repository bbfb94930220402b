"""Bootstrap intervals, vectorised over resamples and bounded in memory.

All are 95% percentile intervals (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13):
rows are drawn with replacement, n of n, the statistic is taken on each draw, and the interval reaches from
the 2.5th to the 97.5th percentile. What varies is the sample of test rows; models, splits and maps are held.
Resamples are never built as tables: a resample is how often each row was drawn.

Statistics of one kind of metric stay with that metric; here is what several share.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.errors import EvaluationError

__all__ = [
    "CHUNK_ELEMENTS",
    "CONFIDENCE",
    "Estimate",
    "auroc",
    "auroc_of_counts",
    "bootstrap_auroc",
    "bootstrap_mean",
    "bootstrap_share",
    "mean_replicates",
    "percentile_estimate",
    "ranking_replicates",
    "resample_chunks",
]

CONFIDENCE = 0.95
CHUNK_ELEMENTS = 1 << 20  # drawn row numbers held at once: 8 MiB, or one resample where that is more

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure, its 95% interval (ci_low <= value <= ci_high) and the number of rows behind it."""

    value: float
    ci_low: float
    ci_high: float
    n: int


def percentile_estimate(value: float, *, replicates: Floats, n: int) -> Estimate:
    """Return the percentile interval of bootstrap replicates, widened where needed to hold the value.

    A percentile interval can miss the figure that it belongs to when few resamples meet a very skewed
    statistic; that is noise of the resampling, not knowledge that the figure is wrong.

    :param replicates: the statistic on each resample, shape (resamples,), finite
    """
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail])
    return Estimate(value=float(value), ci_low=min(float(low), value), ci_high=max(float(high), value), n=n)


def resample_chunks(
    n: int, *, resamples: int, rng: np.random.Generator, elements: int = CHUNK_ELEMENTS
) -> Iterator[Integers]:
    """Yield the drawn row numbers of all resamples, several resamples at a time.

    The draws don't depend on ``elements``.

    :param n: rows to draw from, and rows drawn in each resample
    :param elements: most row numbers in a chunk (but at least one resample)
    :returns: arrays of shape (resamples in the chunk, n), values in [0, n)
    """
    per_chunk = max(1, elements // n)
    for start in range(0, resamples, per_chunk):
        yield rng.integers(n, size=(min(per_chunk, resamples - start), n))


def bootstrap_share(hits: npt.ArrayLike, *, resamples: int, rng: np.random.Generator) -> Estimate:
    """Return the share of hits among rows.

    The number of hits in a resample is binomial (n, share), exactly, so that no rows need to be drawn. Where
    all rows or none are hits the interval has no width: the sample says nothing of rarer rows.

    :param hits: booleans, shape (n,)
    :returns: value in [0, 1]
    """
    array = np.asarray(hits, dtype=bool)
    n = _rows(array, what="hits")
    share = np.count_nonzero(array) / n
    return percentile_estimate(share, replicates=rng.binomial(n, share, size=resamples) / n, n=n)


def bootstrap_mean(values: npt.ArrayLike, *, resamples: int, rng: np.random.Generator) -> Estimate:
    """Return the mean of a figure that each row has.

    :param values: finite, shape (n,)
    """
    value, replicates = mean_replicates(values, resamples=resamples, rng=rng)
    return percentile_estimate(value, replicates=replicates, n=len(np.asarray(values)))


def mean_replicates(
    values: npt.ArrayLike, *, resamples: int, rng: np.random.Generator
) -> tuple[float, Floats]:
    """Return the mean of a figure that each row has, and its bootstrap replicates, shape (resamples,).

    :param values: finite, shape (n,)
    """
    array = np.asarray(values, dtype=np.float64)
    n = _rows(array, what="values")
    if not np.isfinite(array).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(array))} of {n} values are not finite")
    chunks = resample_chunks(n, resamples=resamples, rng=rng)
    return float(array.mean()), np.concatenate([array[drawn].mean(axis=1) for drawn in chunks])


def auroc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the area under the ROC curve, ties counted one half (the Mann-Whitney statistic).

    :param labels: 1 or 0, shape (n,), both present
    :param scores: finite, shape (n,), higher means rather 1
    :raises EvaluationError: if only one label is present
    """
    cells, size = _cells(labels, scores)
    return float(auroc_of_counts(np.bincount(cells, minlength=size)[None, :])[0])


def bootstrap_auroc(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, resamples: int, rng: np.random.Generator
) -> Estimate:
    """Return the area under the ROC curve.

    :param labels: 1 or 0, shape (n,), both present
    :param scores: finite, shape (n,), higher means rather 1
    :raises EvaluationError: if only one label is present
    """
    value, replicates = ranking_replicates(
        labels, scores, statistic=auroc_of_counts, resamples=resamples, rng=rng
    )
    return percentile_estimate(value, replicates=replicates, n=len(np.asarray(labels)))


def ranking_replicates(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    statistic: Callable[[Integers], Floats],
    resamples: int,
    rng: np.random.Generator,
) -> tuple[float, Floats]:
    """Return a statistic of how scores order two labels, and its bootstrap replicates, shape (resamples,).

    Scores are sorted once; a resample is then counts by distinct score and label, in whole numbers. A resample
    that happens to hold one label only has no such statistic: it is drawn again, so that the interval is that
    of the resamples that have one. Which ones these are depends on the labels alone: two scores of the same
    rows with generators in the same state meet the same resamples.

    :param labels: 1 or 0, shape (n,), both present
    :param scores: finite, shape (n,), higher means rather 1
    :param statistic: from counts of shape (resamples, cells), rows by distinct score, ascending, and label
        (0, then 1), to shape (resamples,); NaN where, and only where, a label is missing
    :raises EvaluationError: if only one label is present
    """
    cells, size = _cells(labels, scores)
    value = float(statistic(np.bincount(cells, minlength=size)[None, :])[0])
    kept: list[Floats] = []
    missing = resamples
    while missing:  # both labels are there, so each draw succeeds with a chance of at least 1/2
        for drawn in resample_chunks(len(cells), resamples=missing, rng=rng):
            count = len(drawn)
            flat = cells[drawn] + (np.arange(count) * size)[:, None]
            figures = statistic(np.bincount(flat.ravel(), minlength=count * size).reshape(count, size))
            kept.append(figures[np.isfinite(figures)])
            missing -= len(kept[-1])
    return value, np.concatenate(kept)


def _cells(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Integers, int]:
    """Return each row's cell, 2 x (rank of its distinct score) + label, and the number of cells."""
    label, score = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    n = _rows(score, what="scores")
    if label.shape != score.shape:
        raise ValueError(f"{label.shape} labels but {score.shape} scores")
    if not np.isin(label, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    if not np.isfinite(score).all():
        raise EvaluationError(
            "scores",
            found=f"{np.count_nonzero(~np.isfinite(score))} of {n} that are not finite numbers",
            expected="a number for every row",
            remedy="Score the rows again; if it stays, the model overflows in its number type.",
        )
    positives = int(np.count_nonzero(label))
    if positives in {0, n}:
        raise EvaluationError(
            "labels",
            found=f"{positives} true and {n - positives} false statements",
            expected="both, for an area under the ROC curve",
            remedy="Evaluate more rows, or a dataset whose test split holds both labels.",
        )
    distinct, rank = np.unique(score, return_inverse=True)
    return 2 * rank + (label == 1), 2 * len(distinct)


def auroc_of_counts(counts: Integers) -> Floats:
    """Return the area under the ROC curve of each resample, NaN where one label is missing.

    :param counts: shape (resamples, cells): rows by distinct score, ascending, and label (0, then 1)
    """
    by_label = counts.reshape(len(counts), -1, 2)
    negative, positive = by_label[:, :, 0], by_label[:, :, 1]
    # twice the number of negatives below, a tie counting one half
    below = 2 * np.cumsum(negative, axis=1) - negative
    won = np.einsum("bs,bs->b", positive, below)
    possible = 2 * positive.sum(axis=1) * negative.sum(axis=1)
    return np.divide(won, possible, out=np.full(len(counts), np.nan), where=possible > 0)


def _rows(array: npt.NDArray[Any], *, what: str) -> int:
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"{what} must be a vector with at least one row, found shape {array.shape}")
    return len(array)
