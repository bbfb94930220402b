"""Figures of the confusion matrix: Matthews correlation, and precision, recall and F1 of either answer.

A resample of n rows changes nothing about a confusion matrix but its four counts, and these are multinomial
(n, observed shares), exactly: no rows need to be drawn.
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.answers import Answers
from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.paired import PairedTest
from bioalign_assets.evaluation.statistic import Statistic

__all__ = ["CONFUSION", "ConfusionFigure", "confusion_counts", "confusion_figures"]

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
    :returns: by the names of the metrics, shape (...); ``mcc`` in [-1, 1] (Matthews 1975), the others in [0, 1]
        (van Rijsbergen 1979)
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


class ConfusionFigure(Statistic):
    """One figure of some answers' confusion matrix.

    :param name: its metric
    """

    def __init__(self, name: str, *, answers: Answers) -> None:
        self.name = name
        self.answers = answers
        self.counts = confusion_counts(answers.labels, answers.predicted)
        self.n = int(self.counts.sum())
        self.value = float(confusion_figures(self.counts)[name])

    def replicates(self, *, resamples: int, rng: np.random.Generator) -> Floats:
        """Return the figure of each resample's four counts."""
        return self._of(rng.multinomial(self.n, self.counts / self.n, size=resamples))

    def _changes(
        self, tuned: Self, *, resamples: int, rng: np.random.Generator
    ) -> tuple[Floats, tuple[float, PairedTest] | None]:
        """Return the changes that draws of eight counts make: label by both models' answers, multinomial, exactly."""
        label, before, after = (
            column.astype(np.int64)
            for column in (self.answers.labels, self.answers.predicted, tuned.answers.predicted)
        )
        counts = np.bincount(4 * label + 2 * before + after, minlength=8)
        cube = rng.multinomial(self.n, counts / self.n, size=resamples).reshape(-1, 2, 2, 2)
        untuned_figure, tuned_figure = (
            self._of(np.stack([s[:, 1, 1], s[:, 0, 1], s[:, 0, 0], s[:, 1, 0]], axis=1))
            for s in (cube.sum(axis=3), cube.sum(axis=2))  # by label and answer, of either model
        )
        return tuned_figure - untuned_figure, None

    def _of(self, counts: Numbers) -> Floats:
        return confusion_figures(counts)[self.name]


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def _statistics(answers: Answers) -> dict[str, ConfusionFigure]:
    return {metric.name: ConfusionFigure(metric.name, answers=answers) for metric in CONFUSION.metrics}


_RIJSBERGEN = "van Rijsbergen 1979, Information Retrieval, chapter 7"
_ONE_SIDED = "How the other label fares: it can be raised by giving this answer {} often."


def _of_label(label: str, *, right: str, said: str, there: str) -> tuple[Metric, ...]:
    """Return precision, recall and F1 of one label.

    :param right: rows that have the label and got it
    :param said: rows that got it
    :param there: rows that have it
    """
    return (
        Metric(
            name=f"precision_{label}",
            title=f"Precision of {label}",
            range=(0.0, 1.0),
            direction="higher",
            formula=f"{right} / ({said}); 0 where no answer was {label}",
            source=_RIJSBERGEN,
            cannot_tell=_ONE_SIDED.format("less"),
        ),
        Metric(
            name=f"recall_{label}",
            title=f"Recall of {label}",
            range=(0.0, 1.0),
            direction="higher",
            formula=f"{right} / ({there}); 0 where no statement is {label}",
            source=_RIJSBERGEN,
            cannot_tell=_ONE_SIDED.format("more"),
        ),
        Metric(
            name=f"f1_{label}",
            title=f"F1 of {label}",
            range=(0.0, 1.0),
            direction="higher",
            formula=f"2 {right} / (2 {right} + FP + FN), the harmonic mean of precision and recall of {label}; "
            "0 where its denominator is",
            source=_RIJSBERGEN,
            cannot_tell=f"Whether a model does better than answering {label} to everything: on balanced labels "
            "that gets 2/3.",
        ),
    )


CONFUSION = Family(
    metrics=(
        Metric(
            name="mcc",
            title="Matthews correlation",
            range=(-1.0, 1.0),
            direction="higher",
            formula="(TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN)); 0 where the denominator is",
            source="Matthews 1975, https://doi.org/10.1016/0005-2795(75)90109-9",
            cannot_tell="Why it is 0: a model that always gives one answer gets the same 0 as one that guesses.",
        ),
        *_of_label("true", right="TP", said="TP + FP", there="TP + FN"),
        *_of_label("false", right="TN", said="TN + FN", there="TN + FP"),
    ),
    table="evaluation.zero_shot",
    reads="answers",
    statistics=_statistics,
)
