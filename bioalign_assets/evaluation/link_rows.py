"""From ranks to the rows of link prediction: of a model's rankings, and of baselines that rank by themselves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.evaluation.intervals import Estimate
from bioalign_assets.evaluation.link_metrics import link_metric
from bioalign_assets.evaluation.link_prediction import LINK_FIGURES, answer_rank, link_prediction
from bioalign_assets.evaluation.rows import _groups, _metric_rows, _table, metric_generator
from bioalign_assets.evaluation.scorer import PairScorer
from bioalign_assets.inference.candidates import (
    CANDIDATE_SETS,
    TARGETS,
    Candidates,
    LinkQueries,
    Target,
    places_among,
)
from bioalign_assets.study.evaluation import EvaluationSpec

__all__ = ["link_estimates", "link_rows", "scorer_ranks"]

Kind = tuple[Target, Candidates]

_KINDS: tuple[Kind, ...] = tuple((target, kind) for kind in CANDIDATE_SETS for target in TARGETS)


def link_rows(rankings: pa.Table, *, spec: EvaluationSpec) -> pa.Table:
    """Return the figures of a model's rankings by test set and prompt.

    :param rankings: schema ``inference.rankings``
    :returns: schema ``evaluation.link_prediction``; n counts queries
    :raises EvaluationError: if there are no rows
    """
    rows: list[dict[str, Any]] = []
    by = ("variant", "model", "experiment", "test_set", "prompt")
    for key, group, _ in _groups(rankings, by, table="inference.rankings"):
        kinds = np.array([group["target"].to_pylist(), group["candidates"].to_pylist()])
        rank = group["rank"].to_numpy()
        ranks = {kind: rank[(kinds == np.array(kind)[:, None]).all(axis=0)] for kind in _KINDS}
        estimates = link_estimates(ranks, test_set=key["test_set"], spec=spec)
        rows += _metric_rows(key, estimates, spec=spec)
    return _table(rows, "evaluation.link_prediction")


def scorer_ranks(scorer: PairScorer, *, queries: LinkQueries, sampled: int) -> dict[Kind, list[float]]:
    """Return the ranks that a fitted baseline gives the answers, by target and candidates.

    A query at a time: the candidates of one are some thousand pairs. The drawn candidates are among all of them,
    so that pairs are scored once.

    :param sampled: wrong answers of the sampled candidates
    """
    ranks: dict[Kind, list[float]] = {kind: [] for kind in _KINDS}
    for query in range(len(queries)):
        for target in TARGETS:
            exact = queries.candidates(query, target=target, size=None)
            scores = scorer(queries.pairs(query, target=target, candidates=exact))
            drawn = queries.candidates(query, target=target, size=sampled)
            ranks[target, "exact"].append(answer_rank(scores))
            ranks[target, "sampled"].append(answer_rank(scores[places_among(drawn, candidates=exact)]))
    return ranks


def link_estimates(
    ranks: Mapping[Kind, npt.ArrayLike], *, test_set: str, spec: EvaluationSpec
) -> dict[str, Estimate]:
    """Return all figures of some ranks, each with its own generator; kinds without ranks have none.

    :param ranks: ranks by target and candidates
    """
    estimates: dict[str, Estimate] = {}
    for (target, kind), rank in ranks.items():
        if not np.size(rank):  # exact ranks of a model that was not asked for them
            continue
        names = {
            figure: link_metric(figure, target=target, is_sampled=kind == "sampled")
            for figure in LINK_FIGURES
        }
        found = link_prediction(
            rank,
            resamples=spec.resamples,
            rngs={
                figure: metric_generator(spec, test_set=test_set, metric=name)
                for figure, name in names.items()
            },
        )
        estimates |= {names[figure]: estimate for figure, estimate in found.items()}
    return estimates
