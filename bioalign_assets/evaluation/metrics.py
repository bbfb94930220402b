"""All metrics: the families that the room has, and the rows of the tables that several of them fill.

A new metric is a file that declares and computes it (a family), and a line here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.evaluation.alignment_metrics import ALIGNMENT_METRICS
from bioalign_assets.evaluation.answers import ANSWERS, Answers
from bioalign_assets.evaluation.average_precision import AVERAGE_PRECISION
from bioalign_assets.evaluation.calibration import CALIBRATION
from bioalign_assets.evaluation.clusters import MAP_SILHOUETTE, SILHOUETTE
from bioalign_assets.evaluation.confusion import CONFUSION
from bioalign_assets.evaluation.edge_separation import EDGE_SEPARATION
from bioalign_assets.evaluation.kg_separation import KG_SEPARATION
from bioalign_assets.evaluation.link_prediction import LINK_PREDICTION
from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.notebooks import PROBE_NOTEBOOK, SILHOUETTE_NOTEBOOK, order_drawn
from bioalign_assets.evaluation.probe import CROSS_VALIDATED_PROBE, PROBE
from bioalign_assets.evaluation.rows import BY_PROMPT, BY_TEST_SET, as_table, groups, labels_of, metric_rows
from bioalign_assets.inference.vectors import embedding_matrix
from bioalign_assets.study.evaluation import EvaluationSpec

__all__ = ["FAMILIES", "METRICS", "answer_rows", "embedding_rows", "zero_shot_rows"]

FAMILIES: tuple[Family, ...] = (
    KG_SEPARATION,
    PROBE_NOTEBOOK,
    PROBE,
    ANSWERS,
    SILHOUETTE_NOTEBOOK,
    MAP_SILHOUETTE,
    AVERAGE_PRECISION,
    CONFUSION,
    CALIBRATION,
    CROSS_VALIDATED_PROBE,
    SILHOUETTE,
    EDGE_SEPARATION,
    LINK_PREDICTION,
)
"""In the order of docs/metrics.md."""

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (*ALIGNMENT_METRICS, *(metric for family in FAMILIES for metric in family.metrics))
}
"""By name. Every figure in the evaluation tables bears one of these; a test holds the room to it."""


def embedding_rows(
    embeddings: pa.Table,
    *,
    table: str,
    spec: EvaluationSpec,
    drawn: Mapping[str, npt.NDArray[np.int64]] | None = None,
) -> pa.Table:
    """Return the figures of a table whose families read the embeddings of statements, by test set.

    :param embeddings: schema ``inference.embeddings``
    :param table: such as ``evaluation.embedding_probe``
    :param drawn: samples that are drawn as the notebooks', as of ``drawn_rows``: only they have the notebooks' figures
    :returns: its schema
    :raises EvaluationError: if there are no rows, unusable vectors, fewer rows of a label than a family needs, or rows
        that are not in their sample
    """
    families = [
        family for family in FAMILIES if family.table == table and family.reads in {"embeddings", "drawn"}
    ]
    least = max(family.least for family in families)
    rows: list[dict[str, Any]] = []
    for key, group, subject in groups(embeddings, by=BY_TEST_SET, table="inference.embeddings"):
        labels = labels_of(group, subject=subject, least=least)
        matrix = embedding_matrix(group["embedding"], subject=subject)
        sample = (drawn or {}).get(key["test_set"])
        order = None if sample is None else order_drawn(group, drawn=sample, subject=subject)
        for family in families:
            if family.reads == "embeddings":
                statistics = family.statistics(matrix, labels=labels, seed=spec.seed)
            elif order is not None:
                statistics = family.statistics(matrix[order], labels=labels[order])
            else:
                continue
            rows += metric_rows(family, statistics=statistics, key=key, spec=spec)
    return as_table(rows, name=table)


def zero_shot_rows(answers: pa.Table, *, spec: EvaluationSpec) -> pa.Table:
    """Return the figures of a model's answers by test set and prompt.

    :param answers: schema ``inference.answers``
    :returns: schema ``evaluation.zero_shot``
    :raises EvaluationError: if there are no rows, one label only, or a p_true outside 0 to 1
    """
    rows: list[dict[str, Any]] = []
    for key, group, subject in groups(answers, by=BY_PROMPT, table="inference.answers"):
        rows += answer_rows(Answers.of_rows(group, subject=subject), key=key, spec=spec)
    return as_table(rows, name="evaluation.zero_shot")


def answer_rows(
    answers: Answers, *, key: Mapping[str, str], spec: EvaluationSpec, scope: str = "sample"
) -> list[dict[str, Any]]:
    """Return the rows of all families that read answers: a model's or a baseline's.

    :param key: the columns that say whose they are
    :param scope: which test rows were asked
    """
    rows: list[dict[str, Any]] = []
    for family in FAMILIES:
        if family.reads == "answers":
            rows += metric_rows(
                family, statistics=family.statistics(answers), key=key, spec=spec, scope=scope
            )
    return rows
