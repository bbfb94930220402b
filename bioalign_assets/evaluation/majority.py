"""The majority baseline: the more frequent training label, whatever the pair."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.baseline import PairScorer

__all__ = ["majority"]


def majority(train: pa.Table, *, seed: int) -> PairScorer:  # noqa: ARG001 - nothing is drawn
    """Return the scorer that gives every pair the share of true training rows; equal shares say true.

    All its scores are ties, so its AUROC is 0.5.

    :param train: training rows of ``curation.pairs``, at least one
    :raises EvaluationError: if there are none
    """
    if not len(train):
        raise EvaluationError(
            "training rows of the majority baseline",
            found="none",
            expected="at least one",
            remedy="Build the dataset again: its training split is empty.",
        )
    share = float(np.mean(train["label"].to_numpy() == 1))

    def score(rows: pa.Table) -> npt.NDArray[np.float64]:
        return np.full(len(rows), share)

    return score
