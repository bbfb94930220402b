"""Dagster asset checks of the ctd room."""

import dagster as dg

from bioalign_assets.ctd.quality import (
    associations_are_distinct,
    curated_rows_exist,
    release_fits_associations,
)
from bioalign_assets.orchestration import schema_checks, table_check

__all__ = ["build_checks"]


def build_checks() -> list[dg.AssetChecksDefinition]:
    """Return the checks of this room."""
    return [
        *schema_checks(["ctd.release", "ctd.associations", "ctd.diseases"]),
        table_check(
            "ctd.release",
            name="one_release",
            description="Exactly one release is in force, and it has rows.",
            find=lambda rows, _: release_fits_associations(rows),
        ),
        table_check(
            "ctd.associations",
            name="distinct_associations",
            description="No gene and disease stand in two rows.",
            find=lambda rows, _: associations_are_distinct(rows),
        ),
        table_check(
            "ctd.associations",
            name="curated_rows",
            description="There are rows with direct evidence; nothing can be curated without them.",
            find=lambda rows, _: curated_rows_exist(rows),
        ),
    ]
