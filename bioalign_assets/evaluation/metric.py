"""What each metric is: name, range, direction, formula, source, and what it can't tell.

Every figure in the evaluation tables bears a name from ``METRICS``; a test holds the functions of the room
to it. How a metric is computed stands in the module of its kind. Here are the study's own metrics and the first
that were put beside them; those of answers and embeddings that came later have modules of their own.
"""

from collections.abc import Mapping

from bioalign_assets.evaluation.answer_metrics import ANSWER_METRICS
from bioalign_assets.evaluation.declaration import Direction, Metric
from bioalign_assets.evaluation.embedding_metrics import EMBEDDING_METRICS
from bioalign_assets.evaluation.link_metrics import LINK_METRICS

__all__ = ["METRICS", "Direction", "Metric", "metric"]

_STUDY = "Ziad, Khan and Karim 2025, Quantifying the Structural Alignment of LLM Embeddings"
_FAWCETT = "Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010"
_ALAIN = "Alain and Bengio 2016, https://arxiv.org/abs/1610.01644"

_PROBE_BLIND = "Whether the model knows the association: the label may be read from how frequent a name is."

_ALL = (
    Metric(
        name="kg_separation",
        title="KG separation",
        range=(0.0, 1.0),
        direction="higher",
        formula="|mean cosine over all pairs of true statements - the same over false ones|, self-pairs "
        "included; = | ||mean u_true||^2 - ||mean u_false||^2 |, u unit vectors",
        source=_STUDY,
        cannot_tell="Whether true and false statements lie apart: it compares how tight the two groups are, "
        "so two equally tight groups in opposite corners score 0, and one inside the other scores high.",
    ),
    Metric(
        name="kg_separation_signed",
        title="KG separation, signed",
        range=(-1.0, 1.0),
        direction="none",
        formula="mean cosine over all pairs of true statements - the same over false ones, self-pairs "
        "included",
        source=f"{_STUDY}, before the absolute value is taken",
        cannot_tell="Whether true and false statements lie apart; its sign only tells which group is the "
        "tighter one.",
    ),
    Metric(
        name="probe_accuracy",
        title="Probe accuracy",
        range=(0.0, 1.0),
        direction="higher",
        formula="share of right predictions of a logistic regression on standardised embeddings, fitted on "
        "70% and scored on 30% of the rows",
        source=f"{_STUDY}; linear probes: {_ALAIN}",
        cannot_tell=_PROBE_BLIND,
    ),
    Metric(
        name="probe_auroc",
        title="Probe AUROC",
        range=(0.0, 1.0),
        direction="higher",
        formula="P(score of a true statement > score of a false one) + P(equal)/2, over the probe's 30%",
        source=f"{_FAWCETT}; linear probes: {_ALAIN}",
        cannot_tell=_PROBE_BLIND,
    ),
    Metric(
        name="accuracy",
        title="Accuracy",
        range=(0.0, 1.0),
        direction="higher",
        formula="share of statements where predicted = label; an answer without the word true counts as "
        "false",
        source=_STUDY,
        cannot_tell="Whether a wrong answer was meant: whatever a model says instead of true counts as "
        "false, so one that never answers gets the share of false statements.",
    ),
    Metric(
        name="auroc",
        title="AUROC",
        range=(0.0, 1.0),
        direction="higher",
        formula="P(p_true of a true statement > p_true of a false one) + P(equal)/2",
        source=_FAWCETT,
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
    Metric(
        name="silhouette_tsne",
        title="Silhouette of the t-SNE map",
        range=(-1.0, 1.0),
        direction="higher",
        formula="mean over mapped rows of (b - a) / max(a, b); a, b: mean distance on the map to the own "
        "and to the other label",
        source=f"{_STUDY}; Rousseeuw 1987, https://doi.org/10.1016/0377-0427(87)90125-7; "
        "van der Maaten and Hinton 2008, https://jmlr.org/papers/v9/vandermaaten08a.html",
        cannot_tell="How the classes lie in the full space: t-SNE keeps neighbourhoods, not distances, and "
        "its map depends on seed and perplexity.",
    ),
)

METRICS: Mapping[str, Metric] = {
    each.name: each
    for each in (
        *_ALL,
        *ANSWER_METRICS,
        *EMBEDDING_METRICS,
        *(Metric(**fields) for fields in LINK_METRICS),
    )
}


def metric(name: str) -> Metric:
    """Return the declaration of a metric.

    :raises KeyError: if no metric has this name
    """
    return METRICS[name]
