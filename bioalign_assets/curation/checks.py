"""Dagster asset checks of the curation room: what every dataset must hold, and what each kind promises.

The published sampler repeats the paper, flaws included (negatives drawn twice, texts in both splits): its
checks warn and give the counts. Those of the stable sampler stop what follows.
"""

from collections.abc import Callable, Mapping

import dagster as dg
import pyarrow as pa

from bioalign_assets.curation.assets import class_partitions
from bioalign_assets.curation.promises import classes_shared, entities_held_out, frequencies_match
from bioalign_assets.curation.quality import QUALITY_CHECKS
from bioalign_assets.errors import BioAlignError
from bioalign_assets.findings import Finding
from bioalign_assets.partitions import Partitions
from bioalign_assets.study import Study
from bioalign_assets.table_assets import result_of, schema_checks, table_check
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["build_checks"]

_ONLY_WARNS = "Only a warning for the published sampler: it repeats the paper, which has this flaw."
_DESCRIPTIONS: Mapping[str, str] = {
    "label_balance": "There are as many false statements as true ones.",
    "unique_pairs": f"No gene-disease pair stands in the dataset twice. {_ONLY_WARNS}",
    "no_positive_among_negatives": "No drawn negative is a curated association.",
    "no_text_in_both_splits": f"No statement stands in both training and test. {_ONLY_WARNS}",
    "text_form": "Every statement has the template's form.",
}
_PROMISES: Mapping[str, tuple[Callable[..., Finding], str]] = {
    "frequencies_match": (
        frequencies_match,
        "Degree-matched: each gene and disease stands equally often in either label, in training and in test.",
    ),
    "entities_held_out": (
        entities_held_out,
        "Entity split: each test row names a gene or disease that no training row names, and says which.",
    ),
}
_KNOWN_FLAWS = ("unique_pairs", "no_text_in_both_splits")
"""Flaws of the published procedure: with that sampler they warn, anything else blocks."""


def build_checks(study: Study, *, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """Return the checks of this room."""

    def blocks(name: str) -> Callable[[str | None], bool]:
        def stops(partition: str | None) -> bool:
            is_published = partition is not None and study.datasets[partition].sampler == "published"
            return not (is_published and name in _KNOWN_FLAWS)

        return stops

    def finder(check: Callable[[pa.Table], Finding]) -> Callable[[pa.Table, str | None], Finding]:
        return lambda rows, _partition: check(rows)

    def promised(check: Callable[..., Finding]) -> Callable[[pa.Table, str | None], Finding]:
        return lambda rows, partition: check(rows, spec=study.datasets[partition or ""])

    return [
        *schema_checks(["curation.pairs", "curation.profile"], partitions_def=partitions.dataset),
        *schema_checks(["curation.disease_classes"], partitions_def=class_partitions(study)),
        *(
            table_check(
                "curation.pairs",
                name=name,
                description=_DESCRIPTIONS[name],
                find=finder(check),
                partitions_def=partitions.dataset,
                blocks=blocks(name),
            )
            for name, check in QUALITY_CHECKS.items()
        ),
        *(
            table_check(
                "curation.pairs",
                name=name,
                description=description,
                find=promised(check),
                partitions_def=partitions.dataset,
            )
            for name, (check, description) in _PROMISES.items()
        ),
        _classes_shared(study, partitions=partitions),
    ]


def _classes_shared(study: Study, *, partitions: Partitions) -> dg.AssetChecksDefinition:
    """Return the check that same-class negatives share a class: it reads the classes beside the pairs."""

    @dg.asset_check(
        asset=dg.AssetKey(["curation", "pairs"]),
        name="classes_shared",
        description="Same-class: each negative's disease shares a MEDIC class with a true disease of its gene.",
        blocking=True,
        partitions_def=partitions.dataset,
    )
    def check(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> dg.AssetCheckResult:
        pairs, classes = (
            warehouse.tables.read(TABLES[name], partitions=[context.partition_key])
            for name in ("curation.pairs", "curation.disease_classes")
        )
        try:
            finding = classes_shared(pairs, spec=study.datasets[context.partition_key], classes=classes)
        except BioAlignError as error:
            finding = Finding(passed=False, summary=str(error), counts={})
        return result_of(finding)

    return check
