"""Published models: resolved to a commit, fetched from the model hub or taken from its local cache."""

import copy
import json
from pathlib import Path
from typing import Any, Literal

import httpx
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    XetDownloadError,
)
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from bioalign_assets.errors import ModelError
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.models.spec import ModelSpec
from bioalign_assets.warehouse.hashing import files_sha256

__all__ = ["resolve_hub_model"]

_FILES = (
    "config.json", "generation_config.json", "model.safetensors", "model-*.safetensors",
    "model.safetensors.index.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
)  # fmt: skip
"""What transformers loads. A repository may hold the same weights in other forms (consolidated, .bin, onnx/)."""
_EXPECTED = "a published causal language model with safetensors weights"


def resolve_hub_model(
    spec: ModelSpec, *, name: str, token: str | None = None, cache: Path | None = None
) -> ResolvedModel:
    """Return a published model at the commit that its revision names, its files in the hub's local cache.

    A commit whose files are in the cache already needs no network; nor does a branch that was resolved before,
    where the hub can't be reached.

    :param name: name of the model in the study file
    :param token: login of the hub, for models behind a licence
    :param cache: the hub's cache folder; its default by default
    :raises ModelError: if there is no such model or revision, access is not granted, the hub can't be reached,
        or what is published can't be run here
    """
    if spec.repo_id is None:
        raise ValueError(f"{name} is no published model")
    try:
        folder = _snapshot(spec.repo_id, revision=spec.revision, token=token, cache=cache)
    except (httpx.HTTPError, HFValidationError, XetDownloadError, OSError) as error:
        raise _told(error, spec=spec, name=name) from error
    return _describe(folder, spec=spec, name=name)


def _snapshot(repo_id: str, *, revision: str, token: str | None, cache: Path | None) -> Path:
    """Return the folder with the files of a commit; it bears the commit's name."""
    wanted: dict[str, Any] = {
        "repo_id": repo_id,
        "revision": revision,
        "cache_dir": cache,
        "allow_patterns": list(_FILES),
        "ignore_patterns": ["*/*"],
    }
    try:
        return Path(snapshot_download(**wanted, token=token))
    except RevisionNotFoundError:
        raise
    except (httpx.HTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError):
        try:  # a cache that another program or an older release of the hub's library filled has no list of files
            return Path(snapshot_download(**wanted, local_files_only=True))
        except LocalEntryNotFoundError:
            pass
        raise


def _told(error: Exception, *, spec: ModelSpec, name: str) -> ModelError:
    if isinstance(error, GatedRepoError):
        found, remedy = "that its licence was not granted to you", (
            f"Open https://huggingface.co/{spec.repo_id} in a browser, accept the licence, and set HF_TOKEN."
        )  # fmt: skip
    elif isinstance(error, RevisionNotFoundError):
        found, remedy = "no such revision", f"Correct models.{name}.revision in the study file."
    elif isinstance(error, RepositoryNotFoundError):
        found, remedy = "no such repository on the hub, or none that you may see", (
            f"Correct models.{name}.repo_id in the study file, or set HF_TOKEN if the model is private."
        )  # fmt: skip
    elif isinstance(error, HFValidationError):
        found, remedy = "an identifier that the hub does not allow", (
            f"Correct models.{name}.repo_id in the study file."
        )  # fmt: skip
    elif isinstance(error, (httpx.HTTPError, OfflineModeIsEnabled, LocalEntryNotFoundError)):
        reason = error.__cause__ or error
        found, remedy = f"neither its files in the local cache nor a hub that answers ({type(reason).__name__})", (
            "Run it once with a network, or copy the hub's cache folder (HF_HOME) to this machine; "
            "BIOALIGN_STUDY=demo needs no hub."
        )  # fmt: skip
    else:
        found, remedy = f"a download that failed ({' '.join(str(error).split())})", (
            "Mend what the message names (free disk space, rights on the cache folder HF_HOME) and run it again."
        )  # fmt: skip
    return _error(spec, name=name, found=found, remedy=remedy)


def _describe(folder: Path, *, spec: ModelSpec, name: str) -> ResolvedModel:
    weights = _weights(folder, spec=spec, name=name)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        quantisation = _quantisation(config, spec=spec, name=name)
        model = _without_weights(config)
    except (OSError, ValueError) as error:
        raise _error(
            spec, name=name,
            found=f"a model that transformers does not know ({' '.join(str(error).split())})",
            remedy="Name a repository with a causal language model whose architecture transformers has.",
        ) from error  # fmt: skip
    return ResolvedModel(
        model=name,
        role=spec.role,
        source="hub",
        repo_id=spec.repo_id,
        revision=folder.name,
        architecture=type(model).__name__,
        parameters=model.num_parameters(),
        hidden_size=int(model.config.hidden_size),
        layers=int(model.config.num_hidden_layers),
        vocabulary=int(model.config.vocab_size),
        quantisation=quantisation,
        bytes=sum(path.stat().st_size for path in weights),
        # not all of the cache's folder: another program may have put other files there
        weights_sha256=files_sha256(sorted({p for f in _FILES for p in folder.glob(f)}), root=folder),
        path=str(folder),
    )


def _weights(folder: Path, *, spec: ModelSpec, name: str) -> list[Path]:
    """Return the weight files that transformers would load."""
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    if not index.is_file():
        raise _error(
            spec, name=name, found=f"no model.safetensors in {folder}",
            remedy="Name a repository or revision that holds safetensors; the hub's conversion of older weights "
            "often stands under a revision such as refs/pr/1.",
        )  # fmt: skip
    shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    missing = [shard for shard in shards if not (folder / shard).is_file()]
    if missing:
        raise _error(
            spec, name=name,
            found=f"{len(missing)} of {len(shards)} weight files missing in {folder}, such as {missing[0]}",
            remedy="Run it again with a network, to finish the download.",
        )  # fmt: skip
    return [folder / shard for shard in shards]


def _quantisation(config: PreTrainedConfig, *, spec: ModelSpec, name: str) -> Literal["nf4", "none"]:
    """Return how the weights will be held: as published where they are in 4 bits already, else as the study says."""
    published: dict[str, Any] | None = getattr(config, "quantization_config", None)
    if not published:
        return spec.quantisation
    is_nf4 = bool(published.get("load_in_4bit")) and published.get("bnb_4bit_quant_type") == "nf4"
    if is_nf4 and spec.quantisation == "nf4":
        return "nf4"
    kind = "nf4" if is_nf4 else published.get("quant_method", "an unknown way")
    raise _error(
        spec, name=name, found=f"weights that are quantised already ({kind})",
        remedy=(
            f"Set models.{name}.quantisation to nf4, or name the repository with the full weights."
            if is_nf4
            else "Name the repository with the full weights, or one quantised by bitsandbytes to NF4."
        ),
    )  # fmt: skip


def _without_weights(config: PreTrainedConfig) -> PreTrainedModel:
    """Return the model with shapes and no memory: packed 4-bit files don't tell how many parameters they hold."""
    plain = copy.deepcopy(config)
    if hasattr(plain, "quantization_config"):
        del plain.quantization_config
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(plain, trust_remote_code=False)


def _error(spec: ModelSpec, *, name: str, found: str, remedy: str) -> ModelError:
    return ModelError(
        f"Model {name} ({spec.repo_id} at {spec.revision})", found=found, expected=_EXPECTED, remedy=remedy
    )
