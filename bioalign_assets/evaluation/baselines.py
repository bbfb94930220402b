"""The baselines that every dataset is tried with: a mapping from name to function.

A baseline gets the training rows and the rows to score, both with the columns of ``curation.pairs``, and
returns p_true. It must not look at the labels of the rows that it scores. A new one is a file with one such
function, and a line here.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.evaluation.popularity import popularity

__all__ = ["BASELINES", "Baseline"]


class Baseline(Protocol):
    """What scores pairs without a language model."""

    def __call__(self, train: pa.Table, rows: pa.Table, *, seed: int) -> npt.NDArray[np.floating[Any]]:
        """Return p_true of ``rows``, shape (rows,), in [0, 1]."""
        ...


BASELINES: Mapping[str, Baseline] = {"popularity": popularity}
