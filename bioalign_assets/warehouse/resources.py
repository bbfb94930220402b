"""The resource that assets share: where the warehouse is, and what lies where in it."""

from pathlib import Path

import dagster as dg

from bioalign_assets.warehouse.tables import Tables

__all__ = ["Warehouse"]


class Warehouse(dg.ConfigurableResource["Warehouse"]):
    """The warehouse folder."""

    folder: str

    @property
    def root(self) -> Path:
        """The folder, as a path."""
        return Path(self.folder)

    @property
    def tables(self) -> Tables:
        """The Delta tables in it."""
        return Tables(self.root)

    @property
    def adapters(self) -> Path:
        """Folder of the adapter directories."""
        return self.root / "adapters"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints of trainings that are not finished."""
        return self.root / "checkpoints"

    @property
    def models(self) -> Path:
        """Folder of the tiny models."""
        return self.root / "models"

    @property
    def raw(self) -> Path:
        """Folder of the raw releases."""
        return self.root / "raw"
