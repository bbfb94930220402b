"""Bring a fetched file into force or keep it aside: the gate as one step, and what is told of a refusal.

The rules are in ``acceptance``, the folder of the refused in ``blocked``; the asset ``ctd.release`` calls this.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from bioalign_assets.ctd.acceptance import InForce, columns_of, judge
from bioalign_assets.ctd.blocked import (
    BlockedRelease,
    Objection,
    blocked_folder,
    blocked_releases,
    keep_aside,
    note_acceptance,
)
from bioalign_assets.ctd.release import Release
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.source import RawFile, keep
from bioalign_assets.errors import BioAlignError, ReleaseError

__all__ = ["Ingested", "Refused", "in_force_of", "ingest", "was_accepted"]

Fetching = Callable[[str], AbstractContextManager[RawFile]]


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


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A release that doesn't go into force.

    :param record: where it is kept aside, and why
    :param rows: number of its associations; None if it can't be parsed
    :param error: what to raise: the objections and the way out
    """

    record: BlockedRelease
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


def ingest(
    source: str, *, fetching: Fetching, raw_folder: Path, in_force: InForce | None, accept: str = ""
) -> Ingested | Refused:
    """Fetch a release, hold it against the one in force, and keep it; or keep it aside.

    :param source: of releases
    :param fetching: ``fetched`` with everything but the source, into ``<raw_folder>/ctd``
    :param raw_folder: the warehouse's folder of raw files
    :param accept: SHA-256 of a refused file that a person has looked at: that very file is taken from where it
        was kept aside, and goes into force whatever speaks against it
    :raises SourceError: if the source gives no whole data file; nothing is kept then
    :raises ReleaseError: if no such file was refused, or it can't be parsed
    """
    folder = blocked_folder(raw_folder)
    record = _record_of(accept, folder=folder) if accept else None
    with fetching(source if record is None else str(record.path)) as raw:
        if record is not None:  # where it came from first, not the folder of the refused
            if raw.sha256 != record.sha256:
                raise ReleaseError(
                    str(record.path), found=f"another content (SHA-256 {raw.sha256})",
                    expected=f"the file that was refused (SHA-256 {record.sha256})",
                    remedy="It was changed since. Remove its folder, and let the source be fetched again.",
                )  # fmt: skip
            raw = replace(raw, source_uri=record.source, sighting=record.sighting)  # noqa: PLW2901
        judgement = judge(raw, in_force=in_force)
        if judgement.release is None or (judgement.objections and record is None):
            kept = keep_aside(raw, objections=judgement.objections, folder=folder)
            rows = None if judgement.release is None else len(judgement.release.associations)
            error = _refusal(kept, unreadable=judgement.unreadable, in_force=in_force)
            return Refused(record=kept, rows=rows, error=error)
        ingested = Ingested(
            raw=keep(raw, into=raw_folder / "ctd"), release=judgement.release, overruled=judgement.objections
        )
    if record is not None:
        note_acceptance(record)
    return ingested


def was_accepted(sha256: str, *, raw_folder: Path) -> bool:
    """Return whether a person took the file with this SHA-256 into force though the gate had refused it."""
    return any(
        record.sha256 == sha256 and record.accepted_at is not None
        for record in blocked_releases(blocked_folder(raw_folder))
    )


def _record_of(sha256: str, *, folder: Path) -> BlockedRelease:
    records = {record.sha256: record for record in blocked_releases(folder)}
    record = records.get(sha256.strip().lower())
    if record is None:
        known = ", ".join(records) or "none was refused so far"
        raise ReleaseError(
            f"accept {sha256!r}", found="no refused release with this SHA-256",
            expected=f"that of a file in {folder} ({known})",
            remedy="Copy it from the message of the refusal.",
        )  # fmt: skip
    if not record.is_readable:
        raise ReleaseError(
            f"accept {sha256!r}", found=f"a file that can't be read as CTD's table ({record.why})",
            expected="a refused release that can be read",
            remedy=f"Nobody can accept it. {ASSOCIATIONS.by_hand}",
        )  # fmt: skip
    return record


def _refusal(
    record: BlockedRelease, *, unreadable: BioAlignError | None, in_force: InForce | None
) -> ReleaseError:
    stays = (
        "nothing is in force yet" if in_force is None else "the last good release stays in force everywhere"
    )
    kept = f"The file is kept aside in {record.path.parents[1]}, and {stays}."
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
