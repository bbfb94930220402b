"""Published models: resolved to a commit, fetched from the model hub or taken from its local cache."""

import json
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import safe_open

from bioalign_assets.errors import ModelError
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.models.spec import ModelSpec
from bioalign_assets.warehouse.hashing import files_sha256

__all__ = ["resolve_hub_model"]

_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
_COMMIT_LENGTH = 40


def resolve_hub_model(
    spec: ModelSpec, *, name: str, token: str | None = None, cache: Path | None = None
) -> ResolvedModel:
    """Return a published model at the commit that its revision names, its files in the hub's local cache.

    A commit whose files are in the cache already needs no network.

    :param name: name of the model in the study file
    :param token: login of the hub, for models behind a licence
    :param cache: the hub's cache folder; its default by default
    :raises ModelError: if there is no such model or revision, access is not granted, or the hub can't be reached
    """
    if spec.repo_id is None:
        raise ValueError(f"{name} is no published model")
    try:
        commit = _commit(spec.repo_id, revision=spec.revision, token=token)
        folder = Path(
            snapshot_download(
                spec.repo_id, revision=commit, token=token, cache_dir=cache, allow_patterns=list(_FILES)
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise _told(error, spec=spec, name=name) from error
    return _describe(folder, spec=spec, name=name)


def _commit(repo_id: str, *, revision: str, token: str | None) -> str:
    if len(revision) == _COMMIT_LENGTH and all(c in "0123456789abcdef" for c in revision):
        return revision
    try:
        return HfApi(token=token).model_info(repo_id, revision=revision).sha or revision
    except (OfflineModeIsEnabled, ConnectionError):
        return revision  # the cache remembers which commit a branch stood at


def _told(error: Exception, *, spec: ModelSpec, name: str) -> ModelError:
    subject = f"Model {name} ({spec.repo_id} at {spec.revision})"
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
    else:
        found, remedy = f"neither its files in the local cache nor a hub that answers ({type(error).__name__})", (
            "Run it once with a network, or copy the hub's cache folder (HF_HOME) to this machine; "
            "BIOALIGN_STUDY=demo needs no hub."
        )  # fmt: skip
    return ModelError(
        subject, found=found, expected="a published model with safetensors weights", remedy=remedy
    )


def _describe(folder: Path, *, spec: ModelSpec, name: str) -> ResolvedModel:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(
            f"Model {name} ({spec.repo_id} at {spec.revision})",
            found=f"no *.safetensors file in {folder}",
            expected="a published model with safetensors weights",
            remedy="Name a repository or revision that holds safetensors.",
        )
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    is_quantised = "quantization_config" in config
    return ResolvedModel(
        model=name,
        role=spec.role,
        source="hub",
        repo_id=spec.repo_id,
        revision=folder.name,
        architecture=str(config["architectures"][0]),
        parameters=_parameters(weights),
        hidden_size=int(config["hidden_size"]),
        layers=int(config["num_hidden_layers"]),
        vocabulary=int(config["vocab_size"]),
        quantisation="nf4" if is_quantised else spec.quantisation,
        bytes=sum(path.stat().st_size for path in weights),
        weights_sha256=files_sha256([p for p in folder.iterdir() if p.is_file()], root=folder),
        path=str(folder),
    )


def _parameters(weights: list[Path]) -> int:
    """Return the number of parameters; a packed 4-bit weight (uint8, two values a byte) counts as two a byte."""
    total = 0
    for path in weights:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            for tensor in names:
                # quantisation state (absmax, quant_map, …) stands beside its weight and is no parameter
                if any(
                    tensor != other and tensor.startswith(f"{other}.") for other in _parents(tensor) & names
                ):
                    continue
                part = file.get_slice(tensor)
                size = 1
                for length in part.get_shape():
                    size *= length
                total += size * 2 if part.get_dtype() == "U8" else size
    return total


def _parents(tensor: str) -> set[str]:
    pieces = tensor.split(".")
    return {".".join(pieces[:end]) for end in range(1, len(pieces))}
