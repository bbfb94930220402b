"""The resources that assets share: where the warehouse is, and the study with its settings."""

from pathlib import Path

import dagster as dg

from bioalign_assets.instance import hold_run
from bioalign_assets.warehouse.at_work import Part
from bioalign_assets.warehouse.tables import Tables

__all__ = ["Warehouse"]


class Warehouse(dg.ConfigurableResource["Warehouse"]):
    """The warehouse folder."""

    folder: str

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Mark the run as alive for as long as the process lives that works on a step of it."""
        if context.instance is not None and context.run is not None:
            hold_run(context.instance, context.run.run_id, part=Part.STEP)

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
