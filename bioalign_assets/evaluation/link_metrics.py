"""The declarations of link prediction's metrics: rank of the answer by target, with all or with drawn candidates.

They are twice two times the same four figures, so they are made in a loop; ``metric.py`` has them among all others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["HITS_AT", "LINK_METRICS", "link_metric"]

HITS_AT = (1, 3, 10)

_SHOWN = {"disease": "gene", "gene": "disease"}
_BORDES = "Bordes et al. 2013, Translating Embeddings for Modeling Multi-relational Data, NIPS 26"
_TIES = (
    "ties at the mean of the best and the worst rank (Berrendorf et al. 2020, https://arxiv.org/abs/2002.06914; "
    "Sun et al. 2020, https://doi.org/10.18653/v1/2020.acl-main.489)"
)
_DRAWN = "Krichene and Rendle 2020, https://doi.org/10.1145/3394486.3403226"


def link_metric(name: str, *, target: str, is_sampled: bool) -> str:
    """Return the name of a metric in the tables.

    :param name: ``mrr`` or ``hits_at_<k>``
    :param target: ``disease`` or ``gene``, what is ranked
    :param is_sampled: whether the candidates were drawn
    """
    return f"{target}_{name}" + ("_sampled" if is_sampled else "")


def _declarations(*, target: str, is_sampled: bool) -> list[dict[str, Any]]:
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
    blind += " Among the candidates are false pairs of the training split: a model that was told so leaves them behind."
    title = f"{target} ranking" + (", drawn candidates" if is_sampled else "")
    source = f"{_BORDES}; {_DRAWN}" if is_sampled else _BORDES
    same = {"range": (0.0, 1.0), "direction": "higher", "source": source, "cannot_tell": blind}
    return [
        {
            "name": link_metric("mrr", target=target, is_sampled=is_sampled),
            "title": f"MRR, {title}",
            "formula": f"mean of 1 / rank over queries; {rank}",
            **same,
        },
        *(
            {
                "name": link_metric(f"hits_at_{k}", target=target, is_sampled=is_sampled),
                "title": f"Hits@{k}, {title}",
                "formula": f"share of queries whose rank is at most {k}; {rank}",
                **same,
            }
            for k in HITS_AT
        ),
    ]


LINK_METRICS: Sequence[Mapping[str, Any]] = tuple(
    declared
    for is_sampled in (False, True)
    for target in _SHOWN
    for declared in _declarations(target=target, is_sampled=is_sampled)
)
"""The fields of each metric's declaration."""
