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
from typing import Any, Literal, get_args

from bioalign_assets.ctd.sighting import Sighting
from bioalign_assets.ctd.source import RawFile
from bioalign_assets.warehouse.atomic import publish_directory, remove_leftovers, written_aside

__all__ = [
    "BlockedRelease",
    "Objection",
    "Rule",
    "blocked_folder",
    "blocked_releases",
    "keep_aside",
    "note_acceptance",
]

Rule = Literal["rows", "columns", "duplicates", "older", "unreadable"]
_WHY, _ACCEPTED = "why.json", "accepted.json"


@dataclass(frozen=True, kw_only=True)
class Objection:
    """One thing that speaks against a release.

    :param rule: which rule found it
    :param text: what it found, in words a person understands, without a full stop
    """

    rule: Rule
    text: str


@dataclass(frozen=True, kw_only=True)
class BlockedRelease:
    """A refused release that was kept aside.

    :param sha256: of the file's bytes
    :param path: the file
    :param source: where it came from, without secrets
    :param sighting: how the source looked then
    :param objections: why it was refused, the last time
    :param refused_at: when, the last time, in UTC
    :param accepted_at: when a person took it into force since then, in UTC; None if nobody did
    """

    sha256: str
    path: Path
    source: str
    sighting: Sighting
    objections: tuple[Objection, ...]
    refused_at: datetime
    accepted_at: datetime | None = None

    @property
    def signature(self) -> str:
        """The signature of the source then: while a look finds the same, there is nothing new."""
        return self.sighting.signature

    @property
    def why(self) -> str:
        """All objections as one line."""
        return "; ".join(objection.text for objection in self.objections)

    @property
    def is_readable(self) -> bool:
        """Whether it can be parsed as CTD's table, so that a person may accept it."""
        return all(objection.rule != "unreadable" for objection in self.objections)


def blocked_folder(raw: Path) -> Path:
    """Return the folder of the refused releases.

    :param raw: the warehouse's folder of raw files
    """
    return raw / "ctd-blocked"


def keep_aside(raw: RawFile, *, objections: Sequence[Objection], folder: Path) -> BlockedRelease:
    """Keep a refused file with the reasons; one that was refused before gets the reasons and the time of now.

    An earlier acceptance is forgotten: the file came up again and was refused again.

    :param raw: as fetched; the file is copied
    :param folder: of the refused releases, made if missing
    """
    remove_leftovers(folder)
    why = json.dumps(
        {
            "signature": raw.sighting.signature,
            "sha256": raw.sha256,
            "source": raw.source_uri,
            "file_name": raw.file_name,
            "bytes": raw.bytes,
            "objections": [{"rule": one.rule, "text": one.text} for one in objections],
            "refused_at": datetime.now(UTC).isoformat(),
            "sighting": json.loads(raw.sighting.to_json()),
        },
        ensure_ascii=False,
        indent=2,
    )

    def build(aside: Path) -> str:
        (aside / "file").mkdir()
        shutil.copyfile(raw.path, aside / "file" / raw.file_name)
        (aside / _WHY).write_text(why, encoding="utf-8")
        return raw.sha256

    kept = publish_directory(folder, build)
    with written_aside(kept / _WHY) as renewed:
        renewed.write_text(why, encoding="utf-8")
    (kept / _ACCEPTED).unlink(missing_ok=True)
    record = _read(kept)
    if record is None:
        raise OSError(f"{kept} was changed while a refused release was kept there")
    return record


def note_acceptance(record: BlockedRelease) -> None:
    """Note beside a refused release that a person took it into force now."""
    with written_aside(record.path.parents[1] / _ACCEPTED) as aside:
        aside.write_text(json.dumps({"accepted_at": datetime.now(UTC).isoformat()}), encoding="utf-8")


def blocked_releases(folder: Path) -> list[BlockedRelease]:
    """Return the refused releases, the one refused last first; none if the folder is not there.

    What a hand has changed so that it can't be read any more is left out.
    """
    if not folder.is_dir():
        return []
    records = [_read(path) for path in folder.iterdir() if (path / _WHY).is_file()]
    return sorted(filter(None, records), key=lambda record: (record.refused_at, record.sha256), reverse=True)


def _read(folder: Path) -> BlockedRelease | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        why: dict[str, Any] = json.loads((folder / _WHY).read_text(encoding="utf-8"))
        accepted = folder / _ACCEPTED
        accepted_at = (
            datetime.fromisoformat(json.loads(accepted.read_text(encoding="utf-8"))["accepted_at"])
            if accepted.is_file()
            else None
        )
        return BlockedRelease(
            sha256=why["sha256"],
            path=folder / "file" / why["file_name"],
            source=why["source"],
            sighting=Sighting.from_json(json.dumps(why["sighting"])),
            objections=tuple(
                Objection(rule=one["rule"], text=one["text"])
                for one in why["objections"]
                if one["rule"] in get_args(Rule)
            ),
            refused_at=datetime.fromisoformat(why["refused_at"]),
            accepted_at=accepted_at,
        )
    return None
