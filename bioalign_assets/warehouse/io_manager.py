"""The IO manager: assets hand over Arrow tables, the warehouse keeps them, and gives them back.

A table goes in through its schema, as one Delta commit that replaces the table or one partition of it, and
the DuckDB catalogue is renewed. Reading a table or a partition that was never materialised is an error.
"""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.catalogue import rebuild_catalogue
from bioalign_assets.warehouse.conform import conform, seal_of, sealed
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.locks import HeldError
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES, TableSchema

__all__ = ["WarehouseIOManager", "schema_of"]


def schema_of(key: dg.AssetKey) -> TableSchema:
    """Return the schema of the table that an asset key names.

    :raises KeyError: if there is no such table
    """
    return TABLES[".".join(key.path)]


class WarehouseIOManager(dg.ConfigurableIOManager):
    """Arrow tables in Delta tables, one asset a table."""

    warehouse: dg.ResourceDependency[Warehouse]

    def handle_output(self, context: dg.OutputContext, obj: pa.Table) -> None:
        """Write an asset's rows as one commit, and renew the catalogue."""
        schema = schema_of(context.asset_key)
        partition = context.partition_key if context.has_asset_partitions else None
        tables = self.warehouse.tables
        data_version = seal_of(obj)
        if data_version is None:  # an asset that handed over plain rows
            obj = conform(obj, schema=schema)
            data_version = content_hash(obj, schema=schema)
            obj = sealed(obj, version=data_version)
        version = tables.write(
            obj,
            schema=schema,
            partition=partition,
            commit_info={"data_version": data_version, "run_id": context.run_id},
        )
        try:
            rebuild_catalogue(tables)
        except HeldError as error:
            # the rows are there: to fail would make them anew. Who reads the catalogue renews it first, or fails
            context.log.warning(f"The rows are written; the catalogue does not show them yet. {error}")
        context.add_output_metadata({"delta_version": version})

    def load_input(self, context: dg.InputContext) -> pa.Table:
        """Read a table, or the partitions of it that the downstream partition depends on."""
        schema = schema_of(context.asset_key)
        # none for a variant that is untuned: it reads no training dataset, and gets an empty table
        partitions = context.asset_partition_keys if context.has_asset_partitions else None
        rows = self.warehouse.tables.read(schema, partitions=partitions)
        missing: list[str] = []
        if partitions is None:
            missing = [] if len(rows) or schema.may_be_empty else ["the table"]
        elif schema.partitioned_by is not None:
            there = set(pc.unique(rows[schema.partitioned_by]).to_pylist())
            missing = [key for key in partitions if key not in there]
        if missing:
            raise WarehouseError(
                f"Table {schema.full_name}",
                found=f"no rows for {', '.join(missing)}",
                expected="the rows that this asset reads",
                remedy=f"Materialise {schema.room}/{schema.name} for {', '.join(missing)} first.",
            )
        return rows
