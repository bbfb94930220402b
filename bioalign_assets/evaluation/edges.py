"""Edge separation: do a gene and a disease that belong together lie closer than two that don't?

The cosine of the embeddings of the bare names, over the pairs of the test set: what link prediction with a dot
product asks of node embeddings (Nickel, Murphy, Tresp and Gabrilovich 2016 review these), here of a language
model's.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from bioalign_assets.evaluation.intervals import (
    Estimate,
    bootstrap_auroc,
    mean_replicates,
    percentile_estimate,
)
from bioalign_assets.evaluation.vectors import unit_vectors

__all__ = ["edge_cosines", "edge_replicates", "edge_separation"]

_ROWS_AT_ONCE = 1024

Floats = npt.NDArray[np.floating[Any]]
Places = npt.NDArray[np.integer[Any]]


def edge_cosines(
    genes: Floats, diseases: Floats, *, gene: Places, disease: Places
) -> npt.NDArray[np.float64]:
    """Return the cosine of each pair's two names.

    :param genes: embeddings of distinct genes, shape (g, d), finite, no row all zero
    :param diseases: embeddings of distinct diseases, shape (e, d), likewise
    :param gene: each pair's gene, a row of ``genes``, shape (n,)
    :param disease: each pair's disease, a row of ``diseases``, shape (n,)
    :returns: in [-1, 1], shape (n,)
    :raises EvaluationError: if a vector is not finite or has no length
    """
    if gene.shape != disease.shape:
        raise ValueError(f"shapes differ: {gene.shape} genes, {disease.shape} diseases")
    left, right = unit_vectors(genes), unit_vectors(diseases)
    cosines = np.empty(len(gene))
    # some rows at a time: the two gathered blocks are as wide as the model
    for start in range(0, len(gene), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        cosines[part] = np.einsum("nd,nd->n", left[gene[part]], right[disease[part]])
    return np.clip(cosines, -1.0, 1.0)


def edge_replicates(
    cosines: Floats, labels: npt.ArrayLike, *, resamples: int, rng: np.random.Generator
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the mean cosine of true minus false pairs, and its bootstrap replicates, shape (resamples,).

    Rows are drawn anew within each label; the draws depend on the labels alone.

    :param cosines: finite, shape (n,)
    :param labels: 1 or 0, shape (n,), both present
    """
    label = np.asarray(labels)
    true, true_replicates = mean_replicates(cosines[label == 1], resamples=resamples, rng=rng)
    false, false_replicates = mean_replicates(cosines[label == 0], resamples=resamples, rng=rng)
    return true - false, true_replicates - false_replicates


def edge_separation(
    cosines: Floats,
    labels: npt.ArrayLike,
    *,
    resamples: int,
    rng_separation: np.random.Generator,
    rng_auroc: np.random.Generator,
) -> dict[str, Estimate]:
    """Return how far the cosines of true and false pairs lie apart.

    Intervals: bootstrap over pairs. Pairs share genes and diseases, which the resampling takes for independent:
    where few names stand in many pairs the intervals are too narrow.

    :param cosines: in [-1, 1], shape (n,)
    :param labels: 1 or 0, shape (n,), both present
    :returns: ``edge_separation`` in [-2, 2] and ``edge_auroc`` in [0, 1]
    :raises EvaluationError: if only one label is present
    """
    area = bootstrap_auroc(labels, cosines, resamples=resamples, rng=rng_auroc)
    value, replicates = edge_replicates(cosines, labels, resamples=resamples, rng=rng_separation)
    return {
        "edge_separation": percentile_estimate(value, replicates=replicates, n=len(cosines)),
        "edge_auroc": area,
    }
