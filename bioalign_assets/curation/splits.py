"""How a dataset is divided into train and test, and in which order its rows stand.

Where negatives are drawn first, rows are divided: counted as positives, then negatives (``…_split``). Else the
positives are divided first, and each part gets as many negatives from among its own genes and diseases, so that labels
are balanced within it (``…_parts``).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from bioalign_assets.curation.universe import Universe
from bioalign_assets.errors import CurationError

__all__ = [
    "UNSEEN",
    "Layout",
    "Part",
    "entity_parts",
    "pair_parts",
    "published_entity_split",
    "published_pair_split",
    "stable_pair_split",
]

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]

Unseen = Literal["gene", "disease", "both"]
UNSEEN: tuple[Unseen, ...] = ("gene", "disease", "both")
"""What of a test pair stands in no training row; ``both`` is the strict part."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """The order of a dataset's rows, and which of them are test."""

    order: Integers
    """Which row (positives, then negatives) stands at each place; a permutation; shape: (n,)"""
    is_test: Flags
    """Whether the row at each place is test; shape: (n,)"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Some positives of a dataset, and where they stand."""

    split: Literal["train", "test"]
    unseen: Unseen | None
    positives: Integers
    """Positions in ``Universe.positives``, ascending; shape: (n,)"""


def published_pair_split(labels: npt.NDArray[np.int8], *, test_share: float, seed: int) -> Layout:
    """Shuffle with pandas, then divide with scikit-learn, stratified by label: the paper's pair split.

    Train stands before test, each in the order in which ``train_test_split`` returns it, which is that of the
    paper's files.

    :param labels: 1 or 0 for each row, positives first; shape: (n,)
    :raises CurationError: if there are too few rows to put both labels into both splits
    """
    shuffled = _shuffle(len(labels), seed=seed)
    try:
        train, test = train_test_split(
            shuffled, test_size=test_share, stratify=labels[shuffled], random_state=seed
        )
    except ValueError as error:
        raise _too_few_rows(len(labels), what=f"a test share of {test_share:g} by label ({error})") from error
    return Layout(order=np.concatenate([train, test]), is_test=np.arange(len(labels)) >= len(train))


def published_entity_split(
    pairs: Integers,
    *,
    n_genes: int,
    n_diseases: int,
    held_out_share: float,
    seed: int,
    generator: np.random.Generator,
) -> Layout:
    """Hold out genes, then diseases; test is every row with a held-out gene or a held-out disease.

    Genes and diseases are drawn by position in the universe, whose order is that of first appearance among
    the positives, from the generator that drew the negatives. Train stands before test, each in shuffled
    order.

    :param pairs: gene and disease of each row, positives first; shape: (n, 2)
    :param held_out_share: share of the genes, and of the diseases, rounded down
    :param seed: of the shuffle
    :param generator: in the state in which the negative draw left it
    :raises CurationError: if nothing would be held out, or nothing left to train on
    """
    held_out = []
    for size in (n_genes, n_diseases):
        count = int(size * held_out_share)
        if not count:
            raise _too_few_rows(
                len(pairs), what=f"holding out {held_out_share:g} of {size:,} genes or diseases"
            )
        held_out.append(generator.choice(size, size=count, replace=False))
    genes, diseases = held_out
    order = _shuffle(len(pairs), seed=seed)
    is_test = (_flags(genes, size=n_genes)[pairs[:, 0]] | _flags(diseases, size=n_diseases)[pairs[:, 1]])[
        order
    ]
    if is_test.all() or not is_test.any():
        raise _too_few_rows(len(pairs), what=f"holding out {held_out_share:g} of the genes and diseases")
    place = np.argsort(is_test, kind="stable")
    return Layout(order=order[place], is_test=is_test[place])


def stable_pair_split(
    labels: npt.NDArray[np.int8], *, split_hashes: Hashes, order_hashes: Hashes, test_share: float
) -> Layout:
    """Take the rows with the lowest hash of each label as test; order all rows by another hash.

    The share is exact within each label (rounded to the nearest row). A row moves to the other split only
    when the threshold of its label moves past its hash.

    :param labels: 1 or 0 for each row; shape: (n,)
    :param split_hashes: decides on the split; distinct but for chance; shape: (n,)
    :param order_hashes: decides on the order, independent of the former; shape: (n,)
    :raises CurationError: if a split would hold no row of a label
    """
    is_test = np.zeros(len(labels), dtype=bool)
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        is_test[rows] = _lowest_share(split_hashes[rows], share=test_share)
    order = np.argsort(order_hashes, kind="stable")
    return Layout(order=order, is_test=is_test[order])


def pair_parts(universe: Universe, *, test_share: float, seed: int) -> list[Part]:
    """Divide the positives at random: test and train.

    The test positives are those of the stable dataset with uniform negatives and the same seed.

    :raises CurationError: if one of them would be empty
    """
    is_test = _lowest_share(
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
        raise _too_few_rows(len(is_test), what=f"holding out {held_out_share:g} of the genes and diseases")
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


def _lowest_share(split_hashes: Hashes, *, share: float) -> Flags:
    """Return which rows of one label have the lowest hashes: a share of them, rounded to the nearest row.

    :raises CurationError: if that is none or all of them
    """
    count = int(len(split_hashes) * share + 0.5)
    if not 0 < count < len(split_hashes):
        raise _too_few_rows(len(split_hashes), what=f"a test share of {share:g} by label")
    return _flags(np.argsort(split_hashes, kind="stable")[:count], size=len(split_hashes))


def _shuffle(count: int, *, seed: int) -> Integers:
    # pandas itself, not what it does inside: the published order is defined by this call
    return pd.Series(np.arange(count)).sample(frac=1, random_state=seed).to_numpy()


def _flags(positions: Integers, *, size: int) -> Flags:
    flags = np.zeros(size, dtype=bool)
    flags[positions] = True
    return flags


def _too_few_rows(rows: int, *, what: str) -> CurationError:
    """Return the error that rows can't be divided."""
    return CurationError(
        "split into train and test",
        found=f"{rows:,} rows, too few for {what}",
        expected="rows of both labels, and genes and diseases, on both sides",
        remedy="Take a larger release or another share.",
    )
