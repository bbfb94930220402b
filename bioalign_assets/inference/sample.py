"""Which test rows are scored: the same ones for every model.

``published`` repeats the notebooks' draw with pandas. ``stable`` takes the rows with the smallest hash of
pair and seed: a row's place in it depends on no other row, so that a release that changes 1% of the rows
changes about 1% of the sample.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.errors import CurationError

__all__ = ["Sampler", "evaluation_sample", "split_rows", "stable_draw"]

Sampler = Literal["published", "stable"]
_KEY_LENGTH = 16  # bytes of a SipHash key


def split_rows(pairs: pa.Table, *, split: Literal["train", "test"]) -> pa.Table:
    """Return the rows of one split, in the dataset's order.

    :param pairs: one dataset, with the schema of ``curation.pairs``, rows in any order
    :raises CurationError: if there are none
    """
    rows = pairs.filter(pc.equal(pairs["split"], split)).sort_by("row_number")
    if not len(rows):
        raise CurationError(
            f"curation.pairs ({_dataset(pairs)})",
            found=f"no {split} rows among {len(pairs)}",
            expected="a train and a test split",
            remedy="Build the dataset again.",
        )
    return rows


def evaluation_sample(
    pairs: pa.Table,
    *,
    size: int | None,
    seed: int,
    sampler: Sampler,
    seen_texts: pa.Array | pa.ChunkedArray | None = None,
) -> pa.Table:
    """Return the test rows to score.

    :param pairs: one dataset, with the schema of ``curation.pairs``
    :param size: rows to take; None for all. Where there are no more, all are taken, in the dataset's order
    :param seed: of the draw
    :param sampler: ``published``: pandas' ``sample(n=size, random_state=seed)`` of the test rows, in the
        order in which it draws them (the padded mean depends on it); ``stable``: by hash, in the dataset's
        order
    :param seen_texts: texts of another dataset that the model was trained on. Rows that hold one are taken out of the
        sample: a model would be asked what it was told. So many rows of the other label go with them that both
        labels keep their shares. What stays is a part of the sample that all others are asked.
    :returns: rows with the schema of ``pairs``
    :raises CurationError: if there is no test row, or one label is missing
    """
    if size is not None and size < 1:
        raise ValueError(f"the size of a sample must be at least 1, found {size}")
    test = split_rows(pairs, split="test")
    sample = test
    if size is not None and size < len(test):
        sample = test.take(_draw(test, size=size, seed=seed, sampler=sampler))
    if seen_texts is not None and len(seen_texts):
        unseen = sample.filter(pc.invert(pc.is_in(sample["text"], value_set=seen_texts)))
        if len(unseen) < len(sample):
            # what was trained on elsewhere is mostly true pairs: nearly all that is left would be false
            sample = _with_shares_of(sample, left=unseen, seed=seed)
    true = pc.sum(pc.equal(sample["label"], 1)).as_py() or 0
    if true in {0, len(sample)}:
        raise CurationError(
            f"evaluation sample of {_dataset(pairs)}",
            found=f"{true} true and {len(sample) - true} false statements",
            expected="both",
            remedy="Raise sample_size in [evaluation], or take out of evaluate_on the datasets "
            "whose test rows the experiment has nearly all trained on.",
        )
    return sample


def _with_shares_of(sample: pa.Table, *, left: pa.Table, seed: int) -> pa.Table:
    """Return as many of the rows that are left as keep both labels' shares of the sample, in their order."""
    is_true = left["label"].to_numpy() == 1
    share = float(np.mean(sample["label"].to_numpy() == 1))
    there = {True: int(is_true.sum()), False: int((~is_true).sum())}
    shares = {True: share, False: 1 - share}
    rows = min((there[label] / shares[label] for label in there if shares[label]), default=0.0)
    kept = []
    for label, count in there.items():
        places = np.flatnonzero(is_true == label)
        wanted = min(count, round(rows * shares[label]))
        if wanted < count:
            places = places[_draw(left.take(places), size=wanted, seed=seed, sampler="stable")]
        kept.append(places)
    return left.take(np.sort(np.concatenate(kept)))


def _draw(test: pa.Table, *, size: int, seed: int, sampler: Sampler) -> npt.NDArray[np.integer]:
    """Return row positions, shape (size,)."""
    if sampler == "published":
        return pd.Series(np.arange(len(test))).sample(n=size, random_state=seed).to_numpy()
    if sampler != "stable":
        raise ValueError(f"unknown sampler {sampler!r}: published or stable")
    return stable_draw(test["pair_id"], size=size, seed=seed)


def stable_draw(pair_ids: pa.Array | pa.ChunkedArray, *, size: int, seed: int) -> npt.NDArray[np.integer]:
    """Return the places of the ids with the smallest hash of id and seed, ascending; shape (min(size, n),).

    Whether an id is drawn depends on how many others have a smaller hash, and on nothing else of them.

    :raises ValueError: if the seed is negative or too long
    """
    ids = pair_ids.to_numpy(zero_copy_only=False).astype(object)
    key = f"{seed:0{_KEY_LENGTH}d}"
    if seed < 0 or len(key) > _KEY_LENGTH:
        raise ValueError(f"the seed must be a whole number of at most {_KEY_LENGTH} digits, found {seed}")
    hashes = pd.util.hash_array(ids, hash_key=key, categorize=False)
    # a pair that stands twice has one hash: the earlier row goes first
    return np.sort(np.argsort(hashes, kind="stable")[:size])


def _dataset(pairs: pa.Table) -> str:
    return ", ".join(pc.unique(pairs["dataset"]).to_pylist()) or "empty"
