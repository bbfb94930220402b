"""Quantised weights, unpacked once for many forward passes.

A 4-bit layer unpacks its weights in every forward pass. Where there is memory for it, they are unpacked once and kept
for as long as a model is asked: the same numbers in the same product. In float32 the adapter is added to them as
well, which saves two thin products a layer and differs from keeping it apart by rounding only (about 1e-6, held by a
test); in 16 bits that sum would lose what the adapter learned, so it stays apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from peft.tuners.lora import LoraLayer
from torch import nn

from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.memory import free_memory

__all__ = ["dense_weights"]

_SHARE = 0.25  # of the free memory: 16 GB for an 8B model in bfloat16 on a card of 80


@contextmanager
def dense_weights(loaded: LoadedModel) -> Iterator[None]:
    """Hold a model's 4-bit weights unpacked in the type that it computes in; packed again at the end.

    Does nothing where the unpacked weights would take more than a quarter of the free memory.
    """
    swapped = _replacements(loaded)
    width = loaded.dtype.itemsize
    needed = sum(_size(packed) * width for _, _, _, packed in swapped)
    free = free_memory(loaded.device)
    if free is None or needed > _SHARE * free:
        swapped = []
    try:
        try:
            with torch.no_grad():
                for parent, name, layer, packed in swapped:
                    setattr(parent, name, _dense(layer, packed=packed, dtype=loaded.dtype))
        except torch.OutOfMemoryError:  # somebody else took what was free: go on with packed weights
            _put_back(swapped)
        yield
    finally:
        _put_back(swapped)


def _put_back(swapped: list[tuple[nn.Module, str, nn.Module, Linear4bit]]) -> None:
    for parent, name, layer, _ in swapped:
        setattr(parent, name, layer)


def _replacements(loaded: LoadedModel) -> list[tuple[nn.Module, str, nn.Module, Linear4bit]]:
    """Return what is replaced: parent, its name there, itself, and the 4-bit layer that it is or is built on."""
    adds = loaded.dtype == torch.float32
    found = []
    inside: set[nn.Module] = set()
    for parent in loaded.model.modules():
        for name, child in parent.named_children():
            if child in inside:
                continue
            packed = child
            if isinstance(child, LoraLayer):
                if not (adds and _can_add(child)):
                    continue
                packed = child.get_base_layer()
                inside.update(child.modules())
            if isinstance(packed, Linear4bit) and _can_unpack(packed):
                found.append((parent, name, child, packed))
    return found


def _can_unpack(layer: Linear4bit) -> bool:
    state = getattr(layer.weight, "quant_state", None)
    # on a CPU with AVX512-BF16 a bfloat16 layer has a layout and a kernel of its own
    is_repacked = layer.support_avx512bf16_for_cpu and layer.weight.device.type == "cpu"
    return state is not None and not is_repacked


def _can_add(layer: LoraLayer) -> bool:
    """Whether an adapter's part of a layer is one product of two matrices that can be added to its weights."""
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    is_plain = not any(layer.lora_variant.get(name) for name in active)
    has_bias = any(getattr(layer.lora_B[name], "bias", None) is not None for name in active)
    return is_plain and not has_bias and not layer.disable_adapters and not layer.merged


def _size(layer: Linear4bit) -> int:
    return layer.in_features * layer.out_features


def _dense(layer: nn.Module, *, packed: Linear4bit, dtype: torch.dtype) -> nn.Linear:
    weight = dequantize_4bit(packed.weight.data, packed.weight.quant_state).to(dtype)
    if isinstance(layer, LoraLayer):
        for name in layer.active_adapters:
            if name in layer.lora_A:
                weight += layer.get_delta_weight(name).to(dtype)
    dense = nn.Linear(packed.in_features, packed.out_features, bias=False, device="meta")
    dense.weight = nn.Parameter(weight, requires_grad=False)
    if packed.bias is not None:
        dense.bias = nn.Parameter(packed.bias.to(dtype), requires_grad=False)
    return dense.eval()
