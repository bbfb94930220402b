"""Bootstrap intervals, vectorised over resamples and bounded in memory.

All are 95% percentile intervals (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13):
rows are drawn with replacement, n of n, the statistic is taken on each draw, and the interval reaches from
the 2.5th to the 97.5th percentile. What varies is the sample of test rows; models, splits and maps are held.
Resamples are never built as tables: a resample is how often each row was drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CHUNK_ELEMENTS", "Estimate", "percentile_ends", "percentile_estimate", "resample_chunks"]

CHUNK_ELEMENTS = 1 << 20  # drawn row numbers held at once: 8 MiB, or one resample where that is more
_CONFIDENCE = 0.95

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure, its 95% interval (ci_low <= value <= ci_high) and the number of rows behind it."""

    value: float
    ci_low: float
    ci_high: float
    n: int


def percentile_ends(replicates: Floats) -> tuple[float, float]:
    """Return the 2.5th and the 97.5th percentile of a statistic's bootstrap replicates, shape (resamples,)."""
    tail = (1.0 - _CONFIDENCE) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail])
    return float(low), float(high)


def percentile_estimate(value: float, *, replicates: Floats, n: int) -> Estimate:
    """Return the percentile interval of bootstrap replicates, widened where needed to hold the value.

    A percentile interval can miss the figure that it belongs to when few resamples meet a very skewed
    statistic; that is noise of the resampling, not knowledge that the figure is wrong.

    :param replicates: the statistic on each resample, shape (resamples,), finite
    """
    low, high = percentile_ends(replicates)
    return Estimate(value=float(value), ci_low=min(low, value), ci_high=max(high, value), n=n)


def resample_chunks(
    n: int, *, resamples: int, rng: np.random.Generator, elements: int = CHUNK_ELEMENTS
) -> Iterator[npt.NDArray[np.integer[Any]]]:
    """Yield the drawn row numbers of all resamples, several resamples at a time.

    The draws don't depend on ``elements``.

    :param n: rows to draw from, and rows drawn in each resample
    :param elements: most row numbers in a chunk (but at least one resample)
    :returns: arrays of shape (resamples in the chunk, n), values in [0, n)
    """
    per_chunk = max(1, elements // n)
    for start in range(0, resamples, per_chunk):
        yield rng.integers(n, size=(min(per_chunk, resamples - start), n))
