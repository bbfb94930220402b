"""Refused releases, kept aside: the file, and why it was refused, in ``<warehouse>/raw/ctd-blocked/<sha256>/``.

A record is history and stays: after the file was accepted by a person (``accepted.json`` beside it says when),
and after a later release went into force. Only the folder tells; no table knows of a refused release.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, computed_field

from bioalign_assets.ctd.sighting import Sighting
from bioalign_assets.ctd.source import RawFile
from bioalign_assets.warehouse.atomic import publish_directory, remove_leftovers, written_aside

__all__ = [
    "Objection",
    "RefusedRelease",
    "keep_aside",
    "kept_aside",
    "note_acceptance",
    "was_accepted",
]

_FOLDER, _WHY, _ACCEPTED = "ctd-blocked", "why.json", "accepted.json"


@dataclass(frozen=True, kw_only=True)
class Objection:
    """One thing that speaks against a release.

    :param rule: which rule found it
    :param text: what it found, in words a person understands, without a full stop
    """

    rule: Literal["rows", "columns", "duplicates", "evidence", "names", "older", "unreadable"]
    text: str


class RefusedRelease(BaseModel):
    """A refused release that was kept aside. What ``why.json`` says is this, but for what only the folder tells.

    :param sha256: of the file's bytes
    :param source: where it came from, without secrets
    :param file_name: its name at the source
    :param bytes: its size
    :param sighting: how the source looked then
    :param objections: why it was refused, the last time
    :param refused_at: when, the last time, in UTC
    :param folder: where it is kept aside
    :param accepted_at: when a person took it into force since then, in UTC; None if nobody did
    """

    model_config = ConfigDict(frozen=True)

    sha256: str
    source: str
    file_name: str
    bytes: int
    sighting: Sighting
    objections: tuple[Objection, ...]
    refused_at: AwareDatetime
    folder: Path = Field(exclude=True)
    accepted_at: AwareDatetime | None = Field(default=None, exclude=True)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def signature(self) -> str:
        """The signature of the source then: while a look finds the same, there is nothing new."""
        return self.sighting.signature

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "file" / self.file_name

    @property
    def why(self) -> str:
        """All objections as one line."""
        return "; ".join(objection.text for objection in self.objections)

    @property
    def is_readable(self) -> bool:
        """Whether it can be parsed as CTD's table, so that a person may accept it."""
        return all(objection.rule != "unreadable" for objection in self.objections)


def keep_aside(file: RawFile, *, objections: Sequence[Objection], raw: Path) -> RefusedRelease:
    """Keep a refused file with the reasons; one that was refused before gets the reasons and the time of now.

    An earlier acceptance is forgotten: the file came up again and was refused again.

    :param file: as fetched; it is copied
    :param raw: the warehouse's folder of raw files
    """
    record = RefusedRelease(
        sha256=file.sha256,
        source=file.source_uri,
        file_name=file.file_name,
        bytes=file.bytes,
        sighting=file.sighting,
        objections=tuple(objections),
        refused_at=datetime.now(UTC),
        folder=raw / _FOLDER / file.sha256,
    )
    why = record.model_dump_json(indent=2)

    def build(aside: Path) -> str:
        (aside / "file").mkdir()
        shutil.copyfile(file.path, aside / "file" / file.file_name)
        (aside / _WHY).write_text(why, encoding="utf-8")
        return record.folder.name

    remove_leftovers(record.folder.parent)
    publish_directory(record.folder.parent, build)
    with written_aside(record.folder / _WHY) as renewed:
        renewed.write_text(why, encoding="utf-8")
    (record.folder / _ACCEPTED).unlink(missing_ok=True)
    return record


def note_acceptance(record: RefusedRelease) -> None:
    """Note beside a refused release that a person took it into force now."""
    with written_aside(record.folder / _ACCEPTED) as aside:
        aside.write_text(json.dumps({"accepted_at": datetime.now(UTC).isoformat()}), encoding="utf-8")


def was_accepted(sha256: str, *, raw: Path) -> bool:
    """Return whether a person took the file with this SHA-256 into force though the gate had refused it.

    :param raw: the warehouse's folder of raw files
    """
    return any(one.sha256 == sha256 and one.accepted_at is not None for one in kept_aside(raw))


def kept_aside(raw: Path) -> list[RefusedRelease]:
    """Return the refused releases, the one refused last first.

    What a hand has changed so that it can't be read any more is left out.

    :param raw: the warehouse's folder of raw files
    """
    records = filter(None, (_read(why.parent) for why in (raw / _FOLDER).glob(f"*/{_WHY}")))
    return sorted(records, key=lambda record: (record.refused_at, record.sha256), reverse=True)


def _read(folder: Path) -> RefusedRelease | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        why, accepted_at = json.loads((folder / _WHY).read_text(encoding="utf-8")), None
        if (folder / _ACCEPTED).is_file():
            accepted_at = json.loads((folder / _ACCEPTED).read_text(encoding="utf-8"))["accepted_at"]
        return RefusedRelease.model_validate({**why, "folder": folder, "accepted_at": accepted_at})
    return None
