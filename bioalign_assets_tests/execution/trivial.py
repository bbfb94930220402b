"""Definitions that cost nothing to build or to run: for tests of the processes that execute runs."""

import os
import time

import dagster as dg

from bioalign_assets.errors import CurationError
from bioalign_assets.execution.guarded_warehouse import GuardedWarehouse
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study


class Told(dg.Config):
    """What a run is told to do."""

    what: str = ""


@dg.asset(key=["curation", "pairs"])
def does_as_told(config: Told, warehouse: GuardedWarehouse):
    noted = warehouse.root / f"{config.what}.{os.getpid()}"
    noted.touch()
    if config.what == "fail":
        raise CurationError("A run", found="that it was told to fail", expected="this", remedy="Go on.")
    if config.what == "break":
        raise ZeroDivisionError("an error of programming")
    if config.what == "die":
        os._exit(1)
    if config.what == "wait":
        time.sleep(600)


def build(*, settings: Settings, study: Study) -> dg.Definitions:
    """Make the definitions, as ``definitions.build_defs`` does."""
    if (settings.warehouse / "no definitions").exists():
        raise CurationError("Definitions", found="none", expected="some", remedy="Write them.")
    warehouse = GuardedWarehouse(folder=str(settings.warehouse), study=settings.study, code="c")
    return dg.Definitions(assets=[does_as_told], resources={"warehouse": warehouse})
