"""What a figure is worth: where it stands among the figures of rewired graphs.

Language models' vectors agree with any graph of these degrees to some extent, the more the wider and deeper they are
(arXiv 2602.14486), so no figure is read without its null.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Agreement", "BestLayer", "best_layer", "calibrated"]

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """A figure of the graph, and the same figure of each rewiring; higher is more alike, 1 is the best possible."""

    value: float
    null: Doubles
    """Shape (rewirings,)"""

    @classmethod
    def of(cls, figures: Floats) -> "Agreement":
        """Return the first figure against the others; shape (1 + rewirings,)."""
        return cls(value=float(figures[0]), null=np.asarray(figures[1:], dtype=np.float64))

    @property
    def null_mean(self) -> float:
        """Mean over the rewirings."""
        return float(self.null.mean())

    @property
    def null_sd(self) -> float:
        """Standard deviation over the rewirings (n - 1)."""
        return float(self.null.std(ddof=1))

    @property
    def z(self) -> float:
        """How many standard deviations the figure lies above its null; 0 where both never vary."""
        return float(_in_deviations(np.array([self.value]), mean=self.null_mean, sd=self.null_sd)[0])

    @property
    def p_value(self) -> float:
        """Chance of a figure as high in a rewired graph: (1 + #(null >= value)) / (1 + rewirings), in (0, 1].

        One-sided; never 0, since the graph is one of the wirings itself (Phipson and Smyth 2010,
        https://doi.org/10.2202/1544-6115.1585).
        """
        # a figure that is the same but for the order of a sum counts as the same
        as_high = self.null >= self.value - 1e-12
        return (1 + int(np.count_nonzero(as_high))) / (1 + len(self.null))

    @property
    def calibrated(self) -> float:
        """0 at the mean of the null, 1 at the best possible; below 0 where rewired graphs fit better."""
        return float(calibrated(self.value, null_mean=self.null_mean))


def calibrated(values: npt.ArrayLike, *, null_mean: float) -> Doubles:
    """Return (value - null mean) / (1 - null mean), as Cohen's kappa takes chance out of agreement.

    Works on bootstrap replicates too: the null's mean is held.

    :param values: at most 1
    :param null_mean: at most 1; NaN is returned where it is 1, the best possible
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(
            null_mean < 1, (np.asarray(values, dtype=np.float64) - null_mean) / (1 - null_mean), np.nan
        )


@dataclass(frozen=True, kw_only=True)
class BestLayer:
    """The layer that stands highest above its null, and the chance of one as high among all of them."""

    layer: int
    """Place among the layers"""
    p_value: float
    """Corrected for having chosen it, in (0, 1]; never below the layer's own"""


def best_layer(layers: Sequence[Agreement]) -> BestLayer:
    """Return the best of several layers, of one measure under the same rewirings.

    In each rewiring, too, the best layer is chosen: the largest z (maximum statistic: Westfall and Young 1993,
    Resampling-Based Multiple Testing). Means and deviations are those of graph and rewirings together, so that the
    graph has no part that the rewirings don't have, and the p-value is exact.

    :param layers: at least one, each with the null of the same rewirings in the same order
    """
    figures = np.array([[each.value, *each.null] for each in layers])
    mean, sd = figures.mean(axis=1, keepdims=True), figures.std(axis=1, keepdims=True)
    z = _in_deviations(figures, mean=mean, sd=sd)
    layer = int(np.argmax(z[:, 0]))
    highest = z.max(axis=0)
    as_high = highest[1:] >= highest[0] - 1e-12
    corrected = (1 + int(np.count_nonzero(as_high))) / figures.shape[1]
    return BestLayer(layer=layer, p_value=max(corrected, layers[layer].p_value))


def _in_deviations(values: Doubles, *, mean: Any, sd: Any) -> Doubles:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num((values - mean) / sd, nan=0.0)
