"""From a resolved model to one in memory: 4-bit NF4 weights, the tokenizer, and an adapter where there is one."""

import functools
import importlib.util
import pickle
import sys
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

__all__ = [
    "LoadedModel",
    "compute_dtype",
    "cpu_has_bfloat16",
    "default_device",
    "load_base",
    "load_tokenizer",
    "number_bytes",
]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A causal language model and its tokenizer, ready to run."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype
    """Type that it computes in"""

    def computing(self) -> torch.autocast:
        """Return the context in which the model runs: products in its type, where that has 16 bits."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)


def default_device() -> torch.device:
    """Return the CUDA card where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(spec: ModelSpec, *, device: torch.device) -> torch.dtype:
    """Return the type to compute in.

    As the study says. ``auto`` is bfloat16 where the card has it and float16 on older cards. On a CPU it is bfloat16
    for a published model where the CPU multiplies in it, else float32; a tiny model keeps float32 there, and so the
    same bits on every CPU.
    """
    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    if device.type != "cuda":
        return torch.bfloat16 if spec.tiny is None and cpu_has_bfloat16() else torch.float32
    # a card without it would emulate it, slowly
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bfloat16 else torch.float16


@functools.cache
def number_bytes(spec: ModelSpec, *, on_card: bool) -> int:
    """Return the bytes of a number in the type to compute in, on a card (also where there is none) or on this CPU."""
    if on_card and spec.dtype == "auto":
        return 2  # bfloat16 or float16
    return compute_dtype(spec, device=torch.device("cpu")).itemsize


def cpu_has_bfloat16() -> bool:
    """Return whether the CPU has instructions that multiply in bfloat16; without them it is slower than float32."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001 - no public name


def load_base(
    resolved: ResolvedModel,
    *,
    spec: ModelSpec,
    warehouse: Path,
    tokenizer: PreTrainedTokenizerBase | None = None,
    device: torch.device | None = None,
) -> LoadedModel:
    """Return the base model with its weights held as the study says (NF4 with double quantisation, or plain).

    :param tokenizer: its own, where that was loaded before; one of 128,000 tokens takes a second
    :param device: by default the card where there is one
    :raises ModelError: if its files are gone or can't be loaded
    """
    folder = resolved.folder(warehouse=warehouse)
    if spec.tiny is not None or not sys.stderr.isatty():
        disable_progress_bar()  # a bar for four megabytes is noise, and so is any in the log of a step
    device = device or default_device()
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
        tokenizer = load_tokenizer(folder) if tokenizer is None else tokenizer
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
    if dtype != torch.float32:
        _pass_on_in_float32(model, dtype=dtype)
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
        # PyTorch's own takes three times as long as the plain one on a CPU in 16 bits, for rows as short as these
        return "eager" if device.type == "cpu" and dtype != torch.float32 else None
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
    """Let 4-bit layers unpack to the type that is computed in and compute in it, on every machine.

    A file that was published in 4 bits says which type its weights are unpacked to. Unpacked to another type than is
    computed in, they are rounded twice, and differently by the kernels that unpack and multiply in one: logits then
    differ by 3% of their spread with the memory that is free.

    Where a CPU has AVX512-BF16, bitsandbytes runs a model in evaluation with a kernel and a layout of its own, in
    bfloat16 whatever the compute type. Figures then differ between machines, and a statement's vector with its batch by
    up to 5e-4 (measured).
    """
    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            layer.support_avx512bf16_for_cpu = False
            layer.weight.quant_state.dtype = dtype


def _pass_on_in_float32(model: PreTrainedModel, *, dtype: torch.dtype) -> None:
    """Let a model in 16 bits hand on float32 from layer to layer, in training as when it is asked.

    Each layer adds a little to what it is handed; in 16 bits that sum is rounded sixty times (docs/performance.md has
    what it costs). The embedding's output becomes float32, and with it all that is added to it; the norms are. The
    embedding itself and the head stay as they are: PEFT would hold them in float32, 3.6 GB for Llama-3 8B. Products
    are in 16 bits all the same, under torch's autocast (:meth:`LoadedModel.computing`).
    """
    decoder = model.get_decoder()
    for name, layer in decoder.named_modules():
        if "norm" in name.rsplit(".", 1)[-1]:
            layer.float()
            # the last one's output is what embeddings are made of
            if layer is not getattr(decoder, "norm", None):
                layer.register_forward_hook(lambda _module, _inputs, output: output.to(dtype))
    model.get_input_embeddings().register_forward_hook(lambda _module, _inputs, output: output.float())


def _unloadable(resolved: ResolvedModel, *, folder: Path, found: str) -> ModelError:
    return ModelError(
        f"Model {resolved.model} in {folder}",
        found=" ".join(found.split()),
        expected="a causal language model and its tokenizer",
        remedy=f"Materialise models/base for the partition {resolved.model} again.",
    )
