"""Trained adapters on disk: put one on its base model, after seeing that it is whole and belongs there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from peft import PeftModel

from bioalign_assets.errors import ModelError
from bioalign_assets.models.backends.choose import backend_of
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study import Study, Variant
from bioalign_assets.training.home import CARD, CONFIG, homeless
from bioalign_assets.training.provenance import (
    AdapterProvenance,
    expected_provenance,
    stored_provenance,
    verify_provenance,
)
from bioalign_assets.warehouse.hashing import files_sha256

__all__ = ["adapter_row", "adapter_sha256", "load_variant", "verify_adapter", "with_adapter"]


def adapter_row(adapters: pa.Table, *, variant: str) -> dict[str, Any]:
    """Return the row of a variant.

    :param adapters: rows of ``training.adapter``
    :raises ModelError: if there is none
    """
    rows: list[dict[str, Any]] = [row for row in adapters.to_pylist() if row["variant"] == variant]
    if len(rows) != 1:
        raise ModelError(
            f"Adapter of {variant}", found=f"{len(rows)} rows in training.adapter", expected="one",
            remedy=f"Materialise training/adapter for the partition {variant} first.",
        )  # fmt: skip
    return rows[0]


def adapter_sha256(folder: Path) -> str:
    """Return the content hash of an adapter directory: of all in it but what says where the base is (``home.py``)."""
    config, card = folder / CONFIG, folder / CARD
    files = [path for path in folder.rglob("*") if path.is_file() and path != card]
    instead = {config: homeless(config.read_bytes())} if config in files else {}
    return files_sha256(files, root=folder, instead=instead)


def verify_adapter(row: dict[str, Any], *, warehouse: Path, expected: AdapterProvenance) -> Path:
    """Return an adapter's directory after checking that it is whole and belongs to base, dataset and settings.

    :raises ModelError: if the directory is gone or its content is not what was recorded
    :raises ProvenanceError: if it was trained from another base, on other data or with other settings
    """
    if row["path"] is None:
        raise ModelError(
            f"Adapter of {row['variant']}", found="none: the row is of an untuned variant",
            expected="a trained adapter",
            remedy=f"Materialise training/adapter for the partition {row['variant']} again.",
        )  # fmt: skip
    folder = warehouse / row["path"]
    found = adapter_sha256(folder) if folder.is_dir() else None
    if found != row["sha256"]:
        raise ModelError(
            f"Adapter of {row['variant']} in {folder}",
            found="no such directory" if found is None else f"content with the hash {found:.16}",
            expected=f"the content that was trained, with the hash {row['sha256']:.16}",
            remedy=f"Materialise training/adapter for the partition {row['variant']} again.",
        )
    verify_provenance(stored_provenance(row["provenance"], variant=row["variant"]), expected=expected)
    return folder


def with_adapter(loaded: LoadedModel, *, folder: Path) -> LoadedModel:
    """Return a base model with an adapter on it, for inference; ``loaded`` itself now bears it as well."""
    model = PeftModel.from_pretrained(loaded.model, folder)
    return replace(loaded, model=model.eval())


def load_variant(
    variant: Variant, *, study: Study, base: pa.Table, pairs: pa.Table, adapter: pa.Table, warehouse: Path
) -> LoadedModel:
    """Return a variant's model in memory, ready for inference: the base model, with its adapter where it is tuned.

    :param base: rows of ``models.base``, with the variant's model
    :param pairs: rows of ``curation.pairs``, with at least the dataset that the variant is trained on
    :param adapter: rows of ``training.adapter``, with the variant's
    :param warehouse: folder of the warehouse
    :raises ModelError: if the model or its adapter was not materialised, is gone, or is not what was recorded
    :raises ProvenanceError: if the adapter does not belong to the present base, dataset or settings
    """
    folder = None
    if study.training_dataset(variant) is not None:
        folder = verify_adapter(
            adapter_row(adapter, variant=variant.key),
            warehouse=warehouse,
            expected=expected_provenance(variant, study=study, base=base, pairs=pairs),
        )
    resolved = ResolvedModel.from_table(base, model=variant.model)
    spec = study.models[variant.model]
    loaded = backend_of(spec).for_inference(resolved, spec=spec, warehouse=warehouse)
    return loaded if folder is None else with_adapter(loaded, folder=folder)
