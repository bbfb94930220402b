"""From embeddings and answers to the rows of the evaluation tables.

These are the functions that the assets call. Every figure has its own generator, made of the seed, the test
set and the metric's name: a new metric moves no other figure, and all models are resampled alike.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from bioalign_assets.evaluation.clusters import LEAST_ROWS as LEAST_MAP_ROWS
from bioalign_assets.evaluation.clusters import cluster_map, cluster_quality, space_silhouette
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.intervals import Estimate
from bioalign_assets.evaluation.kg_separation import kg_separation
from bioalign_assets.evaluation.metric import METRICS
from bioalign_assets.evaluation.probe import embedding_probe
from bioalign_assets.evaluation.probe_cv import FOLDS, cross_validated_probe
from bioalign_assets.evaluation.vectors import embedding_matrix, labels_of
from bioalign_assets.evaluation.zero_shot import ZERO_SHOT_METRICS, zero_shot
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.groups import grouped
from bioalign_assets.warehouse.schemas import TABLES

__all__ = [
    "cluster_rows",
    "metric_generator",
    "probe_rows",
    "separation_rows",
    "zero_shot_rows",
]

_GROUP = ("variant", "model", "experiment", "test_set")


def metric_generator(spec: EvaluationSpec, *, test_set: str, metric: str) -> np.random.Generator:
    """Return the generator behind one figure of one test set."""
    digest = hashlib.sha256(f"{test_set}\x1f{metric}".encode()).digest()
    return np.random.default_rng([spec.seed, int.from_bytes(digest[:8], "little")])


def separation_rows(embeddings: pa.Table, *, spec: EvaluationSpec) -> pa.Table:
    """Return KG separation by test set.

    :param embeddings: schema ``inference.embeddings``
    :returns: schema ``evaluation.kg_separation``
    :raises EvaluationError: if there are no rows, unusable vectors, or one label only
    """
    rows: list[dict[str, Any]] = []
    for key, group, subject in _groups(embeddings, _GROUP, table="inference.embeddings"):
        labels = labels_of(group, subject=subject)
        rng = metric_generator(spec, test_set=key["test_set"], metric="kg_separation")
        matrix = embedding_matrix(group["embedding"], subject=subject)
        rows += _metric_rows(key, kg_separation(matrix, labels, resamples=spec.resamples, rng=rng), spec=spec)
    return _table(rows, "evaluation.kg_separation")


def probe_rows(embeddings: pa.Table, *, spec: EvaluationSpec) -> pa.Table:
    """Return the probe's figures by test set.

    :param embeddings: schema ``inference.embeddings``
    :returns: schema ``evaluation.embedding_probe``
    :raises EvaluationError: if there are no rows, unusable vectors, or fewer than five rows of a label
    """
    rows: list[dict[str, Any]] = []
    for key, group, subject in _groups(embeddings, _GROUP, table="inference.embeddings"):
        labels = labels_of(group, subject=subject, least=FOLDS)
        matrix = embedding_matrix(group["embedding"], subject=subject)
        for probe, name in ((embedding_probe, "probe"), (cross_validated_probe, "probe_cv")):
            estimates = probe(
                matrix,
                labels,
                seed=spec.seed,
                resamples=spec.resamples,
                rng_accuracy=metric_generator(spec, test_set=key["test_set"], metric=f"{name}_accuracy"),
                rng_auroc=metric_generator(spec, test_set=key["test_set"], metric=f"{name}_auroc"),
            )
            rows += _metric_rows(key, estimates, spec=spec)
    return _table(rows, "evaluation.embedding_probe")


def cluster_rows(embeddings: pa.Table, *, spec: EvaluationSpec) -> tuple[pa.Table, pa.Table]:
    """Return the silhouettes, of the t-SNE map and in the full space, by test set, and the maps.

    :param embeddings: schema ``inference.embeddings``
    :returns: schemas ``evaluation.cluster_quality`` and ``evaluation.cluster_map``
    :raises EvaluationError: if there are no rows, unusable vectors, or fewer than five rows of a label
    """
    rows: list[dict[str, Any]] = []
    maps: list[pa.Table] = []
    schema = TABLES["evaluation.cluster_map"].arrow
    for key, group, subject in _groups(embeddings, _GROUP, table="inference.embeddings"):
        labels = labels_of(group, subject=subject, least=LEAST_MAP_ROWS)
        test_set = key["test_set"]
        matrix = embedding_matrix(group["embedding"], subject=subject)
        drawn = cluster_map(
            matrix,
            labels,
            size=spec.map_size,
            seed=spec.seed,
            rng=metric_generator(spec, test_set=test_set, metric="cluster_map"),
        )
        estimates = cluster_quality(
            drawn.coordinates,
            labels[drawn.rows],
            resamples=spec.resamples,
            rng=metric_generator(spec, test_set=test_set, metric="silhouette_tsne"),
        ) | space_silhouette(
            matrix,
            labels,
            resamples=spec.resamples,
            rng=metric_generator(spec, test_set=test_set, metric="silhouette"),
        )
        rows += _metric_rows(key, estimates, spec=spec)
        on_map = group.drop_columns(["embedding"]).take(drawn.rows)
        for axis, name in enumerate(("x", "y")):
            on_map = on_map.append_column(name, pa.array(drawn.coordinates[:, axis]))
        maps.append(on_map.select(schema.names).cast(schema))
    return _table(rows, "evaluation.cluster_quality"), pa.concat_tables(maps)


def zero_shot_rows(answers: pa.Table, *, spec: EvaluationSpec) -> pa.Table:
    """Return the figures of a model's answers by test set and prompt.

    :param answers: schema ``inference.answers``
    :returns: schema ``evaluation.zero_shot``
    :raises EvaluationError: if there are no rows, one label only, or a p_true outside 0 to 1
    """
    rows: list[dict[str, Any]] = []
    for key, group, subject in _groups(answers, (*_GROUP, "prompt"), table="inference.answers"):
        estimates = zero_shot(
            labels_of(group, subject=subject),
            predicted=group["predicted"].to_numpy(),
            p_true=group["p_true"].to_numpy(),
            resamples=spec.resamples,
            rngs=_zero_shot_generators(spec, test_set=key["test_set"]),
        )
        rows += _metric_rows(key, estimates, spec=spec)
    return _table(rows, "evaluation.zero_shot")


def _zero_shot_generators(spec: EvaluationSpec, *, test_set: str) -> dict[str, np.random.Generator]:
    return {name: metric_generator(spec, test_set=test_set, metric=name) for name in ZERO_SHOT_METRICS}


def _groups(
    rows: pa.Table, by: tuple[str, ...], *, table: str
) -> Iterator[tuple[dict[str, str], pa.Table, str]]:
    """Yield each group's key, its rows in the dataset's order (storage keeps none), and its name."""
    if not len(rows):
        raise EvaluationError(
            table,
            found="no rows",
            expected="the rows of one variant",
            remedy="Materialise it first for this variant.",
        )
    for key, group in grouped(rows, by=by):
        subject = f"{table} of {key['variant']} on {key['test_set']}"
        yield key, group.sort_by("row_number"), subject


def _metric_rows(
    key: Mapping[str, str], estimates: Mapping[str, Estimate], *, spec: EvaluationSpec, scope: str = "sample"
) -> list[dict[str, Any]]:
    unknown = set(estimates) - set(METRICS)
    if unknown:
        raise ValueError(f"metrics that metric.py does not declare: {sorted(unknown)}")
    return [
        {
            "prompt": None,
            **key,
            "scope": scope,
            "metric": name,
            "value": estimate.value,
            "ci_low": estimate.ci_low,
            "ci_high": estimate.ci_high,
            "n": estimate.n,
            "seed": spec.seed,
        }
        for name, estimate in estimates.items()
    ]


def _table(rows: list[dict[str, Any]], name: str) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=TABLES[name].arrow)
