"""The whole study through Dagster: what is in the tables, and what Dagster knows about it."""

import json

import dagster as dg
import pytest
from deltalake import DeltaTable

from bioalign_assets.evaluation.baselines import BASELINES
from bioalign_assets.study.inputs import settings_groups
from bioalign_assets.warehouse.catalogue import open_catalogue
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES

CHECKED = {name for name in TABLES if name not in {"ctd.changes", "training.log"}}


@pytest.fixture
def catalogue(micro):
    with open_catalogue(micro.root) as connection:
        yield connection


@pytest.fixture(scope="module")
def instance(micro):
    return micro.instance


def latest(instance, full_name, partition=None):
    key = dg.AssetKey(full_name.split("."))
    if partition is None:
        return instance.get_latest_materialization_event(key).asset_materialization
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition]), limit=1
    )
    return records.records[0].asset_materialization


def test_every_table_has_rows(micro, catalogue):
    for name in TABLES:
        rows = catalogue.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        assert rows > 0 or TABLES[name].may_be_empty, name


def test_the_leaderboard_has_every_contestant_with_n_and_interval(catalogue):
    rows = catalogue.sql("FROM report.leaderboard WHERE test_set = 'published'").to_arrow_table().to_pylist()
    for prompt in ("unseen", "training"):
        ranking = [row for row in rows if row["prompt"] == prompt]
        assert {(row["model"], row["experiment"], row["role"]) for row in ranking} == {
            ("tiny-llama", "untuned", "untuned"),
            ("tiny-llama", "paper", "tuned"),
            ("tiny-benchmark", "untuned", "benchmark"),
            *((name, "baseline", "baseline") for name in BASELINES),
        }
        for row in ranking:
            assert row["n"] == 80
            assert row["auroc_ci_low"] <= row["auroc"] <= row["auroc_ci_high"]
            assert row["accuracy_ci_low"] <= row["accuracy"] <= row["accuracy_ci_high"]
            assert row["is_tiny"] == (row["role"] != "baseline")


def test_improvements_compare_the_tuned_model_with_itself(catalogue):
    rows = catalogue.sql("FROM report.improvements").to_arrow_table().to_pylist()
    assert {row["model"] for row in rows} == {"tiny-llama"}
    assert {"kg_separation", "probe_accuracy_notebook", "accuracy", "auroc", "silhouette_notebook"} <= {
        row["metric"] for row in rows
    }
    for row in rows:
        assert row["change"] == pytest.approx(row["tuned"] - row["untuned"])


def test_models_and_baselines_ranked_the_same_queries(catalogue):
    asked = catalogue.execute(
        "SELECT count(DISTINCT rows) FROM (SELECT variant, target, candidates, list(row_number ORDER BY row_number) "
        "AS rows FROM inference.rankings GROUP BY ALL)"
    ).fetchone()
    assert asked == (1,)
    counts = catalogue.execute(
        "SELECT DISTINCT n FROM evaluation.link_prediction UNION SELECT DISTINCT n FROM evaluation.baselines "
        "WHERE test_set = 'published' AND metric LIKE '%_mrr%'"
    ).fetchall()
    assert counts == [(10,)]


def test_all_models_answered_the_same_rows(catalogue):
    asked = catalogue.execute(
        "SELECT count(DISTINCT rows) FROM (SELECT variant, prompt, list(row_number ORDER BY row_number) AS rows "
        "FROM inference.answers GROUP BY ALL)"
    ).fetchone()
    assert asked == (1,)


def test_embeddings_have_a_view_a_model_with_fixed_size_vectors(catalogue):
    kind = catalogue.execute(
        "SELECT typeof(embedding) FROM inference.embeddings_tiny_llama LIMIT 1"
    ).fetchone()
    assert kind == ("FLOAT[128]",)


@pytest.mark.parametrize("full_name", list(TABLES))
def test_the_data_version_is_the_hash_of_the_stored_rows(micro, instance, full_name):
    schema = TABLES[full_name]
    stored = micro.tables.read(schema)
    partitions = (
        [None] if schema.partitioned_by is None else sorted(set(stored[schema.partitioned_by].to_pylist()))
    )
    for partition in partitions:
        event = latest(instance, full_name, partition)
        rows = stored if partition is None else micro.tables.read(schema, partitions=[partition])
        assert event.tags["dagster/data_version"] == content_hash(rows, schema=schema)


@pytest.mark.parametrize("full_name", list(TABLES))
def test_commits_bear_data_version_and_run(micro, instance, full_name):
    commit = DeltaTable(micro.tables.folder(TABLES[full_name])).history(1)[0]
    assert len(commit["data_version"]) == 64
    assert instance.get_run_by_id(commit["run_id"]).status == dg.DagsterRunStatus.SUCCESS


def test_every_asset_is_described_for_a_person(micro):
    specs = list(micro.defs.resolve_all_asset_specs())
    settings = {f"study.{group.name}" for group in settings_groups(micro.study)}
    assert {".".join(spec.key.path) for spec in specs} == set(TABLES) | settings
    for spec in specs:
        assert spec.group_name == spec.key.path[0]
        assert len(spec.description) > 40
        if spec.group_name == "study":
            continue
        assert spec.owners == ["team:bioalign"]
        assert spec.code_version
        assert spec.kinds
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == TABLES[".".join(spec.key.path)].arrow.names
        assert all(column.description for column in columns)


@pytest.mark.parametrize(
    ("full_name", "partition", "plots"),
    [
        ("ctd.changes", None, ["summary"]),
        ("curation.profile", "published", ["class_balance", "text_lengths", "entity_frequency", "evidence"]),
        ("training.log", "tiny-llama@paper", ["loss_curve"]),
        ("evaluation.zero_shot", "tiny-llama@paper", ["confusion_published_unseen"]),
        (
            "report.improvements",
            None,
            ["tsne_tiny-llama_paper_published", "models_published_unseen", "changes_published"],
        ),
        ("report.study", None, ["losses_tiny-llama_1"]),
        (
            "report.leaderboard",
            None,
            ["alignment", "leaderboard_published_unseen", "leaderboard_published_training"],
        ),
    ],
)
def test_plots_are_images_in_the_metadata(instance, full_name, partition, plots):
    metadata = latest(instance, full_name, partition).metadata
    for plot in plots:
        text = metadata[plot].value
        assert "](data:image/png;base64,iVBOR" in text
        assert len(text) < 140_000  # the event log keeps every one of them


@pytest.mark.parametrize("full_name", list(TABLES))
def test_row_counts_stand_in_the_metadata(micro, instance, full_name):
    schema = TABLES[full_name]
    stored = micro.tables.read(schema)
    if schema.partitioned_by is None:
        assert latest(instance, full_name).metadata["dagster/row_count"].value == len(stored)
        return
    partition = stored[schema.partitioned_by][0].as_py()
    count = latest(instance, full_name, partition).metadata["dagster/partition_row_count"].value
    assert count == len(micro.tables.read(schema, partitions=[partition]))


def test_every_table_has_checks(micro):
    checked = {
        ".".join(key.asset_key.path) for checks in micro.defs.asset_checks for key in checks.check_keys
    }
    assert checked == CHECKED


def test_the_adapter_loads_with_plain_peft(micro):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    (row,) = micro.tables.read(TABLES["training.adapter"], partitions=["tiny-llama@paper"]).to_pylist()
    (base,) = micro.tables.read(TABLES["models.base"], partitions=["tiny-llama"]).to_pylist()
    model = AutoModelForCausalLM.from_pretrained(micro.root / base["path"])
    tuned = PeftModel.from_pretrained(model, micro.root / row["path"])
    adapted = sum(p.numel() for name, p in tuned.named_parameters() if "lora_" in name)
    assert adapted == row["trainable_parameters"] > 0
    assert json.loads(row["provenance"])["base_weights_sha256"] == base["weights_sha256"]


def test_an_untuned_variant_has_no_adapter_and_says_so(micro):
    (row,) = micro.tables.read(TABLES["training.adapter"], partitions=["tiny-llama@untuned"]).to_pylist()
    assert (row["path"], row["sha256"], row["steps"]) == (None, None, 0)
