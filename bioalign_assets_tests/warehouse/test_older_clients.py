"""The catalogue and an export, read by the DuckDB that people have: older clients, and the newest command line."""

import json
import os
import subprocess
import sys

import duckdb
import pytest

from bioalign_assets.warehouse.catalogue import (
    catalogue_path,
    open_catalogue,
    own_catalogue_path,
    rebuild_catalogue,
)
from bioalign_assets.warehouse.export import export_database
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

from ._make import CHANGES, EMBEDDINGS, changes, embeddings

_ASK_IN_PYTHON = """
import duckdb, json, sys
_, path, query = sys.argv
result = duckdb.connect(path, read_only=True).execute(query)
print(json.dumps([dict(zip([c[0] for c in result.description], row)) for row in result.fetchall()]))
"""
_CLIENTS = {
    "duckdb==1.2.2": ["-c", _ASK_IN_PYTHON],
    "duckdb==1.4.*": ["-c", _ASK_IN_PYTHON],
    "duckdb==1.5.*": ["-c", _ASK_IN_PYTHON],
    "duckdb-cli": ["-m", "duckdb_cli", "-readonly", "-json"],
}
_COMMENTS = (
    "SELECT table_name AS name, column_name AS part, comment FROM duckdb_columns() WHERE comment IS NOT NULL "
    "UNION ALL SELECT view_name, '', comment FROM duckdb_views() WHERE comment IS NOT NULL "
    "UNION ALL SELECT table_name, '', comment FROM duckdb_tables() WHERE comment IS NOT NULL ORDER BY ALL"
)
_EVERY_TABLE = " UNION ALL ".join(
    f"SELECT '{name}' AS name, count(*) AS rows, min(hash(t)) IS NULL AS is_empty FROM {name} AS t"
    for name in TABLES
)
_OF_BOTH = (
    _COMMENTS,
    _EVERY_TABLE,
    "SELECT * FROM inference.embeddings ORDER BY variant, test_set, row_number",
    "SELECT * FROM ctd.changes ORDER BY ALL",
)
_OF_THE_CATALOGUE = (
    *_OF_BOTH,
    "SELECT * FROM catalogued ORDER BY ALL",
    "SELECT row_number, array_cosine_similarity(embedding, embedding) AS one FROM inference.embeddings_tiny_llama",
)


@pytest.fixture(scope="session", params=_CLIENTS)
def ask(request, tmp_path_factory):
    """What asks a file through a client that was installed for it; the rows as JSON has them."""
    place = tmp_path_factory.mktemp("client")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"]
    installed = subprocess.run(
        [*pip, "install", "--no-deps", "--target", place, request.param],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"{request.param} can't be installed here: {installed.stderr.strip().splitlines()[-1]}")

    def asked(path, query):
        done = subprocess.run(
            [sys.executable, *_CLIENTS[request.param], path, query],
            env=os.environ | {"PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "[]")

    return asked


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    made = Tables(tmp_path_factory.mktemp("older") / "it's a warehouse")
    made.write(embeddings("tiny-llama@untuned", mark=0.5), schema=EMBEDDINGS, partition="tiny-llama@untuned")
    made.write(changes(), schema=CHANGES)
    rebuild_catalogue(made)
    return made


def _here(path, query):
    with duckdb.connect(path, read_only=True) as connection:
        result = connection.execute(query)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.mark.slow
def test_an_older_client_reads_the_catalogue(tables, ask):
    version = "SELECT version() AS version"
    if ask(catalogue_path(tables.root), version) == _here(catalogue_path(tables.root), version):
        pytest.skip("the newest client is our own by now, and proves nothing")
    for query in _OF_THE_CATALOGUE:
        expected = _here(catalogue_path(tables.root), query)
        assert expected
        assert ask(catalogue_path(tables.root), query) == expected


@pytest.mark.slow
def test_an_older_client_reads_an_export(tables, ask, tmp_path):
    export_database(tables, to=tmp_path / "study.duckdb")
    for query in (*_OF_BOTH, "SELECT * FROM exported ORDER BY ALL"):
        expected = _here(tmp_path / "study.duckdb", query)
        assert expected
        assert ask(tmp_path / "study.duckdb", query) == expected


def _storage_version(path):
    with duckdb.connect(path, read_only=True) as connection:
        ((tags,),) = connection.execute(
            "SELECT tags FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchall()
    return tags["storage_version"]


def test_a_catalogue_that_another_bioalign_wrote_in_a_newer_form_is_built_anew(tables):
    """It would keep its storage version if it were brought up to date."""
    own = own_catalogue_path(tables.root)
    own.unlink()
    with duckdb.connect(own, config={"storage_compatibility_version": "latest"}) as connection:
        connection.execute("CREATE TABLE catalogued (table_name VARCHAR); CREATE SCHEMA mine")
    newest = _storage_version(own)
    rebuild_catalogue(tables)
    for path in (own, catalogue_path(tables.root)):
        assert _storage_version(path).startswith("v1.2.0") != newest.startswith("v1.2.0")
    with open_catalogue(tables.root) as session:
        assert session.execute("SELECT count(*) FROM inference.embeddings").fetchall() == [(3,)]
        assert not session.execute("FROM duckdb_schemas() WHERE schema_name = 'mine'").fetchall()
