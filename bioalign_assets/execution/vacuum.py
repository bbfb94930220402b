"""What a warehouse no longer needs, kind by kind, and its removal: ``bioalign vacuum``.

Everything is found first and told with its size; what is removed is that and nothing else. What a row of a table names
stays, in its present version or in one that is younger than the limit. What no row names is left for a day at least,
however short the limit: the row may be about to be written, or a process be at work on it.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dagster as dg

from bioalign_assets.ctd.previous_release import raw_file_before
from bioalign_assets.ctd.refused_releases import kept_aside
from bioalign_assets.execution.old_runs import delete_run, old_runs
from bioalign_assets.freshness.partition_graph import PartitionGraph
from bioalign_assets.training.checkpoints import abandoned, remove_checkpoints, remove_lock, stale_locks
from bioalign_assets.warehouse.atomic import PARTIAL_SUFFIX, leftovers, remove, size_of
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["KINDS", "Place", "Unneeded", "unneeded"]

_DAY_H = 24
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Unneeded:
    """One thing that nothing needs any more."""

    name: str
    bytes: int
    remove: Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where is looked, and how old a thing must be."""

    tables: Tables
    older_than_h: int
    graph: PartitionGraph | None = None
    """Of the study whose warehouse it is; None where it has no history"""
    instance: dg.DagsterInstance | None = None
    now: float
    """Seconds since 1970"""

    @property
    def root(self) -> Path:
        """The warehouse folder, absolute."""
        return self.tables.root.absolute()

    @property
    def settled_h(self) -> int:
        """How old a thing must be that a process may be at work on, in hours."""
        return max(self.older_than_h, _DAY_H)

    def by_the_clock(self, hours: int) -> int:
        """Return hours before ``now`` as hours before the clock's time, which Delta goes by."""
        return max(0, round(hours - (self.now - time.time()) / _HOUR_S))

    def is_old(self, path: Path) -> bool:
        """Whether a file or directory was made long enough ago."""
        try:
            return self.now - path.stat().st_mtime > self.settled_h * _HOUR_S
        except FileNotFoundError:
            return False

    def named(self, table: str, column: str) -> set[str]:
        """Return the values of a column over the versions of a table that are young enough."""
        hours = self.by_the_clock(self.settled_h)
        return self.tables.named(TABLES[table], column=column, older_than_hours=hours)

    @property
    def limit(self) -> datetime:
        """The moment before which a thing is old enough."""
        return datetime.fromtimestamp(self.now - self.settled_h * _HOUR_S, UTC)


def unneeded(place: Place) -> dict[str, list[Unneeded]]:
    """Return what is not needed, by kind. Nothing is changed."""
    return {kind: list(found(place)) for kind, found in KINDS.items()}


def _table_files(place: Place) -> Iterator[Unneeded]:
    hours = place.by_the_clock(place.older_than_h)
    for schema in TABLES.values():
        files = place.tables.unneeded_files(schema, older_than_hours=hours)
        if files:
            yield Unneeded(
                name=f"{schema.full_name}: {len(files)} files",
                bytes=sum(map(size_of, files)),
                remove=partial(place.tables.vacuum, older_than_hours=hours, only=schema),
            )


def _checkpoints(place: Place) -> Iterator[Unneeded]:
    root = place.root / "checkpoints"
    for folder in abandoned(root, older_than_s=place.older_than_h * _HOUR_S, now=place.now):
        yield Unneeded(
            name=_below(folder, place),
            bytes=size_of(folder),
            remove=partial(remove_checkpoints, root, key=folder.name),
        )


def _adapters(place: Place) -> Iterator[Unneeded]:
    yield from _unnamed(place, "adapters", named=place.named("training.adapter", "path"))


def _base_models(place: Place) -> Iterator[Unneeded]:
    named = place.named("models.base", "path")
    for provenance in place.named("training.adapter", "provenance"):  # an adapter is nothing without its base
        named.add(f"models/{json.loads(provenance).get('base_weights_sha256')}")
    yield from _unnamed(place, "models", named=named)


def _reports(place: Place) -> Iterator[Unneeded]:
    yield from _unnamed(place, "report", named=place.named("report.study", "path"))


def _releases(place: Place) -> Iterator[Unneeded]:
    found = list(_unnamed(place, "raw/ctd", named=place.named("ctd.release", "raw_path")))
    # it is read only where it matters: a raw file is known by its content, which takes a second
    before = raw_file_before(place.tables, raw=place.root / "raw" / "ctd") if found else None
    yield from (each for each in found if before is None or each.name != _below(before.parent, place))


def _vocabularies(place: Place) -> Iterator[Unneeded]:
    # no row names them; the one in force was fetched last, be it for the second time
    folders = sorted(_folders(place.root / "raw" / "ctd-diseases"), key=lambda folder: folder.stat().st_mtime)
    yield from _unnamed(place, "raw/ctd-diseases", named={_below(folder, place) for folder in folders[-2:]})


def _refused(place: Place) -> Iterator[Unneeded]:
    undecided = [each for each in kept_aside(place.root / "raw") if each.accepted_at is None]
    # the newest that can be read may still be accepted
    waiting = next((each.sha256 for each in undecided if each.is_readable), None)
    for release in undecided:
        if release.sha256 != waiting and release.refused_at < place.limit:
            yield _folder(release.folder, place)


def _runs(place: Place) -> Iterator[Unneeded]:
    if place.instance is None or place.graph is None:
        return
    for run in old_runs(place.graph, instance=place.instance, before=place.limit):
        yield Unneeded(name=run.told, bytes=run.bytes, remove=partial(delete_run, place.instance, run.run_id))


def _leftovers(place: Place) -> Iterator[Unneeded]:
    for name in ("", "adapters", "checkpoints", "models", "report", "raw/ctd-blocked", "dagster/at_work"):
        for path in leftovers(place.root / name, now=place.now):
            yield Unneeded(name=_below(path, place), bytes=size_of(path), remove=partial(remove, path))
    for lock in stale_locks(
        place.root / "checkpoints", older_than_s=place.older_than_h * _HOUR_S, now=place.now
    ):
        yield Unneeded(name=_below(lock, place), bytes=0, remove=partial(remove_lock, lock))


KINDS: dict[str, Callable[[Place], Iterator[Unneeded]]] = {
    "table files of old versions": _table_files,
    "checkpoints of trainings that were not finished": _checkpoints,
    "adapters": _adapters,
    "base models": _base_models,
    "reports": _reports,
    "raw releases": _releases,
    "raw disease vocabularies": _vocabularies,
    "refused releases": _refused,
    "runs": _runs,
    "leftovers of killed processes": _leftovers,
}
"""What is looked for, by what it is called."""


def _unnamed(place: Place, folder: str, *, named: set[str]) -> Iterator[Unneeded]:
    """Give the folders below one that no path names, itself or something in it."""
    needed = {parent for path in named for parent in (Path(path), *Path(path).parents)}
    for path in _folders(place.root / folder):
        if Path(_below(path, place)) not in needed and place.is_old(path):
            yield _folder(path, place)


def _folders(folder: Path) -> list[Path]:
    """Return the whole folders in one; what has a point before its name, or is partial, is being made."""
    return sorted(
        path
        for path in folder.glob("*")
        if path.is_dir() and not path.name.startswith(".") and PARTIAL_SUFFIX not in path.name
    )


def _folder(path: Path, place: Place) -> Unneeded:
    def remove_if_old() -> None:
        if place.is_old(path):  # still: a run may have made the very same meanwhile
            remove(path)

    return Unneeded(name=_below(path, place), bytes=size_of(path), remove=remove_if_old)


def _below(path: Path, place: Place) -> str:
    return path.relative_to(place.root).as_posix()
