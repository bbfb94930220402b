"""Dagster asset checks of the curation room.

The published sampler repeats the paper, flaws included (negatives drawn twice, texts in both splits): its
checks warn and give the counts. Those of the stable sampler stop what follows.
"""

from collections.abc import Callable, Mapping

import dagster as dg
import pyarrow as pa

from bioalign_assets.curation.quality import QUALITY_CHECKS
from bioalign_assets.findings import Finding
from bioalign_assets.orchestration import schema_checks, table_check
from bioalign_assets.partitions import Partitions
from bioalign_assets.study import Study

__all__ = ["build_checks"]

_DESCRIPTIONS: Mapping[str, str] = {
    "label_balance": "There are as many false statements as true ones.",
    "unique_pairs": "No gene-disease pair stands in the dataset twice.",
    "no_positive_among_negatives": "No drawn negative is a curated association.",
    "no_text_in_both_splits": "No statement stands in both training and test.",
    "text_form": "Every statement has the template's form.",
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

    return [
        *schema_checks(["curation.pairs", "curation.profile"], partitions_def=partitions.dataset),
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
    ]
