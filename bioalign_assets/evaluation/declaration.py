"""What a declaration of a metric says."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Direction", "Metric"]

Direction = Literal["higher", "lower", "none"]


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
