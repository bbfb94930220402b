"""Dagster asset checks of the models room."""

import dagster as dg

from bioalign_assets.partitions import Partitions
from bioalign_assets.table_assets import schema_checks

__all__ = ["build_checks"]


def build_checks(*, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """Return the checks of this room."""
    return schema_checks(["models.base"], partitions_def=partitions.model)
