"""The IO manager: Arrow out of assets into tables and back, with the partitions that Dagster names."""

import dagster as dg
import pyarrow as pa
import pytest

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse import io_manager, tables
from bioalign_assets.warehouse.catalogue import open_catalogue
from bioalign_assets.warehouse.conform import conform, seal_of, sealed
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.io_manager import WarehouseIOManager, schema_of
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

from ._make import CHANGES, EMBEDDINGS, changes, embeddings

_VARIANTS = dg.StaticPartitionsDefinition(["m@untuned", "m@paper", "n@untuned"])
_EMBEDDINGS = dg.AssetKey(["inference", "embeddings"])
_CHANGES = dg.AssetKey(["ctd", "changes"])


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(folder=str(tmp_path / "warehouse"))


@pytest.fixture
def manager(warehouse):
    return WarehouseIOManager(warehouse=warehouse)


def _write(manager, rows, *, key=_EMBEDDINGS, partition=None, run_id="run-1"):
    context = dg.build_output_context(
        asset_key=key,
        partition_key=partition,
        asset_partitions_def=_VARIANTS if partition else None,
        run_id=run_id,
    )
    manager.handle_output(context, rows)
    return context.get_logged_metadata()


def _read(manager, *, key=_EMBEDDINGS, partitions=None):
    more = {}
    if partitions is not None:
        subset = _VARIANTS.empty_subset().with_partition_keys(partitions)
        more = {"asset_partitions_subset": subset, "asset_partitions_def": _VARIANTS}
    return manager.load_input(dg.InputContext(asset_key=key, **more))


def test_an_asset_key_names_its_table():
    assert schema_of(_EMBEDDINGS) is EMBEDDINGS
    with pytest.raises(KeyError):
        schema_of(dg.AssetKey(["inference", "nothing"]))
    assert {tuple(schema_of(dg.AssetKey(name.split("."))).full_name.split(".")) for name in TABLES} == {
        tuple(name.split(".")) for name in TABLES
    }


def test_a_partition_is_written_and_read(manager):
    rows = embeddings("m@paper", mark=2)
    _write(manager, rows, partition="m@paper")
    assert _read(manager, partitions=["m@paper"]).equals(rows)


def test_a_range_of_partitions_is_read(manager):
    for variant in ("m@untuned", "m@paper", "n@untuned"):
        _write(manager, embeddings(variant), partition=variant)
    context = dg.build_input_context(
        asset_key=_EMBEDDINGS,
        asset_partition_key_range=dg.PartitionKeyRange("m@untuned", "m@paper"),
        asset_partitions_def=_VARIANTS,
    )
    assert set(manager.load_input(context)["variant"].to_pylist()) == {"m@untuned", "m@paper"}


def test_an_unpartitioned_table_is_written_and_read(manager):
    _write(manager, changes(), key=_CHANGES)
    assert _read(manager, key=_CHANGES).equals(changes())


def test_a_rerun_replaces_its_partition_and_leaves_the_others(manager):
    for variant in ("m@paper", "m@untuned"):
        _write(manager, embeddings(variant, mark=1), partition=variant)
    _write(manager, embeddings("m@paper", n=5, mark=2), partition="m@paper")
    assert _read(manager, partitions=["m@paper"]).equals(embeddings("m@paper", n=5, mark=2))
    assert _read(manager, partitions=["m@untuned"]).equals(embeddings("m@untuned", mark=1))


def test_several_partitions_are_read_as_one_table(manager):
    for variant in ("m@paper", "m@untuned", "n@untuned"):
        _write(manager, embeddings(variant), partition=variant)
    rows = _read(manager, partitions=["m@untuned", "n@untuned"])
    assert set(rows["variant"].to_pylist()) == {"m@untuned", "n@untuned"}


def test_the_commit_says_which_content_and_run(manager, warehouse):
    rows = embeddings("m@paper")
    metadata = _write(manager, rows, partition="m@paper", run_id="run-7")
    commit = warehouse.tables.commits(EMBEDDINGS)[0]
    assert commit["run_id"] == "run-7"
    assert commit["data_version"] == content_hash(rows, schema=EMBEDDINGS)
    assert commit["version"] == metadata["delta_version"].value


def test_the_catalogue_is_renewed_with_each_write(manager, warehouse):
    for n in (3, 5):
        _write(manager, embeddings("m@paper", n=n), partition="m@paper")
        with open_catalogue(warehouse.root) as session:
            assert session.execute("SELECT count(*) FROM inference.embeddings").fetchall() == [(n,)]


def test_rows_that_do_not_fit_leave_the_last_good_ones(manager):
    _write(manager, embeddings("m@paper", mark=1), partition="m@paper")
    with pytest.raises(WarehouseError, match="columns missing: \\['label'\\]"):
        _write(manager, embeddings("m@paper", mark=2).drop_columns(["label"]), partition="m@paper")
    with pytest.raises(WarehouseError, match="rows of m@paper alone"):
        _write(manager, embeddings("m@untuned", mark=2), partition="m@paper")
    assert _read(manager, partitions=["m@paper"]).equals(embeddings("m@paper", mark=1))


def test_a_partition_that_was_never_made_is_an_error_that_names_the_asset(manager):
    _write(manager, embeddings("m@paper"), partition="m@paper")
    with pytest.raises(WarehouseError) as error:
        _read(manager, partitions=["m@paper", "n@untuned"])
    assert "no rows for n@untuned" in str(error.value)
    assert "Materialise inference/embeddings for n@untuned first." in str(error.value)


def test_a_table_that_was_never_made_is_an_error_that_names_the_asset(manager):
    with pytest.raises(WarehouseError, match="Materialise ctd/associations"):
        _read(manager, key=dg.AssetKey(["ctd", "associations"]))


def test_the_first_release_has_no_changes_and_that_is_fine(manager):
    _write(manager, changes(n=0), key=_CHANGES)
    assert len(_read(manager, key=_CHANGES)) == 0


def test_no_partitions_give_an_empty_table(manager):
    _write(manager, embeddings("m@paper"), partition="m@paper")
    assert _read(manager, partitions=[]).equals(EMBEDDINGS.arrow.empty_table())


def test_the_folders_of_a_warehouse_lie_in_it(warehouse):
    for folder in (warehouse.adapters, warehouse.models, warehouse.raw, warehouse.tables.folder(EMBEDDINGS)):
        assert warehouse.root in folder.parents


# A small graph: datasets, variants that are trained on one or none, a report over all


_DATASETS = dg.StaticPartitionsDefinition(["one", "two"])
_TRAINED = dg.StaticPartitionMapping({"one": "m@paper"})  # the untuned variants read no dataset
_CONFIG = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def _profile(dataset, value):
    row = {"dataset": dataset, "section": "size", "name": "pairs", "value": value, "unit": "rows"}
    return pa.Table.from_pylist([row], schema=TABLES["curation.profile"].arrow)


class _Graph:
    """Three assets that remember what they read."""

    def __init__(self, warehouse):
        self.read = {}
        self.value = 1.0
        self.spoil = False
        self.resources = {"io_manager": WarehouseIOManager(warehouse=warehouse)}

        @dg.asset(key=["curation", "profile"], partitions_def=_DATASETS)
        def profile(context) -> pa.Table:
            rows = _profile(context.partition_key, self.value)
            return rows.drop_columns(["unit"]) if self.spoil else rows

        @dg.asset(
            key=["inference", "embeddings"],
            partitions_def=_VARIANTS,
            ins={"profile": dg.AssetIn(key=dg.AssetKey(["curation", "profile"]), partition_mapping=_TRAINED)},
        )
        def vectors(context, profile: pa.Table) -> pa.Table:
            self.read[context.partition_key] = profile
            return embeddings(context.partition_key, mark=float(len(profile)))

        @dg.asset(key=["ctd", "changes"], ins={"vectors": dg.AssetIn(key=_EMBEDDINGS)})
        def report(vectors: pa.Table) -> pa.Table:
            self.read["report"] = vectors
            return changes(n=len(vectors))

        self.assets = {"profile": profile, "vectors": vectors, "report": report}

    def run(self, name, partition=None):
        everything = list(self.assets.values())
        return dg.materialize(
            everything,
            selection=[self.assets[name]],
            partition_key=partition,
            resources=self.resources,
            run_config=_CONFIG,
        )


@pytest.fixture
def graph(warehouse):
    return _Graph(warehouse)


def test_each_partition_reads_what_its_mapping_says(graph):
    for dataset in ("one", "two"):
        graph.run("profile", dataset)
    for variant in _VARIANTS.get_partition_keys():
        assert graph.run("vectors", variant).success
    assert graph.read["m@paper"].equals(_profile("one", 1.0))
    for untuned in ("m@untuned", "n@untuned"):
        assert graph.read[untuned].equals(TABLES["curation.profile"].arrow.empty_table())


def test_an_untuned_variant_needs_no_dataset_at_all(graph):
    assert graph.run("vectors", "m@untuned").success
    assert len(graph.read["m@untuned"]) == 0


def test_a_rerun_in_dagster_replaces_the_rows(graph):
    graph.run("profile", "one")
    graph.value = 2.0
    graph.run("profile", "one")
    graph.run("vectors", "m@paper")
    assert graph.read["m@paper"].equals(_profile("one", 2.0))


def test_an_unpartitioned_asset_reads_all_partitions(graph, warehouse):
    graph.run("profile", "one")
    for variant in _VARIANTS.get_partition_keys():
        graph.run("vectors", variant)
    graph.run("report")
    assert set(graph.read["report"]["variant"].to_pylist()) == set(_VARIANTS.get_partition_keys())
    assert len(warehouse.tables.read(CHANGES)) == 9


def test_a_run_over_what_was_never_made_says_what_to_make(graph):
    with pytest.raises(WarehouseError, match="Materialise curation/profile for one first"):
        graph.run("vectors", "m@paper")


def test_a_run_over_partitions_that_lack_one_says_which(graph):
    graph.run("vectors", "m@untuned")
    with pytest.raises(WarehouseError, match="no rows for m@paper, n@untuned"):
        graph.run("report")


def test_a_run_with_wrong_columns_fails_and_leaves_the_last_good_rows(graph, warehouse):
    graph.run("profile", "one")
    graph.spoil = True
    with pytest.raises(WarehouseError, match="columns missing: \\['unit'\\]"):
        graph.run("profile", "one")
    assert warehouse.tables.read(TABLES["curation.profile"]).equals(_profile("one", 1.0))


def test_rows_that_an_asset_has_sealed_are_neither_looked_at_nor_hashed_again(
    manager, warehouse, monkeypatch
):
    rows = conform(embeddings(variant="m@paper"), schema=EMBEDDINGS)
    version = content_hash(rows, schema=EMBEDDINGS)

    def never(*_, **__):
        raise AssertionError("once on their way is enough")

    for module in (io_manager, tables):
        monkeypatch.setattr(module, "conform", never)
    monkeypatch.setattr(io_manager, "content_hash", never)
    _write(manager, sealed(rows, version=version), partition="m@paper")
    stored = _read(manager, partitions=["m@paper"])
    assert stored.equals(rows)
    assert seal_of(stored) is None  # who changes rows that were read does not pass them on as sealed
    assert warehouse.tables.commits(EMBEDDINGS)[0]["data_version"] == version
