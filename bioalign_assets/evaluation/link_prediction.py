"""Link prediction: at which rank does a scorer place the true answer among all candidates?

The yardstick of knowledge graph completion. A test split with as many false pairs as true ones asks an easier thing
than a scientist does, who looks for one disease among thousands. Models are ranked by inference, baselines here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.evaluation.baseline import PairScorer
from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.rows import BY_PROMPT, as_table, groups, metric_rows
from bioalign_assets.evaluation.statistic import Mean, Share, Statistic
from bioalign_assets.inference.candidates import (
    CANDIDATE_SETS,
    TARGETS,
    Candidates,
    LinkQueries,
    Target,
    places_among,
)
from bioalign_assets.inference.rankings import answer_rank
from bioalign_assets.study.evaluation import EvaluationSpec

__all__ = ["HITS_AT", "LINK_PREDICTION", "link_metric", "link_rows", "link_statistics", "scorer_ranks"]

HITS_AT = (1, 3, 10)

Kind = tuple[Target, Candidates]

_KINDS: tuple[Kind, ...] = tuple((target, kind) for kind in CANDIDATE_SETS for target in TARGETS)


def link_metric(name: str, *, target: str, is_sampled: bool) -> str:
    """Return the name of a metric in the tables.

    :param name: ``mrr`` or ``hits_at_<k>``
    :param target: ``disease`` or ``gene``, what is ranked
    :param is_sampled: whether the candidates were drawn
    """
    return f"{target}_{name}" + ("_sampled" if is_sampled else "")


def link_rows(rankings: pa.Table, *, spec: EvaluationSpec) -> pa.Table:
    """Return the figures of a model's rankings by test set and prompt.

    :param rankings: schema ``inference.rankings``
    :returns: schema ``evaluation.link_prediction``; n counts queries
    :raises EvaluationError: if there are no rows
    """
    rows: list[dict[str, Any]] = []
    for key, group, _ in groups(rankings, by=BY_PROMPT, table="inference.rankings"):
        kinds = np.array([group["target"].to_pylist(), group["candidates"].to_pylist()])
        rank = group["rank"].to_numpy()
        ranks = {kind: rank[(kinds == np.array(kind)[:, None]).all(axis=0)] for kind in _KINDS}
        rows += metric_rows(LINK_PREDICTION, statistics=link_statistics(ranks), key=key, spec=spec)
    return as_table(rows, name=LINK_PREDICTION.table)


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


def link_statistics(ranks: Mapping[Kind, npt.ArrayLike]) -> dict[str, Statistic]:
    """Return mean reciprocal rank and Hits@k of some queries' ranks, all in [0, 1].

    :param ranks: by target and candidates, shape (queries,) each; kinds without ranks have no figures
    :raises ValueError: if a rank is below 1
    """
    found: dict[str, Statistic] = {}
    for (target, kind), of_kind in ranks.items():
        rank = np.asarray(of_kind, dtype=np.float64)
        if not rank.size:  # exact ranks of a model that was not asked for them
            continue
        if rank.ndim != 1 or not (rank >= 1).all():
            raise ValueError("ranks must be a vector of numbers, all of them 1 or more")
        statistics = {"mrr": Mean(1 / rank), **{f"hits_at_{k}": Share(rank <= k) for k in HITS_AT}}
        for name, statistic in statistics.items():
            found[link_metric(name, target=target, is_sampled=kind == "sampled")] = statistic
    return found


_SHOWN = {"disease": "gene", "gene": "disease"}
_BORDES = "Bordes et al. 2013, Translating Embeddings for Modeling Multi-relational Data, NIPS 26"
_TIES = (
    "ties at the mean of the best and the worst rank (Berrendorf et al. 2020, https://arxiv.org/abs/2002.06914; "
    "Sun et al. 2020, https://doi.org/10.18653/v1/2020.acl-main.489)"
)
_DRAWN = "Krichene and Rendle 2020, https://doi.org/10.1145/3394486.3403226"


def _metrics(*, target: str, is_sampled: bool) -> Iterator[Metric]:
    """Give the four metrics of one target, among all or among drawn candidates."""
    among = f"among drawn wrong {target}s (link_candidates of them)" if is_sampled else f"among all {target}s"
    rank = (
        f"rank: that of the true {target} of a held-out pair {among} of the dataset's true pairs, by p_true with the "
        f"pair's {_SHOWN[target]}, other true {target}s of it left out (filtered); {_TIES}"
    )
    blind = (
        f"How the model ranks all {target}s: the rank among a few drawn ones is far better, and may order two models "
        "the other way round."
        if is_sampled
        else f"Whether a {target} ranked above the answer is wrong: CTD curates what was published and read, so some "
        "are true and not yet curated."
    )
    figures = {"mrr": ("MRR", "mean of 1 / rank over queries")} | {
        f"hits_at_{k}": (f"Hits@{k}", f"share of queries whose rank is at most {k}") for k in HITS_AT
    }
    for name, (title, formula) in figures.items():
        yield Metric(
            name=link_metric(name, target=target, is_sampled=is_sampled),
            title=f"{title}, {target} ranking" + (", drawn candidates" if is_sampled else ""),
            range=(0.0, 1.0),
            direction="higher",
            formula=f"{formula}; {rank}",
            source=f"{_BORDES}; {_DRAWN}" if is_sampled else _BORDES,
            cannot_tell=f"{blind} Among the candidates are false pairs of the training split: a model that was told "
            "so leaves them behind.",
        )


LINK_PREDICTION = Family(
    metrics=tuple(
        metric
        for is_sampled in (False, True)
        for target in TARGETS
        for metric in _metrics(target=target, is_sampled=is_sampled)
    ),
    table="evaluation.link_prediction",
    reads="rankings",
    statistics=link_statistics,
)
