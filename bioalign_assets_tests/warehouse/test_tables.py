"""Tables in one process: what is written is read, a partition replaces itself alone, errors leave what was."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.catalogue import open_catalogue, rebuild_catalogue
from bioalign_assets.warehouse.conform import conform
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

from ._make import CHANGES, EMBEDDINGS, changes, embeddings, rows_of


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path / "warehouse")


def _marks(tables, **more):
    """The mark of each variant's rows, and how many there are."""
    rows = tables.read(EMBEDDINGS, **more).to_pylist()
    found = {}
    for row in rows:
        found.setdefault(row["variant"], []).append(row["embedding"][0])
    return {variant: (set(marks), len(marks)) for variant, marks in found.items()}


def _parquet(tables, schema=EMBEDDINGS):
    return sorted(tables.folder(schema).rglob("*.parquet"))


@pytest.mark.parametrize("name", TABLES)
@given(data=st.data())
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_of_every_table_come_back_as_they_were(name, data, tables):
    schema = TABLES[name]
    partition = None if schema.partitioned_by is None else "phi-3-mini@rank-8"
    rows = conform(data.draw(rows_of(schema, partition=partition)), schema=schema)
    tables.write(rows, schema=schema, partition=partition)
    back = tables.read(schema)
    assert back.schema.equals(schema.arrow)
    assert back.equals(rows)
    assert content_hash(back, schema=schema) == content_hash(rows, schema=schema)


def test_a_table_that_was_never_written_is_read_as_empty(tables):
    assert tables.read(EMBEDDINGS).equals(EMBEDDINGS.arrow.empty_table())


def test_all_tables_can_be_created_and_created_again(tables):
    for schema in TABLES.values():
        assert tables.create(schema).version() == 0
        assert tables.create(schema).version() == 0
        assert len(tables.read(schema)) == 0


def test_a_rerun_replaces_its_partition_and_leaves_the_others(tables):
    for variant, mark in (("a@x", 1), ("b@x", 2), ("a@y", 3)):
        tables.write(embeddings(variant, mark=mark), schema=EMBEDDINGS, partition=variant)
    tables.write(embeddings("b@x", n=7, mark=9), schema=EMBEDDINGS, partition="b@x")
    assert _marks(tables) == {"a@x": ({1.0}, 3), "b@x": ({9.0}, 7), "a@y": ({3.0}, 3)}


def test_a_partition_whose_name_begins_with_anothers_is_another(tables):
    for variant, mark in (("a@x", 1), ("a@x-1", 2), ("a@x.1", 3)):
        tables.write(embeddings(variant, mark=mark), schema=EMBEDDINGS, partition=variant)
    tables.write(embeddings("a@x", mark=9), schema=EMBEDDINGS, partition="a@x")
    assert _marks(tables) == {"a@x": ({9.0}, 3), "a@x-1": ({2.0}, 3), "a@x.1": ({3.0}, 3)}


@pytest.mark.parametrize("odd", ["it's@x", "a b@x", "a%40b@x", "ü@x", "a/b@x", "a=b@x", "a' OR '1'='1@x"])
def test_a_partition_with_odd_characters_replaces_itself_alone(odd, tables):
    tables.write(embeddings("other@x", mark=1), schema=EMBEDDINGS, partition="other@x")
    for mark in (2, 3):
        tables.write(embeddings(odd, mark=mark), schema=EMBEDDINGS, partition=odd)
    assert _marks(tables) == {"other@x": ({1.0}, 3), odd: ({3.0}, 3)}
    assert _marks(tables, partitions=[odd]) == {odd: ({3.0}, 3)}


def test_a_rerun_replaces_an_unpartitioned_table(tables):
    tables.write(changes(n=4, mark=1), schema=CHANGES)
    tables.write(changes(n=2, mark=2), schema=CHANGES)
    assert tables.read(CHANGES)["gene_id"].to_pylist() == [2, 2]


def test_no_rows_empty_a_partition_and_leave_the_others(tables):
    for variant in ("a@x", "b@x"):
        tables.write(embeddings(variant), schema=EMBEDDINGS, partition=variant)
    tables.write(embeddings("a@x", n=0), schema=EMBEDDINGS, partition="a@x")
    assert set(_marks(tables)) == {"b@x"}


def test_no_rows_empty_an_unpartitioned_table(tables):
    tables.write(changes(), schema=CHANGES)
    tables.write(changes(n=0), schema=CHANGES)
    assert len(tables.read(CHANGES)) == 0


def test_some_partitions_are_read(tables):
    for variant in ("a@x", "b@x", "c@x"):
        tables.write(embeddings(variant), schema=EMBEDDINGS, partition=variant)
    assert set(_marks(tables, partitions=["a@x", "c@x"])) == {"a@x", "c@x"}


def test_an_unknown_partition_has_no_rows(tables):
    tables.write(embeddings("a@x"), schema=EMBEDDINGS, partition="a@x")
    assert tables.read(EMBEDDINGS, partitions=["z@x"]).equals(EMBEDDINGS.arrow.empty_table())


def test_no_partitions_have_no_rows(tables):
    tables.write(embeddings("a@x"), schema=EMBEDDINGS, partition="a@x")
    assert tables.read(EMBEDDINGS, partitions=[]).equals(EMBEDDINGS.arrow.empty_table())


def test_rows_are_read_in_the_order_of_the_key_whatever_the_order_of_writing(tables):
    for variant in ("c@x", "a@x", "b@x"):
        rows = embeddings(variant, n=12)
        tables.write(rows.take(list(range(11, -1, -1))), schema=EMBEDDINGS, partition=variant)
    rows = tables.read(EMBEDDINGS)
    keys = list(zip(rows["variant"].to_pylist(), rows["row_number"].to_pylist(), strict=True))
    assert keys == sorted(keys)


def test_rows_without_a_key_are_read_in_the_order_of_writing(tables):
    order = [5, 3, 9, 1]
    tables.write(pa.concat_tables([changes(n=1, mark=mark) for mark in order]), schema=CHANGES)
    assert tables.read(CHANGES)["gene_id"].to_pylist() == order


def test_partitions_of_an_unpartitioned_table_are_an_error_of_programming(tables):
    with pytest.raises(ValueError, match="not partitioned"):
        tables.read(CHANGES, partitions=["a"])
    with pytest.raises(ValueError, match="partitioned by None"):
        tables.write(changes(), schema=CHANGES, partition="a")


def test_a_partitioned_table_without_a_partition_is_an_error_of_programming(tables):
    with pytest.raises(ValueError, match="partitioned by variant"):
        tables.write(embeddings("a@x"), schema=EMBEDDINGS)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows.drop_columns(["label"]),
        lambda rows: rows.append_column("extra", pa.nulls(len(rows), pa.int64())),
        lambda rows: rows.set_column(6, "label", pa.array([2] * len(rows))),
        lambda rows: rows.set_column(6, "label", pa.array([None] * len(rows), pa.int8())),
        lambda rows: rows.set_column(4, "row_number", pa.array([-1] * len(rows))),
        lambda rows: rows.set_column(7, "embedding", pa.array([[float("nan")]] * len(rows))),
        lambda rows: rows.set_column(7, "embedding", pa.array(["vector"] * len(rows))),
        lambda rows: pa.concat_tables([rows, embeddings("b@x")]),
        lambda _rows: embeddings("b@x"),
    ],
    ids=["missing", "unknown", "not allowed", "empty", "range", "nan", "type", "two partitions", "another's"],
)
def test_nothing_is_written_when_rows_are_refused(spoil, tables):
    tables.write(embeddings("a@x", mark=1), schema=EMBEDDINGS, partition="a@x")
    version, files = tables.create(EMBEDDINGS).version(), _parquet(tables)
    with pytest.raises(WarehouseError):
        tables.write(spoil(embeddings("a@x", mark=2)), schema=EMBEDDINGS, partition="a@x")
    assert tables.create(EMBEDDINGS).version() == version
    assert _parquet(tables) == files
    assert _marks(tables) == {"a@x": ({1.0}, 3)}


def test_a_first_write_that_is_refused_leaves_no_table_behind(tables):
    with pytest.raises(WarehouseError):
        tables.write(changes().drop_columns(["detail"]), schema=CHANGES)
    assert not tables.folder(CHANGES).exists()


def test_a_commit_bears_what_it_was_told(tables):
    told = {"data_version": "abc", "run_id": "r-1"}
    version = tables.write(changes(), schema=CHANGES, commit_info=told)
    newest = tables.commits(CHANGES)[0]
    assert newest["version"] == version
    assert {key: newest[key] for key in told} == told
    assert newest["timestamp"] > 1_700_000_000_000


def test_commits_are_listed_newest_first(tables):
    for mark in (1, 2, 3):
        tables.write(changes(mark=mark), schema=CHANGES, commit_info={"data_version": str(mark)})
    assert [commit.get("data_version") for commit in tables.commits(CHANGES)] == ["3", "2", "1", None]


def test_an_earlier_version_can_be_read(tables):
    versions = [tables.write(changes(n=n, mark=n), schema=CHANGES) for n in (1, 2, 3)]
    assert [tables.read(CHANGES, version=version)["gene_id"].to_pylist() for version in versions] == [
        [1], [2, 2], [3, 3, 3],
    ]  # fmt: skip
    assert tables.read(CHANGES)["gene_id"].to_pylist() == [3, 3, 3]


def test_an_earlier_version_of_a_partition_can_be_read(tables):
    first = tables.write(embeddings("a@x", mark=1), schema=EMBEDDINGS, partition="a@x")
    tables.write(embeddings("b@x", mark=2), schema=EMBEDDINGS, partition="b@x")
    tables.write(embeddings("a@x", mark=3), schema=EMBEDDINGS, partition="a@x")
    assert _marks(tables, version=first) == {"a@x": ({1.0}, 3)}
    assert _marks(tables, version=first, partitions=["b@x"]) == {}


@pytest.mark.parametrize("version", [7, -1])
def test_a_version_that_never_was_is_refused(version, tables):
    tables.write(changes(), schema=CHANGES)
    with pytest.raises(WarehouseError, match=f"no version {version}"):
        tables.read(CHANGES, version=version)


def test_history_is_kept_for_years(tables):
    kept = tables.create(CHANGES).metadata().configuration["delta.logRetentionDuration"]
    assert int(kept.split()[1]) * 7 > 10 * 365


def test_vacuum_removes_what_no_young_version_needs(tables):
    for mark in (1, 2, 3):
        tables.write(embeddings("a@x", mark=mark), schema=EMBEDDINGS, partition="a@x")
    assert len(_parquet(tables)) == 3
    assert tables.vacuum(older_than_hours=24 * 14)["inference.embeddings"] == 0
    assert len(_parquet(tables)) == 3
    assert tables.vacuum(older_than_hours=0)["inference.embeddings"] == 2
    assert len(_parquet(tables)) == 1
    assert _marks(tables) == {"a@x": ({3.0}, 3)}


def test_a_vacuumed_version_is_refused_with_what_to_do(tables):
    first = tables.write(changes(mark=1), schema=CHANGES)
    tables.write(changes(mark=2), schema=CHANGES)
    tables.vacuum(older_than_hours=0)
    with pytest.raises(WarehouseError, match="vacuumed"):
        tables.read(CHANGES, version=first)
    assert tables.read(CHANGES)["gene_id"].to_pylist() == [2, 2, 2]


def test_vacuum_removes_what_a_killed_writer_left_long_ago_only(tables):
    import os
    import time

    tables.write(embeddings("a@x"), schema=EMBEDDINGS, partition="a@x")
    there = _parquet(tables)[0]
    young = there.with_name("part-00000-11111111-1111-1111-1111-111111111111-c000.snappy.parquet")
    old = there.with_name("part-00000-22222222-2222-2222-2222-222222222222-c000.snappy.parquet")
    for orphan in (young, old):
        orphan.write_bytes(there.read_bytes())
    long_ago = time.time() - 30 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    tables.vacuum(older_than_hours=24 * 14)
    assert _parquet(tables) == sorted([there, young])
    tables.vacuum(older_than_hours=0)
    assert young in _parquet(tables)
    assert _marks(tables) == {"a@x": ({0.0}, 3)}


def _stale(tables, schema):
    """A handle that doesn't see the commits that follow."""
    tables.create(schema)
    return DeltaTable(tables.folder(schema))


@pytest.mark.parametrize("is_first", [True, False])
def test_a_commit_that_another_has_overtaken_is_made_again(is_first, tables, monkeypatch):
    if not is_first:
        tables.write(embeddings("a@x", mark=1), schema=EMBEDDINGS, partition="a@x")
    handles = [_stale(tables, EMBEDDINGS)]
    tables.write(embeddings("a@x", n=5, mark=2), schema=EMBEDDINGS, partition="a@x")
    _first_create_gives(handles, monkeypatch)
    tables.write(embeddings("a@x", n=4, mark=3), schema=EMBEDDINGS, partition="a@x")
    assert not handles
    assert _marks(tables) == {"a@x": ({3.0}, 4)}


@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_writers_of_an_unpartitioned_table_the_last_wins(is_first, tables, monkeypatch):
    if not is_first:
        tables.write(changes(mark=1), schema=CHANGES)
    handles = [_stale(tables, CHANGES)]
    tables.write(changes(n=2, mark=2), schema=CHANGES)
    _first_create_gives(handles, monkeypatch)
    tables.write(changes(n=4, mark=3), schema=CHANGES)
    assert tables.read(CHANGES)["gene_id"].to_pylist() == [3] * 4


def test_a_stale_writer_of_another_partition_needs_no_second_try(tables, monkeypatch):
    stale = _stale(tables, EMBEDDINGS)
    tables.write(embeddings("a@x", mark=1), schema=EMBEDDINGS, partition="a@x")
    handles = [stale]
    _first_create_gives(handles, monkeypatch)
    tables.write(embeddings("b@x", mark=2), schema=EMBEDDINGS, partition="b@x")
    monkeypatch.undo()
    assert tables.create(EMBEDDINGS).version() == 2
    assert _marks(tables) == {"a@x": ({1.0}, 3), "b@x": ({2.0}, 3)}


def test_tries_come_to_an_end(tables, monkeypatch):
    monkeypatch.setattr("bioalign_assets.warehouse.tables._ATTEMPTS", 3)
    handles = [_stale(tables, CHANGES) for _ in range(5)]
    tables.write(changes(n=2, mark=2), schema=CHANGES)
    _first_create_gives(handles, monkeypatch)
    with pytest.raises(WarehouseError, match="overtaken by other processes"):
        tables.write(changes(n=4, mark=3), schema=CHANGES)
    assert len(handles) == 2
    monkeypatch.undo()
    assert tables.read(CHANGES)["gene_id"].to_pylist() == [2, 2]


def _first_create_gives(handles, monkeypatch):
    """Let the next calls of create return handles that were loaded before; then work as ever."""
    create = Tables.create
    monkeypatch.setattr(
        Tables, "create", lambda self, schema: handles.pop(0) if handles else create(self, schema)
    )


@pytest.mark.parametrize(
    "stored",
    [
        CHANGES.arrow.append(pa.field("later", pa.string())),
        CHANGES.arrow.remove(0),
        CHANGES.arrow.set(2, pa.field("gene_id", pa.string(), nullable=False)),
        CHANGES.arrow.set(2, pa.field("gene_id", pa.int64(), nullable=True)),
    ],
    ids=["more columns", "fewer columns", "another type", "may be empty"],
)
def test_a_table_of_another_version_is_refused_and_left_alone(stored, tables):
    folder = tables.folder(CHANGES)
    folder.mkdir(parents=True)
    write_deltalake(folder, stored.empty_table())
    for access in (lambda: tables.read(CHANGES), lambda: tables.write(changes(), schema=CHANGES)):
        with pytest.raises(WarehouseError, match="another version of BioAlign") as error:
            access()
        assert str(folder) in str(error.value)
    assert DeltaTable(folder).version() == 0


@pytest.mark.parametrize("writes_first", [True, False])
def test_a_table_without_a_later_column_gets_it_and_keeps_its_rows(tables, writes_first):
    older = CHANGES.arrow.remove(CHANGES.arrow.get_field_index("detail"))
    folder = _folder(tables, CHANGES)
    write_deltalake(folder, changes().select(older.names).cast(older))
    before = changes().to_pylist()
    assert tables.read(CHANGES).to_pylist() == [{**row, "detail": None} for row in before]
    rebuild_catalogue(tables)
    with open_catalogue(tables.root) as connection:
        assert connection.sql("SELECT detail, gene_id FROM ctd.changes").fetchall() == [
            (None, row["gene_id"]) for row in before
        ]
    if writes_first:
        tables.write(changes(), schema=CHANGES)
        assert tables.read(CHANGES).to_pylist() == before


def test_a_later_column_beside_older_files_is_seen_in_sql(tables):
    """One partition was written before the column came, one after."""
    older = TABLES["curation.pairs"].arrow
    older = older.remove(older.get_field_index("unseen"))
    pairs = TABLES["curation.pairs"]
    rows = [
        {
            "dataset": name, "row_number": 0, "pair_id": "0" * 16, "gene_symbol": "G", "gene_id": 1, "disease_name": "D",
            "disease_id": "MESH:D", "text": "G is associated with D", "pubmed_ids": [], "label": 1, "label_source": "ctd",
            "split": "test", "unseen": "both",
        }
        for name in ("before", "after")
    ]  # fmt: skip
    write_deltalake(
        _folder(tables, pairs), pa.Table.from_pylist(rows[:1], schema=older), partition_by=["dataset"]
    )
    tables.write(pa.Table.from_pylist(rows[1:], schema=pairs.arrow), schema=pairs, partition="after")
    rebuild_catalogue(tables)
    with open_catalogue(tables.root) as connection:
        told = connection.sql("SELECT dataset, unseen FROM curation.pairs ORDER BY ALL").fetchall()
    assert told == [("after", "both"), ("before", None)]


def test_a_table_that_was_partitioned_otherwise_is_refused(tables):
    DeltaTable.create(_folder(tables, EMBEDDINGS), schema=EMBEDDINGS.arrow, partition_by=["model"])
    with pytest.raises(WarehouseError, match="partitioned by variant"):
        tables.create(EMBEDDINGS)


def _folder(tables, schema):
    tables.folder(schema).mkdir(parents=True)
    return tables.folder(schema)


@pytest.mark.parametrize(
    "url", ["s3://bucket/w", "gs://bucket/w", "az://c/w", "abfss://c@a/w", "file:///tmp/w"]
)
@pytest.mark.parametrize("as_path", [True, False])
def test_an_object_store_is_refused(url, as_path):
    # a path makes one slash of two
    with pytest.raises(WarehouseError, match="not supported yet"):
        Tables(Path(url) if as_path else url)


@pytest.mark.parametrize(
    "name", ["100%", "a%20b", "a[1]", "a^b", "a|b", "a\\b", "a\nb", "a*", "a?", "dataset=x"]
)
def test_a_folder_that_the_table_format_cannot_have_is_refused(name, tmp_path):
    with pytest.raises(WarehouseError, match="characters"):
        Tables(tmp_path / name / "w")


@pytest.mark.parametrize(
    "name", ["with space", "quo'te", 'dou"ble', "ünï", "a#b", "a;b", "{a,b}", "(a)", "$HOME", "~"]
)
def test_a_folder_with_special_characters_works(name, tmp_path):
    tables = Tables(tmp_path / name)
    for mark in (1, 2):
        tables.write(embeddings("a@x", mark=mark), schema=EMBEDDINGS, partition="a@x")
    assert _marks(Tables(tmp_path / name)) == {"a@x": ({2.0}, 3)}
    assert tables.folder(EMBEDDINGS).is_dir()


def test_a_relative_folder_is_below_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Tables(Path("w")).write(changes(), schema=CHANGES)
    assert len(Tables(tmp_path / "w").read(CHANGES)) == 3


def test_a_folder_behind_a_link_works(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    Tables(tmp_path / "link").write(changes(), schema=CHANGES)
    assert len(Tables(tmp_path / "real").read(CHANGES)) == 3


def test_it_is_told_which_partitions_have_rows_and_what_version_a_whole_table_has(tables):
    assert tables.stored_versions(EMBEDDINGS) == tables.stored_versions(CHANGES) == {}
    assert not tables.root.exists()  # to look creates nothing
    for variant in ("a@x", "b@x"):
        tables.write(embeddings(variant), schema=EMBEDDINGS, partition=variant)
    assert set(tables.stored_versions(EMBEDDINGS)) == {"a@x", "b@x"}
    tables.write(changes(), schema=CHANGES, commit_info={"data_version": "abc"})
    assert tables.stored_versions(CHANGES) == {None: "abc"}


def test_a_table_is_found_as_it_was_at_a_moment(tables):
    commits = []
    for n in (1, 2):
        tables.write(changes(n=n), schema=CHANGES)
        time.sleep(0.01)  # commits are dated in milliseconds
        commits.append(tables.commits(CHANGES)[0])
    first, second = (datetime.fromtimestamp(commit["timestamp"] / 1000, tz=UTC) for commit in commits)
    created = tables.commits(CHANGES)[-1]["timestamp"] / 1000
    assert tables.at(CHANGES, moment=datetime.fromtimestamp(created - 1, tz=UTC)) is None
    for moment, rows in ((first, 1), (second - timedelta(milliseconds=1), 1), (second, 2), (None, 2)):
        assert len(tables.at(CHANGES, moment=moment).to_pyarrow_table()) == rows
