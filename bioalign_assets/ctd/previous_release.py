"""The release that was in force before this one: its associations, and when CTD made both.

A release that was fetched again with the same content is the same release, whatever was committed in between;
one that was refused was never in force.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from bioalign_assets.ctd.release import read_associations
from bioalign_assets.errors import BioAlignError, WarehouseError
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["PreviousRelease", "created_at", "previous_release", "raw_file_before"]

_ASSOCIATIONS, _RELEASE = TABLES["ctd.associations"], TABLES["ctd.release"]


@dataclass(frozen=True, kw_only=True)
class PreviousRelease:
    """The release before the one in force.

    :param associations: schema ``ctd.associations``
    :param content_sha256: content hash of them
    """

    associations: pa.Table
    content_sha256: str


def previous_release(tables: Tables, *, raw: Path) -> PreviousRelease | None:
    """Return the newest release in the history of ``ctd.associations`` that differs from the one in force.

    Where its rows were vacuumed it is read again from its raw file, which is known by its content.

    :param raw: folder of the raw releases
    :return: None if there was only one so far
    :raises WarehouseError: if its rows and its raw file are both gone
    """
    before = _commit_before(tables)
    if before is None:
        return None
    content, version = before
    try:
        rows = tables.read(_ASSOCIATIONS, version=version)
    except WarehouseError:
        file = raw_file_of(content, raw=raw)
        if file is None:
            raise
        rows = read_associations(file).associations
    return PreviousRelease(associations=rows, content_sha256=content)


def raw_file_before(tables: Tables, *, raw: Path) -> Path | None:
    """Return the raw file of the release before the one in force; None if there was none, or it is gone."""
    before = _commit_before(tables)
    return None if before is None else raw_file_of(before[0], raw=raw)


def _commit_before(tables: Tables) -> tuple[str, int] | None:
    """Return the content hash of the release before the one in force, and the newest version that had it."""
    commits = [commit for commit in tables.commits(_ASSOCIATIONS) if commit.get("data_version")]
    for commit in commits:
        if commit["data_version"] != commits[0]["data_version"]:
            return str(commit["data_version"]), int(str(commit["version"]))
    return None


def raw_file_of(content_sha256: str, *, raw: Path) -> Path | None:
    """Return the raw file with these associations, which is known by reading it; None if there is none."""
    for file in sorted(raw.glob("*/*")):
        try:
            release = read_associations(file)
        except BioAlignError:
            continue
        if release.content_sha256 == content_sha256:
            return file
    return None


def created_at(content_sha256: str, *, tables: Tables) -> datetime | None:
    """Return when CTD made the release with these associations, in UTC; None where no history says so."""
    for commit in tables.commits(_RELEASE):
        if not commit.get("data_version"):
            continue
        try:
            rows = tables.read(_RELEASE, version=int(str(commit["version"]))).to_pylist()
        except WarehouseError:  # vacuumed: this version and those before it
            return None
        for row in rows:
            if row["content_sha256"] == content_sha256:
                return row["report_created"]
    return None
