"""Models that stand for published ones: same architecture, tokenizer and file form, shrunken, with random weights."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils.logging import disable_progress_bar

from bioalign_assets.errors import ModelError
from bioalign_assets.models.model_files import FILES
from bioalign_assets.rehearsal.originals import Original
from bioalign_assets.warehouse.atomic import publish_directory
from bioalign_assets.warehouse.hashing import files_sha256

__all__ = ["HIDDEN", "make_stand_in"]

HIDDEN = 64
"""Width of a stand-in; a published model has some thousands."""
_LAYERS = 2
_HEADS = 4
_SHARDS = 2
_SEED = 0
_MOVING_ROPES = {"longrope", "yarn", "llama3", "dynamic"}
"""Kinds of rotary positions whose factors belong to the original's width; a stand-in turns plainly."""


def make_stand_in(original: Original, *, name: str, parent: Path) -> Path:
    """Return the folder of a stand-in, ``<parent>/<content hash>``; the same original gives the same one.

    :param name: of the model in the study file
    :raises ModelError: if transformers does not know the architecture, or it can't be shrunken
    """
    try:
        config = _shrunken(original)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"Model {name}", found=f"an architecture that can't be shrunken ({' '.join(str(error).split())})",
            expected="a causal language model that transformers knows",
            remedy="Rehearse without it, or name another model in the study file.",
        ) from error  # fmt: skip

    def save(folder: Path) -> str:
        _save(model, folder=folder, original=original)
        for pattern in FILES:
            if "safetensors" not in pattern and pattern not in {"config.json", "generation_config.json"}:
                for file in original.tokenizer.glob(pattern):
                    shutil.copyfile(file, folder / file.name)
        return files_sha256([path for path in folder.rglob("*") if path.is_file()], root=folder)

    return publish_directory(parent, save)


def _shrunken(original: Original) -> PreTrainedConfig:
    values = {key: value for key, value in original.config.items() if key != "quantization_config"}
    heads, kv_heads = int(values["num_attention_heads"]), int(values.get("num_key_value_heads") or 0)
    small: dict[str, Any] = {
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": max(1, _HEADS * (kv_heads or heads) // heads),
        "head_dim": HIDDEN // _HEADS,
    }
    if values.get("layer_types"):
        small["layer_types"] = values["layer_types"][:_LAYERS]
    for rope in ("rope_scaling", "rope_parameters"):
        if (
            str((values.get(rope) or {}).get("rope_type", (values.get(rope) or {}).get("type")))
            in _MOVING_ROPES
        ):
            values.pop(rope)
    kind = values.pop("model_type")
    for told in (
        "architectures",
        "transformers_version",
        "_name_or_path",
        "torch_dtype",
        "dtype",
        "auto_map",
    ):
        values.pop(told, None)
    return AutoConfig.for_model(kind, **values | small)


def _save(model: PreTrainedModel, *, folder: Path, original: Original) -> None:
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    disable_progress_bar()  # a bar for a few megabytes is noise
    if original.is_nf4:
        model.save_pretrained(folder)
        quantised = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            quantization_config=BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16,
            ),
            device_map={"": "cpu"},
        )  # fmt: skip
        shutil.rmtree(folder)
        folder.mkdir()
        model = quantised
    model.save_pretrained(folder, max_shard_size=size // _SHARDS)
    if original.is_pickled:
        _pickle(folder)


def _pickle(folder: Path) -> None:
    """Turn the weights of a folder into the form before safetensors, in as many files."""
    from safetensors.torch import load_file

    index = folder / "model.safetensors.index.json"
    told = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {"weight_map": {}}
    for file in sorted(folder.glob("model*.safetensors")):
        name = file.name.replace("model", "pytorch_model").replace(".safetensors", ".bin")
        torch.save(load_file(file), folder / name)
        told["weight_map"] |= {key: name for key, value in told["weight_map"].items() if value == file.name}
        file.unlink()
    if index.is_file():
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(told), encoding="utf-8")
        index.unlink()
