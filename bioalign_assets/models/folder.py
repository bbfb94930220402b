"""A folder with a model as transformers saves it: what it holds and what is wrong with it, before it is loaded."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from bioalign_assets.models.loading import load_tokenizer
from bioalign_assets.models.model_files import model_error, model_files, weight_files
from bioalign_assets.models.resolved import ResolvedModel, file_facts
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.warehouse.hashing import files_sha256

__all__ = ["describe", "quantisation_of", "told_tokenizer"]

_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
"""A tokenizer is one of these. Without any, transformers makes an empty one of some kinds, and says nothing."""
_READS_SENTENCEPIECE = (
    "Install what reads it (pip install 'sentencepiece<0.2.3' 'protobuf<7': later ones ask for a protobuf that Dagster "
    "refuses), or put the model's tokenizer.json beside it."
)


def describe(
    folder: Path, *, spec: ModelSpec, name: str, what: str, source: Literal["hub", "folder", "gguf"]
) -> ResolvedModel:
    """Return what a folder holds as a row of ``models.base``, with the hash of its files.

    :param name: name of the model in the study file
    :param what: the model and where it is looked for, for what is told of it
    :param source: where the folder came from
    :raises ModelError: if it holds an adapter, lacks configuration, weights or tokenizer, has files that were cut
        short, or what it holds can't be run here
    """
    place = "repository" if source == "hub" else "folder"
    _refuse_no_model(folder, what=what, place=place)
    weights = _weights(folder, what=what, is_hub=source == "hub")
    with _told_by_transformers(what, place=place):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    published = getattr(config, "quantization_config", None)
    quantisation = quantisation_of(published, spec=spec, name=name, what=what, place=place)
    with _told_by_transformers(what, place=place):
        model = _without_weights(config)
        hidden_size, layers = int(model.config.hidden_size), int(model.config.num_hidden_layers)
    _refuse_cut_short(weights, what=what)
    _refuse_unfit_tokenizer(folder, vocabulary=int(model.config.vocab_size), what=what, place=place)
    # before the content is read: what changes meanwhile is noticed when it is loaded
    facts = file_facts(folder) if source == "folder" else None
    return ResolvedModel(
        model=name,
        role=spec.role,
        source=source,
        repo_id=None,
        revision=None,
        architecture=type(model).__name__,
        parameters=model.num_parameters(),
        hidden_size=hidden_size,
        layers=layers,
        vocabulary=int(model.config.vocab_size),
        quantisation=quantisation,
        bytes=sum(path.stat().st_size for path in weights),
        weights_sha256=files_sha256(model_files(folder), root=folder),
        path=str(folder),
        files=facts,
    )


def _refuse_no_model(folder: Path, *, what: str, place: str) -> None:
    adapter = folder / "adapter_config.json"
    # transformers would load the model that it names, wherever that is, with the adapter on it
    if adapter.is_file():
        raise model_error(
            what, found=f"an adapter ({adapter})",
            remedy=f"Name the {place} of the model that it was trained on, or merge the two and save the whole "
            "(merge_and_unload, save_pretrained).",
        )  # fmt: skip
    if not (folder / "config.json").is_file():
        raise model_error(
            what, found=f"no config.json in {folder}",
            remedy=f"Name a {place} as transformers saves a model: config.json, weights and tokenizer side by side.",
        )  # fmt: skip


def _weights(folder: Path, *, what: str, is_hub: bool) -> list[Path]:
    """Return the weight files that transformers would load."""
    try:
        files = weight_files(folder)
    except (ValueError, KeyError, AttributeError) as error:
        raise model_error(
            what, found=f"an index of weight files that can't be read ({error!r}) in {folder}",
            remedy="Take that file again from where the model came from.",
        ) from error  # fmt: skip
    missing = [file.name for file in files if not file.is_file()]
    if not files:
        raise model_error(
            what, found=f"neither model.safetensors nor pytorch_model.bin in {folder}",
            remedy="Name a repository and revision, or a folder, that holds the weights in one of these forms.",
        )  # fmt: skip
    if missing:
        raise model_error(
            what,
            found=f"{len(missing)} of {len(files)} weight files missing in {folder}, such as {missing[0]}",
            remedy="Run it again with a network, to finish the download." if is_hub
            else "Copy them there from where the model came from.",
        )  # fmt: skip
    return files


@contextmanager
def _told_by_transformers(what: str, *, place: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise model_error(
            what, found=f"a model that transformers does not know ({error})",
            remedy=f"Name a {place} with a causal language model whose architecture transformers has.",
        ) from error  # fmt: skip


def quantisation_of(
    published: Mapping[str, Any] | None, *, spec: ModelSpec, name: str, what: str, place: str
) -> Literal["nf4", "none"]:
    """Return how the weights will be held: as they are where they are in 4 bits already, else as the study says.

    :param published: what ``config.json`` says of it
    :raises ModelError: if they are quantised in another way
    """
    if not published:
        return spec.quantisation
    is_nf4 = bool(published.get("load_in_4bit")) and published.get("bnb_4bit_quant_type") == "nf4"
    if is_nf4 and spec.quantisation == "nf4":
        return "nf4"
    kind = "nf4" if is_nf4 else published.get("quant_method", "an unknown way")
    raise model_error(
        what, found=f"weights that are quantised already ({kind})",
        remedy=(
            f"Set models.{name}.quantisation to nf4, or name the {place} with the full weights."
            if is_nf4
            else f"Name the {place} with the full weights, or one quantised by bitsandbytes to NF4."
        ),
    )  # fmt: skip


def _without_weights(config: PreTrainedConfig) -> PreTrainedModel:
    """Return the model with shapes and no memory: packed 4-bit files don't tell how many parameters they hold."""
    plain = copy.deepcopy(config)
    if hasattr(plain, "quantization_config"):
        del plain.quantization_config
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(plain, trust_remote_code=False)


def _refuse_cut_short(weights: list[Path], *, what: str) -> None:
    """Raise if a safetensors file is not as long as its header says. Pickled ones are told when they are loaded."""
    for path in weights:
        if path.suffix != ".safetensors":
            continue
        try:
            with safe_open(path, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise model_error(
                what, found=f"a file that was cut short or is no safetensors file: {path} ({error})",
                remedy="Take that file again from where the model came from; its size there tells whether it is whole.",
            ) from error  # fmt: skip


def told_tokenizer(folder: Path, *, what: str, place: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer in a folder.

    :raises ModelError: if there is none, or none that can be read
    """
    present = [name for name in _TOKENIZERS if (folder / name).is_file()]
    if not present:
        raise model_error(
            what, found=f"no tokenizer in {folder}: none of {', '.join(_TOKENIZERS)}",
            remedy=f"Name a {place} that has it beside the weights (tokenizer.save_pretrained writes it).",
        )  # fmt: skip
    try:
        return load_tokenizer(folder)
    except Exception as error:  # the library behind it raises a bare Exception
        if present == ["tokenizer.model"]:
            # transformers asks for tiktoken then, which is seldom what is lacking
            raise model_error(
                what, found=f"tokenizer.model alone in {folder}, which transformers can't read here",
                remedy=_READS_SENTENCEPIECE,
            ) from error  # fmt: skip
        raise model_error(
            what, found=f"a tokenizer that transformers can't read ({error})",
            remedy=f"Name a {place} whose tokenizer it can read, best as tokenizer.json.",
        ) from error  # fmt: skip


def _refuse_unfit_tokenizer(folder: Path, *, vocabulary: int, what: str, place: str) -> None:
    tokens = len(told_tokenizer(folder, what=what, place=place))
    if tokens > vocabulary:
        raise model_error(
            what,
            found=f"a tokenizer with {tokens:,} tokens and an embedding with {vocabulary:,}",
            expected="an embedding with a row for each token",
            remedy=f"Take tokenizer and weights of one model into the {place}; after tokens were added to a model "
            "both must be saved (resize_token_embeddings, save_pretrained).",
        )
