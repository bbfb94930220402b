"""How many tokens go through a model at once: as many as its device has room for, and no more than are of use."""

from typing import Any

import torch

__all__ = ["TOKENS_AT_ONCE", "tokens_at_once"]

TOKENS_AT_ONCE = {"cpu": 768, "cuda": 8192}
"""Tokens of one forward pass beyond which nothing is won.

A CPU wants them in its cache (measured, see docs/performance.md); a card has enough to do from here on. Where memory
is not the limit, the limit is the same on every run, and so are the last digits of the figures.
"""

_SHARE = 0.5  # of the free memory: kernels need room of their own, and estimates are estimates


def tokens_at_once(
    free: int | None,
    *,
    config: Any,
    dtype: torch.dtype,
    device_type: str,
    shared: int = 0,
    shortest: int = 1,
    longest: int = 1,
    with_words: bool = True,
) -> int:
    """Return how many tokens may go through a model in one forward pass, at least 1.

    Counted for each token: its keys and values in all layers (and those of the tokens before it that every row
    shares, spread over the row), the widest activations of one layer, its part of the attention mask, and its row's
    product with the vocabulary.

    :param free: bytes; None for unknown, which sets no limit
    :param config: of a transformers model
    :param dtype: that it computes in
    :param device_type: ``cpu`` or ``cuda``
    :param shared: tokens that stand in memory once a row but do not go through the model with it
    :param shortest: tokens of the shortest row
    :param longest: tokens of the longest row
    :param with_words: whether keys and values are kept, and the product with the vocabulary is made
    """
    most = TOKENS_AT_ONCE.get(device_type, TOKENS_AT_ONCE["cpu"])
    if free is None:
        return most
    size = dtype.itemsize
    hidden = config.hidden_size
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or hidden // heads
    kept = (
        2 * (getattr(config, "num_key_value_heads", None) or heads) * head * config.num_hidden_layers * size
    )
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    # three widths of the feed-forward net, queries with keys and values for each of them, residuals in float32
    token = (3 * inner + 4 * heads * head) * size + 4 * hidden * 4
    row = 0
    if with_words:
        token += kept
        # each step's new keys and values, those of one layer repeated for every query head, logits and a copy
        row = shared * (kept + 2 * heads * head * size) + config.vocab_size * (size + 4)
    mask = (shared + longest) * size
    room = int(_SHARE * free / (token + mask + row / shortest))
    return max(1, min(most, room))
