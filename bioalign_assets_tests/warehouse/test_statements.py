"""Questions only read: each kind of statement, files outside the tables, and the session's settings."""

import hashlib
import tempfile
from pathlib import Path

import duckdb
import pytest

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.catalogue import open_catalogue, rebuild_catalogue
from bioalign_assets.warehouse.questions import answers, converse
from bioalign_assets.warehouse.tables import Tables

from ._make import CHANGES, EMBEDDINGS, changes, embeddings

READ = (
    "SELECT * FROM ctd.changes",
    "/* a */ -- b\nFROM ctd.changes;",
    "(SELECT 1)",
    "VALUES (1)",
    "TABLE ctd.changes",
    "WITH a AS (FROM ctd.changes) FROM a",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) FROM r",
    "SELECT 1 UNION ALL SELECT 2",
    "SELECT count(*) FROM inference.embeddings_m WHERE array_cosine_similarity(embedding, embedding) > 0",
    'SELECT copy, "query", \'COPY (SELECT 1) TO 1\' FROM (SELECT 1 AS copy, 2 AS "query")',
    "PIVOT ctd.changes ON gene_symbol USING count(*)",
    "PIVOT ctd.changes ON gene_symbol IN ('G0') USING count(*)",
    "FROM (PIVOT ctd.changes ON gene_symbol USING count(*))",
    "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b INTO NAME n VALUE v",
    "DESCRIBE ctd.changes",
    "SUMMARIZE ctd.changes",
    "SHOW ALL TABLES",
    "SHOW TABLES",
    "EXPLAIN SELECT 'é'",
    "-- é\nEXPLAIN /* é */ ANALYZE FROM ctd.changes",
    "EXPLAIN (SELECT 1)",
    "FROM pragma_table_info('catalogued')",
)
"""Statements that only read."""

DO_MORE = {
    "COPY (SELECT 1) TO '{tables}/new.csv'": "COPY",
    "COPY (SELECT 1) TO '{file}'": "COPY",
    "COPY (SELECT 1) TO '{root}/.catalogue.duckdb'": "COPY",
    "copy catalogued from '{tables}/x.csv'": "COPY",
    "COPY (PIVOT ctd.changes ON gene_symbol USING count(*)) TO '{tables}/new.csv'": "COPY",
    "COPY FROM DATABASE a TO b": "COPY",
    "WITH a AS (COPY (SELECT 1) TO '{file}') FROM a": "COPY inside WITH",
    "WITH a AS (INSERT INTO catalogued SELECT * FROM catalogued RETURNING *) FROM a": "INSERT inside WITH",
    "WITH a AS (DELETE FROM catalogued RETURNING *) FROM a": "DELETE inside WITH",
    "WITH a AS (COPY (SELECT 1) TO '{file}') PIVOT ctd.changes ON gene_symbol USING count(*)": "names copy",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{tables}/new.csv'": "COPY",
    "EXPLAIN /* x */ analyze COPY (SELECT 1) TO '{tables}/new.csv'": "COPY",
    "EXPLAIN ANALYZE WITH a AS (COPY (SELECT 1) TO '{file}') FROM a": "COPY inside WITH",
    "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{tables}/new.csv'": "EXPLAIN",
    "EXPLAIN CREATE TABLE a (b INT)": "CREATE",
    "FROM query('SELECT 1')": "function query",
    "FROM main.\"QUERY\"('SELECT 1')": "function query",
    "FROM json_execute_serialized_sql(json_serialize_sql('WITH a AS (COPY (SELECT 1) TO ''{file}'') FROM a'))": (
        "function json_execute_serialized_sql"
    ),
    "FROM (PIVOT (FROM \"query\"('SELECT 1 AS a')) ON a USING count(*))": "names query",
    "ATTACH '{root}/bioalign.duckdb' AS other (READ_WRITE)": "ATTACH",
    "ATTACH '/tmp/other.duckdb'": "ATTACH",
    "DETACH catalogue": "DETACH",
    "USE ctd": "USE",
    "EXPORT DATABASE '{tables}/export'": "EXPORT",
    "IMPORT DATABASE '{tables}/export'": "IMPORT",
    "INSTALL httpfs": "INSTALL",
    "FORCE INSTALL httpfs": "FORCE",
    "LOAD httpfs": "LOAD",
    "UPDATE EXTENSIONS": "UPDATE",
    "SET threads = 1": "SET",
    "SET VARIABLE bioalign_root = '/etc'": "SET",
    "RESET threads": "RESET",
    "PRAGMA threads = 1": "PRAGMA",
    "PRAGMA enable_profiling": "PRAGMA",
    "CALL enable_logging(storage = 'file', storage_path = '{tables}/log')": "CALL",
    "CHECKPOINT": "CHECKPOINT",
    "PREPARE p AS SELECT 1": "PREPARE",
    "EXECUTE p": "EXECUTE",
    "DEALLOCATE p": "DEALLOCATE",
    "CREATE TABLE a (b INT)": "CREATE",
    "CREATE TEMP TABLE a AS SELECT 1": "CREATE",
    "CREATE TABLE a AS PIVOT ctd.changes ON gene_symbol USING count(*)": "CREATE",
    "CREATE VIEW v AS SELECT 1": "CREATE",
    "CREATE MACRO f() AS 1": "CREATE",
    "CREATE SECRET (TYPE s3)": "CREATE",
    "DROP VIEW ctd.changes": "DROP",
    "ALTER TABLE catalogued ADD COLUMN b INT": "ALTER",
    "COMMENT ON TABLE catalogued IS 'mine'": "COMMENT",
    "INSERT INTO catalogued SELECT * FROM catalogued": "INSERT",
    "UPDATE catalogued SET files = 1": "UPDATE",
    "DELETE FROM catalogued": "DELETE",
    "TRUNCATE catalogued": "TRUNCATE",
    "MERGE INTO catalogued USING catalogued AS b USING (table_name) WHEN MATCHED THEN DELETE": "MERGE",
    "BEGIN": "BEGIN",
    "COMMIT": "COMMIT",
    "VACUUM": "VACUUM",
    "ANALYZE": "ANALYZE",
}
"""Statements that do more, each with what is named in the refusal."""

FILES = (
    "FROM read_text('/etc/hostname')",
    "FROM '/etc/hostname'",
    "FROM read_csv('/etc/hostname')",
    "FROM glob('/etc/*')",
    "FROM sniff_csv('/etc/hostname')",
    "FROM parquet_metadata('/etc/hostname')",
    "FROM read_blob('{root}/dagster/history/runs.db')",
    "FROM read_blob('{tables}/../dagster/history/runs.db')",
    "FROM glob('{root}/raw/*')",
    "FROM read_csv('{root}/raw/ctd/genes.csv')",
    "FROM read_parquet('https://example.org/a.parquet')",
    "FROM read_parquet('s3://bucket/a.parquet')",
    "FROM enable_logging(storage = 'file', storage_path = '{tables}/log')",
    "FROM enable_profiling(save_location = '{tables}/profile.json')",
    "FROM sqlite_scan('{root}/dagster/history/runs.db', 'runs')",
)
"""Queries that reach beyond the tables, by their parts that DuckDB refuses."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    tables = Tables(tmp_path_factory.mktemp("asked") / "it's a warehouse")
    tables.write(embeddings("m@x", mark=1), schema=EMBEDDINGS, partition="m@x")
    tables.write(changes(), schema=CHANGES)
    for name in ("dagster/history/runs.db", "raw/ctd/genes.csv"):
        (tables.root / name).parent.mkdir(parents=True)
        (tables.root / name).write_text("GeneSymbol\nsecret\n")
    rebuild_catalogue(tables)
    return tables.root


@pytest.fixture
def session(root):
    """A session, after which every file of the warehouse is as it was."""
    before = _contents(root)
    with open_catalogue(root) as connection:
        yield connection
    assert _contents(root) == before


def _contents(folder):
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()
    }


def _filled_in(query, root):
    (file,) = (root / "tables" / "ctd" / "changes").glob("*.parquet")
    places = {"{root}": root, "{tables}": root / "tables", "{file}": file}
    for name, path in places.items():
        query = query.replace(name, str(path).replace("'", "''" if "''{" not in query else "''''"))
    return query


@pytest.mark.parametrize("as_csv", [True, False])
@pytest.mark.parametrize("query", READ)
def test_a_statement_that_reads_is_answered(query, as_csv, session):
    (told,) = answers(session, query, as_csv=as_csv)
    assert told


@pytest.mark.parametrize("query", DO_MORE)
def test_a_statement_that_does_more_is_refused_by_its_kind(query, session, root):
    asked = _filled_in(query, root)
    with pytest.raises(WarehouseError) as refused:
        list(answers(session, asked))
    assert refused.value.subject == "SQL statement 1 of 1"
    assert DO_MORE[query] in refused.value.found


@pytest.mark.parametrize("query", FILES)
def test_a_query_that_reaches_beyond_the_tables_fails(query, session, root):
    with pytest.raises(duckdb.Error, match=r"disabled|does not exist|not in the catalog|locked"):
        list(answers(session, _filled_in(query, root)))


def test_nothing_runs_where_one_statement_of_a_text_is_refused(session):
    told = answers(session, "SELECT 1; SELECT 2; DROP VIEW ctd.changes; SELECT 3")
    with pytest.raises(WarehouseError, match="SQL statement 3 of 4: found DROP"):
        next(told)


def test_a_text_of_several_statements_gets_an_answer_to_each(session):
    assert list(answers(session, "-- é\nSELECT 1 AS a; ; SELECT 'x;y' AS b;", as_csv=True)) == [
        "a\n1",
        "b\nx;y",
    ]
    assert list(answers(session, " -- nothing")) == []


def test_names_of_our_own_code_are_no_tables(session):
    with pytest.raises(duckdb.CatalogException, match="session does not exist"):
        list(answers(session, "FROM session"))


def test_in_a_conversation_a_refusal_is_told_and_it_goes_on(session, monkeypatch, capsys):
    typed = iter(["COPY (SELECT 1)", "TO 'x.csv';", "SELECT 41 + 1 AS a;"])
    monkeypatch.setattr("builtins.input", lambda _: next(typed, None) or _end())
    converse(session, as_csv=True)
    told = capsys.readouterr()
    assert "found COPY" in told.err
    assert "a\n42\n" in told.out


def _end():
    raise EOFError


def test_the_tables_are_read_in_a_folder_named_by_a_roundabout_way(root, tmp_path):
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    for way in (root.parent / "x" / ".." / root.name, root / "." / "tables" / "..", tmp_path / "link"):
        (root.parent / "x").mkdir(exist_ok=True)
        with open_catalogue(way) as session:
            assert list(answers(session, "SELECT count(*) AS n FROM ctd.changes", as_csv=True)) == ["n\n3"]


def test_what_is_larger_than_memory_is_kept_outside_the_warehouse(session, root):
    """A warehouse may be read-only. DuckDB names the folder of a session's database by default."""
    (folder,) = session.execute("SELECT current_setting('temp_directory')").fetchone()
    assert Path(folder).parent == Path(tempfile.gettempdir())
    assert not Path(folder).exists()  # until it is needed


def test_without_a_folder_for_it_a_question_is_answered_in_memory(root, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", _no_folder)
    with open_catalogue(root) as session:
        assert list(answers(session, "SELECT count(*) AS n FROM ctd.changes", as_csv=True)) == ["n\n3"]


def _no_folder():
    raise FileNotFoundError("No usable temporary directory found")
