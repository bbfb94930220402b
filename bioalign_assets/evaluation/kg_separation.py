r"""KG separation: is one of the two classes of statements tighter than the other in the embedding space?

The mean of the cosines of all ordered pairs of a class, self-pairs included, is the squared length of the
mean of its unit vectors: (1/n^2) sum_ij u_i . u_j = ||(1/n) sum_i u_i||^2. So it costs O(n d), and no n x n
matrix is made. The study takes the absolute difference of the two classes; its sign is kept beside it.

The study has no null, and chance alone gives no 0: the absolute value is never below it, and of two classes of unequal
size the smaller one counts its self-pairs more. So the figure stands beside what it is with the labels permuted among
the rows (Good 2005, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3rd edition, chapter 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.intervals import (
    CHUNK_ELEMENTS,
    Estimate,
    percentile_estimate,
    resample_chunks,
)
from bioalign_assets.evaluation.metric import Family, Generators, Metric
from bioalign_assets.evaluation.statistic import Statistic
from bioalign_assets.inference.vectors import unit_vectors
from bioalign_assets.models.threads import one_thread

__all__ = ["KG_SEPARATION", "BesideChance", "SignedSeparation", "mean_cosine"]

Floats = npt.NDArray[np.floating[Any]]

_ROUNDING = 1e-12
"""The same labels by another sum are as far from 0 as the figure."""
_STUDY = "Ziad, Khan and Karim 2025, Quantifying the Structural Alignment of LLM Embeddings"


@dataclass(frozen=True, kw_only=True)
class BesideChance(Estimate):
    """A figure beside what permuted labels give.

    :param null_mean: mean of the figure over the permutations
    :param p_value: share of permutations whose absolute figure is at least as large, both counts plus one for the
        labels as they are (Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585)
    :param n_true: rows with label 1
    :param n_false: rows with label 0
    """

    null_mean: float
    p_value: float
    n_true: int
    n_false: int


class SignedSeparation(Statistic):
    r"""The mean cosine of the true statements minus that of the false ones, in [-1, 1].

    Rows are drawn anew within each class. In a resample a row meets copies of itself more often than in the
    sample, where it meets itself once, so the plain replicates lie too high: the mean of n drawn unit vectors
    has the expected squared length ||u||^2 + (1 - ||u||^2) / n, with u the class's mean unit vector (the
    variance of one drawn vector is 1 - ||u||^2). Exactly (1 - ||u||^2) / n is subtracted from the replicates of
    each class, which centres them on the figure; no approximation enters.

    :param embeddings: shape (n, d), finite, no row all zero
    :param labels: 1 or 0, shape (n,), both present
    :raises EvaluationError: if a vector is not finite or has no length
    :raises ValueError: if a class is missing, or the shapes don't fit
    """

    def __init__(self, embeddings: Floats, *, labels: npt.ArrayLike) -> None:
        label = np.asarray(labels)
        if label.shape != (len(embeddings),) or not np.isin(label, (0, 1)).all():
            raise ValueError(
                f"labels must be 0 or 1, one for each of {len(embeddings)} rows, found shape {label.shape}"
            )
        missing = [name for name, code in (("true", 1), ("false", 0)) if not (label == code).any()]
        if missing:
            raise ValueError(f"there is no {missing[0]} statement: a separation needs both classes")
        units = unit_vectors(embeddings)
        self.true, self.false = units[label == 1], units[label == 0]
        self.n = len(label)
        self.value = mean_cosine(self.true) - mean_cosine(self.false)

    def replicates(self, *, resamples: int, rng: np.random.Generator) -> Floats:
        """Return the corrected figure on each resample."""
        with one_thread():
            true, false = (
                _class_replicates(units, resamples=resamples, rng=rng) for units in (self.true, self.false)
            )
        return true - false

    def permuted(self, *, permutations: int, rng: np.random.Generator) -> Floats:
        """Return the figure for labels that are permuted among all rows, shape (permutations,)."""
        n_true, n_false = len(self.true), len(self.false)
        total = self.true.sum(axis=0) + self.false.sum(axis=0)
        labels = np.repeat([1.0, 0.0], [n_true, n_false])
        at_once = max(1, CHUNK_ELEMENTS // max(self.n, self.true.shape[1]))
        kept: list[Floats] = []
        for start in range(0, permutations, at_once):
            drawn = rng.permuted(np.tile(labels, (min(at_once, permutations - start), 1)), axis=1)
            with one_thread():
                sums = drawn[:, :n_true] @ self.true + drawn[:, n_true:] @ self.false
            true, false = sums / n_true, (total - sums) / n_false
            kept.append(np.square(true).sum(axis=1) - np.square(false).sum(axis=1))
        return np.concatenate(kept)

    def estimate(self, *, resamples: int, rng: np.random.Generator) -> Estimate:
        """Return the figure with its interval, cut at the ends of the range: a correction can lead beyond."""
        replicates = np.clip(self.replicates(resamples=resamples, rng=rng), -1.0, 1.0)
        return percentile_estimate(self.value, replicates=replicates, n=self.n)


def mean_cosine(units: Floats) -> float:
    """Return the mean cosine over all ordered pairs of rows, self-pairs included.

    :param units: unit vectors, shape (n, d), n >= 1
    :returns: in [0, 1]
    """
    return min(1.0, float(np.square(units.mean(axis=0)).sum()))


def _class_replicates(units: Floats, *, resamples: int, rng: np.random.Generator) -> Floats:
    """Return the corrected mean cosine of each resample of one class, shape (resamples,)."""
    n, d = units.shape
    excess = (1.0 - mean_cosine(units)) / n
    kept: list[Floats] = []
    # the means of a chunk take d numbers a resample, beside the n counts
    elements = max(n, CHUNK_ELEMENTS * n // max(n, d))
    for drawn in resample_chunks(n, resamples=resamples, rng=rng, elements=elements):
        count = len(drawn)
        flat = drawn + (np.arange(count) * n)[:, None]
        counts = np.bincount(flat.ravel(), minlength=count * n).reshape(count, n)
        kept.append(np.square(counts @ units / n).sum(axis=1) - excess)
    return np.concatenate(kept)


def _statistics(
    embeddings: Floats,
    *,
    labels: npt.ArrayLike,
    seed: int,  # noqa: ARG001 - nothing hangs on it
) -> dict[str, SignedSeparation]:
    return {"kg_separation_signed": SignedSeparation(embeddings, labels=labels)}


def _estimates(
    statistics: Mapping[str, SignedSeparation], *, resamples: int, generator: Generators
) -> dict[str, Estimate]:
    """Return both figures, of the same draws and beside the same permutations.

    The interval of the absolute value is the image of the signed one: a signed interval across 0 becomes one
    from 0. Percentiles of absolute replicates would lie above the figure wherever it is near 0.
    """
    statistic = statistics["kg_separation_signed"]
    signed = statistic.estimate(resamples=resamples, rng=generator("kg_separation"))
    low, high = signed.ci_low, signed.ci_high
    null = statistic.permuted(permutations=resamples, rng=generator("null of kg_separation"))
    beyond = np.count_nonzero(np.abs(null) >= abs(signed.value) - _ROUNDING)
    chance: dict[str, Any] = {
        "p_value": float((beyond + 1) / (resamples + 1)),
        "n": signed.n,
        "n_true": len(statistic.true),
        "n_false": len(statistic.false),
    }
    absolute = BesideChance(
        value=abs(signed.value),
        ci_low=0.0 if low <= 0.0 <= high else min(abs(low), abs(high)),
        ci_high=max(abs(low), abs(high)),
        null_mean=float(np.abs(null).mean()),
        **chance,
    )
    with_sign = BesideChance(
        value=signed.value, ci_low=low, ci_high=high, null_mean=float(null.mean()), **chance
    )
    return {"kg_separation": absolute, "kg_separation_signed": with_sign}


KG_SEPARATION = Family(
    metrics=(
        Metric(
            name="kg_separation",
            title="KG separation",
            range=(0.0, 1.0),
            direction="higher",
            formula="|mean cosine over all pairs of true statements - the same over false ones|, self-pairs "
            "included; = | ||mean u_true||^2 - ||mean u_false||^2 |, u unit vectors",
            source=_STUDY,
            cannot_tell="Whether true and false statements lie apart: it compares how tight the two groups are, "
            "so two equally tight groups in opposite corners score 0, and one inside the other scores high. Signed, "
            "it is (mean u_true - mean u_false) . (mean u_true + mean u_false): it sees the axis of the cone that "
            "embeddings fill and nothing across it (0 to 1.4% of the squared distance of the two means, where that "
            "was measured). Its p_value tells more than chance from chance along that axis alone, says neither that a "
            "difference is large nor that it comes from the graph, and takes rows for independent, though they share "
            "genes and diseases.",
        ),
        Metric(
            name="kg_separation_signed",
            title="KG separation, signed",
            range=(-1.0, 1.0),
            direction="none",
            formula="mean cosine over all pairs of true statements - the same over false ones, self-pairs "
            "included",
            source=f"{_STUDY}, before the absolute value is taken",
            cannot_tell="Whether true and false statements lie apart; its sign only tells which group is the "
            "tighter one. It and its p_value see the axis of the cone alone, as the absolute one.",
        ),
    ),
    table="evaluation.kg_separation",
    reads="embeddings",
    statistics=_statistics,
    estimates=_estimates,
)
