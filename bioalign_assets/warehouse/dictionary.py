"""The data dictionary: every table and column of the schemas, as Markdown."""

from bioalign_assets.warehouse.catalogue import sql_type
from bioalign_assets.warehouse.schemas import TABLES, TableSchema

__all__ = ["data_dictionary"]

_HEAD = """# Data dictionary

Generated from `bioalign_assets/warehouse/schemas.py` by `bioalign docs`; do not edit it by hand.
All tables stand in `data_warehouse/bioalign.duckdb` as views. A table's data version is the SHA-256 of its rows;
columns marked * (dates, durations, places) don't enter it.
"""


def data_dictionary() -> str:
    """Return the data dictionary of all tables."""
    return "\n".join([_HEAD, *(_table(schema) for schema in TABLES.values())])


def _table(schema: TableSchema) -> str:
    lines = [f"## {schema.full_name}", "", f"One row: {schema.row}."]
    if schema.partitioned_by:
        lines.append(f"Partitioned by `{schema.partitioned_by}`.")
    if schema.unique:
        lines.append(f"Unique: {', '.join(f'`{name}`' for name in schema.unique)}.")
    lines += ["", "| column | type | unit or range | meaning |", "| --- | --- | --- | --- |"]
    for column in schema.columns:
        kind = sql_type(column.type) + ("" if column.nullable else " NOT NULL")
        name = column.name if column.in_version else f"{column.name} *"
        lines.append(f"| {name} | {kind} | {column.unit_or_range} | {column.meaning} |")
    return "\n".join(lines) + "\n"
