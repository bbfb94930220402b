"""``bioalign.duckdb``: views over exactly the current files of every table, for anyone with DuckDB.

The file is built anew beside the old one and renamed over it after every commit. Sessions that are open keep
reading the files that they saw, new ones see the new state, and nobody waits: DuckDB's lock is never needed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from filelock import FileLock

from bioalign_assets.warehouse.atomic import remove_leftovers, written_aside
from bioalign_assets.warehouse.schemas import TABLES, TableSchema
from bioalign_assets.warehouse.tables import Tables

__all__ = ["CATALOGUE", "catalogue_path", "open_catalogue", "rebuild_catalogue"]

CATALOGUE = "bioalign.duckdb"
_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.int8(): "TINYINT",
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


def catalogue_path(root: Path) -> Path:
    """Return the path of the catalogue of a warehouse folder."""
    return root.absolute() / CATALOGUE


def rebuild_catalogue(tables: Tables) -> Path:
    """Build the catalogue over the tables as they are now, and put it in the place of the old one.

    One process builds at a time (an inter-process lock), so the last one to build has seen every commit.
    """
    target = catalogue_path(tables.root)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(".catalogue.lock")):
        remove_leftovers(target.parent)
        with written_aside(target) as aside, duckdb.connect(aside) as connection:
            connection.begin()  # one transaction: a commit for each of the comments would cost half a second
            connection.execute(
                "CREATE TABLE catalogued (table_name VARCHAR, delta_version BIGINT, files BIGINT, meaning VARCHAR)"
            )
            for schema in TABLES.values():
                delta = tables.create(schema)
                files = _files(delta, root=tables.root)
                _create_view(connection, schema=schema, files=files, root=tables.root)
                connection.execute(
                    "INSERT INTO catalogued VALUES (?, ?, ?, ?)",
                    [schema.full_name, delta.version(), len(files), schema.row],
                )
                if schema.full_name == "inference.embeddings":
                    _create_model_views(connection, files=files)
            connection.commit()
    return target


@contextmanager
def open_catalogue(root: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a read-only session on the catalogue; close it at the end of the block."""
    connection = duckdb.connect(catalogue_path(root), read_only=True)
    try:
        yield connection
    finally:
        connection.close()


def _files(delta: DeltaTable, *, root: Path) -> list[Path]:
    return sorted(Path(uri).relative_to(root.absolute()) for uri in delta.file_uris())


def sql_type(type_: pa.DataType) -> str:
    """Return DuckDB's name of an Arrow type that the schemas use."""
    if pa.types.is_list(type_):
        return f"{_SQL_TYPES[type_.value_type]}[]"
    return _SQL_TYPES[type_]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _create_view(
    connection: duckdb.DuckDBPyConnection, *, schema: TableSchema, files: list[Path], root: Path
) -> None:
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema.room}")
    if files:
        # An absolute path, which a session may override after the folder was moved: see data_warehouse/README.md
        start = f"coalesce(getvariable('bioalign_root'), {_text(str(root.absolute()))})"
        paths = ", ".join(f"{start} || {_text('/' + file.as_posix())}" for file in files)
        columns = ", ".join(f'CAST("{c.name}" AS {sql_type(c.type)}) AS "{c.name}"' for c in schema.columns)
        hive = f"hive_partitioning = {schema.partitioned_by is not None}, hive_types_autocast = false"
        source = f"read_parquet([{paths}], {hive})"
        query = f"SELECT {columns} FROM {source}"  # noqa: S608 - our own names
    else:
        columns = ", ".join(f'CAST(NULL AS {sql_type(c.type)}) AS "{c.name}"' for c in schema.columns)
        query = f"SELECT {columns} WHERE false"
    connection.execute(f"CREATE VIEW {schema.full_name} AS {query}")
    connection.execute(f"COMMENT ON VIEW {schema.full_name} IS {_text(schema.row)}")
    for column in schema.columns:
        unit = f" [{column.unit_or_range}]" if column.unit_or_range else ""
        connection.execute(
            f'COMMENT ON COLUMN {schema.full_name}."{column.name}" IS {_text(column.meaning + unit)}'
        )


def _create_model_views(connection: duckdb.DuckDBPyConnection, *, files: list[Path]) -> None:
    """Create one view a model with the embedding as FLOAT[d], which array_cosine_similarity needs."""
    # Folder names: variant=<model>%40<experiment>; one row of one file tells the width.
    models = sorted({file.parent.name.removeprefix("variant=").split("%40")[0] for file in files})
    for model in models:
        width = connection.execute(
            "SELECT len(embedding) FROM inference.embeddings WHERE model = ? LIMIT 1", [model]
        ).fetchone()
        if width is None:
            continue
        view = f'inference."embeddings_{model.replace("-", "_")}"'
        connection.execute(
            f"CREATE VIEW {view} AS SELECT * REPLACE (CAST(embedding AS FLOAT[{width[0]}]) AS embedding) "  # noqa: S608
            f"FROM inference.embeddings WHERE model = {_text(model)}"
        )
        connection.execute(
            f"COMMENT ON VIEW {view} IS {_text(f'inference.embeddings of {model}, embedding as FLOAT[{width[0]}]')}"
        )
