"""The parts of a dataset that get their negatives apart from each other: train and test, or what is unseen in test.

Negatives of a part are drawn among the genes and diseases of its own positives, as many as these, so that labels
are balanced within each part. Which positives belong to which part is decided by hashes of names alone.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bioalign_assets.curation.splits import lowest_share, too_few_rows
from bioalign_assets.curation.universe import Universe

__all__ = ["UNSEEN", "Part", "Unseen", "entity_parts", "pair_parts"]

Integers = npt.NDArray[np.int64]

Unseen = Literal["gene", "disease", "both"]
UNSEEN: tuple[Unseen, ...] = ("gene", "disease", "both")
"""What of a test pair stands in no training row; ``both`` is the strict part."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Some positives of a dataset, and where they stand."""

    split: Literal["train", "test"]
    unseen: Unseen | None
    positives: Integers
    """Positions in ``Universe.positives``, ascending; shape: (n,)"""

    @property
    def name(self) -> str:
        """The part in words."""
        names = "gene and disease" if self.unseen == "both" else self.unseen
        return self.split if self.unseen is None else f"{self.split} part with unseen {names}"


def pair_parts(universe: Universe, *, test_share: float, seed: int) -> list[Part]:
    """Divide the positives at random: test and train.

    The test positives are those of the stable dataset with uniform negatives and the same seed.

    :raises CurationError: if one of them would be empty
    """
    is_test = lowest_share(
        universe.pair_hashes(universe.positives, purpose="split", seed=seed), share=test_share
    )
    return [
        Part(split="test", unseen=None, positives=np.flatnonzero(is_test)),
        Part(split="train", unseen=None, positives=np.flatnonzero(~is_test)),
    ]


def entity_parts(universe: Universe, *, held_out_share: float, seed: int) -> list[Part]:
    """Hold out genes and diseases: test is every positive with one of them, divided by what is unseen.

    A gene or disease is held out when its hash is below the share, so it is so in every release. An entity that
    is not held out, but stands only in pairs with ones that are, is in no training row either, and counts as
    unseen: ``unseen`` says what holds for the rows. Parts may be empty.

    :raises CurationError: if there would be no training or no test row
    """
    genes, diseases = universe.positives.T
    limit = np.uint64(held_out_share * 2.0**64)
    held_genes, held_diseases = (hashes < limit for hashes in universe.hashes(purpose="held-out", seed=seed))
    is_test = held_genes[genes] | held_diseases[diseases]
    if is_test.all() or not is_test.any():
        raise too_few_rows(len(is_test), what=f"holding out {held_out_share:g} of the genes and diseases")
    new_gene = ~np.isin(genes, genes[~is_test])
    new_disease = ~np.isin(diseases, diseases[~is_test])
    kinds = np.select([~is_test, new_gene & new_disease, new_gene], [-1, 2, 0], default=1)
    return [
        *(
            Part(split="test", unseen=name, positives=np.flatnonzero(kinds == kind))
            for kind, name in enumerate(UNSEEN)
        ),
        Part(split="train", unseen=None, positives=np.flatnonzero(~is_test)),
    ]
