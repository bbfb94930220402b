"""The baselines that every dataset is tried with: a mapping from name to the function that fits one.

A baseline is fitted on the training rows, with the columns of ``curation.pairs``, and gives a scorer: from rows
to their p_true. It must not look at the labels of the rows that it scores, and must score a row alike whatever
rows stand beside it. A new one is a file with one such function, and a line here.
"""

from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa

from bioalign_assets.evaluation.character_ngrams import character_ngrams
from bioalign_assets.evaluation.majority import majority
from bioalign_assets.evaluation.popularity import popularity
from bioalign_assets.evaluation.scorer import PairScorer
from bioalign_assets.evaluation.transe import transe

__all__ = ["BASELINES", "LINK_BASELINES", "Baseline"]


class Baseline(Protocol):
    """What scores pairs without a language model."""

    def __call__(self, train: pa.Table, *, seed: int) -> PairScorer:
        """Fit on training rows; return what scores others."""
        ...


BASELINES: Mapping[str, Baseline] = {
    "popularity": popularity,
    "character-ngrams": character_ngrams,
    "transe": transe,
    "majority": majority,
}

LINK_BASELINES = ("popularity", "transe")
"""Those that also rank all diseases of a gene and all genes of a disease: they need the two names only, and score a
million pairs in seconds."""
