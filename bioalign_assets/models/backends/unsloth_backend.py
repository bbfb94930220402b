"""Unsloth: its own kernels for the forward and backward pass, on a CUDA card.

Unsloth rewrites transformers, trl and peft when it is imported, wants to be imported before them, and from then on
every model of the process runs through what it rewrote. So it trains in a process of its own (``own_process``), whose
first import it is. What it trained is run by transformers: adapters are PEFT's, and answers and embeddings of all
models then come from one code path. Not run on a card yet; on a CPU 2026.10.9 gives the losses of transformers.
"""

import importlib
from pathlib import Path
from typing import Any

from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from bioalign_assets.models.backends.transformers_backend import TransformersBackend
from bioalign_assets.models.loading import LoadedModel, compute_dtype, default_device
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec

__all__ = ["UnslothBackend"]


class UnslothBackend:
    """Trains with Unsloth; in a process that imported it first."""

    name = "unsloth"
    own_kernels = True
    """Its attention takes no mask of four dimensions, and its linear layers have a product of their own"""

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
        folder = resolved.folder(warehouse=warehouse)
        device = default_device()
        dtype = compute_dtype(spec, device=device)
        # its tokenizer is left aside: it may add or change special tokens, and samples would differ from what
        # transformers is asked with
        model, _ = _fast_language_model().from_pretrained(
            str(folder),
            max_seq_length=max_tokens,
            dtype=dtype,
            load_in_4bit=resolved.quantisation == "nf4",
            load_in_16bit=resolved.quantisation == "none",
            use_exact_model_name=True,  # else a name is changed for that of Unsloth's own copy on the hub
            local_files_only=True,  # also sends no statistics
            trust_remote_code=False,
        )
        return LoadedModel(model=model, tokenizer=tokenizer, device=device, dtype=dtype)

    def for_inference(self, resolved: ResolvedModel, *, spec: ModelSpec, warehouse: Path) -> LoadedModel:
        """Return the base model as transformers loads it."""
        return TransformersBackend().for_inference(resolved, spec=spec, warehouse=warehouse)

    def with_lora(
        self, model: PreTrainedModel, *, lora: LoraConfig, is_checkpointed: bool, seed: int
    ) -> PreTrainedModel:
        """Return the model with an adapter (see :class:`Backend`)."""
        return _fast_language_model().get_peft_model(
            model,
            r=lora.r,
            lora_alpha=lora.lora_alpha,
            lora_dropout=lora.lora_dropout,
            bias=lora.bias,
            target_modules=sorted(lora.target_modules or ()),
            use_gradient_checkpointing="unsloth" if is_checkpointed else False,
            random_state=seed,
        )


def _fast_language_model() -> Any:
    """Return Unsloth's entry point. A static import would put Unsloth into every process that has a backend."""
    return importlib.import_module("unsloth").FastLanguageModel
