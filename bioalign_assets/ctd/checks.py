"""Dagster asset checks of the ctd room; the check ``acceptable`` is part of the asset ``ctd.release``."""

from contextlib import suppress

import dagster as dg

from bioalign_assets.ctd.quality import (
    associations_are_distinct,
    curated_rows_exist,
    release_fits_associations,
)
from bioalign_assets.ctd.refused_releases import was_accepted
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.sighting import Sighting, look
from bioalign_assets.errors import SourceError
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.table_assets import schema_checks, table_check
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["SOURCE_ANSWERS", "build_checks", "known_sighting", "source_silent"]

SOURCE_ANSWERS = "source_answers"
"""Name of the check on ``ctd.release`` that the source can be reached; the sensor emits it too."""
_RELEASE = dg.AssetKey(["ctd", "release"])


def build_checks(study: Study, *, settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Return the checks of this room."""
    return [
        *schema_checks(["ctd.release", "ctd.associations", "ctd.diseases"]),
        table_check(
            "ctd.release",
            name="one_release",
            description="Exactly one release is in force, and it has rows.",
            find=lambda rows, _: release_fits_associations(rows),
        ),
        _source_answers(study, settings=settings),
        table_check(
            "ctd.associations",
            name="distinct_associations",
            description=(
                "No gene and disease stand in two rows. Only a warning for a release that a person accepted."
            ),
            find=lambda rows, _: associations_are_distinct(rows),
            blocks=lambda _: not _in_force_was_accepted(settings),
        ),
        table_check(
            "ctd.associations",
            name="curated_rows",
            description="There are rows with direct evidence; nothing can be curated without them.",
            find=lambda rows, _: curated_rows_exist(rows),
        ),
    ]


def source_silent(error: SourceError, *, failed_looks: int) -> str:
    """Return the description of a failed ``source_answers``: what went wrong, and the way out.

    :param failed_looks: how many looks in a row failed, this one included
    """
    often = "" if failed_looks < 2 else f" ({failed_looks} looks in a row failed)"
    by_hand = "" if ASSOCIATIONS.by_hand in error.remedy else f" {ASSOCIATIONS.by_hand}"
    return (
        f"{error}{by_hand}{often} The last good release stays in force; a new one is not noticed as long as the "
        f"source doesn't answer. {ASSOCIATIONS.setting} may also name a folder into which new releases are "
        "downloaded by hand: the newest in it is taken."
    )


def known_sighting(instance: dg.DagsterInstance) -> Sighting | None:
    """Return how the source looked when the release in force was fetched; None if that was never told."""
    event = instance.get_latest_materialization_event(_RELEASE)
    materialization = event.asset_materialization if event is not None else None
    told = materialization.metadata.get("sighting") if materialization is not None else None
    with suppress(ValueError):
        return None if told is None else Sighting.from_json(str(told.value))
    return None


def _source_answers(study: Study, *, settings: Settings) -> dg.AssetChecksDefinition:
    source = settings.ctd_source or study.source.ctd

    @dg.asset_check(
        asset=_RELEASE,
        name=SOURCE_ANSWERS,
        description=(
            "The source of releases answers, and with something that can be a CTD table. Looked at without "
            "downloading anything; a failure is a warning, for the release in force stays as good as it was."
        ),
    )
    def source_answers(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        known = known_sighting(context.instance)
        try:
            seen = look(source, demo_release=study.demo_release, known=known)
        except SourceError as error:
            return dg.AssetCheckResult(
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                description=source_silent(error, failed_looks=1),
            )
        if seen is None:
            told = (
                "it answers, but tells nothing by which a new release could be noticed without downloading it"
            )
        else:
            same = known is not None and seen.signature == known.signature
            state = "as when the release in force was fetched" if same else "not yet fetched as it is now"
            told = f"{seen.told}; {state}"
        return dg.AssetCheckResult(
            passed=True, severity=dg.AssetCheckSeverity.WARN, description=f"The source answers: {told}."
        )

    return source_answers


def _in_force_was_accepted(settings: Settings) -> bool:
    rows = Tables(settings.warehouse).read(TABLES["ctd.release"]).to_pylist()
    return any(was_accepted(row["sha256"], raw=settings.warehouse / "raw") for row in rows)
