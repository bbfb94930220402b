"""Where an adapter comes from, and whether it belongs to the base model and the dataset at hand.

A LoRA adapter loads onto any base model of the same shape without complaint, so this record is what tells.
"""

import contextlib
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from bioalign_assets.errors import ProvenanceError
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study import Study, Variant
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.spec import Reader
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES

__all__ = [
    "AdapterProvenance",
    "expected_provenance",
    "experiment_sha256",
    "library_versions",
    "stored_provenance",
    "verify_provenance",
]

_LIBRARIES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "tokenizers")
_ONLY_TOLD = frozenset({"base_repo_id", "base_revision", "libraries"})
_HASHES = frozenset({"base_weights_sha256", "dataset_version", "experiment_sha256"})


class AdapterProvenance(BaseModel):
    """What an adapter was made of.

    Every field must match for it to be used, but for ``libraries`` and where the base was published: the same weights
    are the same base, also after a commit that changed the hub's page alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    base_repo_id: str | None = None
    """Identifier of the base model on the hub; none for a tiny one"""
    base_revision: str | None = None
    """Commit of the base model on the hub"""
    base_weights_sha256: str
    base_quantisation: str
    """How the base weights were held while training"""
    dataset: str
    dataset_version: str
    """Content hash of the dataset's rows"""
    experiment: str
    experiment_sha256: str
    """Hash of the settings that training depends on"""
    backend: str = "transformers"
    """What trained it; the only one that there was when older records were written"""
    libraries: Mapping[str, str]


def experiment_sha256(spec: ExperimentSpec) -> str:
    """Return a hash of the settings that the training depends on (not of what is evaluated afterwards)."""
    settings = spec.read_by(Reader.TRAINING)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that shape a training; of Unsloth where it is installed."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        versions["unsloth"] = importlib.metadata.version("unsloth")
    return versions


def expected_provenance(
    variant: Variant, *, study: Study, base: pa.Table, pairs: pa.Table
) -> AdapterProvenance:
    """Return what an adapter of a variant must have been made of, given the present base model and dataset.

    :param base: rows of ``models.base``, with the variant's model
    :param pairs: rows of ``curation.pairs``, with at least the dataset that the variant is trained on
    :raises ValueError: if the variant is untuned
    """
    dataset = study.training_dataset(variant)
    if dataset is None:
        raise ValueError(f"{variant.key} is untuned and has no adapter")
    rows = pairs.filter(pc.equal(pairs["dataset"], dataset))
    spec = study.experiments[variant.experiment]
    resolved = ResolvedModel.from_table(base, model=variant.model)
    return AdapterProvenance(
        model=variant.model,
        base_repo_id=resolved.repo_id,
        base_revision=resolved.revision,
        base_weights_sha256=resolved.weights_sha256,
        base_quantisation=resolved.quantisation,
        dataset=dataset,
        dataset_version=content_hash(rows, schema=TABLES["curation.pairs"]),
        experiment=variant.experiment,
        experiment_sha256=experiment_sha256(spec),
        backend=study.models[variant.model].trained_by,
        libraries=library_versions(),
    )


def verify_provenance(stored: AdapterProvenance, *, expected: AdapterProvenance) -> None:
    """Check that an adapter belongs to the present base model, dataset and settings.

    :raises ProvenanceError: if it doesn't; the message lists every difference
    """
    differences = [
        f"{field} {_short(field, stored)} instead of {_short(field, expected)}"
        for field in AdapterProvenance.model_fields
        if field not in _ONLY_TOLD and getattr(stored, field) != getattr(expected, field)
    ]
    if differences:
        raise ProvenanceError(
            f"Adapter {stored.model}@{stored.experiment}",
            found="; ".join(differences),
            expected="an adapter of the present base model, dataset and settings",
            remedy=(
                "Materialise training/adapter for this partition again "
                f"({expected.model}@{expected.experiment}), then what follows from it."
            ),
        )


def _short(field: str, provenance: AdapterProvenance) -> str:
    """Return a field's value; the first 16 digits of a hash are enough to tell two apart, names stay whole."""
    value = str(getattr(provenance, field))
    if field == "base_weights_sha256" and provenance.base_repo_id is not None:
        at = f"at {provenance.base_revision}" if provenance.base_revision else "in a folder or file"
        return f"{value[:16]} ({provenance.base_repo_id} {at})"
    return value[:16] if field in _HASHES else value


def stored_provenance(text: str, *, variant: str) -> AdapterProvenance:
    """Return the record that was stored with an adapter.

    :param text: JSON, as in ``training.adapter``
    :raises ProvenanceError: if it is not such a record (an untuned variant's, or another version's)
    """
    try:
        return AdapterProvenance.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in error.errors()
        )
        raise ProvenanceError(
            f"Adapter of {variant}",
            found=f"a provenance record that can't be read ({problems})",
            expected="the record that this version of BioAlign writes",
            remedy=f"Materialise training/adapter for the partition {variant} again.",
        ) from error
