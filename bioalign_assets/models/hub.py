"""Published models: resolved to a commit, fetched from the model hub or taken from its local cache."""

import copy
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from bioalign_assets.models.fetching import (
    FILES,
    PICKLED,
    fetch,
    hub_error,
    weight_files,
)
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.warehouse.hashing import files_sha256

__all__ = ["recorded_commit", "resolve_hub_model"]


def recorded_commit(recorded: ResolvedModel | None, *, spec: ModelSpec) -> str | None:
    """Return the commit at which a model is held: that of its row, as long as the study names the same revision.

    :param recorded: the model's row in ``models.base``; None if there is none yet
    """
    if recorded is None or (recorded.repo_id, recorded.named_revision) != (spec.repo_id, spec.revision):
        return None
    return recorded.revision


def resolve_hub_model(
    spec: ModelSpec,
    *,
    name: str,
    token: str | None = None,
    commit: str | None = None,
    card_bytes: int | None = None,
) -> ResolvedModel:
    """Return a published model, its files in the hub's local cache.

    It is held at ``commit`` where that is given, else at the commit that its revision names now. A commit whose files
    are in the cache already needs no network; nor does a branch that was resolved before, where the hub can't be
    reached.

    :param name: name of the model in the study file
    :param token: login of the hub, for models behind a licence
    :param commit: where the model was recorded to stand (:func:`recorded_commit`)
    :param card_bytes: memory of the CUDA card; None where there is none, then nothing is asked of it
    :raises ModelError: if there is no such model or revision, access is not granted, the hub can't be reached,
        the disk or the card is too small (said before anything large is fetched), or what is published can't be
        run here
    """
    if spec.repo_id is None:
        raise ValueError(f"{name} is no published model")
    folder = fetch(spec, name=name, revision=commit or spec.revision, token=token, card_bytes=card_bytes)
    return _describe(folder, spec=spec, name=name)


def _describe(folder: Path, *, spec: ModelSpec, name: str) -> ResolvedModel:
    weights = _weights(folder, spec=spec, name=name)
    files = FILES + (PICKLED if weights[0].suffix == ".bin" else ())
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        quantisation = _quantisation(config, spec=spec, name=name)
        model = _without_weights(config)
    except (OSError, ValueError) as error:
        raise hub_error(
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
        named_revision=spec.revision,
        architecture=type(model).__name__,
        parameters=model.num_parameters(),
        hidden_size=int(model.config.hidden_size),
        layers=int(model.config.num_hidden_layers),
        vocabulary=int(model.config.vocab_size),
        quantisation=quantisation,
        bytes=sum(path.stat().st_size for path in weights),
        # not all of the cache's folder: another program may have put other files there
        weights_sha256=files_sha256(sorted({p for f in files for p in folder.glob(f)}), root=folder),
        path=str(folder),
    )


def _weights(folder: Path, *, spec: ModelSpec, name: str) -> list[Path]:
    """Return the weight files that transformers would load."""
    files = weight_files(folder)
    missing = [file.name for file in files if not file.is_file()]
    if not files:
        raise hub_error(
            spec, name=name, found=f"neither model.safetensors nor pytorch_model.bin in {folder}",
            remedy="Name a repository or revision that holds the weights in one of these forms.",
        )  # fmt: skip
    if missing:
        raise hub_error(
            spec, name=name,
            found=f"{len(missing)} of {len(files)} weight files missing in {folder}, such as {missing[0]}",
            remedy="Run it again with a network, to finish the download.",
        )  # fmt: skip
    return files


def _quantisation(config: PreTrainedConfig, *, spec: ModelSpec, name: str) -> Literal["nf4", "none"]:
    """Return how the weights will be held: as published where they are in 4 bits already, else as the study says."""
    published: dict[str, Any] | None = getattr(config, "quantization_config", None)
    if not published:
        return spec.quantisation
    is_nf4 = bool(published.get("load_in_4bit")) and published.get("bnb_4bit_quant_type") == "nf4"
    if is_nf4 and spec.quantisation == "nf4":
        return "nf4"
    kind = "nf4" if is_nf4 else published.get("quant_method", "an unknown way")
    raise hub_error(
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
