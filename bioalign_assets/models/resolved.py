"""A base model after it was found or built: one row of ``models.base`` as a value."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from bioalign_assets.errors import ModelError
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["ResolvedModel"]


@dataclass(frozen=True, kw_only=True)
class ResolvedModel:
    """A base model at hand: the fields are the columns of ``models.base``."""

    model: str
    role: Literal["tuned", "benchmark"]
    source: Literal["hub", "tiny"]
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

        :raises ModelError: if it is gone
        """
        folder = warehouse / self.path  # a path that is absolute (the hub's cache) stays as it is
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"Model {self.model}",
                found=f"no config.json in {folder}",
                expected="the files that models.base recorded",
                remedy=f"Materialise models/base for the partition {self.model} again.",
            )
        return folder
