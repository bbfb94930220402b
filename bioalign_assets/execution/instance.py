"""The Dagster instance (runs, events, asset history) of a warehouse, and whose the warehouse is.

A warehouse has one history and one study. Tables that another instance's runs wrote would have no history here, and
settings of another study would make everything stale; so both are on record in ``warehouse.json``, and another one is
refused before anything is written, until a person adopts it on purpose.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, ValidationError

from bioalign_assets.dagster_private import InstanceRef, identity, limit_pool
from bioalign_assets.errors import WarehouseError
from bioalign_assets.study import BUILT_IN_STUDIES
from bioalign_assets.warehouse.atomic import written_aside
from bioalign_assets.warehouse.disk import why_not_written
from bioalign_assets.warehouse.locks import locked

__all__ = [
    "TRAINING_POOL_LIMIT",
    "Belonging",
    "adopt",
    "belonging_of",
    "dagster_home",
    "instance_to_read",
    "open_instance",
    "place_of_study",
    "see_that_it_belongs",
]

_RECORD = "warehouse.json"
TRAINING_POOL_LIMIT = 1
_SETTINGS = """\
# Written by BioAlign when the warehouse was made; yours to change.
nux:
  enabled: false  # no pop-up at the first visit
telemetry:
  enabled: false
concurrency:
  pools:
    # Trainings share a pool: one at a time over all runs, so that one card trains one model. With more cards (or a
    # card with room), raise it; the next training that starts goes by it.
    default_limit: {pool}
  runs:
    # Of the runs that the daemon launches, as many go at once as this machine has cores: each of the light ones (a
    # table and its checks) is one process. What loads a model waits for its pool besides.
    max_concurrent_runs: {cores}
"""


class Belonging(BaseModel):
    """Which study and which Dagster instance a warehouse belongs to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    """A built-in study's name, or the absolute path of a study file; what the file says may change freely"""
    instance: str
    """Identifier of the Dagster instance: it stays the same where its folder is moved"""
    home: str | None = None
    """Folder of an adopted instance (its ``DAGSTER_HOME``); None for the warehouse's own, ``<warehouse>/dagster``"""


def dagster_home(root: Path) -> Path:
    """Return the folder of the instance that has a warehouse's history (what ``DAGSTER_HOME`` names)."""
    belonging = belonging_of(root)
    return _own_home(root) if belonging is None or belonging.home is None else Path(belonging.home)


def open_instance(root: Path) -> dg.DagsterInstance:
    """Return the instance of a warehouse: the adopted one, or its own, which is set up if it is new."""
    home = dagster_home(root)
    return _opened(home, is_own=home == _own_home(root))


@contextmanager
def instance_to_read(root: Path) -> Iterator[dg.DagsterInstance]:
    """Give the instance of a warehouse, to read its history.

    Dagster opens its databases to write even where it only reads, and SQLite takes some room for that. Where their
    disk is read-only or full, a copy of them is opened, which goes at the end of the block.
    """
    home = dagster_home(root)
    if not why_not_written(home):
        with open_instance(root) as instance:
            yield instance
        return
    with tempfile.TemporaryDirectory(prefix="bioalign-history-") as folder:
        copy = Path(folder) / home.name
        # what steps printed is of no use here, and large
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("storage", "*.lock"))
        with _opened(copy, is_own=False) as instance:
            yield instance


def _own_home(root: Path) -> Path:
    return root.absolute() / "dagster"


def _opened(home: Path, *, is_own: bool) -> dg.DagsterInstance:
    home.mkdir(parents=True, exist_ok=True)
    # two processes that set up a new instance at once would race in its migration
    with locked(home / ".setup.lock", subject=f"Dagster instance in {home}"):
        if is_own and not (home / "dagster.yaml").exists():
            text = _SETTINGS.format(pool=TRAINING_POOL_LIMIT, cores=os.cpu_count() or 1)
            with written_aside(home / "dagster.yaml") as aside:
                aside.write_text(text, encoding="utf-8")
        instance = dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home)))
        instance.get_run_records(limit=1)  # the first access creates the tables
    return instance


def place_of_study(name_or_path: str) -> str:
    """Return what is on record of a study: its name if it is built in, else the absolute path of its file."""
    if name_or_path in BUILT_IN_STUDIES:
        return name_or_path
    return str(Path(name_or_path).expanduser().absolute())


def belonging_of(root: Path) -> Belonging | None:
    """Return whose a warehouse is; None if it is new.

    :raises WarehouseError: if its record can't be read
    """
    record = root / _RECORD
    try:
        return Belonging.model_validate_json(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValidationError, OSError, UnicodeDecodeError) as error:
        raise WarehouseError(
            str(record), found=f"a record that can't be read ({str(error).splitlines()[0]})",
            expected="which study and which Dagster instance the warehouse belongs to",
            remedy="Run `bioalign init --adopt` to record those of the environment.",
        ) from error  # fmt: skip


def see_that_it_belongs(
    root: Path, *, study: str, instance: dg.DagsterInstance | None = None, records: bool = True
) -> None:
    """See that a warehouse is that of a study, and its history that of an instance; put a new one on record.

    :param study: as ``BIOALIGN_STUDY`` names it
    :param instance: that is about to write; the one on record by default
    :param records: whether a new warehouse is put on record; else it belongs to whoever comes first
    :raises WarehouseError: if it is another's
    """
    place = place_of_study(study)
    found = belonging_of(root)
    if found is None:
        is_own = instance is None or _is_at(instance, _own_home(root))
        if not is_own:
            raise _other_instance(root, instance=instance, has_history=False)
        if records:
            if instance is not None:  # set up by Dagster itself: trainings take turns all the same
                limit_pool(instance, "training", to=TRAINING_POOL_LIMIT)
            adopt(root, study=study, home=None, only_if_new=True)
            found = belonging_of(root)
        if found is None:
            return
    if found.study != place:
        raise WarehouseError(
            f"Warehouse {root}", found=f"the study {found.study} on record for it", expected=f"the study {place}",
            remedy=f"Set BIOALIGN_STUDY={found.study}, or BIOALIGN_WAREHOUSE to a folder of its own; to have this "
            "warehouse follow the other study from now on, run `bioalign init --adopt`.",
        )  # fmt: skip
    if instance is not None and identity(instance) != found.instance:
        raise _other_instance(root, instance=instance, has_history=True)


def adopt(root: Path, *, study: str, home: Path | None, only_if_new: bool = False) -> Belonging:
    """Put on record which study and which instance a warehouse belongs to; return that.

    :param home: ``DAGSTER_HOME`` of an instance of the user's; None for the warehouse's own
    :param only_if_new: keep what another process has put on record meanwhile
    """
    root.mkdir(parents=True, exist_ok=True)
    own = _own_home(root)
    is_own = home is None or home.absolute() == own
    with locked(root / f".{_RECORD}.lock", subject=f"Warehouse {root}"):
        if only_if_new and (before := belonging_of(root)) is not None:
            return before
        with _opened(own if home is None else home, is_own=is_own) as instance:
            if not is_own:
                limit_pool(instance, "training", to=TRAINING_POOL_LIMIT)
            found = Belonging(
                study=place_of_study(study), instance=identity(instance),
                home=None if is_own else str(home.absolute() if home else None),
            )  # fmt: skip
        with written_aside(root / _RECORD) as aside:
            aside.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return found


def _is_at(instance: dg.DagsterInstance, home: Path) -> bool:
    return instance.is_persistent and Path(instance.root_directory).resolve() == home.resolve()


def _other_instance(root: Path, *, instance: Any, has_history: bool) -> WarehouseError:
    home = dagster_home(root)
    theirs = instance.root_directory if instance.is_persistent else "a temporary one, kept in memory"
    what = "that has its history" if has_history else "of its own"
    return WarehouseError(
        f"Warehouse {root}", found=f"a run of another Dagster instance ({theirs})",
        expected=f"the instance {what}, {home}: else tables would change and their history would not",
        remedy=f"Use `bioalign dev` or `bioalign run`, or set DAGSTER_HOME={home} before Dagster's own commands; to "
        "keep the history in an instance of yours, set DAGSTER_HOME to it and run `bioalign init --adopt`.",
    )  # fmt: skip
