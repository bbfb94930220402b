"""Agreement after each layer of a model: where in the depth the geometry is most like the graph.

Only the names that are compared (the cores) have vectors of every layer, so vectors are centred over these alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioalign_assets.alignment.graph import Kind
from bioalign_assets.alignment.measures import Target, compared
from bioalign_assets.alignment.nulls import Agreement
from bioalign_assets.alignment.resampling import replicates_of
from bioalign_assets.alignment.vectors import centred_units

__all__ = ["LAYER_MEASURES", "LayerFigure", "layer_figures"]

LAYER_MEASURES = ("rsa", "partial_rsa")


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerFigure:
    """A figure after one layer of a model."""

    layer: int
    """Decoder layers that the names went through; 0: their tokens' own embeddings"""
    kind: Kind
    measure: str
    agreement: Agreement
    resampled: npt.NDArray[np.float64] | None
    """Over resampled names, of layer 0 alone: the input embeddings stand beside models; shape (resamples,)"""
    names: int
    """That were compared"""


def layer_figures(
    vectors: Mapping[Kind, npt.NDArray[np.float32]], *, target: Target, resamples: int, seed: int
) -> Iterator[LayerFigure]:
    """Give RSA and partial RSA after each layer.

    :param vectors: of the core's names of either kind, in its order; shape (layers, names, width)
    :param resamples: of names, behind the interval of the input embeddings
    :param seed: of their draws
    :raises EvaluationError: if vectors after a layer are not finite, or all the same
    """
    for comparison in target.comparisons:
        if comparison.name == "tree":
            continue
        measures = {f"{comparison.name}_{measure}": measure for measure in LAYER_MEASURES}
        names = target.rewirings.graph.names(comparison.kind).take(comparison.core)
        for layer, matrix in enumerate(vectors[comparison.kind]):
            subject = f"vectors of the {comparison.kind}s after layer {layer}"
            units = centred_units(matrix, names=names, subject=subject)
            figures = compared(units, comparison=comparison, measures=measures)
            drawn = {} if layer else replicates_of(
                units, comparison=comparison, resamples=resamples, rng=np.random.default_rng(seed)
            )  # fmt: skip
            for name, measure in measures.items():
                yield LayerFigure(
                    layer=layer,
                    kind=comparison.kind,
                    measure=measure,
                    agreement=figures[name],
                    resampled=drawn.get(name),
                    names=len(names),
                )
