"""Tuned against untuned on the same rows: the change of a figure, its interval, and a paired test.

Both models met the same statements, so what is resampled is the statement with both models' results: what is
hard for both cancels out, and the interval of the change is narrower than two separate ones suggest. Answers
are compared by McNemar's test, every other figure by the paired bootstrap. What varies is the sample of test
rows; the models, trained once with one seed, are held.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, chi2

from bioalign_assets.evaluation.intervals import percentile_estimate

__all__ = ["FEW_DISCORDANT", "Change", "PairedTest", "bootstrap_p_value", "mcnemar", "paired_change"]

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


def paired_change(
    untuned: float, tuned: float, *, changes: Floats, n: int, test: tuple[float, PairedTest] | None = None
) -> Change:
    """Return the change of a figure with its interval and a test.

    :param changes: the change on each resample, shape (resamples,), finite
    :param n: rows
    :param test: a p-value and whose it is; that of the paired bootstrap where there is none
    """
    interval = percentile_estimate(tuned - untuned, replicates=changes, n=n)
    p_value, name = test or (bootstrap_p_value(changes), "paired-bootstrap")
    return Change(
        untuned=untuned,
        tuned=tuned,
        change_ci_low=interval.ci_low,
        change_ci_high=interval.ci_high,
        p_value=p_value,
        test=name,
        n=n,
    )


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
