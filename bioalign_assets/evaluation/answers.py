"""A model's answers: does it say which statements are true?

Reading the model's words is inference's work. Baselines are scored by the same families, so that they can stand beside
the models.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.rows import labels_of
from bioalign_assets.evaluation.statistic import Share, Statistic, auroc

__all__ = ["ANSWERS", "Answers"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What was said of n statements.

    :param labels: 1 or 0, shape (n,)
    :param predicted: 1 where the answer was true, else 0, shape (n,)
    :param p_true: probability of the answer true, in [0, 1], shape (n,)
    :raises EvaluationError: if a probability is not in [0, 1]
    :raises ValueError: if the shapes differ or an answer is neither 1 nor 0
    """

    labels: npt.NDArray[np.integer[Any]]
    predicted: npt.NDArray[np.integer[Any] | np.bool_]
    p_true: npt.NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        if not self.labels.shape == self.predicted.shape == self.p_true.shape:
            shapes = (self.labels.shape, self.predicted.shape, self.p_true.shape)
            raise ValueError(f"shapes differ: {shapes}")
        if not np.isin(self.predicted, (0, 1)).all():
            raise ValueError("predicted must be 0 or 1")
        wrong = int(np.count_nonzero(~((self.p_true >= 0) & (self.p_true <= 1))))  # NaN is wrong too
        if wrong:
            raise EvaluationError(
                "p_true",
                found=f"{wrong} of {len(self.p_true)} outside 0 to 1",
                expected="probabilities",
                remedy="Ask the model again; if it stays, its logits overflow in its number type (try bfloat16).",
            )

    @classmethod
    def of_rows(cls, rows: pa.Table, *, subject: str) -> Self:
        """Return the answers of a table.

        :param rows: schema ``inference.answers``, of one model on one test set with one prompt
        :param subject: what they are, for the error
        :raises EvaluationError: if a label is missing
        """
        return cls(
            labels=labels_of(rows, subject=subject),
            predicted=rows["predicted"].to_numpy(),
            p_true=rows["p_true"].to_numpy(),
        )

    def of(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Return the answers to some of the statements."""
        return replace(
            self,
            labels=self.labels[chosen],
            predicted=self.predicted[chosen],
            p_true=self.p_true[chosen],
        )


def _statistics(answers: Answers) -> dict[str, Statistic]:
    """Return the three statistics of answers in which both labels are present."""
    return {
        "accuracy": Share(answers.predicted == answers.labels),
        "auroc": auroc(answers.labels, scores=answers.p_true),
        "share_answered_true": Share(answers.predicted == 1),
    }


ANSWERS = Family(
    metrics=(
        Metric(
            name="accuracy",
            title="Accuracy",
            range=(0.0, 1.0),
            direction="higher",
            formula="share of statements where predicted = label; an answer without the word true counts as "
            "false",
            source="Ziad, Khan and Karim 2025, Quantifying the Structural Alignment of LLM Embeddings",
            cannot_tell="Whether a wrong answer was meant: whatever a model says instead of true counts as "
            "false, so one that never answers gets the share of false statements.",
        ),
        Metric(
            name="auroc",
            title="AUROC",
            range=(0.0, 1.0),
            direction="higher",
            formula="P(p_true of a true statement > p_true of a false one) + P(equal)/2",
            source="Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010",
            cannot_tell="Whether p_true is a good probability, or which answer the model would write: only the "
            "order counts.",
        ),
        Metric(
            name="share_answered_true",
            title="Share answered true",
            range=(0.0, 1.0),
            direction="none",
            formula="share of statements where predicted = 1",
            source="Counted beside accuracy to show models that give one answer to everything",
            cannot_tell="Whether the answers are right: a coin also answers true to one half.",
        ),
    ),
    table="evaluation.zero_shot",
    reads="answers",
    statistics=_statistics,
)
