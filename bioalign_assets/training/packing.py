"""Shared-prefix packing: samples that begin alike stand behind one copy of their beginning.

The preamble and the instruction are two thirds of every training sample. A padded batch runs them once a sample; here
they stand once in a row, the rest of each sample follows, and a mask lets every token see what it would see in a row
of its own, at the position that it would have there. So every token meets what it meets in the padded batch: losses
and gradients are the same, up to the order of sums (the tests hold it to 1e-5). The same idea for prompts of one
prefix: Hydragen (Juravsky et al. 2024, https://arxiv.org/abs/2402.05099).

A row is a tree of tokens: whatever samples share, they share once, be it the one prefix of all or several prefixes
of several templates. A token may have several next tokens then, so labels do not stand beside tokens: the row says
from which tokens something is predicted, and what (``logits_to_keep`` and ``shift_labels``, as transformers calls
them). The model's head, as wide as the vocabulary, runs for these alone.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = [
    "MOST_SAMPLES_IN_A_ROW",
    "SharedPrefixCollator",
    "attention_window",
    "can_pack",
    "other_layers",
    "takes_places",
]

MOST_SAMPLES_IN_A_ROW = 32
"""The mask grows with the square of a row; from about this many samples on, longer rows save next to nothing."""
_IGNORED = -100


def attention_window(config: Any) -> int | None:
    """Return how many tokens back, itself included, a token of the model sees; None where all.

    :raises ValueError: if layers differ in that, or some are no attention (convolutions, states): one mask can't serve
        them all
    """
    others = other_layers(config)
    if others:
        raise ValueError(f"layers that are no attention: {', '.join(sorted(others))}")
    window: int | None = getattr(config, "sliding_window", None)
    if window is None or getattr(config, "use_sliding_window", True) is False:
        return None
    kinds = set(getattr(config, "layer_types", None) or ["sliding_attention"])
    if kinds == {"full_attention"}:
        return None
    if kinds != {"sliding_attention"}:
        raise ValueError(f"layers of several kinds: {', '.join(sorted(kinds))}")
    return window


def other_layers(config: Any) -> set[str]:
    """Return the kinds of a model's layers that are no attention, such as convolutions and recurrent states."""
    return set(getattr(config, "layer_types", None) or []) - {"full_attention", "sliding_attention"}


def can_pack(config: Any) -> bool:
    """Return whether a model's attention takes the mask: PyTorch's own (sdpa) or the plain one, the same in all layers.

    A mixture of experts does not: the loss of its router is over all tokens that are run, so fewer change it.
    """
    if config._attn_implementation not in {"sdpa", "eager"}:  # noqa: SLF001 - transformers has no other name for it
        return False
    if getattr(config, "output_router_logits", None) is not None:
        return False
    try:
        attention_window(config)
    except ValueError:
        return False
    return True


def takes_places(model: Any) -> bool:
    """Return whether a causal language model, with an adapter or without, can be told at which tokens to predict."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    return "logits_to_keep" in inspect.signature(base.forward).parameters


@dataclass(frozen=True, kw_only=True)
class SharedPrefixCollator:
    """Makes one row of a batch of samples.

    :param window: tokens back that a token sees, itself included; None for all (:func:`attention_window`)
    :param dtype: type that the model computes in. A mask of it is added to the scores as it is; one of true and
        false would be turned into such a one in every layer.
    :param multiple: the row's length is filled up to a multiple of this, which a card's kernels ask of a mask
    """

    window: int | None = None
    dtype: torch.dtype = torch.float32
    multiple: int = 1

    def __call__(self, samples: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        """Return the row: ``input_ids`` and ``position_ids`` of shape (1, L), the mask, and what is predicted.

        ``attention_mask`` has shape (1, 1, L, L): 0 where a token (third axis) sees another (fourth), else the least
        number of its type (minus infinity would make a row of nothing else no number). ``logits_to_keep`` has shape
        (K,): the place in the row from which each of K tokens is predicted; ``shift_labels`` and ``labels``, both of
        shape (1, K), are these tokens.

        :param samples: each with ``input_ids`` and ``labels`` (-100 where no loss is taken). A sample's first token
            is never predicted, as in a padded batch.
        """
        ids, paths = _tree([sample["input_ids"] for sample in samples])
        length = -len(ids) % self.multiple + len(ids)
        row = np.zeros(length, dtype=np.int64)
        row[: len(ids)] = ids
        positions = np.zeros(length, dtype=np.int64)
        sees = np.eye(
            length, dtype=bool
        )  # what fills the row up sees itself: a softmax over nothing is no number
        places, labels = [], []
        for sample, path, first_new in paths:
            depths = np.arange(len(path))
            new = depths[first_new:]
            positions[path[new]] = new
            back = new[:, None] - depths[None, :]
            sees[np.ix_(path[new], path)] = (back >= 0) & (back < (self.window or length))
            wanted = np.array(samples[sample]["labels"])
            counted = np.flatnonzero(wanted[1:] != _IGNORED)
            places.append(path[counted])
            labels.append(wanted[1:][counted])
        hidden = torch.from_numpy(~sees)
        answers = torch.from_numpy(np.concatenate(labels))[None]
        return {
            "input_ids": torch.from_numpy(row)[None],
            "position_ids": torch.from_numpy(positions)[None],
            "attention_mask": torch.zeros(length, length, dtype=self.dtype).masked_fill_(
                hidden, torch.finfo(self.dtype).min
            )[None, None],
            "logits_to_keep": torch.from_numpy(np.concatenate(places)),
            "shift_labels": answers,
            "labels": answers,  # asks the model for a loss; it takes the tokens from shift_labels
        }


def _tree(samples: Sequence[list[int]]) -> tuple[list[int], list[tuple[int, np.ndarray, int]]]:
    """Return the tokens of the row, and for each sample its number, its tokens' places, and how many it shares.

    In the order of their tokens, each sample shares its beginning with the one before it, and with no other more.
    """
    row: list[int] = []
    paths: list[tuple[int, np.ndarray, int]] = []
    before, path = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for number in sorted(range(len(samples)), key=lambda number: samples[number]):
        ids = np.array(samples[number], dtype=np.int64)
        shortest = min(len(ids), len(before))
        differs = np.flatnonzero(ids[:shortest] != before[:shortest])
        shared = int(differs[0]) if len(differs) else shortest
        path = np.concatenate([path[:shared], np.arange(len(row), len(row) + len(ids) - shared)])
        row += samples[number][shared:]
        paths.append((number, path, shared))
        before = ids
    return row, paths
