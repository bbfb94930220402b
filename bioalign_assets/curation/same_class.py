"""Same-class negatives: false pairs of a gene with diseases of the classes that its true diseases have.

Each positive takes one class of its disease (MEDIC-Slim), by hash. Positives of a class stand next to each other
on a circle, each takes the disease of the next, and what is not right is swapped with near neighbours: the wiring
of ``rewiring.py``. So genes, diseases and classes stand as often among the negatives as among the positives, and
none of them tells the labels apart. That can't be exact: a class may have one disease only, and a disease none.
What is left is drawn from all pairs that share a class, by an exponential variate from the pair's hash over the
frequencies of gene and disease, the lowest first (Efraimidis & Spirakis 2006, doi:10.1016/j.ipl.2005.11.003);
``curation.profile`` tells how many (frequency, …_unmatched).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bioalign_assets.curation.identity import mix64
from bioalign_assets.curation.rewiring import Wiring
from bioalign_assets.curation.universe import Universe, holds
from bioalign_assets.errors import CurationError

__all__ = ["same_class"]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]

_BLOCK = 1 << 18
"""Pairs looked at once."""


def same_class(
    universe: Universe, *, positives: Integers, taken: Integers, classes: Flags, seed: int
) -> Integers:
    """Return as many negatives as positives, each of a disease that shares a class with one true of its gene.

    :param positives: gene and disease of each positive of one part of a dataset; shape: (n, 2)
    :param taken: codes that other parts have taken, ascending
    :param classes: which disease of the universe has which class; shape: (n_diseases, n_classes)
    :return: gene and disease of each negative, distinct, none of them true; shape: (n, 2)
    :raises CurationError: if there are too few candidates
    """
    of_genes = np.zeros((len(universe.genes), classes.shape[1]), dtype=bool)
    np.logical_or.at(of_genes, universe.positives[:, 0], classes[universe.positives[:, 1]])

    def suits(codes: Integers) -> Flags:
        gene, disease = np.divmod(codes, len(universe.diseases))
        return np.any(of_genes[gene] & classes[disease], axis=-1)

    ring = _by_class(universe, positives=positives, classes=classes, seed=seed)
    wiring = Wiring(
        universe=universe, taken=taken, genes=ring[:, 0], mates=np.roll(ring[:, 1], -1), suits=suits
    )
    wiring.swap_with_neighbours()
    chosen = wiring.codes()[~wiring.is_wrong]
    missing = len(positives) - len(chosen)
    if missing:
        hunt = _Hunt.of(
            universe, positives=positives, taken=np.union1d(taken, chosen), gene_classes=of_genes,
            classes=classes, seed=seed,
        )  # fmt: skip
        more = hunt.lowest(missing)
        if len(more) < missing:
            raise _too_few(len(positives), found=len(chosen) + len(more))
        chosen = np.concatenate([chosen, more])
    return np.stack(np.divmod(chosen, len(universe.diseases)), axis=1)


def _by_class(universe: Universe, *, positives: Integers, classes: Flags, seed: int) -> Integers:
    """Return the positives whose disease has a class, by one class of each, then by hash. Shape: (n, 2)."""
    has_class = positives[classes[positives[:, 1]].any(axis=1)]
    flags = classes[has_class[:, 1]]
    pick = universe.pair_hashes(has_class, purpose="class", seed=seed) % flags.sum(axis=1).astype(np.uint64)
    # the class whose number among those of the disease is the one picked
    of_positive = np.argmax(flags & (np.cumsum(flags, axis=1) == pick[:, None] + 1), axis=1)
    hashes = universe.pair_hashes(has_class, purpose="negatives", seed=seed)
    return has_class[np.lexsort((has_class[:, 1], has_class[:, 0], hashes, of_positive))]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Hunt:
    """The genes and diseases of one part, how often each stands there, and which pairs are not to be found."""

    n_diseases: int
    """Of the universe, for codes"""
    genes: Integers
    gene_frequency: Integers
    """Positives of each gene; shape: (n_genes_of_part,)"""
    diseases: Integers
    disease_frequency: Integers
    """Positives of each disease; shape: (n_diseases_of_part,)"""
    gene_classes: Flags
    """Classes of each gene's true diseases, also those in other parts; shape: (n_genes_of_part, n_classes)"""
    disease_classes: Flags
    gene_hashes: npt.NDArray[np.uint64]
    disease_hashes: npt.NDArray[np.uint64]
    excluded: Integers
    """Codes of this part's genes and diseases that are true or taken, ascending"""

    @classmethod
    def of(
        cls,
        universe: Universe,
        *,
        positives: Integers,
        taken: Integers,
        gene_classes: Flags,
        classes: Flags,
        seed: int,
    ) -> "_Hunt":
        genes, gene_frequency = np.unique(positives[:, 0], return_counts=True)
        diseases, disease_frequency = np.unique(positives[:, 1], return_counts=True)
        gene_hashes, disease_hashes = universe.hashes(purpose="negatives", seed=seed)
        excluded = np.union1d(universe.true_codes, taken)
        of_gene, of_disease = np.divmod(excluded, len(universe.diseases))
        return cls(
            n_diseases=len(universe.diseases),
            excluded=excluded[holds(genes, of_gene) & holds(diseases, of_disease)],
            genes=genes,
            gene_frequency=gene_frequency,
            diseases=diseases,
            disease_frequency=disease_frequency,
            gene_classes=gene_classes[genes],
            disease_classes=classes[diseases],
            gene_hashes=gene_hashes[genes],
            disease_hashes=disease_hashes[diseases],
        )

    def lowest(self, count: int) -> Integers:
        """Return the codes of the ``count`` candidates with the lowest keys, or of all if there are fewer."""
        held_codes, held_keys, limit = np.empty(0, dtype=np.int64), np.empty(0), np.inf
        for codes, keys in self._candidates():
            is_low = keys < limit
            held_codes = np.concatenate([held_codes, codes[is_low]])
            held_keys = np.concatenate([held_keys, keys[is_low]])
            if len(held_keys) > count:
                limit = np.partition(held_keys, count)[count]
                held_codes, held_keys = held_codes[held_keys <= limit], held_keys[held_keys <= limit]
        return held_codes[np.lexsort((held_codes, held_keys))[:count]]

    def _candidates(self) -> Iterator[tuple[Integers, Reals]]:
        """Give the codes and keys of the pairs that share a class and are free, for some genes after others."""
        rows = max(1, _BLOCK // len(self.diseases))
        of_diseases = self.disease_classes.T.astype(np.float32)
        gene, disease = np.divmod(self.excluded, self.n_diseases)
        gene, disease = np.searchsorted(self.genes, gene), np.searchsorted(self.diseases, disease)
        for start in range(0, len(self.genes), rows):
            block = slice(start, start + rows)
            shares = self.gene_classes[block].astype(np.float32) @ of_diseases > 0
            here = slice(*np.searchsorted(gene, [start, start + rows]))
            shares[gene[here] - start, disease[here]] = False
            row, column = np.divmod(np.flatnonzero(shares), len(self.diseases))
            row += start
            # in (0, 1): the 53 highest bits, as a float holds them, and a half
            uniform = (mix64(self.gene_hashes[row] + self.disease_hashes[column]) >> np.uint64(11)) + 0.5
            keys = -np.log(uniform * 2.0**-53) / (self.gene_frequency[row] * self.disease_frequency[column])
            yield self.genes[row] * self.n_diseases + self.diseases[column], keys


def _too_few(count: int, *, found: int) -> CurationError:
    return CurationError(
        f"same-class negatives of {count:,} positives",
        found=f"{found:,} pairs that are not curated associations and share a class with a true disease of the gene",
        expected=f"at least {count:,}, as many as are to be drawn",
        remedy="Take a larger release, or a MEDIC with broader classes: a dataset never gets fewer than it needs.",
    )
