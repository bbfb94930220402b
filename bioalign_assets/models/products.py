"""A frozen linear layer with its adapter as one product, forwards and backwards.

PEFT computes the adapter's part beside the base layer's and adds it to what that gave. In 16 bits the base layer's
result was rounded by then, to a number with 8 bits in bfloat16, and what is smaller than half of the last bit adds
nothing: early in a training that is nearly all that the adapter has learned, and the loss of the next step does not see
the step before (measured in docs/performance.md). Here the layer's input and the adapter's inner values are one long
row, the weights of both one matrix, and the sum is rounded once.

It is quicker as well: no copies in 32 bits, a third of the kernels to start. 4-bit weights are unpacked once where they
are held, else in every pass: the same bits either way.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from peft.tuners.lora import LoraLayer
from torch import nn

__all__ = ["adapter_of", "joined_products", "product_bytes", "unpacked"]


@contextmanager
def joined_products(model: nn.Module, *, dtype: torch.dtype, holds: bool) -> Iterator[int]:
    """Let a model's adapted layers compute base and adapter in one; give how many do.

    A layer whose adapter has another form (dropout, DoRA, a bias, several adapters) stays as it is.

    :param model: with an adapter on it (a ``PeftModel``)
    :param dtype: type to compute in
    :param holds: whether each layer's whole matrix is held for as long as this lasts, 4-bit weights unpacked
    """
    joined: list[LoraLayer] = []
    try:
        for layer in model.modules():
            if isinstance(layer, LoraLayer):
                weights = _weights_of(layer, dtype=dtype)
                if weights is not None:
                    rank = layer.r[adapter_of(layer)]
                    matrix = _Matrix(weights, rank=rank, holds=holds)
                    layer.forward = _forward(layer, matrix=matrix)
                    joined.append(layer)
        yield len(joined)
    finally:
        for layer in joined:
            del layer.forward  # the class's own is found again


def adapter_of(layer: LoraLayer) -> str | None:
    """Return the name of a layer's adapter, if its part is one product of two matrices; None otherwise."""
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    if len(active) != 1 or layer.disable_adapters or layer.merged or layer.lora_variant.get(active[0]):
        return None
    name = active[0]
    has_bias = getattr(layer.lora_B[name], "bias", None) is not None
    drops = layer.training and not isinstance(layer.lora_dropout[name], nn.Identity)
    return None if drops or has_bias else name


def unpacked(layer: Linear4bit, *, dtype: torch.dtype) -> torch.Tensor:
    """Return a 4-bit layer's weights in the type to compute in, shape (out, in)."""
    weight: torch.Tensor = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    return weight.to(dtype)


def product_bytes(model: nn.Module, *, dtype: torch.dtype) -> int:
    """Return about what it takes to hold the matrices of all layers that are in 4 bits or bear an adapter."""
    layers = (
        layer.get_base_layer() if isinstance(layer, LoraLayer) else layer
        for layer in model.modules()
        if isinstance(layer, (LoraLayer, Linear4bit))
    )
    sizes = {id(layer): layer.in_features * layer.out_features for layer in layers}
    return sum(sizes.values()) * dtype.itemsize


def _weights_of(layer: LoraLayer, *, dtype: torch.dtype) -> Callable[[], torch.Tensor] | None:
    """Return what gives the base layer's weights; None where the layer stays as it is."""
    base = layer.get_base_layer()
    if adapter_of(layer) is None or not isinstance(base, nn.Linear):
        return None
    if isinstance(base, Linear4bit):
        is_packed = getattr(base.weight, "quant_state", None) is not None
        return (lambda: unpacked(base, dtype=dtype)) if is_packed else None
    return (lambda: base.weight.data) if base.weight.dtype == dtype else None


class _Matrix:
    """Base weights and, in the last columns, the adapter's wide matrix; shape (out, in + rank)."""

    def __init__(self, weights: Callable[[], torch.Tensor], *, rank: int, holds: bool) -> None:
        self._weights = weights
        self._rank = rank
        self._held = self._made() if holds else None

    def with_adapter(self, wide: torch.Tensor) -> torch.Tensor:
        """Return the whole matrix. Where it is held, the next call writes over its last columns."""
        matrix = self._made() if self._held is None else self._held
        matrix[:, -self._rank :] = wide
        return matrix

    def base(self) -> torch.Tensor:
        """Return the base weights alone, shape (out, in)."""
        return self._weights() if self._held is None else self._held[:, : -self._rank]

    def _made(self) -> torch.Tensor:
        weights = self._weights()
        return torch.cat([weights, weights.new_empty(len(weights), self._rank)], dim=1)


def _forward(layer: LoraLayer, *, matrix: _Matrix) -> Callable[..., torch.Tensor]:
    name = adapter_of(layer)
    thin, wide = layer.lora_A[name].weight, layer.lora_B[name].weight
    scale, bias = layer.scaling[name], layer.get_base_layer().bias

    def forward(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        product: torch.Tensor = _Product.apply(x, thin, wide, matrix, scale)
        return product if bias is None else product + bias.to(product.dtype)

    return forward


class _Product(torch.autograd.Function):
    """x W' + scale (x A') B', W frozen; ' is the transpose."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, thin: torch.Tensor, wide: torch.Tensor, matrix: _Matrix, scale: float
    ) -> torch.Tensor:
        whole = matrix.with_adapter(wide)
        rows = x.reshape(-1, x.shape[-1]).to(whole.dtype)
        a = thin.to(whole.dtype)
        inner = rows @ a.T
        found = torch.cat([rows, inner * scale], dim=1) @ whole.T
        ctx.save_for_backward(rows, inner, a, wide)
        ctx.matrix, ctx.scale, ctx.shape, ctx.dtypes = matrix, scale, x.shape, (x.dtype, thin.dtype)
        return found.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        rows, inner, a, wide = ctx.saved_tensors
        of_x, of_thin = ctx.dtypes
        gradient = gradients[0].reshape(-1, gradients[0].shape[-1]).to(rows.dtype)
        back = (gradient @ wide.to(rows.dtype)).mul_(ctx.scale)
        to_x = None
        if ctx.needs_input_grad[0]:
            # rounded twice here: what that loses is at most half a last bit of the gradient
            to_x = (gradient @ ctx.matrix.base()).addmm_(back, a).view(ctx.shape).to(of_x)
        # the narrow one first: a product with few rows is quicker than one with few columns
        to_thin = (back.T @ rows).to(of_thin)
        to_wide = (inner.T @ gradient).to(wide.dtype).mul_(ctx.scale).T
        return to_x, to_thin, to_wide, None, None
