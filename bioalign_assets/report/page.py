"""The report as one HTML page: from the tables of a warehouse to its text.

The page needs nothing but itself: no script, no font, no picture from elsewhere. Its bytes depend on the tables,
the study and the installed software, never on when or where it was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

from bioalign_assets.report.alignment import read_alignment
from bioalign_assets.report.alignment_section import alignment_section
from bioalign_assets.report.alignment_words import alignment_answer
from bioalign_assets.report.blocks import Album, Section
from bioalign_assets.report.data_sections import change_section, dataset_section
from bioalign_assets.report.picture_sections import picture_section
from bioalign_assets.report.reading import Reading
from bioalign_assets.report.score_sections import (
    improvement_section,
    leaderboard_section,
    link_prediction_section,
    seed_section,
    separation_section,
)
from bioalign_assets.report.source_sections import citation_section, provenance_section
from bioalign_assets.report.words import QUESTION, SECOND_QUESTION, answer, cautions
from bioalign_assets.study import Study
from bioalign_assets.warehouse.tables import Tables

__all__ = ["Page", "study_page"]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page and what is on it.

    :param summary: its first paragraphs: whether the geometry agrees with the graph, whether models tell true from
        false, and what a reader must know before the figures
    :param sections: titles, in order
    :param figures: how many
    :param tables: how many partitions of tables it was made from
    :param missing: variants of the study that have no answers
    """

    html: str
    summary: tuple[str, ...]
    sections: tuple[str, ...]
    figures: int
    tables: int
    missing: tuple[str, ...]


def study_page(tables: Tables, *, study: Study) -> Page:
    """Return the report of a study, from whatever of it has run.

    Variants and datasets that the study file no longer names are not on the page, also where the warehouse
    still has them; what the study names and the warehouse lacks is named as missing.
    """
    reading, album = Reading(tables), Album()
    variants = [variant.key for variant in study.variants]
    leaderboard = reading.rows("report.leaderboard")
    improvements = reading.rows("report.improvements")
    release = reading.rows("ctd.release").to_pylist()
    reading.all_rows(
        "evaluation.baselines", of=list(study.datasets)
    )  # behind the ranking, so they are named too
    answered = reading.partitions("inference.answers")
    missing = tuple(variant for variant in variants if variant not in answered)
    alignment = read_alignment(reading, variants=variants)
    roles = {name: spec.role for name, spec in study.models.items()}
    possible = (
        alignment_section(alignment, roles=roles, album=album),
        dataset_section(reading, datasets=list(study.datasets), album=album),
        leaderboard_section(leaderboard, album=album),
        improvement_section(improvements),
        separation_section(reading, variants=variants),
        seed_section(reading.rows("report.seeds")),
        link_prediction_section(reading, variants=variants, datasets=list(study.datasets)),
        picture_section(
            reading,
            improvements,
            variants=variants,
            roles=roles,
            album=album,
        ),
        change_section(reading),
        provenance_section(reading, models=list(study.models), variants=variants),
        citation_section(),
    )
    sections = [section for section in possible if section is not None]
    is_synthetic = any(row["is_synthetic"] for row in release)
    paragraphs = (
        [QUESTION, *alignment_answer(alignment)],
        [SECOND_QUESTION, *answer(leaderboard)],
        cautions(leaderboard, is_synthetic=is_synthetic),
    )
    summary = tuple(" ".join(sentences) for sentences in paragraphs if sentences)
    html = _render(
        study=study,
        summary=summary,
        sections=sections,
        missing=missing,
        release=_release_line(release),
    )
    return Page(
        html=html,
        summary=summary,
        sections=tuple(section.title for section in sections),
        figures=album.count,
        tables=len(reading.versions),
        missing=missing,
    )


def _release_line(release: Sequence[dict[str, object]]) -> str:
    if not release:
        return "No CTD release yet"
    (row,) = release
    if row["is_synthetic"]:
        return f"Synthetic demo release, {row['rows']:,} associations"
    created = row["report_created"]
    dated = f" of {created:%Y-%m-%d}" if created is not None else ""
    return f"CTD release{dated}, {row['rows']:,} associations"


def _render(
    *, study: Study, summary: Sequence[str], sections: Sequence[Section], missing: Sequence[str], release: str
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bioalign_assets.report", "templates"),
        autoescape=True,  # names of genes and diseases are other people's text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests["link"] = lambda cell: hasattr(cell, "href")
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment.get_template("study.html.j2").render(
        study=study, summary=summary, sections=sections, missing=missing, release=release
    )
