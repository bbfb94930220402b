"""Quantised weights, unpacked once for many forward passes.

A 4-bit layer unpacks its weights in every forward pass. Where there is memory for it, they are unpacked once and kept
for as long as a model is asked: the same numbers in the same product. In float32 the adapter is added to them as
well, which saves two thin products a layer and differs from keeping it apart by rounding only (about 1e-6, held by a
test). In 16 bits that sum would lose what the adapter learned: it stays apart, and is computed as in training
(``models.products``) whether there is room for unpacked weights or not.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from bitsandbytes.nn import Linear4bit
from peft.tuners.lora import LoraLayer
from torch import nn

from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.memory import has_room
from bioalign_assets.models.products import adapter_of, joined_products, product_bytes, unpacked

__all__ = ["dense_weights"]

_SHARE = 0.25  # of the free memory: 16 GB for an 8B model in bfloat16 on a card of 80


@contextmanager
def dense_weights(loaded: LoadedModel) -> Iterator[None]:
    """Hold a model's 4-bit weights unpacked in the type that it computes in; packed again at the end.

    They are unpacked for one pass only where they would take more than a quarter of the free memory.
    """
    holds = has_room(loaded.device, product_bytes(loaded.model, dtype=loaded.dtype), share=_SHARE)
    with ExitStack() as stack:
        try:
            _unpack(loaded, holds=holds, stack=stack)
        except torch.OutOfMemoryError:  # somebody else took what was free: go on with packed weights
            stack.close()
            _unpack(loaded, holds=False, stack=stack)
        yield


def _unpack(loaded: LoadedModel, *, holds: bool, stack: ExitStack) -> None:
    """Unpack what is to be unpacked; the stack undoes it."""
    with torch.no_grad():
        if holds:
            adds = loaded.dtype == torch.float32
            for parent, name, layer, packed in _replacements(loaded.model, adds=adds):
                stack.callback(setattr, parent, name, layer)
                setattr(parent, name, _dense(layer, packed=packed, dtype=loaded.dtype))
        if loaded.dtype != torch.float32:
            stack.enter_context(joined_products(loaded.model, dtype=loaded.dtype, holds=holds))


def _replacements(model: nn.Module, *, adds: bool) -> list[tuple[nn.Module, str, nn.Module, Linear4bit]]:
    """Return what is replaced: parent, its name there, itself, and the 4-bit layer that it is or is built on.

    :param adds: whether layers with an adapter are too
    """
    found = []
    inside: set[nn.Module] = set()
    for parent in model.modules():
        for name, child in parent.named_children():
            if child in inside:
                continue
            packed = child
            if isinstance(child, LoraLayer):
                if adapter_of(child) is not None:
                    inside.update(child.modules())  # as one, here or in products
                if not adds or adapter_of(child) is None:
                    continue
                packed = child.get_base_layer()
            if isinstance(packed, Linear4bit) and getattr(packed.weight, "quant_state", None) is not None:
                found.append((parent, name, child, packed))
    return found


def _dense(layer: nn.Module, *, packed: Linear4bit, dtype: torch.dtype) -> nn.Linear:
    weight = unpacked(packed, dtype=dtype)
    if isinstance(layer, LoraLayer):
        weight += layer.get_delta_weight(adapter_of(layer)).to(dtype)
    dense = nn.Linear(packed.in_features, packed.out_features, bias=False, device="meta")
    dense.weight = nn.Parameter(weight, requires_grad=False)
    if packed.bias is not None:
        dense.bias = nn.Parameter(packed.bias.to(dtype), requires_grad=False)
    return dense.eval()
