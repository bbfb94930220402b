"""What a figure is made of, so that it can be taken anew on other draws of its rows.

A statistic knows its value, the interval of it, and its change from the same statistic of another model on the same
rows. Here are the kinds that several metrics share; one that a single metric needs stands with it.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.intervals import Estimate, percentile_estimate, resample_chunks
from bioalign_assets.evaluation.paired import Change, PairedTest, mcnemar, paired_change

__all__ = ["Mean", "Ranking", "Share", "Statistic", "auroc", "auroc_of_counts"]

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.integer[Any]]


class Statistic(ABC):
    """A figure of some rows, and how it is resampled."""

    value: float
    n: int
    """The rows behind it"""

    @abstractmethod
    def replicates(self, *, resamples: int, rng: np.random.Generator) -> Floats:
        """Return the figure on each resample, shape (resamples,).

        Where changes are those of replicates (``_changes``), what is drawn hangs on the rows and their labels alone:
        the same statistic of another model, with a generator in the same state, meets the same resamples.
        """

    def estimate(self, *, resamples: int, rng: np.random.Generator) -> Estimate:
        """Return the figure with its interval."""
        replicates = self.replicates(resamples=resamples, rng=rng)
        return percentile_estimate(self.value, replicates=replicates, n=self.n)

    def change_to(self, tuned: Self, *, resamples: int, rng: np.random.Generator) -> Change:
        """Return the change from this figure to another model's on the same rows, with its interval and a test.

        :raises ValueError: if the two are of different numbers of rows
        """
        if self.n != tuned.n:
            raise ValueError(f"a paired test needs the same rows of both, found {self.n} and {tuned.n}")
        changes, test = self._changes(tuned, resamples=resamples, rng=rng)
        return paired_change(self.value, tuned.value, changes=changes, n=self.n, test=test)

    def _changes(
        self, tuned: Self, *, resamples: int, rng: np.random.Generator
    ) -> tuple[Floats, tuple[float, PairedTest] | None]:
        """Return the change on each resample of the rows with both models' results, and a test.

        None for the paired bootstrap, which looks at the changes themselves.
        """
        before = self.replicates(resamples=resamples, rng=copy.deepcopy(rng))
        return tuned.replicates(resamples=resamples, rng=rng) - before, None


class Mean(Statistic):
    """The mean of a figure that each row has.

    :param values: finite, shape (n,)
    """

    def __init__(self, values: npt.ArrayLike) -> None:
        self.values = np.asarray(values, dtype=np.float64)
        self.n = _rows(self.values, what="values")
        if not np.isfinite(self.values).all():
            bad = np.count_nonzero(~np.isfinite(self.values))
            raise ValueError(f"{bad} of {self.n} values are not finite")
        self.value = float(self.values.mean())

    def replicates(self, *, resamples: int, rng: np.random.Generator) -> Floats:
        """Return the mean of each resample's rows."""
        chunks = resample_chunks(self.n, resamples=resamples, rng=rng)
        return np.concatenate([self.values[drawn].mean(axis=1) for drawn in chunks])


class Share(Statistic):
    """The share of hits among rows.

    The number of hits in a resample is binomial (n, share), exactly, so that no rows need to be drawn. Where
    all rows or none are hits the interval has no width: the sample says nothing of rarer rows.

    :param hits: booleans, shape (n,)
    """

    def __init__(self, hits: npt.ArrayLike) -> None:
        self.hits = np.asarray(hits, dtype=bool)
        self.n = _rows(self.hits, what="hits")
        self.value = np.count_nonzero(self.hits) / self.n

    def replicates(self, *, resamples: int, rng: np.random.Generator) -> Floats:
        """Return the shares that binomial counts of hits make."""
        return rng.binomial(self.n, self.value, size=resamples) / self.n

    def _changes(
        self, tuned: Self, *, resamples: int, rng: np.random.Generator
    ) -> tuple[Floats, tuple[float, PairedTest] | None]:
        """Return the changes of the share, and McNemar's test.

        The change in a resample hangs on three counts only (rows that one, the other, or neither model has alone),
        which are multinomial, exactly.
        """
        lost, won = int((self.hits & ~tuned.hits).sum()), int((~self.hits & tuned.hits).sum())
        drawn = rng.multinomial(self.n, np.array([lost, won, self.n - lost - won]) / self.n, size=resamples)
        return (drawn[:, 1] - drawn[:, 0]) / self.n, mcnemar(lost, won)


class Ranking(Statistic):
    """How well scores order two labels.

    Scores are sorted once; a resample is then counts by distinct score and label, in whole numbers. A resample
    that happens to hold one label only has no such statistic: it is drawn again, so that the interval is that
    of the resamples that have one. Which ones these are depends on the labels alone.

    :param labels: 1 or 0, shape (n,), both present
    :param scores: finite, shape (n,), higher means rather 1
    :param of_counts: from counts of shape (resamples, cells), rows by distinct score, ascending, and label
        (0, then 1), to shape (resamples,); NaN where, and only where, a label is missing
    :raises EvaluationError: if only one label is present
    """

    def __init__(
        self, labels: npt.ArrayLike, *, scores: npt.ArrayLike, of_counts: Callable[[Integers], Floats]
    ) -> None:
        self.of_counts = of_counts
        self.cells, self.size = _cells(labels, scores)
        self.n = len(self.cells)
        self.value = float(of_counts(np.bincount(self.cells, minlength=self.size)[None, :])[0])

    def replicates(self, *, resamples: int, rng: np.random.Generator) -> Floats:
        """Return the statistic of each resample that holds both labels."""
        kept: list[Floats] = []
        missing = resamples
        while missing:  # both labels are there, so each draw succeeds with a chance of at least 1/2
            for drawn in resample_chunks(self.n, resamples=missing, rng=rng):
                count = len(drawn)
                flat = self.cells[drawn] + (np.arange(count) * self.size)[:, None]
                counts = np.bincount(flat.ravel(), minlength=count * self.size).reshape(count, self.size)
                figures = self.of_counts(counts)
                kept.append(figures[np.isfinite(figures)])
                missing -= len(kept[-1])
        return np.concatenate(kept)


def auroc(labels: npt.ArrayLike, *, scores: npt.ArrayLike) -> Ranking:
    """Return the area under the ROC curve, ties counted one half (the Mann-Whitney statistic).

    :param labels: 1 or 0, shape (n,), both present
    :param scores: finite, shape (n,), higher means rather 1
    :raises EvaluationError: if only one label is present
    """
    return Ranking(labels, scores=scores, of_counts=auroc_of_counts)


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


def _rows(array: npt.NDArray[Any], *, what: str) -> int:
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"{what} must be a vector with at least one row, found shape {array.shape}")
    return len(array)
