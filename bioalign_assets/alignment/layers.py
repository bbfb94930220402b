"""Agreement after each layer of a model: where in the depth the geometry is most like the graph.

Only the names that are compared (the cores) have vectors of every layer, so vectors are centred over these alone.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from bioalign_assets.alignment.graph import Kind
from bioalign_assets.alignment.measures import Target
from bioalign_assets.alignment.nulls import Agreement
from bioalign_assets.alignment.ranks import centred_ranks, correlations
from bioalign_assets.alignment.similarities import cosines
from bioalign_assets.alignment.vectors import centred_units

__all__ = ["LAYER_MEASURES", "layer_figures"]

LAYER_MEASURES = ("rsa", "partial_rsa")


def layer_figures(
    vectors: Mapping[Kind, npt.NDArray[np.float32]], *, target: Target
) -> Iterator[tuple[int, Kind, str, Agreement]]:
    """Give RSA and partial RSA after each layer: layer, kind, measure, and the figure with its null.

    :param vectors: of the core's names of either kind, in its order; shape (layers, names, width)
    :raises EvaluationError: if vectors after a layer are not finite, or all the same
    """
    for comparison in target.comparisons:
        if comparison.name == "tree":
            continue
        names = target.rewirings.graph.names(comparison.kind).take(comparison.core)
        for layer, matrix in enumerate(vectors[comparison.kind]):
            subject = f"vectors of the {comparison.kind}s after layer {layer}"
            ranks = centred_ranks(cosines(centred_units(matrix, names=names, subject=subject)))
            columns = (ranks, comparison.covariates.rest_of(ranks))
            found = correlations(columns, ranks=comparison.ranks)
            for measure, figures in zip(LAYER_MEASURES, found, strict=True):
                yield layer, comparison.kind, measure, Agreement.of(figures)
