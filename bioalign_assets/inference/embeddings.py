"""Embeddings of statements: the decoder body's last hidden state, averaged over a statement's tokens."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from bioalign_assets.errors import ModelError
from bioalign_assets.inference.batches import BatchSize, Places, in_batches, padded, tokens_at_once
from bioalign_assets.inference.dense import dense_weights
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.memory import free_memory

__all__ = ["NOTEBOOK_BATCH_SIZE", "Vectors", "embed", "embed_layers"]

Vectors = np.ndarray[Any, np.dtype[np.float32]]

NOTEBOOK_BATCH_SIZE = 32
"""Batch of the published notebooks; with ``padded-mean`` a vector depends on it."""


def embed(
    texts: Sequence[str],
    *,
    loaded: LoadedModel,
    batch_size: BatchSize = "auto",
    pooling: Literal["mean", "padded-mean"] = "mean",
) -> Vectors:
    """Return one vector a statement, in the order given.

    ``mean`` averages over a statement's own tokens. ``padded-mean`` repeats the published notebooks: batches of 32 in
    the order given, padding averaged in, so that a vector depends on the statements that happen to stand beside it.
    It is there to compare with them. How many statements are in one forward pass here changes no vector of either
    but in its last digits.

    :param texts: n statements
    :param batch_size: most statements in one forward pass
    :return: shape (n, hidden size), float32
    :raises ModelError: if a vector is not finite, or one statement does not fit into memory
    """
    vectors, _ = _pooled(texts, loaded=loaded, batch_size=batch_size, pooling=pooling, kept=None)
    return vectors


def embed_layers(
    texts: Sequence[str],
    *,
    kept: Places,
    loaded: LoadedModel,
    batch_size: BatchSize = "auto",
    pooling: Literal["mean", "padded-mean"] = "mean",
) -> tuple[Vectors, Vectors]:
    """Return what ``embed`` does, and of some texts the vectors after every layer, from the same pass.

    Layer 0 is what goes into the first decoder layer, the tokens' own embeddings; the last one is what ``embed``
    returns.

    :param texts: n of them
    :param kept: places of those whose layers are kept, which take (layers + 1) vectors each; ascending
    :return: shapes (n, hidden size) and (layers + 1, len(kept), hidden size), float32
    :raises ModelError: as ``embed``
    """
    return _pooled(texts, loaded=loaded, batch_size=batch_size, pooling=pooling, kept=kept)


def _pooled(
    texts: Sequence[str],
    *,
    loaded: LoadedModel,
    batch_size: BatchSize,
    pooling: Literal["mean", "padded-mean"],
    kept: Places | None,
) -> tuple[Vectors, Vectors]:
    """Return the pooled last states, and those after all layers of the texts that are kept (none: no layer is)."""
    config = loaded.model.config
    layers = 0 if kept is None else config.num_hidden_layers + 1
    vectors = np.empty((len(texts), config.hidden_size), dtype=np.float32)
    by_layer = np.empty((layers, 0 if kept is None else len(kept), config.hidden_size), dtype=np.float32)
    if not len(texts):
        return vectors, by_layer
    row_of = np.full(len(texts), -1)
    if kept is not None:
        row_of[kept] = np.arange(len(kept))
    tokens, lengths = padded(
        loaded.tokenizer(list(texts))["input_ids"], pad=loaded.tokenizer.pad_token_id, side="right"
    )
    # tokens of each row that its vector is the mean of: with padded-mean, as many as the longest of its batch has
    counted = lengths if pooling == "mean" else _longest_of_batch(lengths)

    def run(places: Places) -> None:
        width = int(counted[places].max())
        columns = np.arange(width)
        ids, own, pooled_over = (
            torch.from_numpy(each).to(loaded.device)
            for each in (
                tokens[places, :width],
                (columns < lengths[places, None]).astype(np.int64),
                columns < counted[places, None],
            )
        )

        def pooled(hidden: torch.Tensor) -> Vectors:
            # filled, not multiplied: what stands over padding may be no number, and 0 * nan is nan
            total = hidden.float().masked_fill(~pooled_over.unsqueeze(-1), 0).sum(dim=1)
            return (total / pooled_over.sum(dim=1, keepdim=True)).cpu().numpy()

        # without the LM head: its vocabulary-wide product is not needed
        body = loaded.model.get_decoder()
        found = body(input_ids=ids, attention_mask=own, use_cache=False, output_hidden_states=layers > 0)
        vectors[places] = pooled(found.last_hidden_state)
        is_kept = row_of[places] >= 0
        for layer in range(layers):
            by_layer[layer, row_of[places][is_kept]] = pooled(found.hidden_states[layer])[is_kept]

    with torch.inference_mode(), dense_weights(loaded), loaded.computing():
        room = tokens_at_once(
            free_memory(loaded.device),
            config=config,
            dtype=loaded.dtype,
            device_type=loaded.device.type,
            longest=int(lengths.max()),
            with_words=False,
            states=max(1, layers),
        )
        in_batches(counted, run=run, tokens=room, batch_size=batch_size, what="embedding")
    bad = int((~np.isfinite(vectors)).any(axis=1).sum() + (~np.isfinite(by_layer)).any(axis=(0, 2)).sum())
    if bad:
        raise ModelError(
            "Embeddings",
            found=f"{bad} vectors with values that are not numbers",
            expected="finite vectors",
            remedy="Set dtype = 'bfloat16' or 'float32' for the model; float16 overflows in some models.",
        )
    return vectors, by_layer


def _longest_of_batch(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each row the most tokens that a row of its batch in the notebooks has."""
    starts = np.arange(0, len(lengths), NOTEBOOK_BATCH_SIZE)
    longest = np.maximum.reduceat(lengths, starts)
    return np.repeat(longest, NOTEBOOK_BATCH_SIZE)[: len(lengths)]
