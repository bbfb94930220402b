"""A base model and an adapter as one plain model, in the type that the base was published in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from tqdm import tqdm
from transformers import AutoConfig, PreTrainedModel
from transformers.utils import logging

from bioalign_assets.errors import ModelError
from bioalign_assets.models.loading import load_base
from bioalign_assets.models.memory import free_memory
from bioalign_assets.models.needs import refuse_too_little
from bioalign_assets.models.products import adapter_of
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.terminal import terminal

__all__ = ["base_dtype", "merged_model", "save"]

_CPU = torch.device("cpu")
_TYPES = (torch.bfloat16, torch.float16, torch.float32)
_ON_TOP = 1.2
"""Beside the merged weights: 4-bit ones that are not unpacked yet, one layer in float32, the shard that is written."""


def base_dtype(folder: Path) -> torch.dtype:
    """Return the type that a base's weights were published in; where its configuration says none, bfloat16."""
    said = AutoConfig.from_pretrained(folder, trust_remote_code=False).dtype
    return said if said in _TYPES else torch.bfloat16


def merged_model(
    base: ResolvedModel, *, spec: ModelSpec, adapter: Path, warehouse: Path, name: str
) -> PreTrainedModel:
    """Return a model whose weights are the base's plus what the adapter adds, on the CPU; nothing of PEFT is left.

    4-bit weights are unpacked: they, and no others, are what the adapter was trained on and measured with. Sums are in
    float32 and rounded once.

    :param adapter: directory of the adapter
    :param name: what to call it in the progress bar
    :raises ModelError: if the base's files are gone or another model now, there is too little memory, or an adapted
        layer has another form than BioAlign trains
    """
    dtype = base_dtype(base.folder(warehouse=warehouse))
    refuse_too_little(
        f"Merging {name}", needed=round(base.parameters * dtype.itemsize * _ON_TOP), there=free_memory(_CPU),
        place="this machine, free now",
    )  # fmt: skip
    as_published = spec.model_copy(update={"dtype": str(dtype).removeprefix("torch.")})
    plain = load_base(base, spec=as_published, warehouse=warehouse, device=_CPU).model
    if base.quantisation == "nf4":
        with _without_warnings():
            plain = plain.dequantize()
    tuned = PeftModel.from_pretrained(plain, adapter)
    layers = [layer for layer in tuned.modules() if isinstance(layer, LoraLayer)]
    for layer in tqdm(
        layers, desc=f"merging {name}", unit="layer", file=terminal(), disable=None, leave=False
    ):
        _merge(layer, name=name)
    model: PreTrainedModel = tuned.unload().to(dtype)
    return model


def save(model: PreTrainedModel, *, folder: Path) -> None:
    """Write a merged model's weights and configuration.

    (transformers' own way would put weights that were loaded in 4 bits back into that form, and can't.)
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_torch_state_dict(model.state_dict(), folder)
    config = model.config
    config.architectures, config.dtype = [type(model).__name__], model.dtype
    config.save_pretrained(folder)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep transformers from saying which type it unpacks to, as if that were not wanted."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


@torch.no_grad()
def _merge(layer: LoraLayer, *, name: str) -> None:
    adapter = adapter_of(layer)
    if adapter is None:
        raise ModelError(
            f"Merging {name}", found="a layer whose adapter is no product of two matrices", expected="plain LoRA",
            remedy="Export it without --merged.",
        )  # fmt: skip
    weight = layer.get_base_layer().weight
    thin, wide = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
    added = (wide.float() @ thin.float()) * layer.scaling[adapter]
    weight.data = (weight.data.float() + added).to(weight.dtype)
