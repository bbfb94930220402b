"""How much memory a model needs for training and for scoring, estimated from its architecture.

An estimate that errs upwards by some tenths, to tell before hours of download or training that a card is too small.
docs/models.md has the formula in words.
"""

from dataclasses import dataclass

from bioalign_assets.errors import ModelError
from bioalign_assets.models.architecture import Architecture

__all__ = [
    "TrainingLoad",
    "activation_bytes",
    "gigabytes",
    "refuse_too_little",
    "scoring_bytes",
    "training_bytes",
]

_CUDA_CONTEXT = 600 * 2**20
"""What CUDA and its libraries take of a card before the first tensor (cuBLAS workspaces included)."""
_SPARE = 1.1
"""Fragments that the allocator can't use again."""
_KEPT = 1.35
"""Numbers kept for each that a layer's products and norms make: activation functions keep what goes in and comes out.
Measured as what autograd saves (the tests hold it to that)."""
_SCORED_TOKENS = 8 * 128
"""Tokens of the smallest batch that scoring should still get; a larger one takes what is free."""


@dataclass(frozen=True, kw_only=True)
class TrainingLoad:
    """What of an experiment decides how much memory its training takes.

    :param tokens: in one forward pass
    :param predicted: those that the head runs for
    :param optimiser_bytes: of state a trained weight
    """

    rank: int
    targets: tuple[str, ...]
    tokens: int
    predicted: int
    optimiser_bytes: float
    is_checkpointed: bool


def training_bytes(
    architecture: Architecture, *, load: TrainingLoad, is_nf4: bool, width: int, on_card: bool
) -> int:
    """Return about how much memory a training needs.

    Base weights, the adapter (weights and gradients in 32 bits, the optimiser's state), what the forward pass keeps for
    the backward pass, and the logits.

    :param width: bytes of a number in the type that is computed in
    :param on_card: whether the CUDA context comes on top
    """
    weights = architecture.weight_bytes(is_nf4=is_nf4, width=width)
    adapter = architecture.lora_parameters(rank=load.rank, targets=load.targets) * (
        4 + 4 + load.optimiser_bytes
    )
    # logits in the type that is computed in, in 32 bits for the loss, and their gradient
    logits = load.predicted * architecture.vocabulary * (width + 4 + 4)
    kept = activation_bytes(
        architecture, tokens=load.tokens, width=width, is_checkpointed=load.is_checkpointed
    )
    return _in_all(
        weights + adapter + kept + logits + _unpacked(architecture, is_nf4=is_nf4, width=width),
        on_card=on_card,
    )


def activation_bytes(architecture: Architecture, *, tokens: int, width: int, is_checkpointed: bool) -> int:
    """Return about how much a forward pass keeps for the backward pass.

    All that each layer computes; where it is computed anew, what goes into each layer and all of one layer.

    :param tokens: in one forward pass
    :param width: bytes of a number in the type that is computed in
    """
    one_layer = _KEPT * _layer_numbers(architecture) * width
    if width < 4:
        # what is handed on is in 32 bits; and plain attention keeps its weights, in 32 bits and in 16
        one_layer += 2 * architecture.hidden * 4 + architecture.heads * tokens * (4 + width)
    kept = (
        architecture.layers * architecture.hidden * 4 + one_layer
        if is_checkpointed
        else architecture.layers * one_layer
    )
    return round(tokens * kept)


def scoring_bytes(architecture: Architecture, *, is_nf4: bool, width: int, on_card: bool) -> int:
    """Return about how much memory answers and embeddings need at the least (a batch of 8 x 128 tokens)."""
    weights = architecture.weight_bytes(is_nf4=is_nf4, width=width)
    keys = 2 * architecture.layers * architecture.kv_heads * architecture.head_dim * width
    tokens = _SCORED_TOKENS * (_layer_numbers(architecture) * width + keys)
    logits = 8 * architecture.vocabulary * (width + 4)
    return _in_all(
        weights + tokens + logits + _unpacked(architecture, is_nf4=is_nf4, width=width), on_card=on_card
    )


def refuse_too_little(what: str, *, needed: int | None, there: int | None, place: str) -> None:
    """Raise if a device has less memory than an estimate says; where either is not known (None) it passes.

    :param what: the model, and what is to be done with it
    :param there: bytes that can be had
    :param place: what has them, in words
    :raises ModelError: with both figures and what makes the need smaller
    """
    if needed is None or there is None or needed <= there:
        return
    raise ModelError(
        what, found=f"{gigabytes(there)} of memory on {place}", expected=f"about {gigabytes(needed)} (an estimate)",
        remedy=(
            "Free the memory that other programs hold, take a larger card, or make the need smaller in the study file: "
            'quantisation = "nf4", batch_size, max_tokens, rank, gradient_checkpointing = true.'
        ),
    )  # fmt: skip


def gigabytes(count: int) -> str:
    """Return a number of bytes as people read it: in GB (10^9), in MB below one tenth of that."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _layer_numbers(architecture: Architecture) -> int:
    """Numbers that one decoder layer makes of one token: in and out of its linear layers, norms, attention."""
    keys = architecture.kv_heads * architecture.head_dim
    return (
        6 * architecture.hidden
        + architecture.heads * architecture.head_dim
        + 2 * keys
        + 3 * architecture.intermediate
    )


def _unpacked(architecture: Architecture, *, is_nf4: bool, width: int) -> int:
    """Size of the widest linear layer unpacked from 4 bits, forwards and backwards."""
    return 2 * max(a * b for a, b in architecture.linears.values()) * width if is_nf4 else 0


def _in_all(size: float, *, on_card: bool) -> int:
    return round(size * _SPARE + (_CUDA_CONTEXT if on_card else 0))
