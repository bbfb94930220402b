"""What the report reads: partitions of tables, each noted with its data version as it is read.

So the page can name everything that it was made from, and nothing that it was not.
"""

from dataclasses import dataclass, field

import pyarrow as pa

from bioalign_assets.warehouse.catalogue import files_of
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["Reading"]


@dataclass(frozen=True)
class Reading:
    """The tables of a warehouse, and the data versions of what was read of them."""

    tables: Tables
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    """By table and partition (an empty text where the table has none): the content hash of the rows"""

    def rows(self, full_name: str, *, partition: str | None = None) -> pa.Table:
        """Return a table, or a partition of one; no rows where it was never materialised."""
        schema = TABLES[full_name]
        if (schema.partitioned_by is None) != (partition is None):
            raise ValueError(
                f"{full_name} is partitioned by {schema.partitioned_by}, the partition is {partition}"
            )
        rows = self.tables.read(schema, partitions=None if partition is None else [partition])
        if len(rows):
            self.versions[full_name, partition or ""] = content_hash(rows, schema=schema)
        return rows

    def partitions(self, full_name: str) -> set[str]:
        """Return the keys of the partitions that have rows."""
        schema = TABLES[full_name]
        files = files_of(self.tables.create(schema), schema=schema)
        return {key for key in files.values() if key is not None}

    def all_rows(self, full_name: str, *, of: list[str]) -> pa.Table:
        """Return those of some partitions that have rows, in their order.

        :param of: keys, in the order in which their rows are wanted
        """
        there = self.partitions(full_name)
        parts = [self.rows(full_name, partition=key) for key in of if key in there]
        return pa.concat_tables(parts) if parts else TABLES[full_name].arrow.empty_table()
