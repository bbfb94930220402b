"""The DuckDB catalogue: views over the current files, swapped under open sessions."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse import locks
from bioalign_assets.warehouse.catalogue import (
    catalogue_path,
    create_view,
    open_catalogue,
    own_catalogue_path,
    rebuild_catalogue,
    sql_type,
)
from bioalign_assets.warehouse.io_manager import WarehouseIOManager
from bioalign_assets.warehouse.locks import HeldError
from bioalign_assets.warehouse.resources import Catalogue, Warehouse
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

from ._make import (
    CHANGES,
    EMBEDDINGS,
    SPAWN,
    changes,
    embeddings,
    in_processes,
    overwrite,
    query_on,
    rebuild,
    rebuild_and_hang,
)

_COUNT = "SELECT count(*) FROM inference.embeddings"


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path / "warehouse")


@pytest.fixture
def filled(tables):
    for variant, width in (("tiny-llama@untuned", 4), ("tiny-llama@paper", 4), ("phi.3@untuned", 6)):
        tables.write(embeddings(variant, mark=1, width=width), schema=EMBEDDINGS, partition=variant)
    rebuild_catalogue(tables)
    return tables


def _ask(tables, query, parameters=None):
    with open_catalogue(tables.root) as session:
        return session.execute(query, parameters).fetchall()


def _in_new_process(path, query, *, start="", read_only=True):
    """What a person's session in another process gets: its answer, or the error."""
    code = (
        f"import duckdb; c = duckdb.connect({str(path)!r}, read_only={read_only})\n"
        f"c.execute({start!r}) if {start!r} else None\nprint(c.execute({query!r}).fetchall())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_every_table_has_a_view_with_its_columns_also_when_empty(tables):
    rebuild_catalogue(tables)
    with open_catalogue(tables.root) as session:
        for schema in TABLES.values():
            columns = session.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? "
                "ORDER BY column_index",
                [schema.room, schema.name],
            ).fetchall()
            types = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}
            expected = [(c.name, types.get(sql_type(c.type), sql_type(c.type))) for c in schema.columns]
            assert columns == expected
            assert session.execute(f"SELECT * FROM {schema.full_name}").fetchall() == []


def test_views_have_the_same_types_empty_and_filled(tables):
    describe = (
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'embeddings' ORDER BY ALL"
    )
    rebuild_catalogue(tables)
    empty = _ask(tables, describe)
    tables.write(embeddings("a@x"), schema=EMBEDDINGS, partition="a@x")
    rebuild_catalogue(tables)
    assert _ask(tables, describe) == empty


def test_a_view_gives_the_rows_of_its_table(filled):
    with open_catalogue(filled.root) as session:
        rows = session.sql(
            "SELECT * FROM inference.embeddings ORDER BY variant, test_set, row_number"
        ).to_arrow_table()
    assert rows.cast(EMBEDDINGS.arrow).equals(filled.read(EMBEDDINGS))


def test_the_partition_column_is_read_as_it_was_written(filled):
    assert {row[0] for row in _ask(filled, "SELECT DISTINCT variant FROM inference.embeddings")} == {
        "tiny-llama@untuned", "tiny-llama@paper", "phi.3@untuned",
    }  # fmt: skip


@pytest.mark.parametrize("key", ["007", "1e3", "2026-01-01", "true", "null", "a b"])
def test_a_partition_whose_key_looks_like_something_else_stays_text(key, tables):
    row = {"dataset": key, "section": "size", "name": "pairs", "value": 1.0, "unit": "rows"}
    schema = TABLES["curation.profile"]
    tables.write(pa.Table.from_pylist([row], schema=schema.arrow), schema=schema, partition=key)
    rebuild_catalogue(tables)
    assert _ask(tables, "SELECT dataset FROM curation.profile") == [(key,)]


def test_only_the_current_files_are_read(filled):
    filled.write(embeddings("phi.3@untuned", n=8, mark=9), schema=EMBEDDINGS, partition="phi.3@untuned")
    assert _ask(filled, _COUNT) == [(9,)]
    rebuild_catalogue(filled)
    assert _ask(filled, _COUNT) == [(14,)]


def test_a_table_that_was_emptied_reads_as_empty(tables):
    tables.write(changes(), schema=CHANGES)
    tables.write(changes(n=0), schema=CHANGES)
    rebuild_catalogue(tables)
    assert _ask(tables, "SELECT count(*) FROM ctd.changes") == [(0,)]


def test_tables_and_columns_have_comments(filled):
    comments = dict(_ask(filled, "SELECT schema_name || '.' || view_name, comment FROM duckdb_views()"))
    for schema in TABLES.values():
        assert comments[schema.full_name] == schema.row
    columns = {
        (room, table, column): comment
        for room, table, column, comment in _ask(
            filled, "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns()"
        )
    }
    for schema in TABLES.values():
        for column in schema.columns:
            comment = columns[schema.room, schema.name, column.name]
            assert comment.startswith(column.meaning)
            assert column.unit_or_range in comment


def test_the_catalogue_lists_tables_versions_and_files(filled):
    listed = {name: rest for name, *rest in _ask(filled, "SELECT * FROM catalogued")}
    assert set(listed) == set(TABLES)
    assert listed["inference.embeddings"][:3] == [3, 3, EMBEDDINGS.row]
    assert listed["ctd.changes"][:2] == [0, 0]


@pytest.fixture
def renewed(monkeypatch):
    """The tables whose views a rebuild writes."""
    seen = []

    def noted(connection, *, schema, files, root):
        seen.append(schema.full_name)
        create_view(connection, schema=schema, files=files, root=root)

    monkeypatch.setattr("bioalign_assets.warehouse.catalogue.create_view", noted)
    return seen


def test_only_views_of_tables_with_a_new_commit_are_written(filled, renewed):
    rebuild_catalogue(filled)
    assert renewed == []
    filled.write(changes(), schema=CHANGES)
    rebuild_catalogue(filled)
    assert renewed == ["ctd.changes"]
    assert _ask(filled, "SELECT count(*) FROM ctd.changes") == [(len(changes()),)]
    assert _ask(filled, _COUNT) == [(9,)]


def test_a_catalogue_built_step_by_step_equals_one_built_at_once(filled):
    everything = (
        "SELECT schema_name, view_name, sql, comment FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
        "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns() ORDER BY ALL",
        "SELECT * FROM catalogued ORDER BY ALL",
    )
    filled.write(embeddings("new@untuned", width=3), schema=EMBEDDINGS, partition="new@untuned")
    rebuild_catalogue(filled)
    filled.write(embeddings("new@untuned", n=0, width=3), schema=EMBEDDINGS, partition="new@untuned")
    filled.write(changes(), schema=CHANGES)
    rebuild_catalogue(filled)
    in_steps = [_ask(filled, query) for query in everything]
    own_catalogue_path(filled.root).unlink()
    rebuild_catalogue(filled)
    assert [_ask(filled, query) for query in everything] == in_steps
    assert not [name for _, name, *_ in in_steps[0] if "new" in name]


def test_a_table_that_was_deleted_and_made_anew_is_read_anew(filled):
    rows = filled.read(EMBEDDINGS)
    shutil.rmtree(filled.folder(EMBEDDINGS))
    for variant in sorted(set(rows["variant"].to_pylist())):
        filled.write(embeddings(variant, n=2), schema=EMBEDDINGS, partition=variant)
    rebuild_catalogue(filled)  # at the same version as before
    assert _ask(filled, _COUNT) == [(6,)]


def test_a_commit_between_the_creation_and_the_reading_of_a_new_table_is_seen(tables, monkeypatch):
    create, seen = Tables.create, []

    def create_and_be_overtaken(self, schema):
        table = create(self, schema)
        if schema is CHANGES and not seen:
            seen.append(schema)
            tables.write(changes(), schema=CHANGES)
        return table

    monkeypatch.setattr(Tables, "create", create_and_be_overtaken)
    rebuild_catalogue(tables)
    rebuild_catalogue(tables)  # the one of the process that committed
    assert _ask(tables, "SELECT count(*) FROM ctd.changes") == [(len(changes()),)]


def test_what_a_killed_writer_left_in_the_log_hides_no_commit(filled):
    filled.write(changes(), schema=CHANGES)
    log = filled.folder(CHANGES) / "_delta_log"
    newest = max(log.glob("*.json"))
    # delta-rs writes a commit under such a name before it has its own
    (log / f"{int(newest.stem) + 1:020}.json#1").write_text("")
    rebuild_catalogue(filled)
    filled.write(changes(n=1), schema=CHANGES)
    rebuild_catalogue(filled)
    assert _ask(filled, "SELECT count(*) FROM ctd.changes") == [(1,)]


def test_views_that_other_code_wrote_are_all_written_anew(filled, renewed, monkeypatch):
    monkeypatch.setattr("bioalign_assets.warehouse.catalogue._form", lambda _: "another")
    rebuild_catalogue(filled)
    assert renewed == list(TABLES)
    assert _ask(filled, _COUNT) == [(9,)]


def test_each_model_has_a_view_with_vectors_of_its_width(filled):
    types = dict(
        _ask(
            filled,
            "SELECT table_name, data_type FROM duckdb_columns() "
            "WHERE column_name = 'embedding' AND table_name LIKE 'embeddings_%'",
        )
    )
    assert types == {"embeddings_tiny_llama": "FLOAT[4]", "embeddings_phi.3": "FLOAT[6]"}
    assert _ask(filled, "SELECT count(*), min(model), max(model) FROM inference.embeddings_tiny_llama") == [
        (6, "tiny-llama", "tiny-llama")
    ]
    assert _ask(filled, 'SELECT count(*) FROM inference."embeddings_phi.3"') == [(3,)]


def test_vectors_can_be_compared_in_sql(filled):
    query = """
        SELECT array_cosine_similarity(one.embedding, other.embedding)
        FROM inference.embeddings_tiny_llama AS one JOIN inference.embeddings_tiny_llama AS other USING (row_number)
        WHERE one.experiment = 'untuned' AND other.experiment = 'paper'
    """
    assert _ask(filled, query) == [(1.0,)] * 3


def test_a_models_view_says_what_it_is(filled):
    comments = dict(_ask(filled, "SELECT view_name, comment FROM duckdb_views()"))
    assert comments["embeddings_tiny_llama"] == "inference.embeddings of tiny-llama, embedding as FLOAT[4]"


def test_a_model_whose_width_changed_keeps_its_view_while_variants_of_both_widths_are_there(filled):
    filled.write(
        embeddings("tiny-llama@paper", n=2, width=7), schema=EMBEDDINGS, partition="tiny-llama@paper"
    )
    rebuild_catalogue(filled)
    widths = "SELECT experiment, len(embedding), count(*) FROM inference.embeddings_tiny_llama GROUP BY ALL ORDER BY 1"
    assert _ask(filled, widths) == [("paper", 7, 2), ("untuned", 4, 3)]
    ((told,),) = _ask(filled, "SELECT comment FROM duckdb_views() WHERE view_name = 'embeddings_tiny_llama'")
    assert told.endswith("embedding as FLOAT[]: it has widths 4, 7 until all variants are made anew")
    assert _ask(filled, 'SELECT count(*) FROM inference."embeddings_phi.3"') == [(3,)]
    filled.write(embeddings("tiny-llama@untuned", width=7), schema=EMBEDDINGS, partition="tiny-llama@untuned")
    rebuild_catalogue(filled)
    typed = "SELECT DISTINCT typeof(embedding) FROM inference.embeddings_tiny_llama"
    assert _ask(filled, typed) == [("FLOAT[7]",)]


def test_models_whose_name_begins_alike_are_kept_apart(tables):
    for variant in ("m@x", "m-2@x"):
        tables.write(embeddings(variant), schema=EMBEDDINGS, partition=variant)
    rebuild_catalogue(tables)
    assert _ask(tables, "SELECT DISTINCT model FROM inference.embeddings_m") == [("m",)]
    assert _ask(tables, "SELECT DISTINCT model FROM inference.embeddings_m_2") == [("m-2",)]


def test_a_partition_without_rows_has_no_view_of_its_model(tables):
    tables.write(embeddings("m@x", n=0), schema=EMBEDDINGS, partition="m@x")
    rebuild_catalogue(tables)
    assert _ask(tables, "SELECT count(*) FROM duckdb_views() WHERE view_name LIKE 'embeddings_%'") == [(0,)]


def test_our_session_cannot_write(filled):
    with open_catalogue(filled.root) as session, pytest.raises(duckdb.Error, match="read-only"):
        session.execute("CREATE TABLE mine (a INT)")


def test_a_warehouse_without_a_catalogue_is_told_so(tables):
    with pytest.raises(WarehouseError, match="no catalogue"), open_catalogue(tables.root):
        pass
    assert not tables.root.exists()


def test_the_session_is_closed_after_an_error(filled):
    with pytest.raises(ZeroDivisionError), open_catalogue(filled.root) as session:  # noqa: PT012 - the error is in the block
        kept = session
        raise ZeroDivisionError
    with pytest.raises(duckdb.ConnectionException):
        kept.execute("SELECT 1")


@pytest.mark.parametrize("name", ["with space", "quo'te", 'dou"ble', "ünï", "a#b", "a;b", "{a,b}"])
def test_a_folder_with_special_characters_works(name, tmp_path):
    tables = Tables(tmp_path / name)
    tables.write(embeddings("a@x"), schema=EMBEDDINGS, partition="a@x")
    rebuild_catalogue(tables)
    assert _ask(tables, _COUNT) == [(3,)]
    with duckdb.connect(catalogue_path(tables.root), read_only=True) as session:
        assert session.execute("SELECT count(*) FROM inference.embeddings_a").fetchall() == [(3,)]


def test_a_relative_folder_works_from_another_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tables = Tables(tmp_path.relative_to(tmp_path) / "w")
    tables.write(embeddings("a@x"), schema=EMBEDDINGS, partition="a@x")
    rebuild_catalogue(tables)
    monkeypatch.chdir("/")
    with duckdb.connect(catalogue_path(tmp_path / "w"), read_only=True) as session:
        assert session.execute(_COUNT).fetchall() == [(3,)]


# A folder that was moved


@pytest.fixture
def moved(filled):
    new = filled.root.with_name("new place, it's here")
    filled.root.rename(new)
    return new


def test_a_moved_folder_is_read_after_setting_the_variable(moved):
    with duckdb.connect(catalogue_path(moved), read_only=True) as session:
        with pytest.raises(duckdb.IOException, match="No files found"):
            session.execute(_COUNT)
        session.execute(f"SET VARIABLE bioalign_root = '{str(moved).replace(chr(39), chr(39) * 2)}'")
        assert session.execute(_COUNT).fetchall() == [(9,)]
        assert session.execute('SELECT count(*) FROM inference."embeddings_phi.3"').fetchall() == [(3,)]
        assert session.execute("SELECT count(*) FROM ctd.changes").fetchall() == [(0,)]


_SELF = (
    "SET VARIABLE bioalign_root = "
    "(SELECT parse_dirpath(path) FROM duckdb_databases() WHERE database_name = current_database())"
)


def test_a_moved_folder_is_read_after_asking_the_session_for_its_own_place(moved):
    assert _in_new_process(catalogue_path(moved), _COUNT, start=_SELF) == "[(9,)]"
    assert _in_new_process(catalogue_path(moved), _COUNT, start=_SELF, read_only=False) == "[(9,)]"


@pytest.mark.parametrize("opened", ["bioalign.duckdb", "./bioalign.duckdb"])
def test_a_moved_folder_is_read_from_within(opened, moved, monkeypatch):
    monkeypatch.chdir(moved)
    assert _in_new_process(opened, _COUNT, start="SET VARIABLE bioalign_root = '.'") == "[(9,)]"


def test_our_own_sessions_read_a_moved_folder_as_it_is(moved):
    assert _ask(Tables(moved), _COUNT) == [(9,)]


def test_a_rebuild_mends_a_moved_folder(moved):
    rebuild_catalogue(Tables(moved))
    with duckdb.connect(catalogue_path(moved), read_only=True) as session:
        assert session.execute(_COUNT).fetchall() == [(9,)]


# Sessions that stay open


@pytest.mark.parametrize("read_only", [True, False])
def test_an_open_session_keeps_its_snapshot_while_rebuilds_swap_the_file(read_only, filled):
    with duckdb.connect(catalogue_path(filled.root), read_only=read_only) as session:
        before = session.execute(_COUNT).fetchall()
        for mark in range(3):
            variant = "phi.3@untuned"
            filled.write(embeddings(variant, n=5 + mark, mark=mark), schema=EMBEDDINGS, partition=variant)
            rebuild_catalogue(filled)
            assert session.execute(_COUNT).fetchall() == before == [(9,)]
            assert _in_new_process(catalogue_path(filled.root), _COUNT) == f"[({6 + 5 + mark},)]"


def test_a_session_that_writes_bars_neither_rebuilds_nor_new_sessions(filled):
    with duckdb.connect(catalogue_path(filled.root)) as session:
        session.execute("CREATE TABLE mine AS SELECT 42 AS a")
        assert catalogue_path(filled.root).with_name("bioalign.duckdb.wal").exists()
        rebuild_catalogue(filled)
        # the log of the old file would bar everyone from the new one
        assert _in_new_process(catalogue_path(filled.root), _COUNT) == "[(9,)]"
        session.execute("INSERT INTO mine VALUES (43)")
        assert session.execute("SELECT sum(a) FROM mine").fetchall() == [(85,)]
        assert session.execute(_COUNT).fetchall() == [(9,)]
    assert _in_new_process(catalogue_path(filled.root), _COUNT, read_only=False) == "[(9,)]"


def test_our_own_sessions_never_meet_the_lock_or_log_of_a_persons(filled):
    """A run's report reads the catalogue while somebody works in it."""
    code = (
        f"import duckdb, sys, time; c = duckdb.connect({str(catalogue_path(filled.root))!r})\n"
        "c.execute('CREATE TABLE mine AS SELECT 42 AS a'); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as person:
        try:
            assert person.stdout.readline() == "ready\n"
            assert "lock" in _in_new_process(catalogue_path(filled.root), _COUNT).lower()
            assert _ask(filled, _COUNT) == [(9,)]
            rebuild_catalogue(filled)
            assert _ask(filled, _COUNT) == [(9,)]
        finally:
            person.kill()  # and leaves its log behind
    rebuild_catalogue(filled)
    assert _in_new_process(catalogue_path(filled.root), _COUNT) == "[(9,)]"


def test_processes_rebuild_and_write_at_once_while_others_query(filled):
    *done, reading = in_processes(
        [
            (rebuild, (filled.root, 8)),
            (rebuild, (filled.root, 8)),
            (overwrite, (filled.root, "a@x", [1, 2, 3])),
            (query_on, (filled.root, 3.0)),
        ]
    )
    assert done == [8, 8, 3]
    assert reading["errors"] == []
    assert reading["queries"] > 2
    rebuild_catalogue(filled)
    assert _ask(filled, _COUNT) == [(9 + 4,)]
    assert [path.name for path in filled.root.iterdir() if ".partial" in path.name] == []


def test_the_last_rebuild_has_seen_every_commit(tables):
    jobs = [(_write_and_rebuild, (tables.root, f"m{i}@x")) for i in range(3)]
    assert in_processes(jobs) == [None] * 3
    assert _ask(tables, _COUNT) == [(9,)]
    with duckdb.connect(catalogue_path(tables.root), read_only=True) as session:
        assert session.execute(_COUNT).fetchall() == [(9,)]


def _write_and_rebuild(root, variant):
    tables = Tables(root)
    tables.write(embeddings(variant), schema=EMBEDDINGS, partition=variant)
    rebuild_catalogue(tables)


def test_a_killed_rebuild_harms_nobody_and_the_next_one_clears_up(filled):
    started = SPAWN.Event()
    victim = SPAWN.Process(target=rebuild_and_hang, args=(filled.root, started))
    victim.start()
    assert started.wait(60)
    assert _ask(filled, _COUNT) == [(9,)]  # nobody waits for it
    os.kill(victim.pid, signal.SIGKILL)
    victim.join(60)
    left = [path.name for path in filled.root.iterdir() if ".partial" in path.name]
    assert len(left) == 2
    assert _ask(filled, _COUNT) == [(9,)]
    filled.write(embeddings("a@x"), schema=EMBEDDINGS, partition="a@x")
    rebuild_catalogue(filled)
    assert _ask(filled, _COUNT) == [(12,)]
    assert [path.name for path in filled.root.iterdir() if ".partial" in path.name] == []


@pytest.fixture
def stopped(filled):
    """A process that was stopped in the midst of a rebuild."""
    started = SPAWN.Event()
    process = SPAWN.Process(target=rebuild_and_hang, args=(filled.root, started))
    process.start()
    assert started.wait(60)
    os.kill(process.pid, signal.SIGSTOP)
    yield process
    process.kill()
    process.join(60)


def test_who_was_stopped_in_a_rebuild_is_named_to_all_who_wait(filled, stopped, monkeypatch):
    monkeypatch.setattr(locks, "WAIT_S", 0.2)
    with pytest.raises(HeldError) as told:
        rebuild_catalogue(filled)
    assert str(filled.root) in told.value.subject
    holder = rf"held for 0.2 s and more by process {stopped.pid} on {socket.gethostname()} \(bioalign run\) since 2\S+ \S+"
    assert re.search(holder, told.value.found)
    assert "kill -CONT" in told.value.remedy
    assert _ask(filled, _COUNT) == [(9,)]  # who only reads never waits
    filled.write(embeddings("a@x"), schema=EMBEDDINGS, partition="a@x")
    stopped.kill()
    stopped.join(60)
    rebuild_catalogue(filled)
    assert _ask(filled, _COUNT) == [(12,)]
    assert not list(filled.root.glob("*.holder"))


def test_rows_are_kept_without_the_catalogue_and_who_reads_it_is_never_behind(
    filled, stopped, monkeypatch, capsys
):
    monkeypatch.setattr(locks, "WAIT_S", 0.2)
    catalogue = Catalogue.of(filled.root)
    with catalogue.get_connection() as session:  # it shows all that there is: no need to build
        assert session.execute(_COUNT).fetchall() == [(9,)]
    manager = WarehouseIOManager(warehouse=Warehouse(folder=str(filled.root)))
    context = dg.build_output_context(asset_key=dg.AssetKey(["ctd", "changes"]), run_id="run-1")
    manager.handle_output(context, changes())
    assert (
        f"The rows are written; the catalogue does not show them yet. Catalogue of {filled.root}"
        in capsys.readouterr().err
    )
    assert len(filled.read(CHANGES)) == len(changes())
    with pytest.raises(HeldError), catalogue.get_connection():
        pass
    stopped.kill()
    stopped.join(60)
    with catalogue.get_connection() as session:
        assert session.execute("SELECT count(*) FROM ctd.changes").fetchall() == [(len(changes()),)]


def test_a_rebuild_leaves_others_files_alone(filled):
    other = filled.root / "export.duckdb.1234.partial"
    other.write_text("somebody is at work on it")
    rebuild_catalogue(filled)
    assert other.exists()


def test_a_rebuild_that_fails_leaves_the_old_catalogue(filled, monkeypatch):
    filled.write(embeddings("phi.3@untuned", n=8), schema=EMBEDDINGS, partition="phi.3@untuned")
    monkeypatch.setattr("bioalign_assets.warehouse.catalogue._create_model_views", _fail)
    with pytest.raises(RuntimeError, match="half way"):
        rebuild_catalogue(filled)
    monkeypatch.undo()
    assert _ask(filled, _COUNT) == [(9,)]
    with duckdb.connect(catalogue_path(filled.root), read_only=True) as session:
        assert session.execute(_COUNT).fetchall() == [(9,)]
    rebuild_catalogue(filled)
    assert _ask(filled, _COUNT) == [(14,)]
    assert [path.name for path in filled.root.iterdir() if ".partial" in path.name] == []


def _fail(*_arguments, **_more):
    raise RuntimeError("half way")


@pytest.mark.parametrize("path_of", [catalogue_path, own_catalogue_path])
def test_a_catalogue_that_was_damaged_or_removed_is_made_anew(path_of, filled):
    path_of(filled.root).write_bytes(b"not a database")
    rebuild_catalogue(filled)
    assert _ask(filled, _COUNT) == [(9,)]
    path_of(filled.root).unlink()
    rebuild_catalogue(filled)
    with duckdb.connect(catalogue_path(filled.root), read_only=True) as session:
        assert session.execute(_COUNT).fetchall() == [(9,)]


def test_a_vacuum_leaves_what_the_catalogue_reads(filled):
    filled.write(embeddings("phi.3@untuned", n=8), schema=EMBEDDINGS, partition="phi.3@untuned")
    rebuild_catalogue(filled)
    filled.vacuum(older_than_hours=0)
    assert _ask(filled, _COUNT) == [(14,)]
