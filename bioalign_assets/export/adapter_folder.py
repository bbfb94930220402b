"""The folder of an exported variant: the adapter with its tokenizer, and its base where nobody could fetch that."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch
from safetensors import safe_open
from tqdm import tqdm

from bioalign_assets.errors import ModelError, WarehouseError
from bioalign_assets.export.licence import licence_of
from bioalign_assets.export.merging import base_dtype, merged_model, save
from bioalign_assets.export.model_card import Handed, model_card
from bioalign_assets.models.fetching import SPARE_DISK, free_disk
from bioalign_assets.models.model_files import config_of, model_files, tokenizer_files, weight_files
from bioalign_assets.models.needs import gigabytes
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.models.threads import reproducible_threads
from bioalign_assets.study import Study, Variant
from bioalign_assets.terminal import terminal
from bioalign_assets.training.adapters import adapter_row, verify_adapter
from bioalign_assets.training.home import CARD, CONFIG, config_bytes, is_published
from bioalign_assets.training.provenance import expected_provenance
from bioalign_assets.warehouse.atomic import written_aside
from bioalign_assets.warehouse.disk import is_disk_full
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["export_variant"]

_BASE = "base"
"""Folder of the base beside an adapter; PEFT finds it where Python runs in the folder above."""


def export_variant(
    key: str, *, to: Path, merged: bool, study: Study, tables: Tables, stale: Sequence[str] = ()
) -> None:
    """Write a tuned variant as a folder that plain transformers and PEFT load, with a model card (README.md).

    :param key: ``<model>@<experiment>``
    :param to: folder to write; it must not be there yet
    :param merged: write base and adapter as one model
    :param stale: reasons why the figures in the warehouse may be of an earlier adapter, for the card
    :raises StudyError: if the study has no such variant
    :raises ModelError: if it is untuned or has no adapter yet, or something of it is gone or another one now
    :raises ProvenanceError: if the adapter does not belong to the present base, dataset or settings
    :raises WarehouseError: if something is there already, or the place has no room or can't be written
    """
    if to.exists() or to.is_symlink():
        raise WarehouseError(
            str(to), found="something that is there already", expected="the name of a new folder",
            remedy="Name another, or remove it first.",
        )  # fmt: skip
    variant = study.variant(key)
    row, base, adapter = _held(variant, study=study, tables=tables)
    folder = base.folder(warehouse=tables.root)
    handed = Handed(
        variant=variant,
        study=study,
        tables=tables,
        base=base,
        adapter=row,
        merged=merged,
        dtype=str(base_dtype(folder)).removeprefix("torch."),
        in_4_bits=bool((config_of(folder) or {}).get("quantization_config")),
        licence=licence_of(base, warehouse=tables.root),
        stale=tuple(stale),
    )
    needed = _bytes(handed, folder=folder, adapter=adapter)
    if needed + SPARE_DISK > free_disk(to):
        raise _no_room(to, needed=needed)
    try:
        with written_aside(to) as aside:
            aside.mkdir()
            if merged:
                with reproducible_threads(study.models[variant.model]):
                    _write_merged(handed, folder=folder, adapter=adapter, to=aside)
            else:
                _write_adapter(handed, folder=folder, adapter=adapter, to=aside)
            (aside / CARD).write_text(model_card(handed), encoding="utf-8")
    except Exception as error:
        if is_disk_full(error, folder=to.parent, needed=needed):
            raise _no_room(to, needed=needed) from error
        if isinstance(error, OSError):
            raise WarehouseError(
                str(to), found=f"a place that can't be written ({error})", expected="one that can",
                remedy="Name a folder in another place.",
            ) from error  # fmt: skip
        raise


def _held(variant: Variant, *, study: Study, tables: Tables) -> tuple[dict[str, object], ResolvedModel, Path]:
    """Return the row of a variant's adapter, its base, and the adapter's directory, seen to belong together."""
    rows = tables.read(TABLES["training.adapter"])
    trained = [row["variant"] for row in rows.to_pylist() if row["path"] is not None]
    dataset = study.training_dataset(variant)
    if dataset is None or variant.key not in trained:
        _refuse(variant, is_untuned=dataset is None, trained=trained)
    row = adapter_row(rows, variant=variant.key)
    base = tables.read(TABLES["models.base"], partitions=[variant.model])
    pairs = tables.read(TABLES["curation.pairs"], partitions=[dataset])
    adapter = verify_adapter(
        row, warehouse=tables.root, expected=expected_provenance(variant, study=study, base=base, pairs=pairs)
    )
    return row, ResolvedModel.from_table(base, model=variant.model), adapter


def _refuse(variant: Variant, *, is_untuned: bool, trained: Sequence[str]) -> NoReturn:
    raise ModelError(
        f"Variant {variant.key}", found="an untuned one, which has no adapter" if is_untuned else "no adapter yet",
        expected=f"one of those that are trained: {', '.join(trained) or 'there are none yet'}",
        remedy="Name one of these." if is_untuned and trained
        else f"Run: bioalign run{'' if is_untuned else f' --variant {variant.key}'}",
    )  # fmt: skip


def _bytes(handed: Handed, *, folder: Path, adapter: Path) -> int:
    """Return about how much is written."""
    files = [*tokenizer_files(folder), *(path for path in adapter.iterdir() if not handed.merged)]
    if handed.holds_base:
        files += model_files(folder)
    merged = handed.base.parameters * getattr(torch, handed.dtype).itemsize if handed.merged else 0
    return merged + sum(path.stat().st_size for path in files)


def _no_room(to: Path, *, needed: int) -> WarehouseError:
    return WarehouseError(
        str(to), found=f"{gigabytes(free_disk(to))} free on the disk of {to.parent}",
        expected=f"about {gigabytes(needed + SPARE_DISK)}",
        remedy="Free as much there, or name a folder on another disk.",
    )  # fmt: skip


def _write_merged(handed: Handed, *, folder: Path, adapter: Path, to: Path) -> None:
    name = handed.variant.key
    model = merged_model(
        handed.base, spec=handed.study.models[handed.variant.model], adapter=adapter,
        warehouse=handed.tables.root, name=name,
    )  # fmt: skip
    save(model, folder=to)
    _copy([*_generation(folder), *tokenizer_files(folder)], to=to, name=name)


def _write_adapter(handed: Handed, *, folder: Path, adapter: Path, to: Path) -> None:
    name = handed.variant.key
    own = [path for path in adapter.iterdir() if path.name != CARD]
    _copy([*own, *tokenizer_files(folder)], to=to, name=name)
    config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    address = handed.base.repo_id if is_published(handed.base) else f"./{_BASE}"
    (to / CONFIG).write_bytes(config_bytes(config, base=address, revision=handed.base.revision))
    if handed.holds_base:
        (to / _BASE).mkdir()
        _copy(model_files(folder), to=to / _BASE, name=name)
        _name_base(to)


def _name_base(to: Path) -> None:
    """Let transformers find the base from the folder above it.

    Where configuration and weights lie beside an adapter, it loads these with the adapter on them, whatever the
    adapter's own configuration names. An index may name files in a folder below, so nothing is there twice.
    """
    _copy([to / _BASE / "config.json", *_generation(to / _BASE)], to=to, name="")
    files = weight_files(to / _BASE)
    places = {tensor: f"{_BASE}/{file.name}" for file in files for tensor in _tensors(file)}
    whole = "pytorch_model.bin" if files[0].suffix == ".bin" else "model.safetensors"
    index = {"metadata": {"total_size": sum(file.stat().st_size for file in files)}, "weight_map": places}
    (to / f"{whole}.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _tensors(file: Path) -> list[str]:
    if file.suffix == ".bin":
        return list(torch.load(file, map_location="meta", weights_only=True))
    with safe_open(file, framework="pt") as opened:
        return list(opened.keys())


def _generation(folder: Path) -> list[Path]:
    path = folder / "generation_config.json"
    return [path] if path.is_file() else []


def _copy(files: Sequence[Path], *, to: Path, name: str) -> None:
    size = sum(path.stat().st_size for path in files)
    with tqdm(
        desc=f"copying {name}",
        total=size,
        unit="B",
        unit_scale=True,
        file=terminal(),
        disable=None,
        leave=False,
    ) as bar:
        for path in files:
            shutil.copyfile(path, to / path.name)
            bar.update(path.stat().st_size)
