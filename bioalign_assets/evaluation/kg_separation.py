r"""KG separation: is one of the two classes of statements tighter than the other in the embedding space?

The mean of the cosines of all ordered pairs of a class, self-pairs included, is the squared length of the
mean of its unit vectors: (1/n^2) sum_ij u_i . u_j = ||(1/n) sum_i u_i||^2. So it costs O(n d), and no n x n
matrix is made. The study takes the absolute difference of the two classes; its sign is kept beside it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.intervals import (
    CHUNK_ELEMENTS,
    Estimate,
    percentile_estimate,
    resample_chunks,
)
from bioalign_assets.evaluation.threads import one_thread
from bioalign_assets.evaluation.vectors import unit_vectors

__all__ = ["kg_separation", "mean_cosine", "signed_replicates"]

Floats = npt.NDArray[np.floating[Any]]


def mean_cosine(units: Floats) -> float:
    """Return the mean cosine over all ordered pairs of rows, self-pairs included.

    :param units: unit vectors, shape (n, d), n >= 1
    :returns: in [0, 1]
    """
    return min(1.0, float(np.square(units.mean(axis=0)).sum()))


def kg_separation(
    embeddings: Floats, labels: npt.ArrayLike, *, resamples: int, rng: np.random.Generator
) -> dict[str, Estimate]:
    r"""Return the difference of the two classes' mean cosines, as the study takes it and with its sign.

    Interval: rows are drawn anew within each class. In a resample a row meets copies of itself more often
    than in the sample, where it meets itself once, so the plain replicates lie too high: the mean of n drawn
    unit vectors has the expected squared length ||u||^2 + (1 - ||u||^2) / n, with u the class's mean unit
    vector (the variance of one drawn vector is 1 - ||u||^2). Exactly (1 - ||u||^2) / n is subtracted from the
    replicates of each class, which centres them on the figure; no approximation enters.

    The interval of the absolute value is the image of the signed one: a signed interval across 0 becomes one
    from 0. Percentiles of absolute replicates would lie above the figure wherever it is near 0.

    :param embeddings: shape (n, d), finite, no row all zero
    :param labels: 1 or 0, shape (n,), both present
    :returns: ``kg_separation`` in [0, 1], ``kg_separation_signed`` (true minus false) in [-1, 1];
        n counts both classes
    :raises EvaluationError: if a vector is not finite or has no length
    :raises ValueError: if a class is missing, or the shapes don't fit
    """
    signed, replicates = signed_replicates(embeddings, labels, resamples=resamples, rng=rng)
    n = len(embeddings)
    with_sign = percentile_estimate(signed, replicates=np.clip(replicates, -1.0, 1.0), n=n)
    low, high = with_sign.ci_low, with_sign.ci_high
    ends = (abs(low), abs(high))
    without = Estimate(
        value=abs(signed), ci_low=0.0 if low <= 0.0 <= high else min(ends), ci_high=max(ends), n=n
    )
    return {"kg_separation": without, "kg_separation_signed": with_sign}


def signed_replicates(
    embeddings: Floats, labels: npt.ArrayLike, *, resamples: int, rng: np.random.Generator
) -> tuple[float, Floats]:
    """Return the signed separation and its corrected bootstrap replicates, shape (resamples,).

    The draws depend on the labels alone. Parameters and errors are those of ``kg_separation``.
    """
    label = np.asarray(labels)
    if label.shape != (len(embeddings),) or not np.isin(label, (0, 1)).all():
        raise ValueError(
            f"labels must be 0 or 1, one for each of {len(embeddings)} rows, found shape {label.shape}"
        )
    missing = [name for name, code in (("true", 1), ("false", 0)) if not (label == code).any()]
    if missing:
        raise ValueError(f"there is no {missing[0]} statement: a separation needs both classes")
    units = unit_vectors(embeddings)
    signed, replicates = 0.0, np.zeros(resamples)
    with one_thread():
        for code, sign in ((1, 1.0), (0, -1.0)):
            of_class = units[label == code]
            signed += sign * mean_cosine(of_class)
            replicates += sign * _replicates(of_class, resamples=resamples, rng=rng)
    return signed, replicates


def _replicates(units: Floats, *, resamples: int, rng: np.random.Generator) -> Floats:
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
