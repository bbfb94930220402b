"""Zero-shot: does the model say which statements are true?

Reading the model's words is inference's work; here stand the figures, by kind in ``intervals``, ``ranking``,
``confusion`` and ``calibration``. Baselines are scored by the same functions, so that they can stand beside the
models.
"""

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.calibration import bootstrap_brier, bootstrap_calibration_error
from bioalign_assets.evaluation.confusion import CONFUSION_METRICS, bootstrap_confusion
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.intervals import Estimate, bootstrap_auroc, bootstrap_share
from bioalign_assets.evaluation.ranking import bootstrap_auprc

__all__ = ["ZERO_SHOT_METRICS", "zero_shot"]

ZERO_SHOT_METRICS = (
    "accuracy",
    "auroc",
    "share_answered_true",
    "auprc",
    *CONFUSION_METRICS,
    "calibration_error",
    "brier",
)


def zero_shot(
    labels: npt.ArrayLike,
    *,
    predicted: npt.ArrayLike,
    p_true: npt.ArrayLike,
    resamples: int,
    rngs: dict[str, np.random.Generator],
) -> dict[str, Estimate]:
    """Return the figures of some answers.

    :param labels: 1 or 0, shape (n,), both present
    :param predicted: 1 where the answer was true, else 0, shape (n,)
    :param p_true: probability of the answer true, in [0, 1], shape (n,)
    :param rngs: one generator for each of ``ZERO_SHOT_METRICS``, so that none moves another's draws
    :returns: by the names of ``ZERO_SHOT_METRICS``; ``mcc`` in [-1, 1], the others in [0, 1]
    :raises EvaluationError: if a probability is not in [0, 1], or only one label is present
    """
    label, said, chance = np.asarray(labels), np.asarray(predicted), np.asarray(p_true, dtype=np.float64)
    if not label.shape == said.shape == chance.shape:
        raise ValueError(f"shapes differ: {label.shape}, {said.shape}, {chance.shape}")
    if not np.isin(said, (0, 1)).all():
        raise ValueError("predicted must be 0 or 1")
    wrong = int(np.count_nonzero(~((chance >= 0) & (chance <= 1))))  # NaN is wrong too
    if wrong:
        raise EvaluationError(
            "p_true",
            found=f"{wrong} of {len(chance)} outside 0 to 1",
            expected="probabilities",
            remedy="Ask the model again; if it stays, its logits overflow in its number type (try bfloat16).",
        )
    return {
        "accuracy": bootstrap_share(said == label, resamples=resamples, rng=rngs["accuracy"]),
        "auroc": bootstrap_auroc(label, chance, resamples=resamples, rng=rngs["auroc"]),
        "share_answered_true": bootstrap_share(
            said == 1, resamples=resamples, rng=rngs["share_answered_true"]
        ),
        "auprc": bootstrap_auprc(label, chance, resamples=resamples, rng=rngs["auprc"]),
        **bootstrap_confusion(label, said, resamples=resamples, rngs=rngs),
        "calibration_error": bootstrap_calibration_error(
            label, chance, resamples=resamples, rng=rngs["calibration_error"]
        ),
        "brier": bootstrap_brier(label, chance, resamples=resamples, rng=rngs["brier"]),
    }
