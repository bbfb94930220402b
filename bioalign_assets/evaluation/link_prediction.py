"""Link prediction: at which rank does a scorer place the true answer among all candidates?

The yardstick of knowledge graph completion. A test split with as many false pairs as true ones asks an easier thing
than a scientist does, who looks for one disease among thousands.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.intervals import Estimate, bootstrap_mean, bootstrap_share
from bioalign_assets.evaluation.link_metrics import HITS_AT

__all__ = ["LINK_FIGURES", "answer_rank", "link_prediction"]

LINK_FIGURES = ("mrr", *(f"hits_at_{k}" for k in HITS_AT))


def answer_rank(scores: npt.NDArray[np.floating[Any]]) -> float:
    """Return the rank of the answer among its candidates, from 1 (best), ties at their mean.

    The mean of the best and the worst rank that a tie allows ("realistic" in Berrendorf et al. 2020,
    https://arxiv.org/abs/2002.06914): a scorer that gives all candidates one score gets the middle rank and not the
    first, which ranking it before its ties would give (Sun et al. 2020,
    https://doi.org/10.18653/v1/2020.acl-main.489).

    :param scores: the answer's first, then the other candidates'; shape (n,), n >= 1, higher is better
    :returns: 1 to n, in halves
    :raises EvaluationError: if a score is not a finite number
    """
    if scores.ndim != 1 or not len(scores):
        raise ValueError(f"scores must be a vector with at least the answer's, found shape {scores.shape}")
    bad = int(np.count_nonzero(~np.isfinite(scores)))
    if bad:
        raise EvaluationError(
            "scores of candidates",
            found=f"{bad} of {len(scores)} that are not finite numbers",
            expected="a number for every candidate",
            remedy="Score them again; if it stays, the model overflows in its number type (try bfloat16).",
        )
    above = int(np.count_nonzero(scores[1:] > scores[0]))
    equal = int(np.count_nonzero(scores[1:] == scores[0]))
    return 1 + above + equal / 2


def link_prediction(
    ranks: npt.ArrayLike, *, resamples: int, rngs: dict[str, np.random.Generator]
) -> dict[str, Estimate]:
    """Return the figures of some queries' ranks, with intervals over queries.

    :param ranks: shape (queries,), at least 1
    :param rngs: one generator for each of ``LINK_FIGURES``
    :returns: ``mrr`` and ``hits_at_<k>``, all in [0, 1]; n counts queries
    :raises ValueError: if there is no rank, or one below 1
    """
    rank = np.asarray(ranks, dtype=np.float64)
    if rank.ndim != 1 or not len(rank) or not (rank >= 1).all():
        raise ValueError("ranks must be a vector of at least one number, all of them 1 or more")
    return {
        "mrr": bootstrap_mean(1 / rank, resamples=resamples, rng=rngs["mrr"]),
        **{
            f"hits_at_{k}": bootstrap_share(rank <= k, resamples=resamples, rng=rngs[f"hits_at_{k}"])
            for k in HITS_AT
        },
    }
