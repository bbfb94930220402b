"""What a baseline is, and what the training rows must hold for any of them.

A baseline is fitted on the training rows, with the columns of ``curation.pairs``, and gives a scorer: from rows
to their p_true. It must not look at the labels of the rows that it scores, and must score a row alike whatever
rows stand beside it.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.errors import EvaluationError

__all__ = ["Baseline", "PairScorer", "training_labels"]


class PairScorer(Protocol):
    """A fitted baseline."""

    def __call__(self, rows: pa.Table) -> npt.NDArray[np.floating[Any]]:
        """Return p_true of rows with gene_symbol, disease_name and text; shape (rows,), in [0, 1]."""
        ...


class Baseline(Protocol):
    """What scores pairs without a language model."""

    def __call__(self, train: pa.Table, *, seed: int) -> PairScorer:
        """Fit on training rows; return what scores others."""
        ...


def training_labels(train: pa.Table, *, baseline: str) -> npt.NDArray[np.int8]:
    """Return the labels of the training rows, shape (rows,), both present.

    :raises EvaluationError: if one is missing
    """
    labels = train["label"].to_numpy()
    true = int(np.count_nonzero(labels == 1))
    if true in {0, len(labels)}:
        raise EvaluationError(
            f"training rows of the {baseline} baseline",
            found=f"{true} true and {len(labels) - true} false pairs",
            expected="both",
            remedy="Build the dataset again: its training split must hold both labels.",
        )
    return labels
