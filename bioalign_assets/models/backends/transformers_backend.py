"""transformers, PEFT and bitsandbytes: NF4 with double quantisation, on a CUDA card or a CPU."""

from pathlib import Path

from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bioalign_assets.models.loading import LoadedModel, load_base
from bioalign_assets.models.memory import refuse_to_score
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec

__all__ = ["CHECKPOINTING", "TransformersBackend"]

CHECKPOINTING = {"use_reentrant": False}
"""How activations are computed anew: in the form that needs no gradient of the embedding."""


class TransformersBackend:
    """The default: it packs samples behind their shared prefix, and runs everywhere."""

    name = "transformers"
    own_kernels = False

    def for_training(
        self,
        resolved: ResolvedModel,
        *,
        spec: ModelSpec,
        warehouse: Path,
        max_tokens: int,
        tokenizer: PreTrainedTokenizerBase,
    ) -> LoadedModel:
        """Return the base model (see :class:`Backend`)."""
        del max_tokens  # nothing is laid out for a length here
        return load_base(resolved, spec=spec, warehouse=warehouse, tokenizer=tokenizer)

    def for_inference(self, resolved: ResolvedModel, *, spec: ModelSpec, warehouse: Path) -> LoadedModel:
        """Return the base model (see :class:`Backend`)."""
        refuse_to_score(resolved, spec=spec, warehouse=warehouse)
        return load_base(resolved, spec=spec, warehouse=warehouse)

    def with_lora(
        self, model: PreTrainedModel, *, lora: LoraConfig, is_checkpointed: bool, seed: int
    ) -> PreTrainedModel:
        """Return the model with an adapter (see :class:`Backend`). Its first weights follow torch's generator."""
        del seed  # the caller has set it
        # PEFT's prepare_model_for_kbit_training would do this too, and turn embedding, head and norms to 32 bits:
        # 3.6 GB for Llama-3 8B, for weights that are never trained
        model.requires_grad_(requires_grad=False)
        if is_checkpointed:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=CHECKPOINTING)
        return get_peft_model(model, lora)
