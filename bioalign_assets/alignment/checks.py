"""Dagster asset checks of the alignment room."""

import dagster as dg

from bioalign_assets.table_assets import schema_checks

__all__ = ["build_checks"]


def build_checks() -> list[dg.AssetChecksDefinition]:
    """Return the checks of this room."""
    return list(schema_checks(["alignment.edges", "alignment.rewirings"]))
