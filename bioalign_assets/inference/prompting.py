"""Prompts about many statements, tokenised at once and run in batches, their common beginning once where it may be."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from bioalign_assets.curation.prompts import Prompt
from bioalign_assets.inference.batches import BatchSize, Places, in_batches, padded, tokens_at_once
from bioalign_assets.inference.dense import dense_weights
from bioalign_assets.inference.prefix import PromptBatch, SharedPrefix, common_length, way_to_ask
from bioalign_assets.models.answer_tokens import encode_prompts
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.memory import free_memory

__all__ = ["run_prompts"]


def run_prompts(
    texts: Sequence[str],
    *,
    prompt: Prompt,
    loaded: LoadedModel,
    is_chat: bool,
    answer_length: int,
    batch_size: BatchSize,
    what: str,
    shared: Callable[[Places, PromptBatch, torch.Tensor], None],
    whole: Callable[[Places, torch.Tensor, torch.Tensor], None],
) -> None:
    """Run the prompts about some statements, batch by batch, the longest first.

    :param answer_length: tokens that are written after a prompt
    :param batch_size: most prompts in one forward pass
    :param what: of the progress bar
    :param shared: called with the places of a batch, its prompts behind their common beginning, and their other
        tokens of shape (rows, tokens), padded on the left
    :param whole: called instead where the beginning may not be shared, with places, tokens and attention mask
    :raises ModelError: if a single prompt does not fit into the device's memory
    """
    prompts = encode_prompts(texts, prompt=prompt, tokenizer=loaded.tokenizer, is_chat=is_chat)
    if not prompts:
        return
    way = way_to_ask(loaded, longest=max(map(len, prompts)) + answer_length)
    common = common_length(prompts) if way == "shared" else 0
    tokens, lengths = padded(
        [ids[common:] for ids in prompts], pad=loaded.tokenizer.pad_token_id, side="left"
    )
    with torch.inference_mode(), dense_weights(loaded), loaded.computing():
        room = tokens_at_once(
            free_memory(loaded.device),
            config=loaded.model.config,
            dtype=loaded.dtype,
            device_type=loaded.device.type,
            shared=common + answer_length,
            shortest=int(lengths.min()),
            longest=int(lengths.max()),
        )
        prefix = SharedPrefix.of(prompts[0][:common], loaded=loaded)

        def run(places: Places) -> None:
            own = lengths[places]
            width = int(own.max())
            ids = torch.from_numpy(tokens[places, -width:]).to(loaded.device)
            pads = width - own
            if way == "shared":
                batch = PromptBatch(
                    prefix, pads=torch.from_numpy(pads), width=width + answer_length, loaded=loaded
                )
                shared(places, batch, ids)
            else:
                is_own = torch.from_numpy(np.arange(width) >= pads[:, None])
                whole(places, ids, is_own.to(loaded.device, dtype=torch.int64))

        in_batches(lengths, run=run, tokens=room, batch_size=1 if way == "alone" else batch_size, what=what)
