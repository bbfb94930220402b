"""The gate before a new release goes into force: what speaks against it, compared with the one in force.

Rules only look. Where a refused file is kept, and how a person overrules them, is in ``blocked``; that the
asset ``ctd.release`` stops is its own business.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bioalign_assets.ctd.blocked import BlockedRelease, Objection, blocked_folder, blocked_releases
from bioalign_assets.ctd.quality import associations_are_distinct
from bioalign_assets.ctd.release import INFERENCE_COLUMNS, Release, read_usable_release
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.source import RawFile, told_about
from bioalign_assets.ctd.table_header import read_header
from bioalign_assets.errors import BioAlignError, ReleaseError

__all__ = [
    "LARGEST_LOSS",
    "BlockedRelease",
    "InForce",
    "Judgement",
    "Objection",
    "blocked_folder",
    "blocked_releases",
    "columns_of",
    "judge",
    "objections",
]

LARGEST_LOSS = 0.2
"""A release that lost a larger share of its rows was cut off, or is another file."""


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The release in force, as far as a new one is compared with it.

    :param sha256: of its file's bytes
    :param rows: number of its associations
    :param columns: of its raw file; empty where the file is gone
    :param report_created: when CTD made it, in UTC; None where it doesn't say
    :param is_synthetic: it is the demo release
    """

    sha256: str
    rows: int
    columns: frozenset[str]
    report_created: datetime | None
    is_synthetic: bool


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the gate found about a file.

    :param release: the parsed file; None if it can't be parsed as CTD's table
    :param objections: what speaks against it; none for a release that goes into force
    :param unreadable: why it can't be parsed, told about the source
    """

    release: Release | None
    objections: tuple[Objection, ...]
    unreadable: BioAlignError | None = None


def judge(raw: RawFile, *, in_force: InForce | None) -> Judgement:
    """Parse a fetched file and hold it against the release in force.

    :param in_force: None if there is none yet
    :raises SourceError: if it is no whole data file
    """
    try:
        release = read_usable_release(raw.path)
        columns = columns_of(raw.path)
    except ReleaseError as problem:
        told = told_about(raw, problem=problem)
        text = f"{told.subject}: found {told.found}, expected {told.expected}"
        return Judgement(release=None, objections=(Objection(rule="unreadable", text=text),), unreadable=told)
    except BioAlignError as problem:
        raise told_about(raw, problem=problem) from problem
    found = objections(
        release, sha256=raw.sha256, columns=columns, is_synthetic=raw.is_synthetic, in_force=in_force
    )
    return Judgement(release=release, objections=found)


def columns_of(path: Path) -> frozenset[str]:
    """Return the columns of a file of associations, without those that only the full report has.

    Without their order either: going between CTD's curated and full report, or reordered, is no change.

    :raises ReleaseError, SourceError: as ``read_header``
    """
    return frozenset(read_header(path, kind=ASSOCIATIONS).columns) - INFERENCE_COLUMNS


def objections(
    release: Release,
    *,
    sha256: str,
    columns: frozenset[str],
    is_synthetic: bool,
    in_force: InForce | None,
) -> tuple[Objection, ...]:
    """Return what speaks against a release; the file that is in force already is not judged anew.

    A synthetic release is not compared with a real one, nor the other way round: that is a change of source on
    purpose. Associations that stand twice always count.

    :param sha256: of the file's bytes
    :param columns: as ``columns_of`` gives them
    """
    if in_force is not None and in_force.sha256 == sha256:
        return ()
    found = [_duplicates(release)]
    if in_force is not None and in_force.is_synthetic == is_synthetic:
        found += [
            _fewer_rows(len(release.associations), before=in_force.rows),
            _other_columns(columns, before=in_force.columns),
            _older(release.report_created, than=in_force.report_created),
        ]
    return tuple(objection for objection in found if objection is not None)


def _duplicates(release: Release) -> Objection | None:
    finding = associations_are_distinct(release.associations)
    if finding.passed:
        return None
    return Objection(rule="duplicates", text=f"{finding.summary}: each association should stand there once")


def _fewer_rows(rows: int, *, before: int) -> Objection | None:
    if rows >= (1 - LARGEST_LOSS) * before:
        return None
    text = (
        f"{rows:,} associations where the release in force has {before:,}: {1 - rows / before:.0%} fewer, and "
        f"more than {LARGEST_LOSS:.0%} fewer looks like a file that was cut off"
    )
    return Objection(rule="rows", text=text)


def _other_columns(columns: frozenset[str], *, before: frozenset[str]) -> Objection | None:
    if not before or columns == before:
        return None
    parts = [
        f"{word} {', '.join(map(repr, sorted(names)))}"
        for word, names in (("new:", columns - before), ("gone:", before - columns))
        if names
    ]
    text = (
        f"other columns than the release in force ({'; '.join(parts)}): what a column means may have changed"
    )
    return Objection(rule="columns", text=text)


def _older(created: datetime | None, *, than: datetime | None) -> Objection | None:
    if created is None or than is None or created >= than:
        return None
    text = f"a report created on {created:%Y-%m-%d %H:%M} UTC, before the one in force of {than:%Y-%m-%d %H:%M} UTC"
    return Objection(rule="older", text=text)
