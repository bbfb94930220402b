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

__all__ = ["PreviousRelease", "created_at", "previous_release"]

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
    commits = [commit for commit in tables.commits(_ASSOCIATIONS) if commit.get("data_version")]
    before = next(
        (commit for commit in commits if commit["data_version"] != commits[0]["data_version"]), None
    )
    if before is None:
        return None
    content = str(before["data_version"])
    try:
        rows = tables.read(_ASSOCIATIONS, version=int(str(before["version"])))
    except WarehouseError:
        again = _from_raw_file(content, raw=raw)
        if again is None:
            raise
        rows = again
    return PreviousRelease(associations=rows, content_sha256=content)


def _from_raw_file(content_sha256: str, *, raw: Path) -> pa.Table | None:
    for file in sorted(raw.glob("*/*")):
        try:
            release = read_associations(file)
        except BioAlignError:
            continue
        if release.content_sha256 == content_sha256:
            return release.associations
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
