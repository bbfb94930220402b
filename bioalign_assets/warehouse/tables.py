"""The tables: Delta Lake tables below ``<warehouse>/tables/<room>/<table>``, one commit a write.

Here is what reads and writes rows through the schemas; the DuckDB views over them are in ``catalogue``.
A partition is replaced as one commit, other partitions stay as they are, and several processes may write at
once. Every commit bears the data version and the run that made it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.schemas import TABLES, TableSchema

__all__ = ["Tables", "conform"]

_OBJECT_STORES = ("s3://", "gs://", "az://", "abfs://")


def conform(table: pa.Table, *, schema: TableSchema) -> pa.Table:
    """Return the table with exactly the schema's columns and types, rows in the order of its unique columns.

    :raises WarehouseError: if a column is missing or unknown, has a type that does not convert without loss,
        holds a null that the schema forbids, or a value outside its allowed set or range
    """
    wanted = schema.arrow
    missing = [name for name in wanted.names if name not in table.column_names]
    unknown = [name for name in table.column_names if name not in wanted.names]
    if missing or unknown:
        raise WarehouseError(
            f"Table {schema.full_name}",
            found=f"columns missing: {missing or 'none'}; columns unknown: {unknown or 'none'}",
            expected=f"exactly {wanted.names}",
            remedy="Make the asset and bioalign_assets/warehouse/schemas.py agree.",
        )
    try:
        table = table.select(wanted.names).cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise WarehouseError(
            f"Table {schema.full_name}",
            found=f"a column that does not convert ({error})",
            expected=f"the types {dict(zip(wanted.names, map(str, wanted.types), strict=True))}",
            remedy="Make the asset and bioalign_assets/warehouse/schemas.py agree.",
        ) from error
    for column in schema.columns:
        problem = _problem(table.column(column.name), column_name=column.name, schema=schema)
        if problem:
            raise WarehouseError(
                f"Table {schema.full_name}, column {column.name}",
                found=problem,
                expected=column.unit_or_range or "a value in every row",
                remedy="Nothing was written; the rows of the last good run are still there.",
            )
    # one order for the same rows: the content hash is then the same before writing and after reading
    return _in_order(table, schema=schema)


def _in_order(table: pa.Table, *, schema: TableSchema) -> pa.Table:
    if not schema.unique or not len(table):
        return table
    return table.sort_by([(name, "ascending") for name in schema.unique])


def _problem(values: pa.ChunkedArray, *, column_name: str, schema: TableSchema) -> str | None:
    column = schema.by_name[column_name]
    if values.null_count and not column.nullable:
        return f"{values.null_count} empty values"
    if column.allowed is not None:
        allowed = pa.array(column.allowed, type=column.type)
        others = pc.unique(values.filter(pc.invert(pc.is_in(values, value_set=allowed)))).to_pylist()
        if [other for other in others if other is not None]:
            return f"the values {others[:5]}"
    if (
        pa.types.is_floating(column.type)
        and not pc.all(pc.is_finite(values.drop_null())).as_py()
        and len(values)
    ):
        return "values that are not finite numbers"
    if column.minimum is not None or column.maximum is not None:
        bounds = pc.min_max(values)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
        if low is not None and column.minimum is not None and low < column.minimum:
            return f"the value {low}"
        if high is not None and column.maximum is not None and high > column.maximum:
            return f"the value {high}"
    return None


@dataclass(frozen=True)
class Tables:
    """All tables of one warehouse folder."""

    root: Path

    def __post_init__(self) -> None:
        if str(self.root).startswith(_OBJECT_STORES):
            raise WarehouseError(
                f"BIOALIGN_WAREHOUSE={self.root}",
                found="an object store",
                expected="a folder on this machine",
                remedy="Name a local folder; a warehouse on object storage is not supported yet.",
            )

    def folder(self, schema: TableSchema) -> Path:
        """Return the table's folder, absolute."""
        return self.root.absolute() / "tables" / schema.room / schema.name

    def create_all(self) -> None:
        """Create every table that is not there yet, empty, with its schema."""
        for schema in TABLES.values():
            self.create(schema)

    def create(self, schema: TableSchema) -> DeltaTable:
        """Return the Delta table, created empty with its schema first if it is not there.

        Creating before writing matters: two first writers of a table would race otherwise.
        """
        folder = self.folder(schema)
        try:
            table = DeltaTable(folder)
        except TableNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
            DeltaTable.create(
                folder,
                schema=schema.arrow,
                name=schema.full_name,
                description=schema.row,
                partition_by=[schema.partitioned_by] if schema.partitioned_by else None,
                mode="ignore",
            )
            table = DeltaTable(folder)
        stored = [field.name for field in table.schema().fields]
        if stored != schema.arrow.names:
            raise WarehouseError(
                f"Table {schema.full_name} in {folder}",
                found=f"the columns {stored}, written by another version of BioAlign",
                expected=f"{schema.arrow.names}",
                remedy="Move the folder away (or name another BIOALIGN_WAREHOUSE) and materialise the table anew.",
            )
        return table

    def write(
        self,
        table: pa.Table,
        *,
        schema: TableSchema,
        partition: str | None = None,
        commit_info: Mapping[str, str] | None = None,
    ) -> int:
        """Replace the table, or one partition of it, in one commit.

        :param table: its rows; for a partition, the partition column holds that key alone
        :param partition: key of the partition, for a partitioned table
        :param commit_info: kept with the commit: data version, run id, provenance
        :return: the version number of the commit
        :raises WarehouseError: if the rows don't fit the schema; nothing is written then
        """
        key = schema.partitioned_by
        if (key is None) != (partition is None):
            raise ValueError(
                f"{schema.full_name} is partitioned by {key}, the partition given is {partition}"
            )
        table = conform(table, schema=schema)
        if key is not None:
            keys = pc.unique(table.column(key)).to_pylist()
            if keys not in ([partition], []):
                raise WarehouseError(
                    f"Table {schema.full_name}, column {key}",
                    found=f"rows of {keys}",
                    expected=f"rows of {partition} alone",
                    remedy="Write each partition by itself.",
                )
        delta = self.create(schema)
        write_deltalake(
            delta,
            table,
            mode="overwrite",
            predicate=None if partition is None else f"{key} = '{partition}'",
            commit_properties=CommitProperties(custom_metadata=dict(commit_info or {})),
        )
        return delta.version()

    def read(
        self, schema: TableSchema, *, partitions: Sequence[str] | None = None, version: int | None = None
    ) -> pa.Table:
        """Return the rows, in the order of the table's unique columns (or as written, where it has none).

        :param partitions: keys to read; all by default
        :param version: an earlier version of the table; the newest by default
        """
        delta = self.create(schema)
        if version is not None:
            delta.load_as_version(version)
        filters = None
        if partitions is not None:
            if not partitions:
                return schema.arrow.empty_table()
            filters = [(schema.partitioned_by, "in", list(partitions))]
        table = delta.to_pyarrow_table(filters=filters).select(schema.arrow.names).cast(schema.arrow)
        return _in_order(table, schema=schema)

    def commits(self, schema: TableSchema) -> list[dict[str, object]]:
        """Return the table's commits, newest first, each with its version, time and commit info."""
        return list(self.create(schema).history())

    def vacuum(self, *, older_than_hours: int) -> dict[str, int]:
        """Remove files that no version younger than ``older_than_hours`` needs; return how many a table."""
        removed = {}
        for schema in TABLES.values():
            gone = self.create(schema).vacuum(
                retention_hours=older_than_hours, dry_run=False, enforce_retention_duration=False
            )
            removed[schema.full_name] = len(gone)
        return removed


def provenance_json(values: Mapping[str, object]) -> str:
    """Return a provenance record as JSON with sorted keys, so that equal records are equal text."""
    return json.dumps(values, sort_keys=True, default=str)
