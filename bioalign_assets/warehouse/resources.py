"""The resource that assets share: where the warehouse is, and what lies where in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource

from bioalign_assets.warehouse.catalogue import own_catalogue_path, renew_if_behind
from bioalign_assets.warehouse.tables import Tables

__all__ = ["Catalogue", "Warehouse"]


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


class Catalogue(DuckDBResource):
    """Read-only sessions on the catalogue of a warehouse; each shows every commit that was made before it began."""

    @classmethod
    def of(cls, root: Path) -> "Catalogue":
        """Return that of a warehouse folder."""
        return cls(database=str(own_catalogue_path(root)), connection_config={"access_mode": "READ_ONLY"})

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a session, once the catalogue is renewed where it is behind.

        :raises HeldError: if it is behind, and another process keeps it from being built
        """
        renew_if_behind(Tables(Path(self.database).parent))
        with super().get_connection() as connection:
            yield connection
