"""How false statements are drawn uniformly, and the mappings that name every strategy of each sampler.

Unseen is not false: a generated negative is a pair that CTD has not curated, and some of them will turn out
to be true. To add a strategy, write its function in a file beside this one (``rewiring.py``, ``same_class.py``),
enter it below and name it in ``NegativeStrategy`` (``study/datasets.py``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioalign_assets.curation.classes import no_classes
from bioalign_assets.curation.identity import mix64
from bioalign_assets.curation.rewiring import degree_matched
from bioalign_assets.curation.same_class import same_class
from bioalign_assets.curation.universe import Universe
from bioalign_assets.errors import CurationError

__all__ = ["PUBLISHED", "STABLE", "Draw", "published_uniform", "stable_uniform"]

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_BLOCK = 1 << 16
"""Pairs hashed at once: two blocks of 512 KiB stay in a core's cache (32 MiB take three times as long)."""


def published_uniform(universe: Universe, *, count: int, generator: np.random.Generator) -> Integers:
    """Draw as the paper does: gene, then disease, uniformly; keep the pair unless its text is a positive's.

    The same numbers, and the same state of the generator afterwards, as drawing one pair at a time: bounds
    are broadcast, so that each element takes from the stream what a single call takes, and a round draws only
    as many pairs as are still missing, so that it never goes past the last draw. Pairs can be drawn twice.

    :param count: how many negatives
    :param generator: the stream; the entity split draws from it next
    :return: gene and disease of each negative, in the order of the draws; shape: (count, 2)
    :raises CurationError: if every pair of the universe is true
    """
    _require(
        universe,
        count=min(count, 1),
        genes=np.arange(len(universe.genes)),
        diseases=np.arange(len(universe.diseases)),
    )
    bounds = np.array([[len(universe.genes), len(universe.diseases)]])
    kept: list[Integers] = []
    missing = count
    while missing:
        drawn = generator.integers(0, bounds, size=(missing, 2))
        drawn = drawn[~universe.is_true(drawn[:, 0] * len(universe.diseases) + drawn[:, 1])]
        kept.append(drawn)
        missing -= len(drawn)
    return np.concatenate(kept) if kept else np.empty((0, 2), dtype=np.int64)


def stable_uniform(
    universe: Universe,
    *,
    count: int,
    seed: int,
    genes: Integers | None = None,
    diseases: Integers | None = None,
) -> Integers:
    """Take the pairs with the lowest hash among all that are not true: uniform, and never one twice.

    A pair's hash depends on its two names and the seed alone, so a pair that is drawn from one release is
    drawn from the next, unless it became true, its gene or disease left, or the threshold moved past it
    (bottom-k sampling; Cohen & Kaplan 2007, doi:10.1145/1281100.1281133). Every pair is hashed, block by
    block; only those below the running threshold are kept, so memory is bounded by the number of negatives,
    not by the universe.

    :param count: how many negatives
    :param genes: positions of the genes to draw from, ascending; all by default
    :param diseases: the same of the diseases
    :return: gene and disease of each negative, by ascending hash; shape: (count, 2)
    :raises CurationError: if there are fewer pairs of these that are not true
    """
    genes = np.arange(len(universe.genes)) if genes is None else genes
    diseases = np.arange(len(universe.diseases)) if diseases is None else diseases
    _require(universe, count=count, genes=genes, diseases=diseases)
    if not count:
        return np.empty((0, 2), dtype=np.int64)
    of_genes, of_diseases = universe.hashes(purpose="negatives", seed=seed)
    of_genes, of_diseases = of_genes[genes], of_diseases[diseases]
    width = len(of_diseases)
    rows = max(1, _BLOCK // width)
    block, scratch = np.empty((2, rows, width), dtype=np.uint64)
    smallest = _Smallest(count)
    for start in range(0, len(of_genes), rows):
        some = of_genes[start : start + rows]
        values = np.add(some[:, None], of_diseases, out=block[: len(some)])
        values = mix64(values, scratch=scratch[: len(some)]).reshape(-1)
        low = np.flatnonzero(values <= smallest.threshold)
        codes = genes[start + low // width] * len(universe.diseases) + diseases[low % width]
        is_false = ~universe.is_true(codes)
        smallest.add(values[low[is_false]], codes[is_false])
    return np.stack(np.divmod(smallest.codes(), len(universe.diseases)), axis=1)


class _Smallest:
    """The pairs with the lowest hashes so far, and the hash that the next one must not exceed."""

    def __init__(self, count: int) -> None:
        self.threshold = np.uint64(np.iinfo(np.uint64).max)
        self._count = count
        self._held: list[tuple[Hashes, Integers]] = []
        self._size = 0

    def add(self, hashes: Hashes, codes: Integers) -> None:
        """Take pairs in; when twice as many are held as are wanted, drop all but the lowest."""
        self._held.append((hashes, codes))
        self._size += len(hashes)
        if self._size >= 2 * self._count:
            self._shrink()

    def codes(self) -> Integers:
        """Return the codes of the lowest, by hash; equal hashes by code."""
        hashes, codes = self._shrink()
        return codes[np.lexsort((codes, hashes))[: self._count]]

    def _shrink(self) -> tuple[Hashes, Integers]:
        hashes, codes = (np.concatenate(parts) for parts in zip(*self._held, strict=True))
        self.threshold = np.partition(hashes, self._count - 1)[self._count - 1]
        low = hashes <= self.threshold
        self._held = [(hashes[low], codes[low])]
        self._size = len(self._held[0][0])
        return self._held[0]


def _require(universe: Universe, *, count: int, genes: Integers, diseases: Integers) -> None:
    is_gene, is_disease = (
        np.isin(names, chosen)
        for names, chosen in zip(
            np.divmod(universe.true_codes, len(universe.diseases)), (genes, diseases), strict=True
        )
    )
    there = len(genes) * len(diseases) - int((is_gene & is_disease).sum())
    if there < count:
        raise CurationError(
            f"negatives among {len(genes):,} genes and {len(diseases):,} diseases",
            found=f"{there:,} pairs that are not curated associations",
            expected=f"at least {count:,}, as many as are to be drawn",
            remedy="Take a release with more genes and diseases: a dataset never gets fewer than it needs.",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """What a strategy of the stable sampler needs to draw the negatives of one part of a dataset."""

    universe: Universe
    positives: Integers
    """Gene and disease of each positive of the part; shape: (n, 2)"""
    taken: Integers
    """Codes of the pairs that other parts have taken, ascending"""
    classes: npt.NDArray[np.bool_] | None
    """Which disease of the universe has which class, where that was asked for; shape: (n_diseases, n_classes)"""
    seed: int


def _uniform(draw: Draw) -> Integers:
    # parts of an entity split have no pair in common, so nothing of it can be taken
    return stable_uniform(
        draw.universe,
        count=len(draw.positives),
        seed=draw.seed,
        genes=np.unique(draw.positives[:, 0]),
        diseases=np.unique(draw.positives[:, 1]),
    )


def _degree_matched(draw: Draw) -> Integers:
    return degree_matched(draw.universe, positives=draw.positives, taken=draw.taken, seed=draw.seed)


def _same_class(draw: Draw) -> Integers:
    if draw.classes is None:
        raise no_classes("none")
    return same_class(
        draw.universe, positives=draw.positives, taken=draw.taken, classes=draw.classes, seed=draw.seed
    )


PUBLISHED: Mapping[str, Callable[..., Integers]] = {"uniform": published_uniform}
"""Strategies of the published sampler: (universe, *, count, generator) -> pairs."""

STABLE: Mapping[str, Callable[[Draw], Integers]] = {
    "uniform": _uniform,
    "degree-matched": _degree_matched,
    "same-class": _same_class,
}
"""Strategies of the stable sampler: one part of a dataset -> as many pairs as it has positives."""
