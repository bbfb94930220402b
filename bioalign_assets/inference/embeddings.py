"""Embeddings of statements: the decoder body's last hidden state, averaged over a statement's tokens."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from bioalign_assets.errors import ModelError
from bioalign_assets.inference.batches import BatchSize, Places, in_batches, padded
from bioalign_assets.inference.dense import dense_weights
from bioalign_assets.inference.memory import tokens_at_once
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.memory import free_memory

__all__ = ["NOTEBOOK_BATCH_SIZE", "embed"]

NOTEBOOK_BATCH_SIZE = 32
"""Batch of the published notebooks; with ``padded-mean`` a vector depends on it."""


def embed(
    texts: Sequence[str],
    *,
    loaded: LoadedModel,
    batch_size: BatchSize = "auto",
    pooling: Literal["mean", "padded-mean"] = "mean",
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return one vector a statement, in the order given.

    ``mean`` averages over a statement's own tokens; statements are batched by length, which changes no vector but in
    its last digits. ``padded-mean`` repeats the published notebooks: batches of 32 in the order given, padding
    averaged in, so that a vector depends on the statements that happen to stand beside it. It is there to compare
    with them.

    :param texts: n statements
    :param batch_size: most statements in one forward pass (of ``mean``)
    :return: shape (n, hidden size), float32
    :raises ModelError: if a vector is not finite, or one statement does not fit into memory
    """
    vectors = np.empty((len(texts), loaded.model.config.hidden_size), dtype=np.float32)
    if not len(texts):
        return vectors
    tokens, lengths = padded(
        loaded.tokenizer(list(texts))["input_ids"], pad=loaded.tokenizer.pad_token_id, side="right"
    )
    is_own = np.arange(tokens.shape[1]) < lengths[:, None]

    def run(places: Places) -> None:
        width = int(lengths[places].max())
        ids, mask = (
            torch.from_numpy(each[places, :width]).to(loaded.device)
            for each in (tokens, is_own.astype(np.int64))
        )
        # without the LM head: its vocabulary-wide product is not needed
        body = loaded.model.get_decoder()
        hidden = body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state.float()
        if pooling == "padded-mean":
            pooled = hidden.mean(dim=1)
        else:
            mask = mask.unsqueeze(-1)
            # filled, not multiplied: what stands over padding may be no number, and 0 * nan is nan
            pooled = hidden.masked_fill(mask == 0, 0).sum(dim=1) / mask.sum(dim=1)
        vectors[places] = pooled.cpu().numpy()

    with torch.inference_mode(), dense_weights(loaded):
        if pooling == "padded-mean":
            for start in range(0, len(texts), NOTEBOOK_BATCH_SIZE):
                run(np.arange(start, min(start + NOTEBOOK_BATCH_SIZE, len(texts))))
        else:
            room = tokens_at_once(
                free_memory(loaded.device),
                config=loaded.model.config,
                dtype=loaded.dtype,
                device_type=loaded.device.type,
                longest=int(lengths.max()),
                with_words=False,
            )
            in_batches(lengths, run=run, tokens=room, batch_size=batch_size, what="embedding")
    if not np.isfinite(vectors).all():
        raise ModelError(
            "Embeddings",
            found=f"{int((~np.isfinite(vectors)).any(axis=1).sum())} vectors with values that are not numbers",
            expected="finite vectors",
            remedy="Set dtype = 'bfloat16' or 'float32' for the model; float16 overflows in some models.",
        )
    return vectors
