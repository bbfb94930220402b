"""Tuned against untuned on the same rows: the change of a figure, its interval, and a paired test.

Both models met the same statements, so what is resampled is the statement with both models' results: what is
hard for both cancels out, and the interval of the change is narrower than two separate ones suggest. Answers
are compared by McNemar's test, every other figure by the paired bootstrap. What varies is the sample of test
rows; the models, trained once with one seed, are held.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, chi2

from bioalign_assets.evaluation.confusion import CONFUSION_METRICS, confusion_figures
from bioalign_assets.evaluation.intervals import percentile_estimate

__all__ = [
    "FEW_DISCORDANT",
    "Change",
    "PairedTest",
    "bootstrap_p_value",
    "compare_confusion",
    "compare_replicates",
    "compare_shares",
    "mcnemar",
]

PairedTest = Literal["mcnemar-exact", "mcnemar", "paired-bootstrap"]

FEW_DISCORDANT = 25
"""Below so many discordant rows McNemar's test is the exact binomial one."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A figure of both models on the same n rows, its change with a 95% interval, and a two-sided p-value."""

    untuned: float
    tuned: float
    change_ci_low: float
    change_ci_high: float
    p_value: float
    test: PairedTest
    n: int

    @property
    def change(self) -> float:
        """Tuned minus untuned."""
        return self.tuned - self.untuned


def mcnemar(only_untuned: int, only_tuned: int) -> tuple[float, PairedTest]:
    """Return the two-sided p-value of McNemar's test, and which form of it was taken.

    Under the null hypothesis a row on which the two models differ falls to either with probability 1/2. Fewer
    than 25 such rows: the exact binomial test. Otherwise chi-square with one degree of freedom and Edwards'
    continuity correction, (|b - c| - 1)^2 / (b + c) (McNemar 1947, https://doi.org/10.1007/BF02295996; Edwards
    1948, https://doi.org/10.1007/BF02289261). No such rows: 1.

    :param only_untuned: rows that only the untuned model has (right), b
    :param only_tuned: rows that only the tuned model has (right), c
    :raises ValueError: if a count is negative
    """
    if min(only_untuned, only_tuned) < 0:
        raise ValueError(f"counts can't be negative: {only_untuned}, {only_tuned}")
    discordant = only_untuned + only_tuned
    if discordant == 0:
        return 1.0, "mcnemar-exact"
    if discordant < FEW_DISCORDANT:
        return float(binomtest(only_untuned, discordant, 0.5).pvalue), "mcnemar-exact"
    corrected = max(abs(only_untuned - only_tuned) - 1, 0)  # equal counts are no evidence, not a little
    return float(chi2.sf(corrected**2 / discordant, df=1)), "mcnemar"


def bootstrap_p_value(changes: Floats) -> float:
    """Return the two-sided achieved significance level of a change: how far 0 lies in its bootstrap distribution.

    Twice the share of replicates at or beyond 0, on the side where fewer are, each count plus one so that no
    p-value is 0 (Efron and Tibshirani 1993, chapters 15 and 16; Davison and Hinkley 1997, section 4.2). Its
    floor is therefore 2 / (resamples + 1): 0.002 with 1,000.

    :param changes: replicates of the change, shape (resamples,), finite
    :returns: in (0, 1]
    """
    beyond = min(np.count_nonzero(changes <= 0), np.count_nonzero(changes >= 0))
    return min(1.0, 2 * (beyond + 1) / (len(changes) + 1))


def compare_replicates(untuned: tuple[float, Floats], tuned: tuple[float, Floats], *, n: int) -> Change:
    """Return the change of a figure by the paired bootstrap.

    :param untuned: the figure, and its replicates, shape (resamples,)
    :param tuned: the same of the tuned model, **on the same drawn rows**: made with a generator that began in
        the same state
    :param n: rows
    :raises ValueError: if the numbers of replicates differ
    """
    before, after = untuned[1], tuned[1]
    if before.shape != after.shape:
        raise ValueError(f"replicates differ in number: {before.shape}, {after.shape}")
    changes = after - before
    interval = percentile_estimate(tuned[0] - untuned[0], replicates=changes, n=n)
    return Change(
        untuned=untuned[0],
        tuned=tuned[0],
        change_ci_low=interval.ci_low,
        change_ci_high=interval.ci_high,
        p_value=bootstrap_p_value(changes),
        test="paired-bootstrap",
        n=n,
    )


def compare_shares(
    untuned: npt.ArrayLike, tuned: npt.ArrayLike, *, resamples: int, rng: np.random.Generator
) -> Change:
    """Return the change of a share of rows (right answers, say) by McNemar's test, its interval by the bootstrap.

    The change in a resample hangs on three counts only (rows that one, the other, or neither model has alone),
    which are multinomial, exactly.

    :param untuned: booleans, shape (n,), n >= 1
    :param tuned: booleans of the same rows, shape (n,)
    :raises ValueError: if the shapes differ or there are no rows
    """
    before, after = np.asarray(untuned, dtype=bool), np.asarray(tuned, dtype=bool)
    if before.shape != after.shape or before.ndim != 1 or not len(before):
        raise ValueError(f"shapes must be one (n,), n at least 1: {before.shape}, {after.shape}")
    n = len(before)
    lost, won = int((before & ~after).sum()), int((~before & after).sum())
    drawn = rng.multinomial(n, np.array([lost, won, n - lost - won]) / n, size=resamples)
    values = float(before.mean()), float(after.mean())
    interval = percentile_estimate(values[1] - values[0], replicates=(drawn[:, 1] - drawn[:, 0]) / n, n=n)
    p_value, test = mcnemar(lost, won)
    return Change(
        untuned=values[0],
        tuned=values[1],
        change_ci_low=interval.ci_low,
        change_ci_high=interval.ci_high,
        p_value=p_value,
        test=test,
        n=n,
    )


def compare_confusion(
    labels: npt.ArrayLike,
    *,
    untuned: npt.ArrayLike,
    tuned: npt.ArrayLike,
    resamples: int,
    rngs: Mapping[str, np.random.Generator],
) -> dict[str, Change]:
    """Return the change of each figure of the confusion matrix by the paired bootstrap.

    What a resample draws is eight counts: label by both models' answers, multinomial, exactly.

    :param labels: 1 or 0, shape (n,), n >= 1
    :param untuned: 1 where the untuned model answered true, else 0, shape (n,)
    :param tuned: 1 where the tuned model did, shape (n,)
    :param rngs: one generator for each of ``CONFUSION_METRICS``
    :returns: by the names of ``CONFUSION_METRICS``
    :raises ValueError: if something is neither 1 nor 0, or the shapes differ
    """
    columns = [np.asarray(column) for column in (labels, untuned, tuned)]
    if len({column.shape for column in columns}) != 1 or not np.isin(columns, (0, 1)).all():
        raise ValueError("labels and answers must be 0 or 1, one of each a row")
    label, before, after = (column.astype(np.int64) for column in columns)
    n = len(label)
    counts = np.bincount(4 * label + 2 * before + after, minlength=8)
    observed = _both_sides(counts[None, :])
    found = {}
    for name in CONFUSION_METRICS:
        drawn = _both_sides(rngs[name].multinomial(n, counts / n, size=resamples))
        first, second = (
            (float(confusion_figures(one)[name][0]), confusion_figures(many)[name])
            for one, many in zip(observed, drawn, strict=True)
        )
        found[name] = compare_replicates(first, second, n=n)
    return found


def _both_sides(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return TP, FP, TN, FN of either model, from counts by label, untuned and tuned answer.

    :param counts: shape (resamples, 8)
    :returns: two arrays of shape (resamples, 4)
    """
    cube = counts.reshape(-1, 2, 2, 2)
    before, after = cube.sum(axis=3), cube.sum(axis=2)  # by label and answer
    sides = [np.stack([s[:, 1, 1], s[:, 0, 1], s[:, 0, 0], s[:, 1, 0]], axis=1) for s in (before, after)]
    return sides[0], sides[1]
