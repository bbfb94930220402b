"""Dagster assets of the curation room: the labelled pairs of each dataset, and their profile."""

import dagster as dg
import pyarrow as pa

from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.curation.figures import (
    class_balance,
    evidence_per_positive,
    most_frequent_entities,
    text_lengths_by_label,
)
from bioalign_assets.curation.profile import profile_dataset
from bioalign_assets.orchestration import asset_arguments, materialized, settings_dep
from bioalign_assets.partitions import Partitions
from bioalign_assets.plotting import markdown_image
from bioalign_assets.study import Study
from bioalign_assets.warehouse.resources import Warehouse

__all__ = ["build_assets"]


def build_assets(study: Study, *, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""

    @dg.asset(
        **asset_arguments(
            "curation.pairs",
            kinds={"python"},
            description=(
                "The labelled dataset: curated associations as true statements, drawn pairs as false ones, "
                "divided into training and test."
            ),
        ),
        partitions_def=partitions.dataset,
        ins={"associations": dg.AssetIn(key=dg.AssetKey(["ctd", "associations"]))},
        deps=[settings_dep("datasets")],
        code_version="1",
    )
    def pairs(
        context: dg.AssetExecutionContext, associations: pa.Table, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        spec = study.datasets[context.partition_key]
        rows = build_dataset(associations, spec=spec)
        return materialized(
            rows,
            full_name="curation.pairs",
            warehouse=warehouse,
            metadata={"settings": dg.MetadataValue.json(spec.model_dump(mode="json"))},
        )

    @dg.asset(
        **asset_arguments(
            "curation.profile",
            kinds={"python", "matplotlib"},
            description="What the dataset looks like: Table 1 and figures 2 to 5 of the paper.",
        ),
        partitions_def=partitions.dataset,
        ins={"pairs": dg.AssetIn(key=dg.AssetKey(["curation", "pairs"]))},
        code_version="1",
    )
    def profile(pairs: pa.Table, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        figures = {
            "class_balance": ("Class balance", class_balance(pairs)),
            "text_lengths": ("Text lengths", text_lengths_by_label(pairs)),
            "entity_frequency": ("Most frequent genes and diseases", most_frequent_entities(pairs)),
            "evidence": ("Articles per association", evidence_per_positive(pairs)),
        }
        return materialized(
            profile_dataset(pairs),
            full_name="curation.profile",
            warehouse=warehouse,
            metadata={
                name: dg.MetadataValue.md(markdown_image(figure, title=title))
                for name, (title, figure) in figures.items()
            },
        )

    return [pairs, profile]
