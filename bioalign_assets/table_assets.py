"""What all assets and checks share: how a table becomes an asset, and what its materialisation says.

Here belongs Dagster's side of a table, nothing of any room's science.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from bioalign_assets.dagster_private import evaluated_check
from bioalign_assets.errors import BioAlignError
from bioalign_assets.findings import Finding
from bioalign_assets.warehouse.conform import conform, sealed
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES, TableSchema

__all__ = [
    "OWNER",
    "asset_arguments",
    "checks_stand",
    "fits_schema",
    "made_meanwhile",
    "materialized",
    "result_of",
    "schema_checks",
    "settings_dep",
    "table_check",
]

OWNER = "team:bioalign"


def asset_arguments(full_name: str, *, kinds: set[str], description: str) -> dict[str, Any]:
    """Return what ``@dg.asset`` and ``dg.AssetOut`` say about a table: key, group, columns, owner."""
    schema = TABLES[full_name]
    return {
        "key": dg.AssetKey([schema.room, schema.name]),
        "group_name": schema.room,
        "kinds": {"deltalake", *kinds},
        "owners": [OWNER],
        "description": f"{description}\n\nOne row: {schema.row[0].lower()}{schema.row[1:]}.",
        "metadata": {
            "dagster/table_name": schema.full_name,
            "dagster/column_schema": _column_schema(schema),
        },
    }


def settings_dep(name: str, *, all_partitions: bool = False) -> dg.AssetDep:
    """Return a dependency on a group of the study file's settings: a change there makes the asset stale.

    :param name: of the group (``study_settings``)
    :param all_partitions: of an asset that reads the settings of every partition
    """
    mapping = dg.AllPartitionMapping() if all_partitions else None
    return dg.AssetDep(dg.AssetKey(["study", name]), partition_mapping=mapping)


def _column_schema(schema: TableSchema) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                str(column.type),
                description=column.meaning + (f" [{column.unit_or_range}]" if column.unit_or_range else ""),
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, unique=schema.unique == (column.name,)
                ),
            )
            for column in schema.columns
        ]
    )


def materialized(
    rows: pa.Table,
    *,
    full_name: str,
    warehouse: Warehouse,
    metadata: Mapping[str, Any] | None = None,
    in_multi_asset: bool = False,
) -> dg.MaterializeResult[pa.Table]:
    """Return the result of an asset: its rows, their content hash as data version, counts and pictures.

    The rows are checked against the table's schema first, so that a bad table is never stored.

    :param metadata: more to show in the UI; a preview of the rows is always there
    """
    schema = TABLES[full_name]
    rows = conform(rows, schema=schema)
    version = content_hash(rows, schema=schema)
    count = "dagster/partition_row_count" if schema.partitioned_by else "dagster/row_count"
    return dg.MaterializeResult(
        asset_key=dg.AssetKey([schema.room, schema.name]) if in_multi_asset else None,
        value=sealed(rows, version=version),
        data_version=dg.DataVersion(version),
        metadata={
            count: len(rows),
            "dagster/uri": str(warehouse.tables.folder(schema)),
            "preview": dg.MetadataValue.md(_preview(rows)),
            **(metadata or {}),
        },
    )


def _preview(rows: pa.Table, *, most: int = 5) -> str:
    """Return the first rows as a Markdown table; a long value is cut."""
    lines = ["| " + " | ".join(rows.column_names) + " |", "|" + " --- |" * rows.num_columns]
    for row in rows.slice(0, most).to_pylist():
        cells = (_cell(value) for value in row.values())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: object, *, longest: int = 60) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if isinstance(value, list) and len(value) > 4:
        text = f"[{', '.join(map(str, value[:3]))}, … {len(value)} in all]"
    return text[:longest].replace("|", "\\|").replace("\n", " ")


def checks_stand(context: dg.AssetExecutionContext, *, but: Collection[str]) -> None:
    """Record the checks of an asset once more as they were last, in a run that is about to fail.

    Dagster shows every check that such a run had planned as failed; but what the checks are about, the rows in the
    table, stays as it is and as it was checked.

    :param but: names of checks that say something of this run itself
    """
    for check in sorted(context.job_def.asset_layer.asset_graph.get(context.asset_key).check_keys):
        last = None if check.name in but else evaluated_check(context.instance, check)
        if last is not None:
            context.instance.report_runless_asset_event(last)


def made_meanwhile(context: dg.AssetExecutionContext, full_names: Sequence[str]) -> bool:
    """Return whether another run has made tables of the partition at hand since this run was asked for.

    Two runs may have been asked for the same, by the daemon and a person: the second waits for its pool, and then has
    nothing left to do. What a person asks for again after it was made is made again.
    """
    record = context.instance.get_run_record_by_id(context.run.run_id)
    for name in full_names:
        key = dg.AssetKey(name.split("."))
        partition = [context.partition_key] if context.has_partition_key else None
        asked = dg.AssetRecordsFilter(asset_key=key, asset_partitions=partition)
        newest = context.instance.fetch_materializations(asked, limit=1).records
        made = newest[0].asset_materialization if newest else None
        if record is None or made is None or newest[0].timestamp <= record.create_timestamp.timestamp():
            return False
        provenance = dg.DataProvenance.from_tags(made.tags or {})
        if provenance is None or provenance.code_version != context.assets_def.code_versions_by_key[key]:
            return False
    return True


def result_of(finding: Finding, *, blocks: bool = True) -> dg.AssetCheckResult:
    """Return a finding of the science as the result of an asset check.

    :param blocks: whether a failure stops what follows (an error), or only warns
    """
    severity = dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=finding.passed, severity=severity, description=finding.summary, metadata=dict(finding.counts)
    )


def table_check(
    full_name: str,
    *,
    name: str,
    description: str,
    find: Callable[[pa.Table, str | None], Finding],
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    blocks: Callable[[str | None], bool] = lambda _partition: True,
    blocking: bool = True,
) -> dg.AssetChecksDefinition:
    """Return an asset check that reads the stored rows of the partition at hand and looks at them.

    :param find: looks at the rows (and the partition's key) and says what it found
    :param blocks: whether a failure for this partition is an error (which stops what follows) or a warning
    """
    schema = TABLES[full_name]

    @dg.asset_check(
        asset=dg.AssetKey([schema.room, schema.name]),
        name=name,
        description=description,
        blocking=blocking,
        partitions_def=partitions_def,
    )
    def check(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
        partition = context.partition_key if partitions_def is not None else None
        rows = warehouse.tables.read(schema, partitions=None if partition is None else [partition])
        try:
            finding = find(rows, partition)
        except BioAlignError as error:
            finding = Finding(passed=False, summary=str(error), counts={})
        return result_of(finding, blocks=blocks(partition))

    return check


def schema_checks(
    names: Sequence[str], *, partitions_def: dg.PartitionsDefinition[str] | None = None
) -> list[dg.AssetChecksDefinition]:
    """Return, for each table, the check that its stored rows fit the schema and its keys are unique."""

    def finder(schema: TableSchema) -> Callable[[pa.Table, str | None], Finding]:
        return lambda rows, _partition: fits_schema(rows, schema=schema)

    return [
        table_check(
            name,
            name="schema",
            description="The stored rows have the columns, types, ranges and unique keys that the schema says.",
            find=finder(TABLES[name]),
            partitions_def=partitions_def,
        )
        for name in names
    ]


def fits_schema(rows: pa.Table, *, schema: TableSchema) -> Finding:
    """Return whether rows fit a schema, are there at all (where they must be), and have unique keys."""
    conform(rows, schema=schema)
    repeated = 0
    if schema.unique:
        distinct = rows.select(list(schema.unique)).group_by(list(schema.unique)).aggregate([])
        repeated = len(rows) - len(distinct)
    return Finding(
        passed=repeated == 0 and (len(rows) > 0 or schema.may_be_empty),
        summary=f"{len(rows):,} rows, {repeated} of them repeat a key ({', '.join(schema.unique) or 'no key'})",
        counts={"rows": len(rows), "repeated_keys": repeated},
    )
