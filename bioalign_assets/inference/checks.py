"""Dagster asset checks of the inference room."""

import dagster as dg

from bioalign_assets.inference.quality import (
    embeddings_are_finite,
    probabilities_are_in_range,
    ranks_are_in_range,
)
from bioalign_assets.partitions import Partitions
from bioalign_assets.table_assets import schema_checks, table_check

__all__ = ["build_checks"]


def build_checks(*, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """Return the checks of this room."""
    return [
        *schema_checks(
            [
                "inference.embeddings",
                "inference.answers",
                "inference.names",
                "inference.rankings",
                "inference.graph_names",
                "inference.layer_alignment",
            ],
            partitions_def=partitions.variant,
        ),
        *(
            table_check(
                name,
                name="finite_embeddings",
                description="Every embedding is finite, none is zero, all have the same width.",
                find=lambda rows, _: embeddings_are_finite(rows),
                partitions_def=partitions.variant,
            )
            for name in ("inference.embeddings", "inference.names", "inference.graph_names")
        ),
        table_check(
            "inference.answers",
            name="probabilities_in_range",
            description="Every p_true is a probability.",
            find=lambda rows, _: probabilities_are_in_range(rows),
            partitions_def=partitions.variant,
        ),
        table_check(
            "inference.rankings",
            name="ranks_in_range",
            description="Every rank lies between 1 and the number of candidates.",
            find=lambda rows, _: ranks_are_in_range(rows),
            partitions_def=partitions.variant,
        ),
    ]
