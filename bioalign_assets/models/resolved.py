"""A base model after it was found or built: one row of ``models.base`` as a value."""

import functools
import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from bioalign_assets.errors import ModelError
from bioalign_assets.models.model_files import model_error, model_files
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.warehouse.hashing import files_sha256
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["ResolvedModel", "file_facts", "held_models"]


@dataclass(frozen=True, kw_only=True)
class ResolvedModel:
    """A base model at hand: the fields are the columns of ``models.base``."""

    model: str
    role: Literal["tuned", "benchmark"]
    source: Literal["hub", "folder", "gguf", "tiny"]
    repo_id: str | None
    revision: str | None
    architecture: str
    parameters: int
    hidden_size: int
    layers: int
    vocabulary: int
    quantisation: Literal["nf4", "none"]
    bytes: int
    weights_sha256: str
    path: str
    named_revision: str | None = None
    """Revision as the study file named it when the commit was resolved"""
    origin: str | None = None
    """Folder or file that the weights came from, absolute; None where they are the hub's or were built here"""
    files: str | None = None
    """Sizes and times of change of the files that are used where they lie (:func:`file_facts`); None for others"""

    def is_named_by(self, spec: ModelSpec) -> bool:
        """Return whether a study's entry still names what was resolved here: then it stays as it is recorded."""
        if spec.repo_id is not None:
            return (self.repo_id, self.named_revision) == (spec.repo_id, spec.revision)
        return spec.path is not None and self.repo_id is None and self.origin == spec.path

    def to_table(self) -> pa.Table:
        """Return one row with the schema of ``models.base``."""
        return pa.Table.from_pylist([asdict(self)], schema=TABLES["models.base"].arrow)

    @classmethod
    def from_table(cls, table: pa.Table, *, model: str) -> "ResolvedModel":
        """Return the model of a name.

        :param table: rows of ``models.base``
        :raises ModelError: if the table has no such model
        """
        rows: list[dict[str, Any]] = [row for row in table.to_pylist() if row["model"] == model]
        if len(rows) != 1:
            raise ModelError(
                f"Model {model}",
                found=f"{len(rows)} rows of it in models.base",
                expected="one",
                remedy=f"Materialise models/base for the partition {model} first.",
            )
        return cls(**rows[0])

    def folder(self, *, warehouse: Path) -> Path:
        """Return the folder with the model's files.

        :raises ModelError: if it is gone, or is used where it lies and holds another model now
        """
        folder = warehouse / self.path  # a path that is absolute (the hub's cache) stays as it is
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"Model {self.model}",
                found=f"no config.json in {folder}",
                expected="the files that models.base recorded",
                remedy=f"Bring the folder back, or take another: bioalign models {self._taken_anew}"
                if self.files is not None
                else f"Materialise models/base for the partition {self.model} again.",
            )
        if self.files is not None:
            self._refuse_changed(folder, recorded=self.files)
        return folder

    def changed_error(self) -> ModelError:
        """Return the error about a folder or file that holds another model than the one that was recorded."""
        return model_error(
            f"Model {self.model} ({self.origin})",
            found="other files than when models.base recorded it",
            expected=f"those of the SHA-256 {self.weights_sha256[:16]}, with which tables of this study were made",
            remedy=f"Put them back, or take what is there now, which makes those tables stale: "
            f"bioalign models {self._taken_anew}",
        )

    @property
    def _taken_anew(self) -> str:
        """The option of ``bioalign models`` that takes what is there now."""
        if self.repo_id is None:
            return f"--move {self.model}"
        return shlex.join(["--take", f"{self.model}={self.origin}"])

    def _refuse_changed(self, folder: Path, *, recorded: str) -> None:
        """Raise if the files are others now: by their sizes, and by their content where one was touched."""
        facts = file_facts(folder)
        if facts == recorded:
            return
        sizes, sizes_then = (
            {name: size for name, (size, _) in json.loads(text).items()} for text in (facts, recorded)
        )
        if sizes != sizes_then or _content(folder, facts=facts) != self.weights_sha256:
            raise self.changed_error()


def file_facts(folder: Path) -> str:
    """Return what tells at no cost that a folder's files are the same, as JSON: size and time of change by name."""
    facts = {}
    for path in model_files(folder):
        stat = path.stat()
        facts[path.name] = [stat.st_size, stat.st_mtime_ns]
    return json.dumps(facts)


@functools.lru_cache(maxsize=8)
def _content(folder: Path, *, facts: str) -> str:  # noqa: ARG001 - read anew when these change
    return files_sha256(model_files(folder), root=folder)


def held_models(tables: Tables, *, specs: Mapping[str, ModelSpec]) -> dict[str, ResolvedModel]:
    """Return the rows of ``models.base`` that a study still names, by name; none where there is no such table.

    (Looking makes none.)
    """
    schema = TABLES["models.base"]
    if not tables.folder(schema).is_dir():
        return {}
    rows = tables.read(schema)
    found = {name: ResolvedModel.from_table(rows, model=name) for name in rows["model"].to_pylist()}
    return {name: row for name, row in found.items() if name in specs and row.is_named_by(specs[name])}
