"""GGUF files (llama.cpp's form): unpacked once into a folder as transformers saves a model, by the file's hash.

transformers reads such a file anew each time, which takes a 7B model minutes, and gets some of its tokenizer wrong;
neither may depend on when a step runs. What is unpacked is a plain model, which everything else then runs.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import transformers
from filelock import FileLock
from huggingface_hub import save_torch_state_dict
from tokenizers import Regex, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from bioalign_assets.errors import ModelError
from bioalign_assets.models.fetching import SPARE_DISK, free_disk
from bioalign_assets.models.model_files import gguf_lacks, model_error
from bioalign_assets.models.needs import gigabytes
from bioalign_assets.warehouse.atomic import publish_directory, remove_leftovers
from bioalign_assets.warehouse.disk import is_disk_full

__all__ = ["unpacked"]

_DTYPE = torch.bfloat16
"""What weights are unpacked to: the type that models are published in. Rounding is half an 8-bit step at most."""
_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT_2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
_SPLITS: dict[str, Any] = {
    "default": _GPT_2,
    "gpt-2": _GPT_2,
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _GPT_2]),
    "llama-bpe": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_LLAMA_3), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
}
"""How a tokenizer of Llama's kind splits a text before its merges, by the name that the file gives. transformers takes
GPT-2's way for all of them: numbers in gene symbols then become other tokens than those that the model learned."""


def unpacked(path: Path, *, sha256: str, what: str, warehouse: Path) -> Path:
    """Return the folder with the model of a GGUF file, ``models/<SHA-256 of the file>`` below the warehouse.

    :param sha256: of the file
    :param what: the model and the file, for what is told of it
    :raises ModelError: if the file is cut short or can't be read by transformers, or the disk has no room for it
    """
    folder = warehouse / "models" / sha256
    if folder.is_dir():
        with suppress(OSError):  # by its age it would go, and the row that names it is not written yet
            os.utime(folder)
        return folder
    lock = FileLock(folder.with_name(f".{sha256}.lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _unwritable(folder, what=what, error=error) from error
    try:
        if folder.is_dir():
            return folder
        # what a killed process left of this file may be gigabytes, and room is looked for next
        remove_leftovers(folder.parent, start=sha256, older_than_s=-1.0)
        return _unpacked(path, folder=folder, what=what)
    finally:
        lock.release()


def _unpacked(path: Path, *, folder: Path, what: str) -> Path:
    fields, needed = _header(path, what=what)
    free = free_disk(folder)
    if needed + SPARE_DISK > free:
        raise _no_room(
            folder, what=what, needed=needed, found=f"{gigabytes(free)} free on the disk of {folder.parent}"
        )

    def build(aside: Path) -> str:
        _unpack(path, fields=fields, to=aside, what=what)
        return folder.name

    try:
        return publish_directory(folder.parent, build, start=folder.name)
    except ModelError:
        raise
    except Exception as error:
        if is_disk_full(error, folder=folder.parent, needed=needed):
            raise _no_room(
                folder, what=what, needed=needed, found=f"a full disk ({folder.parent})"
            ) from error
        if isinstance(error, OSError):
            raise _unwritable(folder, what=what, error=error) from error
        raise _unreadable(what, found=f"a file that transformers can't unpack ({error})") from error


def _unwritable(folder: Path, *, what: str, error: OSError) -> ModelError:
    return model_error(
        what, found=f"a file or folder that can't be read or written ({error})",
        expected=f"a file to read, and room in {folder.parent}", remedy="Mend what the message names.",
    )  # fmt: skip


def _header(path: Path, *, what: str) -> tuple[dict[str, Any], int]:
    """Return what a GGUF file says of itself, and the bytes that its weights take unpacked."""
    lacking = gguf_lacks()
    if lacking:
        raise model_error(
            what,
            found=lacking,
            expected="what reads such files",
            remedy="Install the extra: pip install '.[gguf]'",
        )
    import gguf

    try:
        reader = gguf.GGUFReader(path)
    except Exception as error:  # whatever its arrays run into
        raise _unreadable(what, found=f"a file that was cut short or is no GGUF file ({error})") from error
    fields = {name: field.contents() for name, field in reader.fields.items() if field.types}
    tensors = {tensor.name: int(tensor.n_elements) for tensor in reader.tensors}
    if fields.get("split.count", 1) > 1:
        raise model_error(
            what, found=f"one of {fields['split.count']} parts of a GGUF file",
            remedy="Join them with llama.cpp (llama-gguf-split --merge FIRST_PART WHOLE) and name the whole.",
        )  # fmt: skip
    if fields.get("general.type", "model") != "model":
        raise _unreadable(what, found=f"a GGUF file of the type {fields['general.type']}")
    factors = [name for name in tensors if name.startswith("rope_f")]
    if factors:  # left out in silence, every position would be turned by another angle
        raise _unreadable(what, found=f"rotary factors ({factors[0]}) that transformers leaves out")
    split = fields.get("tokenizer.ggml.pre", "default")
    if _has_llamas_tokenizer(fields) and split not in _SPLITS:
        raise _unreadable(what, found=f"a tokenizer that splits texts in a way not known here ({split})")
    return fields, sum(tensors.values()) * _DTYPE.itemsize


def _unpack(path: Path, *, fields: dict[str, Any], to: Path, what: str) -> None:
    # newer releases keep the weights packed where the machine has a kernel for that
    kept = getattr(transformers, "GgufConfig", None)
    how = {} if kept is None else {"quantization_config": kept(dequantize=True)}
    try:
        with _alone(path) as (folder, named):
            config = AutoConfig.from_pretrained(folder, **named)
            model, told = AutoModelForCausalLM.from_pretrained(
                folder, **named, **how, dtype=_DTYPE, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, **named)
    except (ValueError, KeyError, NotImplementedError, AttributeError, TypeError) as error:
        kind = fields.get("general.architecture", "unknown")
        raise _unreadable(
            what, found=f"a GGUF file of the architecture {kind}, which transformers can't read ({error})"
        ) from error
    if told["missing_keys"]:
        raise _unreadable(
            what, found=f"{len(told['missing_keys'])} weights missing, such as {min(told['missing_keys'])}"
        )
    _mend(tokenizer, fields=fields)
    config.architectures, config.dtype = [type(model).__name__], _DTYPE
    save_torch_state_dict(model.state_dict(), to)
    config.save_pretrained(to)
    tokenizer.save_pretrained(to)


@contextmanager
def _alone(path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give a folder that holds the file alone, and how it is named there.

    transformers would also read a tokenizer's settings, or an adapter, that lie beside the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / path.name
        link.symlink_to(path)
        yield link.parent, {"gguf_file": link.name}


def _mend(tokenizer: PreTrainedTokenizerBase, *, fields: dict[str, Any]) -> None:
    """Give a tokenizer the special tokens and the splitting that the file says.

    transformers 5.17 takes the token that begins a text for the one that ends it, and GPT-2's splitting.
    """
    tokens = fields["tokenizer.ggml.tokens"]
    for role, key in {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}.items():
        number = fields.get(f"tokenizer.ggml.{key}_token_id")
        if number is not None:
            setattr(tokenizer, f"{role}_token", tokens[number])
    begins = fields.get("tokenizer.ggml.add_bos_token", fields.get("tokenizer.ggml.model") == "llama")
    tokenizer.add_bos_token = bool(begins)
    tokenizer.clean_up_tokenization_spaces = False
    if _has_llamas_tokenizer(fields):
        tokenizer.backend_tokenizer.pre_tokenizer = _SPLITS[fields.get("tokenizer.ggml.pre", "default")]


def _has_llamas_tokenizer(fields: dict[str, Any]) -> bool:
    """Return whether this is a byte-level tokenizer in a file of Llama's architecture: many models' are."""
    return (fields.get("general.architecture"), fields.get("tokenizer.ggml.model")) == ("llama", "gpt2")


def _unreadable(what: str, *, found: str) -> ModelError:
    return model_error(
        what, found=found, expected="a whole GGUF file of a causal language model that transformers can read",
        remedy="Take the file again if it was cut short; else name a folder as transformers saves the model.",
    )  # fmt: skip


def _no_room(folder: Path, *, what: str, needed: int, found: str) -> ModelError:
    return model_error(
        what, found=found, expected=f"{gigabytes(needed)} to unpack it into {folder.parent}",
        remedy="Free that much (bioalign vacuum removes what nothing needs any more) or name a warehouse "
        "on a larger disk. Nothing was kept of it.",
    )  # fmt: skip
