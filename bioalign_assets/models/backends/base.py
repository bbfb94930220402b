"""What a backend does."""

from pathlib import Path
from typing import Protocol

from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec

__all__ = ["Backend"]


class Backend(Protocol):
    """Loads base models and puts adapters on them."""

    name: str
    """As the study file calls it"""
    own_kernels: bool
    """Whether its forward pass is its own: it then takes no mask of packed samples, and is left as it is"""

    def for_training(
        self,
        resolved: ResolvedModel,
        *,
        spec: ModelSpec,
        warehouse: Path,
        max_tokens: int,
        tokenizer: PreTrainedTokenizerBase,
    ) -> LoadedModel:
        """Return the base model, its weights held as the study says.

        :param max_tokens: longest sample
        :param tokenizer: its own, which made the samples
        :raises ModelError: if its files are gone or can't be loaded
        """

    def for_inference(self, resolved: ResolvedModel, *, spec: ModelSpec, warehouse: Path) -> LoadedModel:
        """Return the base model, ready to answer.

        :raises ModelError: if its files are gone or can't be loaded
        """

    def with_lora(
        self, model: PreTrainedModel, *, lora: LoraConfig, is_checkpointed: bool, seed: int
    ) -> PreTrainedModel:
        """Return the model with a new adapter on it (a ``PeftModel``), ready to train.

        :param model: as ``for_training`` gave it; it is used up
        :param is_checkpointed: whether activations are computed anew in the backward pass
        :param seed: of the adapter's first weights
        """
