"""Shared-prefix packing: samples that begin alike stand behind one copy of their beginning.

The preamble and the instruction are two thirds of every training sample. A padded batch runs them once a sample; here
they stand once in a row, the rest of each sample follows, and a mask lets every token see the prefix and its own
sample up to itself. Positions go on from the prefix in each sample, so that every token meets what it would meet in
a row of its own: losses and gradients are those of the padded batch, up to the order of sums (the tests hold it to
1e-5). The same idea for prompts of one prefix: Hydragen (Juravsky et al. 2024, https://arxiv.org/abs/2402.05099).

It is exact for losses on the answer only: the last token of the prefix has as many next tokens as there are samples,
and one place in the row for a label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch

__all__ = ["MOST_SAMPLES_IN_A_ROW", "SharedPrefixCollator", "attention_window", "can_pack"]

_IGNORED = -100
MOST_SAMPLES_IN_A_ROW = 32
"""The mask grows with the square of a row; from about this many samples on, longer rows save next to nothing."""


def attention_window(config: Any) -> int | None:
    """Return how many tokens back, itself included, a token of the model sees; None where all.

    :raises ValueError: if layers differ in that: one mask can't serve them all
    """
    window: int | None = getattr(config, "sliding_window", None)
    if window is None or getattr(config, "use_sliding_window", True) is False:
        return None
    kinds = set(getattr(config, "layer_types", None) or ["sliding_attention"])
    if kinds == {"full_attention"}:
        return None
    if kinds != {"sliding_attention"}:
        raise ValueError(f"layers of several kinds: {', '.join(sorted(kinds))}")
    return window


def can_pack(config: Any) -> bool:
    """Return whether a model's attention takes the mask: PyTorch's own (sdpa), the same in all layers."""
    if config._attn_implementation != "sdpa":  # noqa: SLF001 - transformers has no other name for it
        return False
    try:
        attention_window(config)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class SharedPrefixCollator:
    """Makes one row of a batch of samples.

    :param window: tokens back that a token sees, itself included; None for all (:func:`attention_window`)
    """

    window: int | None = None

    def __call__(self, samples: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Return the row: ``input_ids``, ``labels``, ``position_ids`` of shape (1, L), and the mask.

        ``attention_mask`` has shape (1, 1, L, L) and is true where a token (third axis) sees another (fourth).

        :param samples: each with ``input_ids`` and ``labels``, of which only an answer at the end counts
        :raises ValueError: if the first token of a sample counts
        """
        shared = _shared(samples)
        tails = [len(sample["input_ids"]) - shared for sample in samples]
        row = list(samples[0]["input_ids"][:shared])
        labels = [_IGNORED] * shared
        for sample in samples:
            row += sample["input_ids"][shared:]
            labels += sample["labels"][shared:]
        sample_of = torch.repeat_interleave(torch.arange(len(samples) + 1), torch.tensor([shared, *tails]))
        positions = torch.arange(len(row))
        starts = torch.tensor([0, *accumulate(tails[:-1], initial=shared)])
        positions = positions - starts[sample_of] + torch.where(sample_of > 0, shared, 0)
        back = positions[:, None] - positions[None, :]
        sees = (back >= 0) & ((sample_of[None, :] == 0) | (sample_of[:, None] == sample_of[None, :]))
        if self.window is not None:
            sees &= back < self.window
        return {
            "input_ids": torch.tensor([row]),
            "labels": torch.tensor([labels]),
            "position_ids": positions[None],
            "attention_mask": sees[None, None],
        }


def _shared(samples: Sequence[dict[str, list[int]]]) -> int:
    """Return how many tokens all samples begin with, short of the token before the first one that counts.

    That token stays with its sample, because it is the one that the answer is predicted from.
    """
    shortest = min(_first_counted(sample["labels"]) for sample in samples) - 1
    if shortest < 0:
        raise ValueError("the first token of a sample counts: only answers at the end can be packed")
    starts = np.array([sample["input_ids"][:shortest] for sample in samples])
    differs = (starts != starts[0]).any(axis=0)
    return int(differs.argmax()) if differs.any() else shortest


def _first_counted(labels: Sequence[int]) -> int:
    for place, label in enumerate(labels):
        if label != _IGNORED:
            return place
    return len(labels)
