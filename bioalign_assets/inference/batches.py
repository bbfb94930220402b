"""Statements in batches of like length, and what happens when a batch does not fit into memory."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from bioalign_assets.errors import ModelError
from bioalign_assets.terminal import terminal

__all__ = ["BatchSize", "Places", "in_batches", "no_room", "padded"]

Places = npt.NDArray[np.int64]
BatchSize = int | Literal["auto"]
"""Most statements in one forward pass; ``auto`` leaves it to the device's memory alone."""


def in_batches(
    lengths: npt.NDArray[np.int64],
    *,
    run: Callable[[Places], None],
    tokens: int,
    batch_size: BatchSize = "auto",
    what: str,
) -> None:
    """Run something over rows in batches of like length, the longest first, with one progress bar.

    A batch has as many rows as its longest one leaves room for. Where the device runs out of memory all the same,
    that batch and those after it have half as many rows, and the work goes on. How rows are batched moves no figure
    but in its last digits.

    :param lengths: tokens of each row, shape (n,)
    :param run: called with the places of a batch, shape (rows,), each place once; it must do the same if called again
    :param tokens: that fit into one forward pass, padding included
    :param batch_size: most rows in one forward pass
    :param what: of the progress bar
    :raises ModelError: if a single row does not fit into the device's memory
    """
    order = np.argsort(-lengths, kind="stable")
    most = len(order) if batch_size == "auto" else batch_size
    start = 0
    # disable=None: shown on a terminal, silent in logs and tests
    with tqdm(total=len(order), desc=what, unit="row", file=terminal(), disable=None, leave=False) as bar:
        while start < len(order):
            longest = max(1, int(lengths[order[start]]))
            rows = min(len(order) - start, most, max(1, tokens // longest))
            try:
                run(order[start : start + rows])
            except torch.OutOfMemoryError as error:
                if rows == 1:
                    raise no_room(longest, error=error) from error
                most = rows // 2
            else:
                start += rows
                bar.update(rows)
                continue
            # outside the except block, whose error still holds the tensors of the failed batch
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def no_room(tokens: int, *, error: BaseException) -> ModelError:
    """Return what to tell a person where not even one statement of so many tokens fits."""
    return ModelError(
        "Inference", found=f"no memory left for one statement of {tokens} tokens ({error})",
        expected="room for one statement beside the model",
        remedy="End what else holds memory of this device (nvidia-smi lists it), or take a smaller model.",
    )  # fmt: skip


def padded(
    rows: Sequence[Sequence[int]], *, pad: int, side: Literal["left", "right"]
) -> tuple[npt.NDArray[np.int64], Places]:
    """Return rows of token ids as one matrix, and how many tokens each row has.

    :returns: shapes (n, longest) and (n,)
    """
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    longest = int(lengths.max(initial=0))
    matrix = np.full((len(rows), longest), pad, dtype=np.int64)
    columns = np.arange(longest)
    own = columns >= longest - lengths[:, None] if side == "left" else columns < lengths[:, None]
    matrix[own] = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(lengths.sum()))
    return matrix, lengths
