"""``bioalign.duckdb``: views over exactly the current files of every table, for anyone with DuckDB.

The file is built anew beside the old one and renamed over it after every commit. Sessions that are open keep
reading the files that they saw, new ones see the new state, and nobody waits.

There are two copies. ``bioalign.duckdb`` is for people, who may open it to read and write: DuckDB then locks that
file, and its log (``.wal``) bars everyone from a newer one under the same name. So our own sessions read the other,
``.catalogue.duckdb``, which nobody ever writes to.
"""

import hashlib
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.atomic import remove_leftovers, written_aside
from bioalign_assets.warehouse.locks import locked
from bioalign_assets.warehouse.schemas import TABLES, Column, TableSchema
from bioalign_assets.warehouse.tables import Tables, sql_text

__all__ = [
    "CATALOGUE",
    "STORAGE_VERSION",
    "catalogue_path",
    "comment_on",
    "create_view",
    "files_of",
    "open_catalogue",
    "own_catalogue_path",
    "rebuild_catalogue",
    "renew_if_behind",
    "sql_type",
]

CATALOGUE = "bioalign.duckdb"
STORAGE_VERSION = "v1.2.0"
"""Of the files that people read: DuckDB 1.2 and all that came after it know this form."""
_OWN_CATALOGUE = ".catalogue.duckdb"
_FIRST_COMMIT = f"{0:020}.json"
_COMMIT = re.compile(r"\d{20}\.json")
_SOURCE = Path(__file__).read_text(encoding="utf-8")
"""As this process runs it: a process that lives on while the file is replaced still writes the old form."""
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
    """Return the path of the catalogue of a warehouse folder, for people."""
    return root.absolute() / CATALOGUE


def own_catalogue_path(root: Path) -> Path:
    """Return the path of the copy that assets and commands read; open it read-only, always."""
    return root.absolute() / _OWN_CATALOGUE


def rebuild_catalogue(tables: Tables) -> Path:
    """Build the catalogue over the tables as they are now, and put it in the place of the old one.

    One process builds at a time (an inter-process lock), so the last one to build has seen every commit. Views of
    tables that have no new commit are taken from the old one.

    :return: the path of the catalogue for people
    :raises HeldError: if another process holds the lock for longer than a minute; the catalogue stays as it is, and the
        next that builds it sees all commits
    """
    own, public = own_catalogue_path(tables.root), catalogue_path(tables.root)
    own.parent.mkdir(parents=True, exist_ok=True)
    with locked(own.with_name(".catalogue.lock"), subject=f"Catalogue of {tables.root.absolute()}"):
        for name in (own.name, public.name):  # the lock is ours: who was at work on these was killed
            remove_leftovers(own.parent, start=f"{name}.", older_than_s=0)
        with written_aside(own) as aside:
            with suppress(FileNotFoundError):
                shutil.copyfile(own, aside)
            known = _shown(aside, form=_form(tables.root))
            if not known:
                aside.unlink(missing_ok=True)
            _build(aside, tables=tables, known=known)
        with written_aside(public) as aside:
            shutil.copyfile(own, aside)
            # a session that wrote to the old file left its log here, and DuckDB would take it for the new file's
            public.with_name(f"{public.name}.wal").unlink(missing_ok=True)
    return public


def renew_if_behind(tables: Tables) -> None:
    """See that the catalogue shows every commit, for who reads what others have just written.

    :raises HeldError: if it does not, and can't be built
    """
    newest = {schema.full_name: _newest_commit(tables.folder(schema)) for schema in TABLES.values()}
    if _shown(own_catalogue_path(tables.root), form=_form(tables.root)) != newest:
        rebuild_catalogue(tables)


def _shown(path: Path, *, form: str) -> Mapping[str, str]:
    """Return the state in which a catalogue has each table.

    One of another form, one that DuckDB can't read and one that is not there have none.
    """
    with suppress(duckdb.Error), duckdb.connect(path, read_only=True) as connection:
        comment = connection.execute(
            "SELECT comment FROM duckdb_tables() WHERE table_name = 'catalogued'"
        ).fetchone()
        if comment == (_comment(form),):
            return dict(connection.execute("SELECT table_name, newest_commit FROM catalogued").fetchall())
    return {}


def _comment(form: str) -> str:
    return f"The tables, as this file shows them. Form of its views: {form}"


def _build(path: Path, *, tables: Tables, known: Mapping[str, str]) -> None:
    """Bring a copy of an earlier catalogue up to the tables' newest commits, or begin with an empty file."""
    with duckdb.connect(path, config={"storage_compatibility_version": STORAGE_VERSION}) as connection:
        connection.begin()  # one transaction: a commit for each of the comments would cost half a second
        if not known:
            connection.execute(
                "CREATE TABLE catalogued "
                "(table_name VARCHAR, delta_version BIGINT, files BIGINT, meaning VARCHAR, newest_commit VARCHAR)"
            )
            connection.execute(f"COMMENT ON TABLE catalogued IS {sql_text(_comment(_form(tables.root)))}")
        for schema in TABLES.values():
            # looked at before the table is read: the next build sees a commit in between once more
            state = _newest_commit(tables.folder(schema))
            if state is None:
                tables.create(schema)
                state = _newest_commit(tables.folder(schema))
            if state is not None and known.get(schema.full_name) == state:
                continue
            delta = tables.create(schema)
            files = files_of(delta, schema=schema)
            create_view(connection, schema=schema, files=list(files), root=tables.root)
            connection.execute("DELETE FROM catalogued WHERE table_name = ?", [schema.full_name])
            connection.execute(
                "INSERT INTO catalogued VALUES (?, ?, ?, ?, ?)",
                [schema.full_name, delta.version(), len(files), schema.row, state],
            )
            if schema.full_name == "inference.embeddings":
                _create_model_views(connection, files=files, root=tables.root)
        connection.commit()


def _newest_commit(folder: Path) -> str | None:
    """Return what tells the state of a table from any other, without reading it; None if that can't be told.

    The name of the newest file in its log, and which file the first one is: a table that was deleted and made anew
    counts from 0 again.
    """
    log = folder / "_delta_log"
    try:
        first = (log / _FIRST_COMMIT).stat()
        # whole names only: a commit is written under another name first, which a killed writer leaves there
        newest = max(path.name for path in log.iterdir() if _COMMIT.fullmatch(path.name))
    except FileNotFoundError:
        return None
    return f"{newest} {first.st_ino} {first.st_mtime_ns}"


def _form(root: Path) -> str:
    """Return a hash of all that the views depend on beside the files: schemas, place, and the code that writes them."""
    parts = (repr(TABLES), str(root.absolute()), _SOURCE)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@contextmanager
def open_catalogue(root: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a read-only session on the catalogue; close it at the end of the block.

    It reads the tables below ``root``, also after the folder was moved, and no other file, and its settings stay as
    they are. Which statements only read, ``statements`` tells.

    :raises WarehouseError: if the warehouse has no catalogue yet
    """
    path = own_catalogue_path(root)
    if not path.is_file():
        raise WarehouseError(
            f"Warehouse {root.absolute()}",
            found="no catalogue",
            expected=f"the file {path.name}, which every run makes",
            remedy="Run bioalign demo, or name another folder in BIOALIGN_WAREHOUSE.",
        )
    connection = duckdb.connect(path, read_only=True)
    try:
        connection.execute(f"""
            SET VARIABLE bioalign_root = {sql_text(str(path.parent))};
            SET temp_directory = {sql_text(_spill_folder())};
            SET python_enable_replacements = false;
            SET autoinstall_known_extensions = false;
            SET autoload_known_extensions = false;
            SET allowed_directories = [{sql_text(str(path.parent / "tables"))}];
            SET enable_external_access = false;
            SET lock_configuration = true;
        """)
        yield connection
    finally:
        connection.close()


def _spill_folder() -> str:
    """Return a folder for what is larger than memory: not in the warehouse, which may be read-only.

    DuckDB makes it when it needs it, and removes it. Where no folder can be written it is empty: nothing is spilled.
    """
    try:
        return f"{tempfile.gettempdir()}/bioalign-{uuid.uuid4().hex}"
    except FileNotFoundError:
        return ""


def files_of(delta: DeltaTable, *, schema: TableSchema) -> Mapping[Path, str | None]:
    """Return the current files of a table, below the warehouse folder, each with its partition's key."""
    actions = pa.table(delta.get_add_actions(flatten=True))
    paths = actions["path"].to_pylist()
    keys = [None] * len(paths)
    if schema.partitioned_by is not None:
        keys = actions[f"partition.{schema.partitioned_by}"].to_pylist()
    folder = Path("tables") / schema.room / schema.name
    # the log writes paths as URLs
    return dict(sorted(zip((folder / unquote(path) for path in paths), keys, strict=True)))


def sql_type(type_: pa.DataType) -> str:
    """Return DuckDB's name of an Arrow type that the schemas use."""
    if pa.types.is_list(type_):
        return f"{_SQL_TYPES[type_.value_type]}[]"
    return _SQL_TYPES[type_]


def create_view(
    connection: duckdb.DuckDBPyConnection, *, schema: TableSchema, files: list[Path], root: Path
) -> None:
    """Create the view of a table over some of its files (paths below ``root``), with comments."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema.room}")
    if files:
        # An absolute path, which a session may override after the folder was moved: see data_warehouse/README.md
        start = f"coalesce(getvariable('bioalign_root'), {sql_text(str(root.absolute()))})"
        paths = ", ".join(f"{start} || {sql_text('/' + file.as_posix())}" for file in files)
        columns = ", ".join(f'CAST("{c.name}" AS {sql_type(c.type)}) AS "{c.name}"' for c in schema.columns)
        hive = f"hive_partitioning = {schema.partitioned_by is not None}, hive_types_autocast = false"
        source = f"read_parquet([{paths}], {hive})"
        may_lack = [c for c in schema.columns if c.nullable]
        if may_lack:
            # files that an older BioAlign wrote have no column that came later
            source = f"({_no_rows(may_lack)} UNION ALL BY NAME FROM {source[:-1]}, union_by_name = true))"
        query = f"SELECT {columns} FROM {source}"  # noqa: S608 - our own names
    else:
        query = _no_rows(schema.columns)
    connection.execute(f"CREATE OR REPLACE VIEW {schema.full_name} AS {query}")
    comment_on(connection, schema=schema, kind="VIEW", name=schema.full_name)


def _no_rows(columns: Sequence[Column]) -> str:
    """Return a query that has these columns and no row."""
    return (
        "SELECT "
        + ", ".join(f'CAST(NULL AS {sql_type(c.type)}) AS "{c.name}"' for c in columns)
        + " WHERE false"
    )


def comment_on(
    connection: duckdb.DuckDBPyConnection, *, schema: TableSchema, kind: Literal["VIEW", "TABLE"], name: str
) -> None:
    """Say what a view or table and its columns mean, as the schema does."""
    connection.execute(f"COMMENT ON {kind} {name} IS {sql_text(schema.row)}")
    for column in schema.columns:
        unit = f" [{column.unit_or_range}]" if column.unit_or_range else ""
        connection.execute(f'COMMENT ON COLUMN {name}."{column.name}" IS {sql_text(column.meaning + unit)}')


def _create_model_views(
    connection: duckdb.DuckDBPyConnection, *, files: Mapping[Path, str | None], root: Path
) -> None:
    """Create one view a model with the embedding as FLOAT[d], which array_cosine_similarity needs.

    A model that was changed has embeddings of two widths until all its variants are made anew. They stay lists then:
    DuckDB refuses to compare those of its view by name, where no row is left out and none fails.
    """
    for (view,) in connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE schema_name = 'inference' AND starts_with(view_name, 'embeddings_')"
    ).fetchall():
        connection.execute(f'DROP VIEW inference."{view}"')
    widths: dict[str, set[int]] = {}
    for file, variant in files.items():
        width = _width(root / file)
        if variant is not None and width is not None:
            widths.setdefault(variant.split("@")[0], set()).add(width)
    for model, found in sorted(widths.items()):
        view = f'inference."embeddings_{model.replace("-", "_")}"'
        form = f"FLOAT[{min(found)}]" if len(found) == 1 else "FLOAT[]"
        told = f"inference.embeddings of {model}, embedding as {form}"
        if len(found) > 1:
            told += f": it has widths {', '.join(map(str, sorted(found)))} until all variants are made anew"
        connection.execute(
            f"CREATE VIEW {view} AS SELECT * REPLACE (CAST(embedding AS {form}) AS embedding) "  # noqa: S608
            f"FROM inference.embeddings WHERE model = {sql_text(model)}"
        )
        connection.execute(f"COMMENT ON VIEW {view} IS {sql_text(told)}")


def _width(file: Path) -> int | None:
    """Return how long the embeddings of a file are, by its footer; None if it has no row."""
    footer = pq.read_metadata(file)
    if footer.num_rows == 0:
        return None
    rows = footer.row_group(0)
    (values,) = (
        column.num_values
        for column in map(rows.column, range(rows.num_columns))
        if column.path_in_schema.startswith("embedding.")
    )
    return int(values // rows.num_rows)
