"""Base models by name: fetch one, find one here, or build a tiny one; all end as a ``ResolvedModel``."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from transformers.utils.logging import disable_progress_bar

from bioalign_assets.models.hub import resolve_hub_model
from bioalign_assets.models.loading import default_device
from bioalign_assets.models.local import resolve_local_model
from bioalign_assets.models.memory import total_memory
from bioalign_assets.models.pretraining import TOKENIZER_SENTENCES, pretrain, pretraining_texts
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.models.tiny import build_tiny_model
from bioalign_assets.models.tokenizers import train_tokenizer
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.warehouse.atomic import publish_directory
from bioalign_assets.warehouse.hashing import files_sha256

__all__ = ["resolve_model"]


def resolve_model(
    spec: ModelSpec,
    *,
    name: str,
    associations: pa.Table,
    warehouse: Path,
    token: str | None = None,
    recorded: ResolvedModel | None = None,
    take: str | None = None,
) -> ResolvedModel:
    """Return the base model of a study's entry, its files at hand.

    :param name: name of the model in the study file
    :param associations: ``ctd.associations``; a tiny model learns the names in it
    :param warehouse: the warehouse folder; tiny models and unpacked files are kept below ``models/``
    :param token: login of the model hub
    :param recorded: the model as ``models.base`` has it: as long as the study names the same, it stays at its commit
        or content. None to take what is there now
    :param take: folder or GGUF file to take in the hub's place, absolute; it stays there as what is recorded does
    :raises ModelError: if it can't be found, fetched or held here, or its files are no longer those that are recorded
    """
    if spec.tiny is not None:
        return _build_tiny(spec, name=name, associations=associations, warehouse=warehouse)
    held = recorded if recorded is not None and recorded.is_named_by(spec) else None
    path = take or spec.path or (held.origin if held is not None else None)
    if path is not None:
        return resolve_local_model(
            Path(path), spec=spec, name=name, warehouse=warehouse, held=None if take else held
        )
    device = default_device()
    return resolve_hub_model(
        spec,
        name=name,
        token=token,
        commit=held.revision if held is not None else None,
        card_bytes=total_memory(device) if device.type == "cuda" else None,
    )


def _build_tiny(spec: ModelSpec, *, name: str, associations: pa.Table, warehouse: Path) -> ResolvedModel:
    if spec.tiny is None:
        raise ValueError(f"{name} is no tiny model")
    disable_progress_bar()  # a bar for writing four megabytes is noise
    tokenizer_rng, training_rng = np.random.default_rng(spec.seed).spawn(2)
    sentences = pretraining_texts(associations, rng=tokenizer_rng)
    tokenizer = train_tokenizer((next(sentences) for _ in range(TOKENIZER_SENTENCES)), architecture=spec.tiny)
    model = build_tiny_model(spec.tiny, tokenizer=tokenizer, seed=spec.seed)
    pretrain(
        model,
        tokenizer=tokenizer,
        associations=associations,
        steps=spec.pretraining_steps,
        rng=training_rng,
        name=name,
    )

    def save(folder: Path) -> str:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return files_sha256([path for path in folder.rglob("*") if path.is_file()], root=folder)

    folder = publish_directory(warehouse / "models", save)
    return ResolvedModel(
        model=name,
        role=spec.role,
        source="tiny",
        repo_id=None,
        revision=None,
        architecture=type(model).__name__,
        parameters=model.num_parameters(),
        hidden_size=model.config.hidden_size,
        layers=model.config.num_hidden_layers,
        vocabulary=model.config.vocab_size,
        quantisation=spec.quantisation,
        bytes=sum(path.stat().st_size for path in folder.glob("*.safetensors")),
        weights_sha256=folder.name,
        path=folder.relative_to(warehouse).as_posix(),
    )
