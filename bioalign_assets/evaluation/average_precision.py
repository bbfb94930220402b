"""AUPRC: how well p_true puts true statements first, where what stands below does not count."""

from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.answers import Answers
from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.statistic import Ranking

__all__ = ["AVERAGE_PRECISION", "auprc"]


def auprc(labels: npt.ArrayLike, *, scores: npt.ArrayLike) -> Ranking:
    """Return the area under the precision-recall curve, as average precision.

    The sum over distinct scores, from the highest down, of (recall gained at the score) x (precision down to
    it): rows of one score enter together, and nothing is interpolated between scores (as scikit-learn's
    ``average_precision_score``; Davis and Goadrich 2006 say why a straight line between points would flatter).

    :param labels: 1 or 0, shape (n,), both present
    :param scores: finite, shape (n,), higher means rather 1
    :returns: value in [0, 1]; chance is the share of true statements
    :raises EvaluationError: if only one label is present
    """
    return Ranking(labels, scores=scores, of_counts=_auprc_of_counts)


def _auprc_of_counts(counts: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
    """Return the average precision of each resample, NaN where one label is missing.

    :param counts: shape (resamples, cells): rows by distinct score, ascending, and label (0, then 1)
    :returns: shape (resamples,), in [0, 1]
    """
    descending = counts.reshape(len(counts), -1, 2)[:, ::-1, :]
    gained = descending[:, :, 1]
    found = np.cumsum(gained, axis=1)
    called = found + np.cumsum(descending[:, :, 0], axis=1)
    # a score that nobody drew yet has nothing above it; it also gains nothing
    precision = found / np.maximum(called, 1)
    positives, rows = found[:, -1], called[:, -1]
    total = np.einsum("bs,bs->b", gained, precision)
    is_both = (positives > 0) & (positives < rows)
    # rounding can lift the sum of a perfect order above 1 by an ulp
    return np.minimum(np.divide(total, positives, out=np.full(len(counts), np.nan), where=is_both), 1.0)


def _statistics(answers: Answers) -> dict[str, Ranking]:
    return {"auprc": auprc(answers.labels, scores=answers.p_true)}


AVERAGE_PRECISION = Family(
    metrics=(
        Metric(
            name="auprc",
            title="AUPRC",
            range=(0.0, 1.0),
            direction="higher",
            formula="average precision: sum over distinct p_true, from the highest down, of (recall gained) x "
            "(precision so far); rows of equal p_true enter together",
            source="Davis and Goadrich 2006, https://doi.org/10.1145/1143844.1143874; as scikit-learn's "
            "average_precision_score",
            cannot_tell="How two test sets compare: chance is the share of true statements, which differs "
            "between them.",
        ),
    ),
    table="evaluation.zero_shot",
    reads="answers",
    statistics=_statistics,
)
