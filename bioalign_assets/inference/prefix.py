"""Prompts that begin alike: their common beginning goes through the model once.

The preamble and the instruction are two thirds of a training prompt. Their keys and values are computed once, and
each batch of prompts only runs what follows, with a mask that lets every token see the common beginning and its own
prompt up to itself, as in a row of its own: the same answers up to the order of sums (Hydragen, Juravsky et al. 2024,
https://arxiv.org/abs/2402.05099, shares the beginning in the same way).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from bioalign_assets.inference.batches import no_room
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.training.packing import attention_window, other_layers

__all__ = ["PromptBatch", "SharedPrefix", "common_length", "way_to_ask"]

_MOVING_ROPES = {"dynamic", "longrope"}


def common_length(prompts: Sequence[list[int]]) -> int:
    """Return how many tokens all prompts begin with, at least one short of the shortest: its last is asked from."""
    if not prompts:
        return 0
    # what the first and the last in lexical order begin with, all between them begin with too
    first, last = min(prompts), max(prompts)
    differ = (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    shortest = min(map(len, prompts))
    return min(next(differ, shortest), shortest - 1)


def way_to_ask(loaded: LoadedModel, *, longest: int) -> Literal["shared", "whole", "alone"]:
    """Return how prompts go through a model with the same answers as one by one.

    ``shared``: their common beginning once. It needs rotary positions and attention that is transformers' own, takes a
    mask, and is of one kind in all layers. ``whole``: batches of whole prompts, for any other model. ``alone``: one
    prompt at a time, where padding would change something: with layers that are no attention, or a longest prompt so
    long that positions turn in another way for all that stands in the batch.

    :param longest: tokens of the longest prompt with its answer
    """
    config = loaded.model.config
    rope = getattr(config, "rope_parameters", None) or {}
    if other_layers(config) or _turns_anew(config, rope=rope, longest=longest):
        return "alone"
    try:
        attention_window(config)
    except ValueError:
        return "whole"
    takes_mask = config._attn_implementation in {"sdpa", "eager"}  # noqa: SLF001 - transformers has no other name for it
    # positions that are not rotary may not be taken from outside; Unsloth puts attention of its own into transformers
    return "shared" if takes_mask and rope and "unsloth" not in sys.modules else "whole"


def _turns_anew(config: Any, *, rope: dict[str, Any], longest: int) -> bool:
    """Whether a prompt of that length is beyond where positions begin to turn in another way."""
    if rope.get("rope_type") not in _MOVING_ROPES:
        return False
    limit: int = rope.get("original_max_position_embeddings") or config.max_position_embeddings
    return longest > limit


@dataclass(frozen=True, kw_only=True)
class SharedPrefix:
    """Keys and values of a common beginning, a pair of tensors a layer, each (1, heads, tokens, head size)."""

    states: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    length: int

    @classmethod
    def of(cls, ids: Sequence[int], *, loaded: LoadedModel) -> "SharedPrefix":
        """Return those of some tokens, which may be none.

        :raises ModelError: if they don't fit into the device's memory
        """
        cache = DynamicCache()  # of plain layers: which tokens a window leaves is the mask's concern
        if ids:
            row = torch.tensor([ids], device=loaded.device)
            positions, mask = _seen(
                torch.zeros(1, dtype=torch.int64), prefix=0, start=0, count=len(ids), loaded=loaded
            )
            try:
                loaded.model(
                    input_ids=row, position_ids=positions, attention_mask=mask, past_key_values=cache, use_cache=True,
                    logits_to_keep=1,
                )  # fmt: skip
            except torch.OutOfMemoryError as error:
                raise no_room(len(ids), error=error) from error
        return cls(states=tuple((layer.keys, layer.values) for layer in cache.layers), length=len(ids))


class _Layer(DynamicLayer):
    """Keys and values of a batch: room for all its tokens from the start, the common beginning already there."""

    def __init__(self, states: tuple[torch.Tensor, torch.Tensor] | None, *, rows: int, width: int) -> None:
        super().__init__()
        self.rows, self.width, self.filled = rows, width, 0
        if states is not None:
            self.update(*(state.expand(rows, -1, -1, -1) for state in states))

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        # turned by their positions, keys come in float32; they are multiplied in the type of the values
        self.dtype, self.device = value_states.dtype, key_states.device
        for name, state in (("keys", key_states), ("values", value_states)):
            heads, size = state.shape[1], state.shape[3]
            setattr(self, name, state.new_empty(self.rows, heads, self.width, size, dtype=self.dtype))
        self.is_initialized = True

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *args: Any,  # noqa: ARG002 - transformers' signature
        **kwargs: Any,  # noqa: ARG002
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, self.filled = self.filled, self.filled + key_states.shape[2]
        self.keys[:, :, start : self.filled] = key_states
        self.values[:, :, start : self.filled] = value_states
        return self.keys[:, :, : self.filled], self.values[:, :, : self.filled]

    def get_seq_length(self) -> int:
        return self.filled


class PromptBatch:
    """A batch of prompts behind their common beginning, run step by step."""

    def __init__(self, prefix: SharedPrefix, *, pads: torch.Tensor, width: int, loaded: LoadedModel) -> None:
        """Make room for a batch.

        :param pads: padding tokens that each row has on the left, shape (rows,), on the CPU
        :param width: tokens to come in each row, padding and answers included
        """
        self._loaded, self._prefix = loaded, prefix
        self._is_padded = bool(pads.any())
        self._pads = pads if self._is_padded else pads[:1]  # one row of masks serves all where they are alike
        states = prefix.states or [None] * loaded.model.config.num_hidden_layers
        self._cache = Cache(
            layers=[_Layer(each, rows=len(pads), width=prefix.length + width) for each in states]
        )
        self._filled = prefix.length

    def next_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Run the next tokens of each row; return the logits of what follows the last one, shape (rows, vocabulary).

        :param tokens: shape (rows, tokens), on the model's device
        """
        positions, mask = _seen(
            self._pads,
            prefix=self._prefix.length,
            start=self._filled,
            count=tokens.shape[1],
            loaded=self._loaded,
        )
        self._filled += tokens.shape[1]
        logits: torch.Tensor = self._loaded.model(
            input_ids=tokens, position_ids=positions, attention_mask=mask, past_key_values=self._cache,
            use_cache=True, logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip
        return logits


def _seen(
    pads: torch.Tensor, *, prefix: int, start: int, count: int, loaded: LoadedModel
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return positions and mask of the next tokens of each row.

    The columns of a row are the common beginning, its padding, its own tokens.

    :param pads: padding tokens of each row, shape (rows,)
    :param prefix: tokens of the common beginning
    :param start: columns that are there already
    :param count: columns to come
    :returns: shapes (rows, count) and (rows, 1, count, start + count), the mask to be added to the scores
    """
    window = attention_window(loaded.model.config)
    columns = torch.arange(start + count)
    places = torch.where(columns < prefix, columns, columns - pads[:, None])
    own = places[:, start:]
    back = own[:, :, None] - places[:, None, :]
    is_real = (columns < prefix) | (columns >= prefix + pads[:, None])
    sees = (back >= 0) & is_real[:, None, :]
    if window is not None:
        sees &= back < window
    # padding sees itself at least: a softmax over nothing is no number
    sees |= columns[start:, None] == columns
    mask = torch.zeros(sees.shape, dtype=loaded.dtype).masked_fill_(~sees, torch.finfo(loaded.dtype).min)
    return own.clamp(min=0).to(loaded.device), mask[:, None].to(loaded.device)
