"""Which files of a folder make a model, and what they have in common to be told of them."""

import importlib.util
import json
from pathlib import Path
from typing import Any

from bioalign_assets.errors import ModelError

__all__ = [
    "FILES",
    "PICKLED",
    "config_of",
    "gguf_lacks",
    "holds_pickled",
    "model_error",
    "model_files",
    "tokenizer_files",
    "weight_files",
]

FILES = (
    "config.json", "generation_config.json", "model.safetensors", "model-*.safetensors",
    "model.safetensors.index.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
)  # fmt: skip
"""What transformers loads. A repository may hold the same weights in other forms (consolidated, .bin, onnx/)."""
PICKLED = ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json")
"""The form before safetensors, taken where there is no other. transformers unpickles it with ``weights_only``, which
runs nothing that stands in the file."""
_EXPECTED = "a causal language model with its tokenizer (safetensors, or pytorch_model.bin)"


def model_error(what: str, *, found: str, remedy: str, expected: str = _EXPECTED) -> ModelError:
    """Return an error about a model's files, in one line.

    :param what: the model, and where its files are looked for
    """
    return ModelError(what, found=" ".join(found.split()), expected=expected, remedy=remedy)


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files that transformers would load: safetensors, or pickled ones where there are no others.

    Empty if there are none; those that an index names may be missing.

    :raises ValueError: if the index is not JSON
    """
    for whole in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{whole}.index.json"
        if (folder / whole).is_file():
            return [folder / whole]
        if index.is_file():
            named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            return [folder / shard for shard in sorted(set(named))]
    return []


def holds_pickled(folder: Path) -> bool:
    """Return whether the weights that transformers would load are in the form before safetensors."""
    return any(file.suffix == ".bin" for file in weight_files(folder))


def config_of(folder: Path) -> dict[str, Any] | None:
    """Return what ``config.json`` of a folder says; None where there is none, or it can't be read."""
    try:
        found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def model_files(folder: Path) -> list[Path]:
    """Return the files of a folder that make the model, by name: others may lie there too, of other programs."""
    patterns = FILES + (PICKLED if holds_pickled(folder) else ())
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


def tokenizer_files(folder: Path) -> list[Path]:
    """Return those of the files that make the model which make its tokenizer, by name."""
    others = ("config.json", "generation_config.json", "model.", "model-", "pytorch_model")
    return [path for path in model_files(folder) if not path.name.startswith(others)]


def gguf_lacks() -> str:
    """Return what keeps a GGUF file from being read on this machine; an empty text if nothing does."""
    return "" if importlib.util.find_spec("gguf") else "no package gguf"
