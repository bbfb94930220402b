"""From a resolved model to one in memory: 4-bit NF4 weights, the tokenizer, and an adapter where there is one."""

import importlib.util
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from bioalign_assets.errors import ModelError
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec

__all__ = ["LoadedModel", "compute_dtype", "default_device", "load_base", "load_tokenizer"]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A causal language model and its tokenizer, ready to run."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype
    """Type that it computes in"""


def default_device() -> torch.device:
    """Return the CUDA card where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(spec: ModelSpec, *, device: torch.device) -> torch.dtype:
    """Return the type to compute in: bfloat16 where the card has it, float16 on older cards, float32 on a CPU."""
    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    if device.type != "cuda":
        return torch.float32
    # a card without it would emulate it, slowly
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float16


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
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        model, told = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            quantization_config=_quantisation(config, spec=spec, dtype=dtype),
            attn_implementation=_attention(spec, resolved=resolved, device=device, dtype=dtype),
            device_map={"": device},
            trust_remote_code=False,  # neither asks on the terminal nor runs code that came with the weights
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, as missing ones
        )
        tokenizer = load_tokenizer(folder)
    except (OSError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        raise _unloadable(resolved, folder=folder, found=f"files that don't load ({error})") from error
    except RuntimeError as error:  # out of memory too, which transformers may tell as a failed conversion
        raise ModelError(
            f"Model {resolved.model} in {folder}",
            found=f"no room for it on {device}, or weights that can't be converted ({' '.join(str(error).split())})",
            expected="memory for the model, and whole files",
            remedy="End what else holds the memory (nvidia-smi tells for a card) and run it again; if it stays, "
            f"materialise models/base for the partition {resolved.model} again.",
        ) from error
    # transformers only warns of these, and fills them with random numbers
    random = sorted({*told["missing_keys"], *(str(key) for key, *_ in told["mismatched_keys"])})
    if random:
        raise _unloadable(
            resolved, folder=folder, found=f"{len(random)} weights missing or misshapen, such as {random[0]}"
        )
    if model.num_parameters() != resolved.parameters:
        raise _unloadable(
            resolved,
            folder=folder,
            found=f"{model.num_parameters()} parameters instead of {resolved.parameters}",
        )
    _keep_to_dtype(model, dtype=dtype)
    return LoadedModel(model=model.eval(), tokenizer=tokenizer, device=device, dtype=dtype)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model's folder, with a padding token."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        # padding is masked everywhere, so which token stands there does not matter
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _attention(
    spec: ModelSpec, *, resolved: ResolvedModel, device: torch.device, dtype: torch.dtype
) -> str | None:
    """Return the attention to load with; None leaves it to transformers, which takes PyTorch's own where it can."""
    if spec.attention == "auto":
        return None
    if spec.attention == "flash_attention_2":
        lacking = (
            "no package flash_attn" if importlib.util.find_spec("flash_attn") is None
            else "no CUDA card" if device.type != "cuda"
            else f"{str(dtype).removeprefix('torch.')} to compute in" if dtype == torch.float32
            else ""
        )  # fmt: skip
        if lacking:
            raise ModelError(
                f"Model {resolved.model} with attention = \"flash_attention_2\"", found=lacking,
                expected="a CUDA card, the package flash-attn, and bfloat16 or float16",
                remedy=f'Install it (pip install flash-attn), or set models.{resolved.model}.attention to "auto".',
            )  # fmt: skip
    return spec.attention


def _quantisation(
    config: PreTrainedConfig, *, spec: ModelSpec, dtype: torch.dtype
) -> BitsAndBytesConfig | None:
    """Return how to quantise while loading; weights that are published in 4 bits only get the type to compute in."""
    published: dict[str, Any] | None = getattr(config, "quantization_config", None)
    if published:
        published["bnb_4bit_compute_dtype"] = str(dtype).removeprefix("torch.")
        return None
    if spec.quantisation == "none":
        return None
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _keep_to_dtype(model: PreTrainedModel, *, dtype: torch.dtype) -> None:
    """Let 4-bit layers compute in the type that was asked for on every CPU.

    Where a CPU has AVX512-BF16, bitsandbytes runs a model in evaluation in bfloat16 whatever its compute type.
    Figures then differ between machines, and a statement's vector with its batch by up to 5e-4 (measured).
    """
    for layer in model.modules():
        if isinstance(layer, Linear4bit) and dtype != torch.bfloat16:
            layer.support_avx512bf16_for_cpu = False


def _unloadable(resolved: ResolvedModel, *, folder: Path, found: str) -> ModelError:
    return ModelError(
        f"Model {resolved.model} in {folder}",
        found=" ".join(found.split()),
        expected="a causal language model and its tokenizer",
        remedy=f"Materialise models/base for the partition {resolved.model} again.",
    )
