"""Statements in batches of like length: how large they may be, and what happens when one does not fit into memory."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from bioalign_assets.errors import ModelError
from bioalign_assets.terminal import terminal

__all__ = ["TOKENS_AT_ONCE", "BatchSize", "Places", "in_batches", "no_room", "padded", "tokens_at_once"]

Places = npt.NDArray[np.int64]
BatchSize = int | Literal["auto"]
"""Most statements in one forward pass; ``auto`` leaves it to the device's memory alone."""

TOKENS_AT_ONCE = {"cpu": 768, "cuda": 8192}
"""Tokens of one forward pass beyond which nothing is won.

A CPU wants them in its cache (measured, see docs/performance.md); a card has enough to do from here on. Where memory
is not the limit, the limit is the same on every run, and so are the last digits of the figures.
"""

_SHARE = 0.5  # of the free memory: kernels need room of their own, and estimates are estimates


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


def tokens_at_once(
    free: int,
    *,
    config: Any,
    dtype: torch.dtype,
    device_type: str,
    shared: int = 0,
    shortest: int = 1,
    longest: int = 1,
    with_words: bool = True,
    states: int = 1,
) -> int:
    """Return how many tokens may go through a model in one forward pass, at least 1.

    Counted for each token: its keys and values in all layers (and those of the tokens before it that every row
    shares, spread over the row), the widest activations of one layer, its part of the attention mask, and its row's
    product with the vocabulary.

    :param free: bytes
    :param config: of a transformers model
    :param dtype: that it computes in
    :param device_type: ``cpu`` or ``cuda``
    :param shared: tokens that stand in memory once a row but do not go through the model with it
    :param shortest: tokens of the shortest row
    :param longest: tokens of the longest row
    :param states: hidden states of a token that are kept, one a layer
    :param with_words: whether keys and values are kept, and the product with the vocabulary is made
    """
    most = TOKENS_AT_ONCE.get(device_type, TOKENS_AT_ONCE["cpu"])
    size = dtype.itemsize
    hidden = config.hidden_size
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or hidden // heads
    kept = (
        2 * (getattr(config, "num_key_value_heads", None) or heads) * head * config.num_hidden_layers * size
    )
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    # three widths of the feed-forward net, queries with keys and values for each of them, residuals in float32
    token = (3 * inner + 4 * heads * head + (states - 1) * hidden) * size + 4 * hidden * 4
    row = 0
    if with_words:
        token += kept
        # each step's new keys and values, those of one layer repeated for every query head, logits and a copy
        row = shared * (kept + 2 * heads * head * size) + config.vocab_size * (size + 4)
    mask = (shared + longest) * size
    room = int(_SHARE * free / (token + mask + row / shortest))
    return max(1, min(most, room))


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
