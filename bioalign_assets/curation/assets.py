"""Dagster assets of the curation room: the labelled pairs of each dataset, and their profile.

Same-class datasets need MEDIC, all others must not depend on it. A dependency on an asset without partitions is
one of every partition, so MEDIC comes by way of ``curation.disease_classes``, which has a partition for each
same-class dataset and for no other.
"""

import dagster as dg
import pyarrow as pa

from bioalign_assets.curation.classes import disease_classes, no_classes
from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.curation.figures import (
    class_balance,
    evidence_per_positive,
    frequencies,
    most_frequent_entities,
    rows_by_class,
    text_lengths_by_label,
    unseen_parts,
)
from bioalign_assets.curation.profile import profile_dataset
from bioalign_assets.partitions import Partitions
from bioalign_assets.plotting import markdown_image
from bioalign_assets.study import Study
from bioalign_assets.table_assets import asset_arguments, materialized, settings_dep
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["build_assets", "class_partitions"]


def class_partitions(study: Study) -> dg.StaticPartitionsDefinition:
    """Return the partitions of ``curation.disease_classes``: the datasets with same-class negatives."""
    return dg.StaticPartitionsDefinition(_with_classes(study))


def _with_classes(study: Study) -> list[str]:
    return [name for name, spec in study.datasets.items() if spec.needs_classes]


def build_assets(study: Study, *, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""
    classes_in = dg.AssetIn(
        key=dg.AssetKey(["curation", "disease_classes"]),
        partition_mapping=dg.StaticPartitionMapping({name: name for name in _with_classes(study)}),
    )

    @dg.asset(
        **asset_arguments(
            "curation.disease_classes",
            kinds={"python"},
            description=(
                "The classes of diseases that same-class negatives share, from CTD's vocabulary MEDIC. Only datasets "
                "with such negatives have a partition here, so that no other one depends on MEDIC."
            ),
        ),
        partitions_def=class_partitions(study),
        deps=[dg.AssetKey(["ctd", "diseases"])],
        code_version="1",
    )
    def disease_classes_(
        context: dg.AssetExecutionContext, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        # read here: a missing MEDIC is the user's affair, and they are to be told which setting it takes
        diseases = warehouse.tables.read(TABLES["ctd.diseases"])
        if not len(diseases):
            raise no_classes("none: ctd.diseases is empty")
        rows = disease_classes(diseases, dataset=context.partition_key)
        return materialized(rows, full_name="curation.disease_classes", warehouse=warehouse)

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
        ins={
            "associations": dg.AssetIn(key=dg.AssetKey(["ctd", "associations"])),
            "classes": classes_in,
        },
        deps=[settings_dep("datasets")],
        code_version="2",
    )
    def pairs(
        context: dg.AssetExecutionContext, associations: pa.Table, classes: pa.Table, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        spec = study.datasets[context.partition_key]
        rows = build_dataset(associations, spec=spec, classes=classes)
        return materialized(
            rows,
            full_name="curation.pairs",
            warehouse=warehouse,
            metadata={"settings": dg.MetadataValue.json(spec.model_dump(mode="json"))},
        )

    @dg.asset(
        **asset_arguments(
            "curation.profile",
            kinds={"matplotlib"},
            description=(
                "What the dataset looks like: Table 1 and figures 2 to 5 of the paper, and how fair its negatives are."
            ),
        ),
        partitions_def=partitions.dataset,
        ins={"pairs": dg.AssetIn(key=dg.AssetKey(["curation", "pairs"])), "classes": classes_in},
        code_version="2",
    )
    def profile(
        context: dg.AssetExecutionContext, pairs: pa.Table, classes: pa.Table, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        spec = study.datasets[context.partition_key]
        figures = {
            "class_balance": ("Class balance", class_balance(pairs)),
            "text_lengths": ("Text lengths", text_lengths_by_label(pairs)),
            "entity_frequency": ("Most frequent genes and diseases", most_frequent_entities(pairs)),
            "evidence": ("Articles per association", evidence_per_positive(pairs)),
            "frequencies": ("Positives against negatives", frequencies(pairs)),
        }
        if spec.split == "entity":
            figures["unseen"] = ("What is unseen in test", unseen_parts(pairs))
        if spec.needs_classes:
            figures["classes"] = ("Rows by class", rows_by_class(pairs, classes=classes))
        return materialized(
            profile_dataset(pairs, classes=classes),
            full_name="curation.profile",
            warehouse=warehouse,
            metadata={
                name: dg.MetadataValue.md(markdown_image(figure, title=title))
                for name, (title, figure) in figures.items()
            },
        )

    return [disease_classes_, pairs, profile]
