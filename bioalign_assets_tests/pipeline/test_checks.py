"""Every asset check, over rows that are as they should be and over rows that were broken on purpose.

Broken rows are written past the schema, straight into the Delta table: a check has to find what a faulty asset
or a hand in the files did.
"""

import json

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.micro import Micro

VARIANT = "tiny-llama@paper"
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


@pytest.fixture(scope="module")
def broken(micro, tmp_path_factory) -> Micro:
    """A copy of the micro study's warehouse, to break."""
    return micro.copy(tmp_path_factory.mktemp("broken"))


@pytest.fixture
def breaking(broken):
    """Give a function that stores changed rows past the schema; the good rows are put back afterwards."""
    kept = []

    def store(full_name, partition, change):
        schema = TABLES[full_name]
        partitions = None if partition is None else [partition]
        good = broken.tables.read(schema, partitions=partitions)
        kept.append((schema, partition, good))
        rows = change(good.to_pandas())
        bad = pa.Table.from_pandas(
            rows,
            schema=pa.schema([field.with_nullable(True) for field in schema.arrow]),
            preserve_index=False,
        )
        _overwrite(broken, schema, partition, bad)

    yield store
    for schema, partition, good in kept:
        _overwrite(broken, schema, partition, good)


def _overwrite(broken, schema, partition, rows):
    write_deltalake(
        broken.tables.folder(schema),
        rows.cast(schema.arrow) if not any(column.null_count for column in rows.columns) else rows,
        mode="overwrite",
        predicate=None if partition is None else f"{schema.partitioned_by} = '{partition}'",
    )


PROMISED_BY = {
    "frequencies_match": "degree-matched",
    "classes_shared": "same-class",
    "entities_held_out": "published-entity-held-out",
}
"""Checks of what one kind of dataset promises, and a dataset that does."""


def partition_of(full_name, check=None):
    if check in PROMISED_BY:
        return PROMISED_BY[check]
    if full_name == "curation.disease_classes":
        return "same-class"
    return {None: None, "dataset": "stable", "model": "tiny-llama", "variant": VARIANT}[
        TABLES[full_name].partitioned_by
    ]


def all_checks(defs: dg.Definitions):
    return [
        (".".join(key.asset_key.path), key.name) for checks in defs.asset_checks for key in checks.check_keys
    ]


IN_ASSETS = [("ctd.release", "acceptable")]
"""Checks that are part of the asset itself: it stops by them, so they stand among no definitions of checks."""
NOT_BLOCKING = {("ctd.release", "acceptable"), ("ctd.release", "source_answers")}
"""Both tell of a release that is not in force; what follows the last good one goes on."""


def test_the_checks_in_assets_are_all_known_here(micro):
    specs = [
        spec
        for asset in micro.defs.assets
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    ]
    assert [(".".join(spec.asset_key.path), spec.name) for spec in specs] == IN_ASSETS


def partitions_of(micro, full_name):
    if full_name == "curation.disease_classes":
        return ["same-class"]
    sets = {
        None: [None],
        "dataset": list(micro.study.datasets),
        "model": list(micro.study.models),
        "variant": [variant.key for variant in micro.study.variants],
    }
    if full_name == "evaluation.comparisons":
        return [VARIANT]
    return sets[TABLES[full_name].partitioned_by]


def test_every_check_ran_with_its_asset_and_passed(micro):
    checks = [*all_checks(micro.defs), *IN_ASSETS]
    assert len(checks) > 30
    events = micro.instance.event_log_storage
    for asset, name in checks:
        key = dg.AssetCheckKey(dg.AssetKey(asset.split(".")), name)
        history = events.get_asset_check_execution_history(key, limit=100)
        evaluations = [record.event.dagster_event.event_specific_data for record in history]
        assert len(evaluations) == len(partitions_of(micro, asset)), (asset, name)
        for evaluation in evaluations:
            assert evaluation.passed or evaluation.severity == WARN, (asset, name, evaluation.description)
            assert evaluation.blocking == ((asset, name) not in NOT_BLOCKING)


@pytest.mark.parametrize("partitioned", [False, True])
def test_every_check_passes_over_good_rows(micro, partitioned):
    for asset, name in all_checks(micro.defs):
        if (TABLES[asset].partitioned_by is not None) == partitioned:
            result = micro.check(asset, name, partition=partition_of(asset, name))
            assert result.passed, (asset, name, result.description)


def repeat_first_row(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.head(1)], ignore_index=True)


def with_value(column, value, row=0):
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.copy()
        rows[column] = rows[column].astype(object)
        rows.loc[[row], column] = pd.Series([value], index=[row])
        return rows

    return change


def positive_as_negative(rows):
    rows = rows.copy()
    positive = rows.index[rows.label == 1][0]
    negative = rows.index[rows.label == 0][0]
    for column in ("gene_symbol", "disease_name", "text", "pair_id"):
        rows.loc[negative, column] = rows.loc[positive, column]
    return rows


def text_in_both_splits(rows):
    rows = rows.copy()
    train, test = rows.index[rows.split == "train"][0], rows.index[rows.split == "test"][0]
    for column in ("gene_symbol", "disease_name", "text", "pair_id", "label", "label_source"):
        rows.loc[test, column] = rows.loc[train, column]
    return rows


def gene_too_often_among_negatives(rows):
    rows = rows.copy()
    negatives = rows.index[(rows.label == 0) & (rows.split == "train")]
    other = rows.gene_symbol[negatives][rows.gene_symbol[negatives] != rows.gene_symbol[negatives[0]]].iloc[0]
    rows.loc[negatives[0], "gene_symbol"] = other
    return rows


def negative_of_another_class(rows):
    """Every positive becomes one of a single disease, so that no class is left that the negatives could share."""
    rows = rows.copy()
    rows.loc[rows.label == 1, "disease_id"] = "MESH:NONE"
    return rows


def held_out_gene_in_training(rows):
    rows = rows.copy()
    rows.loc[rows.index[rows.split == "train"][0], "gene_symbol"] = rows.gene_symbol[
        rows.unseen == "gene"
    ].iloc[0]
    return rows


SEEDS_OF_ONE = {
    "model": "tiny-llama", "experiment": "paper", "experiments": ["paper"], "test_set": "published", "prompt": None,
    "scope": "sample", "metric": "auroc", "seeds": 1, "mean": 0.5, "sd": 0.0, "ci_low": None, "ci_high": None, "n": 80,
}  # fmt: skip
"""The micro study has no seeds to pool, so nothing of it can be broken."""

BROKEN = [
    ("ctd.release", "schema", with_value("rows", 0)),
    ("ctd.release", "one_release", lambda rows: pd.concat([rows, rows], ignore_index=True)),
    ("ctd.associations", "schema", repeat_first_row),
    ("ctd.associations", "distinct_associations", repeat_first_row),
    ("ctd.associations", "curated_rows", lambda rows: rows.assign(direct_evidence=[[] for _ in range(len(rows))])),
    ("ctd.diseases", "schema", repeat_first_row),
    ("curation.pairs", "schema", with_value("label", 2)),
    ("curation.pairs", "label_balance", lambda rows: rows[rows.label == 1]),
    ("curation.pairs", "unique_pairs", repeat_first_row),
    ("curation.pairs", "no_positive_among_negatives", positive_as_negative),
    ("curation.pairs", "no_text_in_both_splits", text_in_both_splits),
    ("curation.pairs", "text_form", with_value("text", "")),
    ("curation.pairs", "frequencies_match", gene_too_often_among_negatives),
    ("curation.pairs", "classes_shared", negative_of_another_class),
    ("curation.pairs", "entities_held_out", held_out_gene_in_training),
    ("curation.disease_classes", "schema", repeat_first_row),
    ("curation.profile", "schema", lambda rows: rows.head(0)),
    ("models.base", "schema", with_value("parameters", 0)),
    ("training.adapter", "schema", with_value("steps", -1)),
    ("training.adapter", "belongs_to_base_and_dataset", lambda rows: rows.assign(sha256="0" * 64)),
    ("inference.embeddings", "schema", repeat_first_row),
    ("inference.embeddings", "finite_embeddings", with_value("embedding", np.full(128, np.nan, np.float32))),
    ("inference.names", "schema", repeat_first_row),
    ("inference.names", "finite_embeddings", with_value("embedding", np.zeros(128, np.float32))),
    ("inference.graph_names", "schema", repeat_first_row),
    ("inference.graph_names", "finite_embeddings", with_value("embedding", np.full(128, np.nan, np.float32))),
    *[(name, "schema", repeat_first_row) for name in (
        "alignment.edges", "alignment.rewirings", "inference.layer_alignment", "evaluation.graph_alignment",
        "evaluation.graph_alignment_layers", "evaluation.graph_alignment_changes",
        "evaluation.graph_alignment_baselines", "evaluation.medic_alignment")],
    ("inference.answers", "schema", with_value("p_true", 1.5)),
    ("inference.answers", "probabilities_in_range", with_value("p_true", 1.5)),
    ("inference.rankings", "schema", repeat_first_row),
    ("inference.rankings", "ranks_in_range", lambda rows: rows.assign(rank=rows.n_candidates + 1.0)),
    *[(f"evaluation.{name}", "schema", repeat_first_row) for name in (
        "kg_separation", "embedding_probe", "zero_shot", "link_prediction", "cluster_quality", "cluster_map", "baselines")],
    *[(f"evaluation.{name}", "metric_ranges", lambda rows: rows.assign(value=7.0)) for name in (
        "kg_separation", "embedding_probe", "zero_shot", "link_prediction", "cluster_quality", "baselines")],
    ("evaluation.comparisons", "schema", repeat_first_row),
    ("evaluation.comparisons", "metric_ranges", lambda rows: rows.assign(change=rows.change + 0.001)),
    ("report.improvements", "schema", repeat_first_row),
    ("report.leaderboard", "schema", repeat_first_row),
    ("report.seeds", "schema", lambda _: pd.DataFrame([SEEDS_OF_ONE])),
    ("report.study", "schema", with_value("bytes", 0)),
]  # fmt: skip


@pytest.mark.parametrize(("asset", "name", "change"), BROKEN, ids=[f"{a}-{n}" for a, n, _ in BROKEN])
def test_a_check_finds_what_was_broken(broken, breaking, asset, name, change):
    partition = partition_of(asset, name)
    breaking(asset, partition, change)
    evaluation = broken.check(asset, name, partition=partition)
    assert not evaluation.passed
    assert evaluation.severity == ERROR
    assert len(evaluation.description) > 10


def test_every_check_has_a_broken_case(micro):
    broken = {(asset, name) for asset, name, _ in BROKEN}
    assert {*all_checks(micro.defs), *IN_ASSETS} == broken | {("ctd.release", name) for name in OF_THE_SOURCE}


OF_THE_SOURCE = {
    "acceptable": "broken by a release that looks wrong, in test_bad_input.py",
    "source_answers": "broken by a source that is gone, right below",
}
"""No stored row can break these."""


def test_a_source_that_is_gone_does_not_answer(broken, tmp_path):
    broken.use(ctd_source=str(tmp_path / "gone.csv"))
    evaluation = broken.check("ctd.release", "source_answers", partition=None)
    broken.use(ctd_source=None)
    assert not evaluation.passed
    assert evaluation.severity == WARN
    for part in (
        "gone.csv",
        "nothing there",
        "https://ctdbase.org/downloads/",
        "BIOALIGN_CTD_SOURCE",
        "a folder",
    ):
        assert part in evaluation.description


@pytest.mark.parametrize("name", PROMISED_BY)
def test_what_a_dataset_does_not_promise_is_told_and_not_judged(micro, name):
    result = micro.check("curation.pairs", name, partition="stable")
    assert result.passed
    assert "Not promised by this dataset" in result.description


def test_same_class_negatives_without_the_classes_are_found(broken):
    schema = TABLES["curation.disease_classes"]
    good = broken.tables.read(schema, partitions=["same-class"])
    try:
        _overwrite(broken, schema, "same-class", good.slice(0, 0))
        evaluation = broken.check("curation.pairs", "classes_shared", partition="same-class")
    finally:
        _overwrite(broken, schema, "same-class", good)
    assert not evaluation.passed
    assert evaluation.severity == ERROR


@pytest.mark.parametrize(
    ("name", "change", "severity"),
    [
        ("unique_pairs", repeat_first_row, WARN),
        ("no_text_in_both_splits", text_in_both_splits, WARN),
        ("no_positive_among_negatives", positive_as_negative, ERROR),
        ("label_balance", lambda rows: rows[rows.label == 1], ERROR),
    ],
)
def test_the_published_dataset_is_only_warned_of_its_known_flaws(broken, breaking, name, change, severity):
    breaking("curation.pairs", "published", change)
    evaluation = broken.check("curation.pairs", name, partition="published")
    assert not evaluation.passed
    assert evaluation.severity == severity


@pytest.mark.parametrize(
    ("table", "partition", "change", "told"),
    [
        ("models.base", "tiny-llama", lambda r: r.assign(weights_sha256="1" * 64), "base_weights_sha256 "),
        ("curation.pairs", "published", with_value("text", "X is associated with Y"), "dataset_version "),
    ],
)
def test_an_adapter_of_another_base_or_dataset_is_named(broken, breaking, table, partition, change, told):
    breaking(table, partition, change)
    evaluation = broken.check("training.adapter", "belongs_to_base_and_dataset", partition=VARIANT)
    assert not evaluation.passed
    assert told in evaluation.description
    assert "Materialise training/adapter" in evaluation.description


def test_an_adapter_directory_that_was_tampered_with_is_found(broken):
    (row,) = broken.tables.read(TABLES["training.adapter"], partitions=[VARIANT]).to_pylist()
    config = broken.root / row["path"] / "adapter_config.json"
    good = config.read_text()
    config.write_text(json.dumps({**json.loads(good), "r": 99}))
    try:
        evaluation = broken.check("training.adapter", "belongs_to_base_and_dataset", partition=VARIANT)
    finally:
        config.write_text(good)
    assert not evaluation.passed
    assert "content with the hash" in evaluation.description
