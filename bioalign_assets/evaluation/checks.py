"""Dagster asset checks of the evaluation room: every figure lies in its metric's range, inside its interval."""

import dagster as dg

from bioalign_assets.evaluation.quality import changes_are_in_range, metrics_are_in_range
from bioalign_assets.partitions import Partitions
from bioalign_assets.table_assets import schema_checks, table_check

__all__ = ["build_checks"]

_BY_VARIANT = ("kg_separation", "embedding_probe", "zero_shot", "link_prediction", "cluster_quality")


def build_checks(*, partitions: Partitions, has_medic: bool = False) -> list[dg.AssetChecksDefinition]:
    """Return the checks of this room."""
    tables = {f"evaluation.{name}": partitions.variant for name in _BY_VARIANT}
    tables["evaluation.baselines"] = partitions.dataset
    return [
        *schema_checks(
            [
                f"evaluation.{name}"
                for name in (
                    *_BY_VARIANT,
                    "cluster_map",
                    "graph_alignment",
                    "graph_alignment_changes",
                    "graph_alignment_layers",
                )
            ],
            partitions_def=partitions.variant,
        ),
        *schema_checks(["evaluation.baselines"], partitions_def=partitions.dataset),
        *schema_checks(["evaluation.comparisons"], partitions_def=partitions.tuned),
        *schema_checks(["evaluation.graph_alignment_baselines"]),
        *schema_checks(
            ["evaluation.medic_alignment"] if has_medic else [], partitions_def=partitions.variant
        ),
        table_check(
            "evaluation.comparisons",
            name="metric_ranges",
            description="Both figures lie in their metric's range; the change is their difference, in its interval.",
            find=lambda rows, _: changes_are_in_range(rows),
            partitions_def=partitions.tuned,
        ),
        *(
            table_check(
                name,
                name="metric_ranges",
                description="Every figure and interval lies in the range that its metric declares.",
                find=lambda rows, _: metrics_are_in_range(rows),
                partitions_def=partitions_def,
            )
            for name, partitions_def in tables.items()
        ),
    ]
