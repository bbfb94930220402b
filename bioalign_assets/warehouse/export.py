"""One portable DuckDB file of real tables, as they are or as they were: to hand on, cite or archive."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import duckdb
from deltalake import DeltaTable
from tqdm import tqdm

from bioalign_assets.errors import WarehouseError
from bioalign_assets.terminal import terminal
from bioalign_assets.warehouse.atomic import written_aside
from bioalign_assets.warehouse.catalogue import STORAGE_VERSION, comment_on, create_view, files_of
from bioalign_assets.warehouse.schemas import TABLES, TableSchema
from bioalign_assets.warehouse.tables import Tables, sql_text

__all__ = ["export_database"]


def export_database(tables: Tables, *, to: Path, as_of: datetime | None = None) -> Mapping[str, int]:
    """Write all tables into one DuckDB file, with comments; return the number of rows of each.

    The rows pass through DuckDB from file to file, so a table may be larger than memory. The table ``exported``
    says which version of each table it is.

    :param to: file to write; it must not be there yet
    :param as_of: the tables as they were at this moment (with a time zone); None for now
    :raises WarehouseError: if the file is there, nothing was in the warehouse at that moment, or files of that
        time were vacuumed
    """
    if to.exists():
        raise WarehouseError(
            str(to), found="a file that is there already", expected="the name of a new file",
            remedy="Name another, or remove it first.",
        )  # fmt: skip
    present = {schema: tables.at(schema, moment=as_of) for schema in TABLES.values()}
    if all(delta is None or delta.version() == 0 for delta in present.values()):
        raise WarehouseError(
            f"Warehouse {tables.root}", found=f"no rows{f' at {as_of}' if as_of else ''}",
            expected="tables to export", remedy="Run a study first, or name a later moment.",
        )  # fmt: skip
    to.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(to) as aside, duckdb.connect() as connection:
        connection.execute(
            f"ATTACH {sql_text(str(aside))} AS exported (STORAGE_VERSION {sql_text(STORAGE_VERSION)})"
        )
        connection.execute(
            "CREATE TABLE exported.exported (table_name VARCHAR, rows BIGINT, delta_version BIGINT, meaning VARCHAR)"
        )
        counts = {}
        for schema, delta in tqdm(
            present.items(), desc="exporting", unit="table", file=terminal(), disable=None
        ):
            counts[schema.full_name] = _export(connection, schema=schema, delta=delta, root=tables.root)
        connection.execute("DETACH exported")
    return counts


def _export(
    connection: duckdb.DuckDBPyConnection, *, schema: TableSchema, delta: DeltaTable | None, root: Path
) -> int:
    files = [] if delta is None else list(files_of(delta, schema=schema))
    gone = [file for file in files if not (root / file).is_file()]
    if gone:
        raise WarehouseError(
            f"Table {schema.full_name}", found=f"{len(gone)} of {len(files)} files of that moment gone",
            expected="files that were not vacuumed", remedy="Name a later moment: `bioalign vacuum` removed them.",
        )  # fmt: skip
    create_view(connection, schema=schema, files=files, root=root)
    name = f"exported.{schema.full_name}"
    order = ", ".join(f'"{column}"' for column in schema.order) or "ALL"
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS exported.{schema.room}")
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {schema.full_name} ORDER BY {order}")  # noqa: S608
    comment_on(connection, schema=schema, kind="TABLE", name=name)
    counted = connection.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608 - our own names
    rows = int(counted[0]) if counted else 0
    connection.execute(
        "INSERT INTO exported.exported VALUES (?, ?, ?, ?)",
        [schema.full_name, rows, None if delta is None else delta.version(), schema.row],
    )
    return rows
