"""Dagster asset checks of the training room: an adapter is whole, and belongs to its base and its dataset."""

import dagster as dg

from bioalign_assets.errors import BioAlignError
from bioalign_assets.findings import Finding
from bioalign_assets.partitions import Partitions
from bioalign_assets.study import Study, Variant
from bioalign_assets.table_assets import result_of, schema_checks
from bioalign_assets.training.provenance import expected_provenance
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["adapter_belongs", "build_checks"]


def build_checks(study: Study, *, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """Return the checks of this room."""

    @dg.asset_check(
        asset=dg.AssetKey(["training", "adapter"]),
        name="belongs_to_base_and_dataset",
        description=(
            "The adapter directory holds what was trained, from the present base model, dataset and settings."
        ),
        blocking=True,
        partitions_def=partitions.variant,
    )
    def belongs(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
        return result_of(
            adapter_belongs(study.variant(context.partition_key), study=study, warehouse=warehouse)
        )

    return [*schema_checks(["training.adapter"], partitions_def=partitions.variant), belongs]


def adapter_belongs(variant: Variant, *, study: Study, warehouse: Warehouse) -> Finding:
    """Check the stored adapter of a variant against the stored base model and dataset."""
    from bioalign_assets.training.adapters import adapter_row, verify_adapter

    tables = warehouse.tables
    try:
        row = adapter_row(
            tables.read(TABLES["training.adapter"], partitions=[variant.key]), variant=variant.key
        )
        dataset = study.training_dataset(variant)
        if dataset is None:
            return Finding(passed=row["path"] is None, summary=f"{variant.key} is untuned: no adapter")
        expected = expected_provenance(
            variant,
            study=study,
            base=tables.read(TABLES["models.base"], partitions=[variant.model]),
            pairs=tables.read(TABLES["curation.pairs"], partitions=[dataset]),
        )
        folder = verify_adapter(row, warehouse=warehouse.root, expected=expected)
    except BioAlignError as error:
        return Finding(passed=False, summary=str(error))
    return Finding(
        passed=True,
        summary=f"{folder.name:.16} was trained from this base model on {dataset}, with these settings",
        counts={"trainable_parameters": row["trainable_parameters"]},
    )
