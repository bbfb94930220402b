"""What a metric declares, and what a file of metrics brings into the room: a family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bioalign_assets.evaluation.intervals import Estimate
from bioalign_assets.evaluation.statistic import Statistic

__all__ = ["Direction", "Family", "Generators", "Metric", "Reads", "each_by_itself"]

Direction = Literal["higher", "lower", "none"]
Reads = Literal["embeddings", "drawn", "names", "map", "answers", "rankings"]
Generators = Callable[[str], np.random.Generator]
"""From the name of a metric to the generator behind its draws"""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The declaration of one metric.

    :param name: name in the tables
    :param title: name in figures and reports
    :param range: least and greatest value that it can take
    :param direction: whether higher or lower is better, or neither
    :param formula: how it is computed, in one line
    :param source: who defined it
    :param cannot_tell: what a reader may not conclude from it, one sentence
    """

    name: str
    title: str
    range: tuple[float, float]
    direction: Direction
    formula: str
    source: str
    cannot_tell: str


def each_by_itself(
    statistics: Mapping[str, Statistic], *, resamples: int, generator: Generators
) -> dict[str, Estimate]:
    """Return each statistic with its interval, drawn with the generator of its own name.

    A new metric so moves no other figure.
    """
    return {
        name: statistic.estimate(resamples=resamples, rng=generator(name))
        for name, statistic in statistics.items()
    }


@dataclass(frozen=True, kw_only=True)
class Family:
    """Metrics that are computed together.

    ``statistics`` gives a statistic by name. How it is called hangs on what the family reads:

    - ``embeddings``, the vectors of statements, in the dataset's order: ``(matrix, labels=..., seed=...)``
    - ``drawn``, the same in the order in which the notebooks draw them: ``(matrix, labels=...)``
    - ``names``, those of genes and diseases: ``(cosines, labels=...)``, one cosine a pair
    - ``map``, the t-SNE map: ``(coordinates, labels=...)``
    - ``answers`` of a model or a baseline: ``(answers)``
    - ``rankings``: ``(ranks)``, by target and candidates

    :param metrics: what each is, in the order of docs/metrics.md
    :param table: where their rows stand
    :param least: rows of either label that a family of embeddings needs
    :param estimates: from statistics to figures with intervals, where these are not drawn each by itself
    """

    metrics: tuple[Metric, ...]
    table: str
    reads: Reads
    least: int = 1
    statistics: Callable[..., Mapping[str, Statistic]]
    estimates: Callable[..., dict[str, Estimate]] = each_by_itself
