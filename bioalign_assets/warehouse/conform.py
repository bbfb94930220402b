"""Rows against their schema: the columns, types, empty values, allowed values and ranges that it says.

Here belongs what refuses rows before they are stored; nothing that reads or writes.
"""

import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.schemas import Column, TableSchema

__all__ = ["conform", "in_order", "seal_of", "sealed"]

_SEAL = b"bioalign.data_version"


def conform(table: pa.Table, *, schema: TableSchema) -> pa.Table:
    """Return the table with exactly the schema's columns and types, rows in the schema's order.

    :raises WarehouseError: if a column is missing or unknown, has a type that does not convert without loss,
        holds a null that the schema forbids, or a value outside its allowed set or range
    """
    wanted = schema.arrow
    names = table.column_names
    missing = [name for name in wanted.names if name not in names]
    unknown = [name for name in names if name not in wanted.names]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if missing or unknown or repeated:
        problems = (("missing", missing), ("unknown", unknown), ("repeated", repeated))
        raise WarehouseError(
            f"Table {schema.full_name}",
            found="; ".join(f"columns {what}: {which or 'none'}" for what, which in problems),
            expected=f"exactly {wanted.names}",
            remedy="Make the asset and bioalign_assets/warehouse/schemas.py agree.",
        )
    try:
        # empty values are looked for below, where they can be counted
        table = table.select(wanted.names).cast(
            pa.schema([field.with_nullable(nullable=True) for field in wanted])
        )
    except (pa.ArrowException, ValueError) as error:
        raise WarehouseError(
            f"Table {schema.full_name}",
            found=f"a column that does not convert ({error})",
            expected=f"the types {dict(zip(wanted.names, map(str, wanted.types), strict=True))}",
            remedy="Make the asset and bioalign_assets/warehouse/schemas.py agree.",
        ) from error
    for column in schema.columns:
        problem = _problem(table.column(column.name), column=column)
        if problem:
            raise WarehouseError(
                f"Table {schema.full_name}, column {column.name}",
                found=problem,
                expected=column.unit_or_range or "a value in every row",
                remedy="Nothing was written; the rows of the last good run are still there.",
            )
    # one order for the same rows: the content hash is then the same before writing and after reading
    return in_order(table.cast(wanted), schema=schema)


def sealed(table: pa.Table, *, version: str) -> pa.Table:
    """Return rows that conform with their data version on them, so that nobody on their way does both once more."""
    return table.replace_schema_metadata({_SEAL: version})


def seal_of(table: pa.Table) -> str | None:
    """Return the data version that is on rows which conform; None for rows that nobody has looked at."""
    found = (table.schema.metadata or {}).get(_SEAL)
    return None if found is None else found.decode()


def in_order(table: pa.Table, *, schema: TableSchema) -> pa.Table:
    """Return the rows in the schema's order; as they are where it has none."""
    if not schema.order or not len(table):
        return table
    return table.sort_by([(name, "ascending") for name in schema.order])


def _problem(values: pa.ChunkedArray, *, column: Column) -> str | None:
    if values.null_count and not column.nullable:
        return f"{values.null_count} empty values"
    if pa.types.is_list(column.type):
        values = pc.list_flatten(values)
        if values.null_count:
            return f"{values.null_count} empty values within lists"
    if pa.types.is_floating(values.type) and not pc.all(pc.is_finite(values), min_count=0).as_py():
        return "values that are not finite numbers"
    others = _outside(values, column=column)
    return f"the values {others}" if others else None


def _outside(values: pa.ChunkedArray, *, column: Column) -> list[object]:
    """Return examples of values that are not allowed, or beyond the range."""
    if column.allowed is not None:
        allowed = pa.array(column.allowed, type=column.type)
        others = pc.unique(values.filter(pc.invert(pc.is_in(values, value_set=allowed)))).to_pylist()
        return [other for other in others if other is not None][:5]
    if column.minimum is None and column.maximum is None:
        return []
    low, high = pc.min_max(values).as_py().values()
    is_low = low is not None and column.minimum is not None and low < column.minimum
    is_high = high is not None and column.maximum is not None and high > column.maximum
    return ([low] if is_low else []) + ([high] if is_high else [])
