"""The tables: Delta Lake tables below ``<warehouse>/tables/<room>/<table>``, one commit a write.

Here is what reads and writes rows through the schemas; the DuckDB views over them are in ``catalogue``.
A partition is replaced as one commit, other partitions stay as they are, and several processes may write at
once. Every commit bears the data version and the run that made it.
"""

import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Field, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.conform import conform, in_order, seal_of
from bioalign_assets.warehouse.locks import locked
from bioalign_assets.warehouse.schemas import TABLES, TableSchema

__all__ = ["Tables", "sql_text"]

_OBJECT_STORE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""The start of a URL, also where a path has made one slash of two."""
_UNUSABLE = "%[]^|\\\n\r\t*?="
"""What delta-rs can't have in a path (it panics or reads another folder), or DuckDB takes for a pattern."""
_ATTEMPTS = 20
_LOG_KEPT = {"delta.logRetentionDuration": "interval 1000 weeks"}
"""Commits are told to be forgotten after 30 days otherwise, and the releases before this one with them."""
_FULL_VACUUM_HOURS = 24


@dataclass(frozen=True)
class Tables:
    """All tables of one warehouse folder."""

    root: Path

    def __post_init__(self) -> None:
        if _OBJECT_STORE.match(str(self.root)):
            raise WarehouseError(
                f"BIOALIGN_WAREHOUSE={self.root}",
                found="an object store or another URL",
                expected="a folder on this machine",
                remedy="Name a local folder; a warehouse on object storage is not supported yet.",
            )
        bad = sorted(set(str(self.root.absolute())) & set(_UNUSABLE))
        if bad:
            raise WarehouseError(
                f"BIOALIGN_WAREHOUSE={self.root}",
                found=f"the characters {' '.join(map(repr, bad))} in the path",
                expected="a path without any of % [ ] ^ | * ? = \\ and control characters",
                remedy="Name another folder; the table format can't work in this one.",
            )

    def folder(self, schema: TableSchema) -> Path:
        """Return the table's folder, absolute."""
        return self.root.absolute() / "tables" / schema.room / schema.name

    def create(self, schema: TableSchema) -> DeltaTable:
        """Return the Delta table, created empty with its schema first if it is not there.

        Creating before writing matters: two first writers of a table would race otherwise.
        """
        folder = self.folder(schema)
        try:
            table = DeltaTable(folder)
        except TableNotFoundError:
            table = self._create_empty(schema, folder=folder)
        expected = Schema.from_arrow(schema.arrow)
        partitioned_by = [schema.partitioned_by] if schema.partitioned_by else []
        if table.schema() != expected:
            table = self._with_new_columns(table, expected=expected, folder=folder)
        # the order of columns on disk is nobody's affair: rows are read by name
        is_same = _by_name(table.schema()) == _by_name(expected)
        if not is_same or table.metadata().partition_columns != partitioned_by:
            raise WarehouseError(
                f"Table {schema.full_name} in {folder}",
                found=f"the columns {_told(table.schema())}, written by another version of BioAlign",
                expected=f"{_told(expected)}, partitioned by {schema.partitioned_by or 'nothing'}",
                remedy="Move the folder away (or name another BIOALIGN_WAREHOUSE) and materialise the table anew.",
            )
        return table

    @staticmethod
    def _with_new_columns(table: DeltaTable, *, expected: Schema, folder: Path) -> DeltaTable:
        """Return the table after adding the columns that an older BioAlign did not know, empty in its rows.

        Only where nothing else differs and they may be empty; then the rows stay readable until they are made anew.
        """
        present = _by_name(table.schema())
        new = [field for field in expected.fields if field.name not in present]
        is_more = all(_by_name(expected).get(name) == field for name, field in present.items())
        if not new or not is_more or not all(field.nullable for field in new):
            return table
        with locked(folder / ".create.lock", subject=f"Table in {folder}"):
            latest = DeltaTable(folder)
            if _by_name(latest.schema()) == present:  # no other process was quicker
                latest.alter.add_columns(new)
            return DeltaTable(folder)

    @staticmethod
    def _create_empty(schema: TableSchema, *, folder: Path) -> DeltaTable:
        folder.mkdir(parents=True, exist_ok=True)
        # mode="ignore" alone lets two processes create one table, the second time over the first one's rows
        with locked(folder / ".create.lock", subject=f"Table in {folder}"):
            DeltaTable.create(
                folder,
                schema=schema.arrow,
                name=schema.full_name,
                description=schema.row,
                partition_by=[schema.partitioned_by] if schema.partitioned_by else None,
                configuration=_LOG_KEPT,
                mode="ignore",
            )
        return DeltaTable(folder)

    def write(
        self,
        table: pa.Table,
        *,
        schema: TableSchema,
        partition: str | None = None,
        commit_info: Mapping[str, str] | None = None,
    ) -> int:
        """Replace the table, or one partition of it, in one commit.

        :param table: its rows; for a partition, the partition column holds that key alone. Sealed rows (``conform``)
            are taken as they are
        :param partition: key of the partition, for a partitioned table
        :param commit_info: kept with the commit: data version, run id, provenance
        :return: number of the version that holds the rows (the commit's own, or a later one where another
            process has written another partition meanwhile)
        :raises WarehouseError: if the rows don't fit the schema; nothing is written then
        """
        key = schema.partitioned_by
        if (key is None) != (partition is None):
            raise ValueError(
                f"{schema.full_name} is partitioned by {key}, the partition given is {partition}"
            )
        table = conform(table, schema=schema) if seal_of(table) is None else table.cast(schema.arrow)
        if key is not None:
            keys = pc.unique(table.column(key)).to_pylist()
            if keys not in ([partition], []):
                raise WarehouseError(
                    f"Table {schema.full_name}, column {key}",
                    found=f"rows of {keys}",
                    expected=f"rows of {partition} alone",
                    remedy="Write each partition by itself.",
                )
        if not schema.unique:
            table = table.combine_chunks()  # chunks are written in any order, and no key brings it back
        # Without a predicate two first writers of a table would both succeed and leave their rows side by side.
        rows_replaced = "true" if partition is None else f"{key} = {sql_text(partition)}"
        for attempt in range(_ATTEMPTS):
            delta = self.create(schema)
            try:
                write_deltalake(
                    delta,
                    table,
                    mode="overwrite",
                    predicate=rows_replaced,
                    commit_properties=CommitProperties(custom_metadata=dict(commit_info or {})),
                )
            except CommitFailedError as error:
                # Another process has replaced the same rows meanwhile. The whole of them is written, so writing
                # over its commit is right, and the last writer wins.
                if attempt == _ATTEMPTS - 1:
                    raise WarehouseError(
                        f"Table {schema.full_name}",
                        found=f"{_ATTEMPTS} commits in a row overtaken by other processes ({error})",
                        expected="a moment without another writer of the same rows",
                        remedy="See which runs materialise this partition at the same time, and run this one again.",
                    ) from error
                time.sleep(random.uniform(0.01, 0.05) * (attempt + 1))  # noqa: S311 - it spreads the writers
            else:
                break
        return delta.version()

    def read(
        self, schema: TableSchema, *, partitions: Sequence[str] | None = None, version: int | None = None
    ) -> pa.Table:
        """Return the rows, in the table's order (or as written, where it has none).

        :param partitions: keys to read; all by default. One that was never written has no rows.
        :param version: an earlier version of the table; the newest by default
        :raises WarehouseError: if the version never was, or was vacuumed
        """
        if partitions is not None and schema.partitioned_by is None:
            raise ValueError(f"{schema.full_name} is not partitioned, the partitions given are {partitions}")
        delta = self.create(schema)
        filters = None
        if partitions is not None:
            if not partitions:
                return schema.arrow.empty_table()
            filters = [(schema.partitioned_by, "in", list(partitions))]
        try:
            if version is not None:
                delta.load_as_version(version)
            table = delta.to_pyarrow_table(filters=filters)
        except (DeltaError, FileNotFoundError, OverflowError) as error:
            if version is None:
                raise
            raise WarehouseError(
                f"Table {schema.full_name}",
                found=f"no version {version} that can be read ({error})",
                expected="a version of its commits whose files were not vacuumed",
                remedy="Name another version, or leave it out to read the newest.",
            ) from error
        return in_order(table.select(schema.arrow.names).cast(schema.arrow), schema=schema)

    def commits(self, schema: TableSchema) -> list[dict[str, object]]:
        """Return the table's commits, newest first, each with its version, time and commit info."""
        return list(self.create(schema).history())

    def stored_versions(self, schema: TableSchema) -> dict[str | None, str | None]:
        """Return the partitions that have rows, with their data version where the newest commit wrote them.

        A table without partitions is one of key None. Nothing is created: a table that is not there has none.
        """
        try:
            delta = DeltaTable(self.folder(schema))
        except TableNotFoundError:
            return {}
        actions = pa.table(delta.get_add_actions(flatten=True))
        if not len(actions):
            return {}
        newest = delta.history(1)[0].get("data_version")
        if schema.partitioned_by is None:
            return {None: newest}
        return dict.fromkeys(actions[f"partition.{schema.partitioned_by}"].to_pylist())

    def stored_rows(self, schema: TableSchema) -> pa.Table:
        """Return the rows as they are stored; nothing is created or changed, so that a disk that is read-only will do.

        A table that is not there has none; columns that came later than the table are empty.
        """
        try:
            rows = DeltaTable(self.folder(schema)).to_pyarrow_table()
        except TableNotFoundError:
            return schema.arrow.empty_table()
        columns = [
            rows[name] if name in rows.column_names else pa.nulls(len(rows), type=type_)
            for name, type_ in zip(schema.arrow.names, schema.arrow.types, strict=True)
        ]
        return pa.table(columns, names=schema.arrow.names).cast(schema.arrow)

    def at(self, schema: TableSchema, *, moment: datetime | None) -> DeltaTable | None:
        """Return the Delta table as it was at a moment; None if it was not there yet.

        :param moment: with a time zone; None for now
        """
        delta = self.create(schema)
        if moment is None:
            return delta
        for commit in self.commits(schema):  # newest first
            if int(str(commit["timestamp"])) <= moment.timestamp() * 1000:
                delta.load_as_version(int(str(commit["version"])))
                return delta
        return None

    def unneeded_files(self, schema: TableSchema, *, older_than_hours: int) -> list[Path]:
        """Return the files of a table that no version younger than ``older_than_hours`` needs.

        From a day on this includes what killed writers left; below, it might be at work still and stays.
        """
        folder = self.folder(schema)
        try:
            found = _vacuumed(DeltaTable(folder), older_than_hours=older_than_hours, dry_run=True)
        except TableNotFoundError:
            return []
        # the log tells those that an earlier vacuum removed once more
        return [folder / path for path in found if (folder / path).is_file()]

    def named(self, schema: TableSchema, *, column: str, older_than_hours: int) -> set[str]:
        """Return the values of a column over all versions of a table but those that are older than so many hours.

        :raises WarehouseError: if a file can't be read: what it names is needed as much as the rest
        """
        gone = set(self.unneeded_files(schema, older_than_hours=older_than_hours))
        values: set[str] = set()
        for file in set(self.folder(schema).rglob("*.parquet")) - gone:
            try:
                if column in pq.read_schema(file).names:  # a file of an older BioAlign may lack it
                    values.update(filter(None, pq.read_table(file, columns=[column])[column].to_pylist()))
            except FileNotFoundError:  # a vacuum beside this one was quicker
                continue
            except (pa.ArrowException, OSError) as error:
                raise WarehouseError(
                    str(file), found=f"a file that can't be read ({str(error).splitlines()[0]})",
                    expected="the rows of a table, which say what is still needed",
                    remedy=f"Nothing is removed. Materialise {schema.full_name} again, or move the file away.",
                ) from error  # fmt: skip
        return values

    def vacuum(self, *, older_than_hours: int, only: TableSchema | None = None) -> dict[str, int]:
        """Remove the :meth:`unneeded_files` of all tables, or of one; return how many a table."""
        removed = {}
        for schema in TABLES.values() if only is None else [only]:
            gone = _vacuumed(self.create(schema), older_than_hours=older_than_hours, dry_run=False)
            removed[schema.full_name] = len(gone)
        return removed


def _vacuumed(delta: DeltaTable, *, older_than_hours: int, dry_run: bool) -> list[str]:
    gone: list[str] = delta.vacuum(
        retention_hours=older_than_hours, dry_run=dry_run, enforce_retention_duration=False,
        full=older_than_hours >= _FULL_VACUUM_HOURS,
    )  # fmt: skip
    return gone


def sql_text(value: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def _told(schema: Schema) -> str:
    return ", ".join(
        f"{field.name} {pa.field(field.to_arrow()).type}{'' if field.nullable else ' not null'}"
        for field in schema.fields
    )


def _by_name(schema: Schema) -> dict[str, Field]:
    return {field.name: field for field in schema.fields}
