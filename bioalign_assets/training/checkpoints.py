"""Where an interrupted training goes on: its checkpoints on disk, which of them are whole, and who may use them.

A training has one folder, ``<warehouse>/checkpoints/<key>/``, named by a hash of all that it depends on, so that a
checkpoint of another study, dataset, base model or library version is never resumed. Each ``checkpoint-<step>`` in it
is sealed with the hashes of its files once they are written; one without a seal, or with other bytes, was torn by a
kill or a full disk and is thrown away. What is *in* a checkpoint is transformers' affair (``training.resuming``).
"""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bioalign_assets.errors import ModelError
from bioalign_assets.training.provenance import AdapterProvenance
from bioalign_assets.warehouse.atomic import PARTIAL_SUFFIX, remove, remove_leftovers, size_of, written_aside
from bioalign_assets.warehouse.hashing import file_sha256
from bioalign_assets.warehouse.locks import is_held

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "abandoned",
    "held_checkpoints",
    "remove_checkpoints",
    "remove_lock",
    "stale_locks",
    "training_key",
]

_FORM = 2
"""Raise it when trainings begin to go another way from the same settings: older checkpoints are not resumed then."""
_KEPT = 2
"""Whole checkpoints that stay: the newest, and the one before in case it gets damaged."""
_PREFIX = "checkpoint-"
_SEAL = "whole.json"
_ORPHAN_S = 20.0
"""How long to wait for the process of a killed run, which ends by itself within some ten seconds."""


def training_key(provenance: AdapterProvenance, *, computed: Mapping[str, str]) -> str:
    """Return the name of a training's folder: a SHA-256 (hex) of all that its adapter depends on.

    :param provenance: base weights, dataset version, settings with their seed, library versions
    :param computed: how it is computed here: type, device, backend, attention
    """
    parts = {
        "form": _FORM,
        # the same weights are the same base, whatever commit they were taken from
        "provenance": provenance.model_dump(mode="json", exclude={"base_repo_id", "base_revision"}),
        "computed": dict(computed),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One whole checkpoint."""

    folder: Path
    step: int
    seconds: float
    """Wall time that the training had taken, over all processes that worked on it"""
    peak_memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoints of one training, which this process holds (:func:`held_checkpoints`)."""

    folder: Path
    name: str
    """What the training is called in an error"""
    every: int
    """Optimiser steps from one checkpoint to the next"""

    @property
    def bytes(self) -> int:
        """How much they take on the disk."""
        return size_of(self.folder)

    def newest(self) -> Checkpoint | None:
        """Return the newest whole checkpoint, or None; torn ones that are newer are removed."""
        for step, folder in reversed(self._found()):
            seal = _seal_of(folder)
            if seal is not None and seal["step"] == step and seal["files"] == _hashes(folder):
                return Checkpoint(
                    folder=folder,
                    step=step,
                    seconds=seal["seconds"],
                    peak_memory_bytes=seal["peak_memory_bytes"],
                )
            shutil.rmtree(folder)
        return None

    def seal(self, step: int, *, seconds: float, peak_memory_bytes: int) -> None:
        """Declare a checkpoint whole, now that all its files are written, and remove all but the last two."""
        folder = self.folder / f"{_PREFIX}{step}"
        seal = {
            "step": step,
            "seconds": seconds,
            "peak_memory_bytes": peak_memory_bytes,
            "files": _hashes(folder),
        }
        with written_aside(folder / _SEAL) as aside:
            aside.write_text(json.dumps(seal, indent=2) + "\n", encoding="utf-8")
        sealed = [each for _, each in self._found() if (each / _SEAL).is_file()]
        for old in sealed[:-_KEPT]:
            # the seal goes first: a removal that is cut short leaves nothing that looks whole
            (old / _SEAL).unlink()
            shutil.rmtree(old)

    def discard_torn(self) -> None:
        """Remove what was being written when a training failed."""
        for _, folder in self._found():
            if not (folder / _SEAL).is_file():
                shutil.rmtree(folder, ignore_errors=True)

    def _found(self) -> list[tuple[int, Path]]:
        """Return the checkpoints with their steps, oldest first, whole or not."""
        numbered = [
            (int(number), path)
            for path in self.folder.glob(f"{_PREFIX}*")
            if (number := path.name.removeprefix(_PREFIX)).isdecimal()
        ]
        return sorted(numbered)


@contextmanager
def held_checkpoints(
    root: Path, *, key: str, name: str, every: int, wait_s: float = _ORPHAN_S
) -> Iterator[Checkpoints]:
    """Give a training's checkpoints to this process alone, until the block ends or the process does.

    A second process is refused rather than sent to a folder of its own: it would spend the same hours on the same
    adapter, and two trainings seldom fit on one card.

    :param root: folder of all checkpoints
    :param key: of :func:`training_key`
    :param name: what to call the training in an error
    :param wait_s: seconds to wait for another process to let go
    :raises ModelError: if another process is at this training
    """
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / f"{key}.lock", thread_local=False)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout as error:
        raise ModelError(
            f"Training {name}",
            found="another process at the very same training",
            expected="one at a time",
            remedy="Wait for it to end, or end it; a run after that goes on from its last checkpoint.",
        ) from error
    try:
        remove_leftovers(root, start=key)
        folder = root / key
        folder.mkdir(exist_ok=True)
        yield Checkpoints(folder=folder, name=name, every=every)
    finally:
        lock.release()


def abandoned(root: Path, *, older_than_s: float, now: float | None = None) -> list[Path]:
    """Return the folders of trainings that nobody went on with (:func:`remove_checkpoints` removes them).

    :param root: folder of all checkpoints
    :param older_than_s: seconds since the last change of anything in a training's folder
    :param now: seconds since 1970; the clock's by default
    """
    now = time.time() if now is None else now
    found = []
    for folder in sorted(
        path for path in root.glob("*") if path.is_dir() and PARTIAL_SUFFIX not in path.name
    ):
        with suppress(FileNotFoundError):  # a process is at it
            if now - _last_change(folder) > older_than_s and not is_held(root / f"{folder.name}.lock"):
                found.append(folder)
    return found


def stale_locks(root: Path, *, older_than_s: float, now: float | None = None) -> list[Path]:
    """Return the lock files of trainings that are over (:func:`remove_lock` removes them)."""
    now = time.time() if now is None else now
    return [
        lock
        for lock in sorted(root.glob("*.lock"))
        if not (root / lock.stem).exists() and now - lock.stat().st_mtime > older_than_s
    ]


def remove_lock(lock: Path) -> None:
    """Remove the lock file of a training that is over."""
    with suppress(Timeout), FileLock(lock, thread_local=False).acquire(timeout=0):
        # held, so that no process works under a name that is being taken away
        if not lock.with_suffix("").exists():
            lock.unlink(missing_ok=True)


def remove_checkpoints(root: Path, *, key: str) -> None:
    """Remove all checkpoints of a training: its adapter is published and its rows are written.

    Where another process is at the same training by now, they are its own, and it removes them.

    :param root: folder of all checkpoints
    """
    with (
        suppress(Timeout, FileNotFoundError),
        FileLock(root / f"{key}.lock", thread_local=False).acquire(timeout=0),
    ):
        remove(root / key)


def _seal_of(folder: Path) -> dict[str, Any] | None:
    try:
        seal = json.loads((folder / _SEAL).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return seal if isinstance(seal, dict) and seal.keys() >= _SEALED else None


_SEALED = frozenset({"step", "seconds", "peak_memory_bytes", "files"})


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != _SEAL and PARTIAL_SUFFIX not in path.name
    }


def _last_change(folder: Path) -> float:
    return max(path.stat().st_mtime for path in [folder, *folder.rglob("*")])
