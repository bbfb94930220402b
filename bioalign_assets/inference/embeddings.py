"""Embeddings of statements: the decoder body's last hidden state, averaged over a statement's tokens."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import torch

from bioalign_assets.errors import ModelError
from bioalign_assets.inference.progress import progress
from bioalign_assets.models.loading import LoadedModel

__all__ = ["NOTEBOOK_BATCH_SIZE", "embed"]

NOTEBOOK_BATCH_SIZE = 32
"""Batch of the published notebooks; with ``padded-mean`` a vector depends on it."""


def embed(
    texts: Sequence[str],
    *,
    loaded: LoadedModel,
    batch_size: int,
    pooling: Literal["mean", "padded-mean"] = "mean",
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return one vector a statement, in the order given.

    ``mean`` averages over a statement's own tokens; statements are batched by length, which changes no vector.
    ``padded-mean`` repeats the published notebooks: batches of 32 in the order given, padding averaged in, so
    that a vector depends on the statements that happen to stand beside it. It is there to compare with them.

    :param texts: n statements
    :return: shape (n, hidden size), float32
    :raises ModelError: if a vector is not finite
    """
    if pooling == "padded-mean":
        batches: Iterable[list[int]] = _slices(list(range(len(texts))), size=NOTEBOOK_BATCH_SIZE)
    else:
        # characters are close enough to tokens to waste little padding
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        batches = _slices(by_length, size=batch_size)
    body = loaded.model.get_decoder()  # without the LM head: its vocabulary-wide product is not needed
    vectors = np.empty((len(texts), loaded.model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for batch in progress(list(batches), what="embedding", total=len(texts)):
            encoded = loaded.tokenizer(
                [texts[i] for i in batch], padding=True, padding_side="right", return_tensors="pt"
            ).to(loaded.device)
            hidden = body(
                input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"], use_cache=False
            ).last_hidden_state.float()
            if pooling == "padded-mean":
                pooled = hidden.mean(dim=1)
            else:
                mask = encoded["attention_mask"].unsqueeze(-1)
                # filled, not multiplied: what stands over padding may be no number, and 0 * nan is nan
                pooled = hidden.masked_fill(mask == 0, 0).sum(dim=1) / mask.sum(dim=1)
            vectors[batch] = pooled.cpu().numpy()
    if not np.isfinite(vectors).all():
        raise ModelError(
            "Embeddings",
            found=f"{int((~np.isfinite(vectors)).any(axis=1).sum())} vectors with values that are not numbers",
            expected="finite vectors",
            remedy="Set dtype = 'bfloat16' or 'float32' for the model; float16 overflows in some models.",
        )
    return vectors


def _slices(order: list[int], *, size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]
