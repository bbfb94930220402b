"""What is known of a study's published models before their weights are here: configuration, tokenizer, form."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioalign_assets.errors import ModelError
from bioalign_assets.models.architecture import PUBLISHED, Architecture
from bioalign_assets.models.fetching import fetch_outline
from bioalign_assets.models.folder import quantisation_of, told_tokenizer
from bioalign_assets.models.model_files import config_of, holds_pickled
from bioalign_assets.models.resolved import ResolvedModel, held_models
from bioalign_assets.study import Study
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.warehouse.tables import Tables

__all__ = ["Original", "originals_of"]


@dataclass(frozen=True, kw_only=True)
class Original:
    """A published model, as far as a rehearsal needs to know it.

    :param config: its ``config.json``, or the part of it that tells the shape
    :param tokenizer: folder with its tokenizer
    :param is_nf4: whether its files hold NF4 already
    :param is_pickled: whether they are in the form before safetensors
    :param fetched_bytes: what is to be fetched; None where that is not known
    """

    config: Mapping[str, Any]
    tokenizer: Path
    is_nf4: bool
    is_pickled: bool
    fetched_bytes: int | None

    @property
    def shape(self) -> Architecture | None:
        """Its shape; None where its kind is not one that is known."""
        return Architecture.from_config(self.config)


def originals_of(
    study: Study, *, warehouse: Path, folders: Mapping[str, Path], token: str | None
) -> tuple[dict[str, Original], dict[str, ModelError]]:
    """Return the published models of a study, and why the others can't be had.

    :param warehouse: of the real study: what was taken in a model's place there, or is held, is what is meant
    :param folders: by model, a folder with its tokenizer, and its configuration where that is not known here
    :param token: login of the hub
    """
    found: dict[str, Original] = {}
    lacking: dict[str, ModelError] = {}
    rows = held_models(Tables(warehouse), specs=study.models)
    for name, spec in study.models.items():
        if spec.tiny is not None:
            continue
        held, folder = rows.get(name), folders.get(name)
        try:
            if folder is None and held is not None:
                found[name] = _on_record(held, spec=spec, warehouse=warehouse)
            else:
                found[name] = _original(spec, name=name, folder=folder, token=token)
        except ModelError as error:
            lacking[name] = error
    return found, lacking


def _on_record(held: ResolvedModel, *, spec: ModelSpec, warehouse: Path) -> Original:
    """Return a model that ``models.base`` of the real warehouse has."""
    folder = held.folder(warehouse=warehouse)
    return _whole(
        config_of(folder) or {}, folder=folder, fetched=0, spec=spec, name=held.model,
        is_pickled=holds_pickled(folder),
    )  # fmt: skip


def _original(spec: ModelSpec, *, name: str, folder: Path | None, token: str | None) -> Original:
    known = PUBLISHED.get(spec.repo_id or "")
    fetched: int | None = known.file_bytes if known else None
    is_pickled = known.is_pickled if known else False
    if folder is None and spec.path is not None:
        folder = Path(spec.path)
        if folder.is_dir():
            fetched, is_pickled = 0, holds_pickled(folder)
    if folder is None:
        outline = fetch_outline(spec, name=name, token=token)
        folder = outline.folder
        fetched = fetched if outline.weight_bytes is None else outline.weight_bytes
        is_pickled = is_pickled if outline.is_pickled is None else outline.is_pickled
    config = config_of(folder)
    is_its_own = config is not None
    if config is None and known is not None:
        published = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"} if known.is_nf4 else None
        config = known.config | {"quantization_config": published}
    if config is None:
        raise ModelError(
            f"Model {name} ({spec.path or spec.repo_id})",
            found=f"no configuration in {folder}",
            expected="config.json and the tokenizer's files; no weights are needed",
            remedy=f"Name a folder that holds them (bioalign rehearse --files {name}=FOLDER), or put the model on "
            f"record first: bioalign models --take {name}=FOLDER_OR_FILE.",
        )
    return _whole(
        config,
        folder=folder,
        spec=spec,
        name=name,
        fetched=fetched,
        is_pickled=is_pickled,
        widens=not is_its_own,
    )


def _whole(
    config: dict[str, Any],
    *,
    folder: Path,
    spec: ModelSpec,
    name: str,
    fetched: int | None,
    is_pickled: bool,
    widens: bool = False,
) -> Original:
    """Return a model, of which nothing was found that ``models.base`` would refuse.

    :param widens: whether the tokenizer, named in the place of the model's own, may have more tokens than the
        configuration has rows: it gets as many then
    :raises ModelError: if its tokenizer can't be read, or its weights are quantised in a way that can't be run
    """
    what = f"Model {name} ({spec.path or spec.repo_id})"
    tokens = len(told_tokenizer(folder, what=what, place="folder"))
    published = config.get("quantization_config")
    quantisation_of(published, spec=spec, name=name, what=what, place="folder")
    if widens:
        config = config | {"vocab_size": max(int(config["vocab_size"]), tokens)}
    return Original(
        config=config, tokenizer=folder, is_nf4=bool(published), is_pickled=is_pickled, fetched_bytes=fetched
    )
