"""Declarations: figures of embeddings beside the study's KG separation, probe and t-SNE silhouette."""

from bioalign_assets.evaluation.declaration import Metric

__all__ = ["EMBEDDING_METRICS"]

_STONE = "cross-validation: Stone 1974, https://doi.org/10.1111/j.2517-6161.1974.tb00994.x"
_ALAIN = "linear probes: Alain and Bengio 2016, https://arxiv.org/abs/1610.01644"
_PROBE_BLIND = (
    "Whether the model knows the association: the label may be read from how frequent a name is, and a name in "
    "two folds can be learned by heart."
)
_NICKEL = "Nickel et al. 2016, https://doi.org/10.1109/JPROC.2015.2483592 (scores of edges from embeddings of nodes)"

EMBEDDING_METRICS = (
    Metric(
        name="probe_cv_accuracy",
        title="Probe accuracy, cross-validated",
        range=(0.0, 1.0),
        direction="higher",
        formula="share of right predictions over five stratified folds, each by a scaler and a logistic "
        "regression that were fitted on the other four",
        source=f"{_STONE}; {_ALAIN}",
        cannot_tell=_PROBE_BLIND,
    ),
    Metric(
        name="probe_cv_auroc",
        title="Probe AUROC, cross-validated",
        range=(0.0, 1.0),
        direction="higher",
        formula="P(log-odds of a true statement > log-odds of a false one) + P(equal)/2, over the pooled scores "
        "of the five folds",
        source=f"{_STONE}; Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010; {_ALAIN}",
        cannot_tell=f"{_PROBE_BLIND} Scores of five probes are pooled, which can lower it a little.",
    ),
    Metric(
        name="silhouette",
        title="Silhouette in the full space",
        range=(-1.0, 1.0),
        direction="higher",
        formula="mean over rows of (b - a) / max(a, b); a, b: mean cosine distance to the own and to the other "
        "label, over all rows and dimensions",
        source="Rousseeuw 1987, https://doi.org/10.1016/0377-0427(87)90125-7",
        cannot_tell="Whether the label can be read: a direction that a probe finds can be too small a part of "
        "the distance to show here.",
    ),
    Metric(
        name="edge_separation",
        title="Edge separation",
        range=(-2.0, 2.0),
        direction="higher",
        formula="mean over true pairs of cos(embedding of the gene's name, embedding of the disease's name) - "
        "the same over false pairs",
        source=f"Ours, after {_NICKEL}",
        cannot_tell="Whether associations are known: names that CTD has often may lie closer to everything, and "
        "the size of the figure depends on how narrow a cone the model's embeddings fill.",
    ),
    Metric(
        name="edge_auroc",
        title="Edge AUROC",
        range=(0.0, 1.0),
        direction="higher",
        formula="P(cosine of a true pair's names > cosine of a false pair's) + P(equal)/2",
        source=f"Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010, after {_NICKEL}",
        cannot_tell="Whether associations are known: how often a name stands in CTD can order the pairs as well.",
    ),
)
"""In the order of the page."""
