"""What a training keeps in memory to be faster, as far as there is room: activations, and 4-bit weights unpacked."""

from dataclasses import dataclass

from bioalign_assets.models.architecture import Architecture
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.memory import free_memory
from bioalign_assets.models.needs import activation_bytes
from bioalign_assets.models.products import product_bytes
from bioalign_assets.study.experiments import ExperimentSpec

__all__ = ["TrainingMemory", "training_memory"]

_SHARE = 0.5
"""Of the free memory that activations may take, then of what is left that unpacked weights may take: the estimates err
upwards, and other programs may want some too."""


@dataclass(frozen=True, kw_only=True)
class TrainingMemory:
    """What is kept; neither changes a figure.

    :param is_checkpointed: whether activations are computed anew instead
    :param holds_weights: whether 4-bit weights are unpacked once
    """

    is_checkpointed: bool
    holds_weights: bool


def training_memory(loaded: LoadedModel, *, spec: ExperimentSpec, tokens: int) -> TrainingMemory:
    """Return what a training keeps: as the experiment says, and what there is room for now where it leaves that open.

    Activations come first: to compute them anew costs a forward pass, to unpack the weights some tenths of one.

    :param loaded: the base model, in memory
    :param tokens: in one forward pass, at the most
    """
    free = free_memory(loaded.device)
    shape = Architecture.from_config(loaded.model.config.to_dict())
    kept = None
    if shape is not None:
        kept = activation_bytes(shape, tokens=tokens, width=loaded.dtype.itemsize, is_checkpointed=False)
    is_checkpointed = spec.gradient_checkpointing
    if is_checkpointed == "auto":
        is_checkpointed = kept is None or kept > _SHARE * free
    left = free - (kept or 0 if not is_checkpointed else 0)
    return TrainingMemory(
        is_checkpointed=is_checkpointed,
        holds_weights=product_bytes(loaded.model, dtype=loaded.dtype) <= _SHARE * left,
    )
