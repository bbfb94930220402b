"""Cluster quality: do the embeddings, or their t-SNE map, fall apart by label?

400 statements (``map_size``) are drawn, labels in proportion, and mapped to two dimensions; the silhouette is by label
(Rousseeuw 1987, https://doi.org/10.1016/0377-0427(87)90125-7; t-SNE: van der Maaten and Hinton 2008). The study maps
the first 400 of its sample instead: ``notebooks.py``. Beside the map stands the silhouette in the full space, of all
rows, by cosine distance: no map, no draw, no perplexity.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn import config_context
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.rows import (
    BY_TEST_SET,
    as_table,
    groups,
    labels_of,
    metric_generator,
    metric_rows,
)
from bioalign_assets.evaluation.statistic import Mean
from bioalign_assets.inference.vectors import embedding_matrix, unit_vectors
from bioalign_assets.models.threads import one_thread
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES

__all__ = [
    "MAP_SILHOUETTE",
    "SILHOUETTE",
    "draw_stratified",
    "map_rows",
    "map_silhouette",
    "map_silhouette_rows",
    "silhouette",
    "tsne_map",
]

_LEAST_ROWS = 5  # of either label: fewer make no neighbourhoods
_CHUNK_MIB = 64  # of distances at once
_PERPLEXITY = 30.0  # scikit-learn's default, as in the study

Floats = npt.NDArray[np.floating[Any]]


def map_rows(embeddings: pa.Table, *, spec: EvaluationSpec) -> pa.Table:
    """Return the t-SNE map of each test set: which rows stand on it, and where.

    :param embeddings: schema ``inference.embeddings``
    :returns: schema ``evaluation.cluster_map``; coordinates have no unit, only neighbourhoods mean something
    :raises EvaluationError: if there are no rows, unusable vectors, or fewer than five rows of a label
    """
    maps: list[pa.Table] = []
    schema = TABLES["evaluation.cluster_map"].arrow
    for key, group, subject in groups(embeddings, by=BY_TEST_SET, table="inference.embeddings"):
        labels = labels_of(group, subject=subject, least=_LEAST_ROWS)
        matrix = embedding_matrix(group["embedding"], subject=subject)
        rng = metric_generator(spec, test_set=key["test_set"], metric="cluster_map")
        drawn = draw_stratified(labels, size=spec.map_size, rng=rng)
        coordinates = tsne_map(matrix[drawn], seed=spec.seed)
        mapped = group.drop_columns(["embedding"]).take(drawn)
        for axis, name in enumerate(("x", "y")):
            mapped = mapped.append_column(name, pa.array(coordinates[:, axis]))
        maps.append(mapped.select(schema.names).cast(schema))
    return pa.concat_tables(maps)


def map_silhouette_rows(maps: pa.Table, *, spec: EvaluationSpec) -> pa.Table:
    """Return the silhouette of each test set's map.

    :param maps: schema ``evaluation.cluster_map``
    :returns: schema ``evaluation.cluster_quality``
    """
    rows: list[dict[str, Any]] = []
    for key, group, subject in groups(maps, by=BY_TEST_SET, table="evaluation.cluster_map"):
        coordinates = np.column_stack([group["x"].to_numpy(), group["y"].to_numpy()])
        statistics = map_silhouette(coordinates, labels=labels_of(group, subject=subject))
        rows += metric_rows(MAP_SILHOUETTE, statistics=statistics, key=key, spec=spec)
    return as_table(rows, name=MAP_SILHOUETTE.table)


def draw_stratified(labels: npt.ArrayLike, *, size: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Draw rows without replacement so that the labels keep their shares.

    :param labels: 1 or 0, shape (n,), both present
    :param size: rows to draw; where there are no more, all are taken
    :returns: row positions, ascending, shape (min(size, n),)
    """
    label = np.asarray(labels)
    if size >= len(label):
        return np.arange(len(label))
    true = np.flatnonzero(label == 1)
    false = np.flatnonzero(label == 0)
    wanted = round(size * len(true) / len(label))
    # neither label may vanish, nor be asked for more rows than it has
    wanted = min(max(wanted, 1, size - len(false)), size - 1, len(true))
    drawn = [rng.choice(true, wanted, replace=False), rng.choice(false, size - wanted, replace=False)]
    return np.sort(np.concatenate(drawn))


def tsne_map(embeddings: Floats, *, seed: int) -> npt.NDArray[np.float64]:
    """Return the t-SNE map of some vectors: the same bytes for the same vectors and seed.

    It starts from the first two principal components. Perplexity 30, or a third of the other rows where they
    are few (a perplexity can't exceed the neighbours that there are).

    :param embeddings: shape (m, d), d >= 2, finite, not all the same
    :returns: shape (m, 2)
    :raises EvaluationError: if all vectors are the same
    """
    if not np.ptp(embeddings, axis=0).any():
        raise EvaluationError(
            "embeddings",
            found=f"{len(embeddings)} vectors that are all the same",
            expected="vectors that differ",
            remedy="Look at the variant's training log: the model has collapsed.",
        )
    perplexity = min(_PERPLEXITY, (len(embeddings) - 1) / 3)
    # t-SNE is chaotic: a last bit that hangs on the number of threads could become another map
    with one_thread():
        map_ = TSNE(n_components=2, init="pca", perplexity=perplexity, random_state=seed)
        return np.asarray(map_.fit_transform(embeddings), dtype=np.float64)


def map_silhouette(coordinates: Floats, *, labels: npt.ArrayLike) -> dict[str, Mean]:
    """Return the silhouette of a map by label.

    The interval is conditional on the map: it resamples the silhouettes that the rows have on this one map,
    which shows how much they scatter, but not what another draw, seed or perplexity would have given. It is
    narrower than the whole uncertainty.

    :param coordinates: shape (m, 2)
    :param labels: 1 or 0, shape (m,), both present, m >= 3
    :returns: ``silhouette_tsne`` in [-1, 1]
    """
    return {"silhouette_tsne": Mean(silhouette_samples(coordinates, np.asarray(labels)))}


def silhouette(
    embeddings: Floats,
    *,
    labels: npt.ArrayLike,
    seed: int = 0,  # noqa: ARG001 - nothing is drawn
) -> dict[str, Mean]:
    """Return the silhouette of the embeddings themselves by label, with cosine distance (1 - cosine).

    All n^2 distances are looked at, some rows at a time. The interval resamples the silhouettes that the rows
    have among all n; the other rows are held.

    :param embeddings: shape (n, d), finite, no row all zero
    :param labels: 1 or 0, shape (n,), both present, n >= 3
    :returns: ``silhouette`` in [-1, 1]
    :raises EvaluationError: if a vector is not finite or has no length
    """
    units = unit_vectors(embeddings)
    with one_thread(), config_context(working_memory=_CHUNK_MIB):
        return {"silhouette": Mean(silhouette_samples(units, np.asarray(labels), metric="cosine"))}


_ROUSSEEUW = "Rousseeuw 1987, https://doi.org/10.1016/0377-0427(87)90125-7"

MAP_SILHOUETTE = Family(
    metrics=(
        Metric(
            name="silhouette_tsne",
            title="Silhouette of the t-SNE map",
            range=(-1.0, 1.0),
            direction="higher",
            formula="mean over mapped rows (map_size, drawn with labels in proportion) of (b - a) / max(a, b); a, b: "
            "mean distance on the map to the own and to the other label",
            source=f"Ours, after {_ROUSSEEUW}; van der Maaten and Hinton 2008, "
            "https://jmlr.org/papers/v9/vandermaaten08a.html; not the paper's, which maps the first 400 rows "
            "(silhouette_notebook)",
            cannot_tell="How the classes lie in the full space: t-SNE keeps neighbourhoods, not distances, and "
            "its map depends on seed and perplexity.",
        ),
    ),
    table="evaluation.cluster_quality",
    reads="map",
    statistics=map_silhouette,
)

SILHOUETTE = Family(
    metrics=(
        Metric(
            name="silhouette",
            title="Silhouette in the full space",
            range=(-1.0, 1.0),
            direction="higher",
            formula="mean over rows of (b - a) / max(a, b); a, b: mean cosine distance to the own and to the other "
            "label, over all rows and dimensions",
            source=_ROUSSEEUW,
            cannot_tell="Whether the label can be read: a direction that a probe finds can be too small a part of "
            "the distance to show here.",
        ),
    ),
    table="evaluation.cluster_quality",
    reads="embeddings",
    least=_LEAST_ROWS,
    statistics=silhouette,
)
