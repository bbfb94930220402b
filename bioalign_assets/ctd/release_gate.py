"""The gate before a new release goes into force: fetched, held against the one in force, kept or kept aside.

Where a refused file is kept is in ``refused_releases``; that the asset ``ctd.release`` stops is its business.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from bioalign_assets.ctd.quality import (
    associations_are_distinct,
    evidence_is_known,
    names_are_told_apart,
    symbols_are_no_dates,
)
from bioalign_assets.ctd.refused_releases import (
    Objection,
    RefusedRelease,
    keep_aside,
    kept_aside,
    note_acceptance,
)
from bioalign_assets.ctd.release import INFERENCE_COLUMNS, Release, read_usable_release
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.source import RawFile, keep, told_about
from bioalign_assets.ctd.table_header import read_header
from bioalign_assets.errors import BioAlignError, ReleaseError

__all__ = ["LARGEST_LOSS", "InForce", "Ingested", "Refused", "columns_of", "in_force_of", "ingest"]

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
class Ingested:
    """A release that goes into force.

    :param raw: its file, kept
    :param release: its content
    :param overruled: what spoke against it, where a person accepted it all the same
    """

    raw: RawFile
    release: Release
    overruled: tuple[Objection, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of it, though nothing speaks against it; whole sentences."""
        release = self.release
        undated = release.report_created_problem
        evidence = evidence_is_known(release.associations)
        return (
            *release.remarks,
            *([f"{evidence.summary}."] if evidence.counts["unknown"] else []),
            *([f"Its date can't be told: {undated}."] if undated else []),
            *([self.raw.passed_over] if self.raw.passed_over else []),
        )


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A release that doesn't go into force.

    :param record: where it is kept aside, and why
    :param rows: number of its associations; None if it can't be parsed
    :param error: what to raise: the objections and the way out
    """

    record: RefusedRelease
    rows: int | None
    error: ReleaseError


def in_force_of(release: pa.Table, *, root: Path) -> InForce | None:
    """Return the release in force as the gate sees it; None if there is none yet.

    :param release: ``ctd.release``
    :param root: folder of the warehouse
    """
    if not len(release):
        return None
    row = release.slice(0, 1).to_pylist()[0]
    try:
        columns = columns_of(root / row["raw_path"])
    except BioAlignError:  # the raw file was removed by hand: the columns can't be compared, the rest can
        columns = frozenset()
    return InForce(
        sha256=row["sha256"],
        rows=row["rows"],
        columns=columns,
        report_created=row["report_created"],
        is_synthetic=row["is_synthetic"],
    )


def columns_of(path: Path) -> frozenset[str]:
    """Return the columns of a file of associations, without those that only the full report has.

    Without their order either: going between CTD's curated and full report, or reordered, is no change.

    :raises ReleaseError, SourceError: as ``read_header``
    """
    return frozenset(read_header(path, kind=ASSOCIATIONS).columns) - INFERENCE_COLUMNS


def ingest(
    source: str,
    *,
    fetching: Callable[[str], AbstractContextManager[RawFile]],
    raw: Path,
    in_force: InForce | None,
    accept: str = "",
) -> Ingested | Refused:
    """Fetch a release, hold it against the one in force, and keep it; or keep it aside.

    :param source: of releases
    :param fetching: ``fetched`` with everything but the source, into ``<raw>/ctd``
    :param raw: the warehouse's folder of raw files
    :param in_force: None if there is none yet
    :param accept: SHA-256 of a refused file that a person has looked at: that very file is taken from where it
        was kept aside, and goes into force whatever speaks against it
    :raises SourceError: if the source gives no whole data file; nothing is kept then
    :raises ReleaseError: if no such file was refused, or it can't be parsed
    """
    accepted = _to_accept(accept, raw=raw) if accept else None
    with fetching(source if accepted is None else str(accepted.path)) as fetched:
        file = fetched if accepted is None else _came_before(fetched, record=accepted)
        release, told = None, None
        try:
            release = read_usable_release(file.path)
            found = tuple(_objections(release, file=file, in_force=in_force))
        except ReleaseError as problem:
            told = told_about(problem, path=file.path, uri=file.source_uri)
            text = f"{told.subject}: found {told.found}, expected {told.expected}"
            found = (Objection(rule="unreadable", text=text),)
        if release is None or (found and accepted is None):
            record = keep_aside(file, objections=found, raw=raw)
            rows = None if release is None else len(release.associations)
            return Refused(
                record=record, rows=rows, error=_refusal(record, unreadable=told, in_force=in_force)
            )
        ingested = Ingested(raw=keep(file, into=raw / "ctd"), release=release, overruled=found)
    if accepted is not None:
        note_acceptance(accepted)
    return ingested


def _to_accept(sha256: str, *, raw: Path) -> RefusedRelease:
    """Return the refused release that a person accepts."""
    records = {record.sha256: record for record in kept_aside(raw)}
    record = records.get(sha256.strip().lower())
    if record is None:
        known = ", ".join(records) or "none was refused so far"
        raise ReleaseError(
            f"accept {sha256!r}", found="no refused release with this SHA-256",
            expected=f"that of a file that is kept aside ({known})",
            remedy="Copy it from the message of the refusal.",
        )  # fmt: skip
    if not record.is_readable:
        raise ReleaseError(
            f"accept {sha256!r}", found=f"a file that can't be read as CTD's table ({record.why})",
            expected="a refused release that can be read",
            remedy=f"Nobody can accept it. {ASSOCIATIONS.by_hand}",
        )  # fmt: skip
    return record


def _came_before(file: RawFile, *, record: RefusedRelease) -> RawFile:
    """Return a file that was kept aside with where it came from first, if it is still the same."""
    if file.sha256 != record.sha256:
        raise ReleaseError(
            str(record.path), found=f"another content (SHA-256 {file.sha256})",
            expected=f"the file that was refused (SHA-256 {record.sha256})",
            remedy="It was changed since. Remove its folder, and let the source be fetched again.",
        )  # fmt: skip
    return replace(file, source_uri=record.source, sighting=record.sighting)


def _objections(release: Release, *, file: RawFile, in_force: InForce | None) -> Iterator[Objection]:
    """Yield what speaks against a release; the file that is in force already is not judged anew.

    A synthetic release is not compared with a real one, nor the other way round: that is a change of source on
    purpose. What its own rows tell always counts.
    """
    if in_force is not None and in_force.sha256 == file.sha256:
        return
    distinct = associations_are_distinct(release.associations)
    if not distinct.passed:
        text = f"{distinct.summary}: each association should stand there once"
        yield Objection(rule="duplicates", text=text)
    evidence = evidence_is_known(release.associations)
    if not evidence.passed:
        text = f"{evidence.summary}: no positive would be made of these"
        yield Objection(rule="evidence", text=text)
    for finding in (names_are_told_apart(release.associations), symbols_are_no_dates(release.associations)):
        if not finding.passed:
            yield Objection(rule="names", text=finding.summary)
    if in_force is None or in_force.is_synthetic != file.is_synthetic:
        return
    rows = len(release.associations)
    if rows < (1 - LARGEST_LOSS) * in_force.rows:
        text = (
            f"{rows:,} associations where the release in force has {in_force.rows:,}: "
            f"{1 - rows / in_force.rows:.0%} fewer, and more than {LARGEST_LOSS:.0%} fewer looks like a file that "
            "was cut off"
        )
        yield Objection(rule="rows", text=text)
    columns = columns_of(file.path)
    if in_force.columns and columns != in_force.columns:
        changed = {"new:": columns - in_force.columns, "gone:": in_force.columns - columns}
        text = "; ".join(
            f"{word} {', '.join(map(repr, sorted(names)))}" for word, names in changed.items() if names
        )
        text = f"other columns than the release in force ({text}): what a column means may have changed"
        yield Objection(rule="columns", text=text)
    created, before = release.report_created, in_force.report_created
    if created is not None and before is not None and created < before:
        text = (
            f"a report created on {created:%Y-%m-%d %H:%M} UTC, before the one in force of "
            f"{before:%Y-%m-%d %H:%M} UTC"
        )
        yield Objection(rule="older", text=text)


def _refusal(
    record: RefusedRelease, *, unreadable: BioAlignError | None, in_force: InForce | None
) -> ReleaseError:
    stays = (
        "nothing is in force yet" if in_force is None else "the last good release stays in force everywhere"
    )
    kept = f"The file is kept aside in {record.folder}, and {stays}."
    if unreadable is not None:
        return ReleaseError(
            unreadable.subject,
            found=unreadable.found,
            expected=unreadable.expected,
            remedy=f"{unreadable.remedy} {kept}",
        )
    return ReleaseError(
        record.source,
        found=record.why,
        expected="a release that can take the place of the one in force",
        remedy=f"{kept} Look at it. If it is right, take it into force with `bioalign refresh --accept "
        f"{record.sha256}` (or in Dagster's launchpad: `ops: {{ctd__release: {{config: {{accept: "
        f"{record.sha256}}}}}}}`). If not, wait for the next release or name another source in "
        f"{ASSOCIATIONS.setting}.",
    )
