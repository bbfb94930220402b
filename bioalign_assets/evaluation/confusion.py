"""Figures of the confusion matrix: Matthews correlation, and precision, recall and F1 of either answer.

A resample of n rows changes nothing about a confusion matrix but its four counts, and these are multinomial
(n, observed shares), exactly: no rows need to be drawn.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.intervals import Estimate, percentile_estimate

__all__ = ["CONFUSION_METRICS", "bootstrap_confusion", "confusion_counts", "confusion_figures"]

CONFUSION_METRICS = (
    "mcc",
    "precision_true",
    "recall_true",
    "f1_true",
    "precision_false",
    "recall_false",
    "f1_false",
)

Numbers = npt.NDArray[np.number[Any]]
Floats = npt.NDArray[np.float64]


def confusion_counts(labels: npt.ArrayLike, predicted: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the counts of true positives, false positives, true negatives and false negatives, shape (4,).

    :param labels: 1 or 0, shape (n,)
    :param predicted: 1 or 0, shape (n,)
    """
    label, said = np.asarray(labels) == 1, np.asarray(predicted) == 1
    return np.array(
        [(label & said).sum(), (~label & said).sum(), (~label & ~said).sum(), (label & ~said).sum()]
    )


def confusion_figures(counts: Numbers) -> dict[str, Floats]:
    """Return all figures of some confusion matrices.

    A figure is 0 where its denominator is 0 (an answer that was never given has precision 0, a label that is
    not there has recall 0, and there is no correlation with an answer that never changes), as scikit-learn's
    default has it.

    :param counts: TP, FP, TN, FN on the last axis, shape (..., 4), not negative
    :returns: by the names of ``CONFUSION_METRICS``, shape (...); ``mcc`` in [-1, 1] (Matthews 1975), the
        others in [0, 1] (van Rijsbergen 1979)
    """
    tp, fp, tn, fn = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    # roots before the product: four counts of a large test set multiplied can leave whole numbers' range
    spread = np.sqrt((tp + fp) * (tp + fn)) * np.sqrt((tn + fp) * (tn + fn))
    return {
        "mcc": np.clip(_ratio(tp * tn - fp * fn, spread), -1.0, 1.0),
        "precision_true": _ratio(tp, tp + fp),
        "recall_true": _ratio(tp, tp + fn),
        "f1_true": _ratio(2 * tp, 2 * tp + fp + fn),
        "precision_false": _ratio(tn, tn + fn),
        "recall_false": _ratio(tn, tn + fp),
        "f1_false": _ratio(2 * tn, 2 * tn + fp + fn),
    }


def bootstrap_confusion(
    labels: npt.ArrayLike,
    predicted: npt.ArrayLike,
    *,
    resamples: int,
    rngs: Mapping[str, np.random.Generator],
) -> dict[str, Estimate]:
    """Return the figures of some answers' confusion matrix.

    :param labels: 1 or 0, shape (n,), n >= 1
    :param predicted: 1 where the answer was true, else 0, shape (n,)
    :param rngs: one generator for each of ``CONFUSION_METRICS``
    :returns: by the names of ``CONFUSION_METRICS``
    """
    counts = confusion_counts(labels, predicted)
    n = int(counts.sum())
    values = confusion_figures(counts)
    found = {}
    for name in CONFUSION_METRICS:
        drawn = rngs[name].multinomial(n, counts / n, size=resamples)
        found[name] = percentile_estimate(float(values[name]), replicates=confusion_figures(drawn)[name], n=n)
    return found


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)
