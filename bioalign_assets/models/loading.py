"""From a resolved model to one in memory: 4-bit NF4 weights, the tokenizer, and an adapter where there is one."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from bioalign_assets.errors import ModelError
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.models.spec import ModelSpec

__all__ = ["LoadedModel", "compute_dtype", "default_device", "load_base"]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A causal language model and its tokenizer, ready to run."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device


def default_device() -> torch.device:
    """Return the CUDA card where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(spec: ModelSpec, *, device: torch.device) -> torch.dtype:
    """Return the type to compute in: bfloat16 where the card has it, float16 on older cards, float32 on a CPU."""
    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def load_base(resolved: ResolvedModel, *, spec: ModelSpec, warehouse: Path) -> LoadedModel:
    """Return the base model with its weights held as the study says (NF4 with double quantisation, or plain).

    :raises ModelError: if its files are gone or can't be loaded
    """
    folder = resolved.folder(warehouse=warehouse)
    if spec.tiny is not None:
        disable_progress_bar()  # a bar for four megabytes is noise
    device = default_device()
    dtype = compute_dtype(spec, device=device)
    try:
        config = AutoConfig.from_pretrained(folder)
        quantisation = None
        if spec.quantisation == "nf4" and not hasattr(config, "quantization_config"):
            quantisation = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=dtype,
            )
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, quantization_config=quantisation, device_map={"": device}
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Model {resolved.model} in {folder}",
            found=f"files that don't load ({error})",
            expected="a causal language model and its tokenizer",
            remedy=f"Materialise models/base for the partition {resolved.model} again.",
        ) from error
    if tokenizer.pad_token_id is None:
        # padding is masked everywhere, so which token stands there does not matter
        tokenizer.pad_token = tokenizer.eos_token
    return LoadedModel(model=model.eval(), tokenizer=tokenizer, device=device)
