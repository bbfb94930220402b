"""Provenance and verification: an adapter of another base, dataset or setting is refused, and all of it is told."""

import dataclasses
import shutil

import pyarrow as pa
import pytest

from bioalign_assets.errors import ModelError, ProvenanceError
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study import Study
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.training.adapters import adapter_row, adapter_sha256, verify_adapter
from bioalign_assets.training.provenance import (
    AdapterProvenance,
    expected_provenance,
    experiment_sha256,
    library_versions,
    stored_provenance,
    verify_provenance,
)
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests import tiny_models

BASE = ResolvedModel(
    model="m", role="tuned", source="tiny", repo_id=None, revision=None, architecture="LlamaForCausalLM",
    parameters=1, hidden_size=1, layers=1, vocabulary=1, quantisation="nf4", bytes=1, weights_sha256="a" * 64, path="x",
)  # fmt: skip


def pairs(*datasets, label=1):
    rows = [
        {
            "dataset": name, "row_number": i, "pair_id": f"{i:016}", "gene_symbol": "G", "gene_id": 1,
            "disease_name": "D", "disease_id": "MESH:D1", "text": f"G is associated with D{i}", "pubmed_ids": [],
            "label": label if i else 0, "label_source": "ctd", "split": "train",
        }
        for name in datasets
        for i in range(3)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=TABLES["curation.pairs"].arrow)


def study(**more):
    dataset = {"negatives": "uniform", "sampler": "published", "split": "pair"}
    return Study.model_validate(
        {
            "title": "t",
            "models": {"m": {"tiny": "llama"}},
            "datasets": {"d": dataset, "e": dataset},
            "experiments": {
                "untuned": {"evaluate_on": ["d"]},
                "x": {"train_on": "d", "evaluate_on": ["d"], "steps": 5} | more,
            },
        }
    )


def expected(*, base=BASE, table=None, of=None, variant="m@x"):
    of = of or study()
    return expected_provenance(
        of.variant(variant), study=of, base=base.to_table(), pairs=pairs("d", "e") if table is None else table
    )


def test_matches_itself_whatever_the_libraries():
    verify_provenance(expected(), expected=expected())
    verify_provenance(expected().model_copy(update={"libraries": {"torch": "0"}}), expected=expected())


def test_survives_the_table():
    record = expected()
    assert stored_provenance(record.model_dump_json(), variant="m@x") == record
    assert set(record.libraries) >= {"torch", "transformers", "peft", "trl", "bitsandbytes"}
    assert record.libraries == library_versions()


TOLD = {"libraries", "base_repo_id", "base_revision"}
FIELDS = [field for field in AdapterProvenance.model_fields if field not in TOLD]


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_must_match(field):
    other = expected().model_copy(update={field: "something-else"})
    with pytest.raises(ProvenanceError, match=rf"found {field} something-else instead of ") as told:
        verify_provenance(other, expected=expected())
    assert "Materialise training/adapter for this partition again (m@x)" in str(told.value)
    assert all(f"{name} " not in told.value.found for name in FIELDS if name != field and name not in field)


def test_every_mismatch_is_listed():
    other = expected().model_copy(update={field: f"other-{field}" for field in FIELDS})
    with pytest.raises(ProvenanceError) as told:
        verify_provenance(other, expected=expected())
    assert told.value.found.count(" instead of ") == len(FIELDS)
    assert all(field in told.value.found for field in FIELDS)
    assert "\n" not in str(told.value)


def test_long_names_that_begin_alike_are_told_apart():
    other = expected().model_copy(update={"dataset": "published-entity-held-out"})
    mine = expected().model_copy(update={"dataset": "published-entity-degree"})
    with pytest.raises(ProvenanceError, match="published-entity-held-out instead of published-entity-degree"):
        verify_provenance(other, expected=mine)


HUB = dataclasses.replace(BASE, source="hub", repo_id="org/model", revision="1" * 40)


def test_a_base_of_another_commit_is_told_by_repository_and_commit():
    moved = dataclasses.replace(HUB, revision="2" * 40, weights_sha256="b" * 64)
    with pytest.raises(ProvenanceError) as told:
        verify_provenance(expected(base=HUB), expected=expected(base=moved))
    assert told.value.found == (
        f"base_weights_sha256 {'a' * 16} (org/model at {'1' * 40}) instead of {'b' * 16} (org/model at {'2' * 40})"
    )
    assert expected(base=HUB).base_revision == "1" * 40


def test_a_commit_that_left_the_weights_alone_makes_no_other_base():
    moved = dataclasses.replace(HUB, repo_id="new-org/model", revision="2" * 40)
    verify_provenance(expected(base=HUB), expected=expected(base=moved))


def test_a_record_from_before_the_commit_was_kept_can_be_read():
    text = expected(base=HUB).model_dump_json(exclude={"base_repo_id", "base_revision"})
    verify_provenance(stored_provenance(text, variant="m@x"), expected=expected(base=HUB))


def differing(one, other):
    return {field for field in FIELDS if getattr(one, field) != getattr(other, field)}


def test_what_changes_changes_its_field_alone():
    before = expected()
    other_base = dataclasses.replace(BASE, weights_sha256="b" * 64)
    assert differing(before, expected(base=other_base)) == {"base_weights_sha256"}
    in_full = dataclasses.replace(BASE, quantisation="none")
    assert differing(before, expected(base=in_full)) == {"base_quantisation"}
    assert differing(before, expected(base=dataclasses.replace(BASE, path="elsewhere"))) == set()
    assert differing(before, expected(table=pairs("d", "e", label=0))) == {"dataset_version"}
    assert differing(before, expected(table=pairs("d"))) == set()  # another dataset's rows don't matter
    assert differing(before, expected(of=study(rank=8))) == {"experiment_sha256"}
    assert differing(before, expected(of=study(train_on="e"))) >= {"dataset", "experiment_sha256"}


def test_an_untuned_variant_has_none():
    with pytest.raises(ValueError, match="m@untuned is untuned"):
        expected(variant="m@untuned")


@pytest.mark.parametrize(
    "text", ["{}", "", "[]", '{"model": "m"}', expected().model_dump_json()[:-1] + ', "more": 1}']
)
def test_a_record_of_another_form_is_told(text):
    with pytest.raises(
        ProvenanceError, match="Adapter of m@x: found a provenance record that can't be read"
    ) as told:
        stored_provenance(text, variant="m@x")
    assert "\n" not in str(told.value)


# --- the hash of the settings ---

PAPER = ExperimentSpec(train_on="d", evaluate_on=("d",), steps=5)
CHANGED = {
    "train_on": "e", "rank": 8, "alpha": 8, "dropout": 0.1, "targets": ("q_proj",), "steps": 6, "learning_rate": 1e-3,
    "warmup_steps": 0, "weight_decay": 0.0, "schedule": "cosine", "optimiser": "adamw_torch", "batch_size": 4,
    "accumulation": 2, "max_tokens": 256, "loss": "full", "gradient_checkpointing": False, "seed": 1,
    "prompts": "varied", "packing": False, "rows": 24,
}  # fmt: skip
NOT_TRAINED_WITH = {"evaluate_on": ("d", "e"), "models": ("m",), "in_demo": False, "checkpoint_every": 7}


def changed(field, value):
    return ExperimentSpec.model_validate(PAPER.model_dump() | {field: value})


def test_every_setting_is_tested_here():
    assert {*CHANGED, *NOT_TRAINED_WITH, "epochs"} == set(ExperimentSpec.model_fields)


@pytest.mark.parametrize("field", CHANGED)
def test_a_setting_of_the_training_changes_the_hash(field):
    assert experiment_sha256(changed(field, CHANGED[field])) != experiment_sha256(PAPER)


def test_epochs_are_not_steps():
    by_epochs = ExperimentSpec.model_validate(PAPER.model_dump() | {"steps": None, "epochs": 5})
    assert experiment_sha256(by_epochs) != experiment_sha256(PAPER)


@pytest.mark.parametrize("field", NOT_TRAINED_WITH)
def test_what_comes_after_the_training_does_not(field):
    assert experiment_sha256(changed(field, NOT_TRAINED_WITH[field])) == experiment_sha256(PAPER)


# --- the adapter on disk ---


@pytest.fixture
def stored(tmp_path):
    """A row of training.adapter, and the directory that it names."""
    folder = tmp_path / "adapters" / "abc"
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "adapter_config.json").write_text("{}")
    return {
        "variant": "m@x", "model": "m", "experiment": "x", "path": "adapters/abc", "sha256": adapter_sha256(folder),
        "trainable_parameters": 1, "steps": 1, "samples": 1, "peak_memory_bytes": 1, "seconds": 1.0,
        "provenance": expected().model_dump_json(),
    }  # fmt: skip


def test_a_whole_adapter_that_belongs_is_given(stored, tmp_path):
    assert verify_adapter(stored, warehouse=tmp_path, expected=expected()) == tmp_path / "adapters" / "abc"


@pytest.mark.parametrize("tampering", ["changed", "missing", "added", "renamed", "empty"])
def test_a_directory_that_is_not_what_was_trained_is_told(stored, tmp_path, tampering):
    folder = tmp_path / stored["path"]
    weights = folder / "adapter_model.safetensors"
    if tampering == "changed":
        weights.write_bytes(b"weighty")
    elif tampering == "missing":
        weights.unlink()
    elif tampering == "added":
        (folder / "more.bin").write_bytes(b"")
    elif tampering == "renamed":
        weights.rename(folder / "other.safetensors")
    else:
        shutil.rmtree(folder)
        folder.mkdir()
    with pytest.raises(ModelError, match=r"found content with the hash .* again"):
        verify_adapter(stored, warehouse=tmp_path, expected=expected())


def test_a_directory_that_is_gone_is_told(stored, tmp_path):
    shutil.rmtree(tmp_path / stored["path"])
    with pytest.raises(
        ModelError, match=r"found no such directory.*Materialise training/adapter for the partition m@x"
    ):
        verify_adapter(stored, warehouse=tmp_path, expected=expected())


def test_an_adapter_of_something_else_is_told(stored, tmp_path):
    other = expected(base=dataclasses.replace(BASE, weights_sha256="b" * 64), of=study(rank=8))
    with pytest.raises(
        ProvenanceError, match=r"base_weights_sha256 a{16} instead of b{16}; experiment_sha256"
    ):
        verify_adapter(stored, warehouse=tmp_path, expected=other)


def test_the_row_of_an_untuned_variant_is_no_adapter(stored, tmp_path):
    with pytest.raises(ModelError, match="untuned"):
        verify_adapter(
            stored | {"path": None, "sha256": None, "provenance": "{}"},
            warehouse=tmp_path,
            expected=expected(),
        )


def test_rows_are_found_by_variant(stored):
    table = pa.Table.from_pylist(
        [stored, stored | {"variant": "n@x"}], schema=TABLES["training.adapter"].arrow
    )
    assert adapter_row(table, variant="m@x") == stored
    for rows, found in ((table.slice(1), 0), (pa.concat_tables([table, table]), 2)):
        with pytest.raises(ModelError, match=f"{found} rows in training.adapter"):
            adapter_row(rows, variant="m@x")


def test_a_real_training_verifies_against_its_own_directory(trained, adapters):
    training, _ = trained
    row = {
        "variant": "m@x", "path": training.folder.relative_to(adapters.parent).as_posix(), "sha256": training.sha256,
        "provenance": expected().model_dump_json(),
    }  # fmt: skip
    assert verify_adapter(row, warehouse=adapters.parent, expected=expected()) == training.folder
    assert tiny_models.resolved("llama").weights_sha256 != training.sha256
