"""Cluster quality: do the embeddings, or their t-SNE map, fall apart by label?

The study draws 400 statements, maps them to two dimensions and takes the silhouette by label (Rousseeuw
1987, https://doi.org/10.1016/0377-0427(87)90125-7; t-SNE: van der Maaten and Hinton 2008). Beside it stands the
silhouette in the full space, of all rows, by cosine distance: no map, no draw, no perplexity.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples

from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.intervals import Estimate, bootstrap_mean
from bioalign_assets.evaluation.threads import one_thread
from bioalign_assets.evaluation.vectors import unit_vectors

__all__ = [
    "LEAST_ROWS",
    "ClusterMap",
    "cluster_map",
    "cluster_quality",
    "draw_stratified",
    "space_silhouette",
    "tsne_map",
]

LEAST_ROWS = 5  # of either label: fewer make no neighbourhoods
_CHUNK_MIB = 64  # of distances at once
_PERPLEXITY = 30.0  # scikit-learn's default, as in the study


@dataclass(frozen=True, kw_only=True)
class ClusterMap:
    """A t-SNE map: which rows stand on it, and where.

    :param rows: row positions in the embeddings, ascending, shape (m,)
    :param coordinates: shape (m, 2); no unit, only neighbourhoods mean something
    """

    rows: npt.NDArray[np.intp]
    coordinates: npt.NDArray[np.float64]


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


def tsne_map(embeddings: npt.NDArray[np.floating[Any]], *, seed: int) -> npt.NDArray[np.float64]:
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


def cluster_map(
    embeddings: npt.NDArray[np.floating[Any]],
    labels: npt.ArrayLike,
    *,
    size: int,
    seed: int,
    rng: np.random.Generator,
) -> ClusterMap:
    """Draw rows and map them.

    :param embeddings: shape (n, d)
    :param labels: 1 or 0, shape (n,)
    :param size: rows on the map
    :param seed: of t-SNE
    :param rng: of the draw
    """
    rows = draw_stratified(labels, size=size, rng=rng)
    return ClusterMap(rows=rows, coordinates=tsne_map(embeddings[rows], seed=seed))


def cluster_quality(
    coordinates: npt.NDArray[np.floating[Any]],
    labels: npt.ArrayLike,
    *,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
    """Return the silhouette of a map by label.

    The interval is conditional on the map: it resamples the silhouettes that the rows have on this one map,
    which shows how much they scatter, but not what another draw, seed or perplexity would have given. It is
    narrower than the whole uncertainty.

    :param coordinates: shape (m, 2)
    :param labels: 1 or 0, shape (m,), both present, m >= 3
    :returns: ``silhouette_tsne`` in [-1, 1]
    """
    rows = silhouette_samples(coordinates, np.asarray(labels))
    return {"silhouette_tsne": bootstrap_mean(rows, resamples=resamples, rng=rng)}


def space_silhouette(
    embeddings: npt.NDArray[np.floating[Any]],
    labels: npt.ArrayLike,
    *,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, Estimate]:
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
        rows = silhouette_samples(units, np.asarray(labels), metric="cosine")
    return {"silhouette": bootstrap_mean(rows, resamples=resamples, rng=rng)}
