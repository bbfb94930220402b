"""A small study for tests of the walk: its graph, and ledgers in the place of runs."""

from types import SimpleNamespace

import pytest

from bioalign_assets.definitions import build_defs
from bioalign_assets.execution.uses import prepared
from bioalign_assets.freshness.partition_graph import PartitionGraph
from bioalign_assets.freshness.settings_assets import present_settings
from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study
from bioalign_assets_tests.freshness.ledger import Ledger
from bioalign_assets_tests.micro import FAIR_DATASETS, STUDY, Micro


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A study with its settings and asset graph."""
    folder = tmp_path_factory.mktemp("small")
    file = folder / "study.toml"
    file.write_text(STUDY + FAIR_DATASETS, encoding="utf-8")
    study = load_study(str(file))
    settings = Settings(study=str(file), warehouse=folder / "warehouse")
    graph = PartitionGraph(build_defs(settings=settings, study=study).resolve_asset_graph())
    return SimpleNamespace(study=study, settings=settings, graph=graph)


@pytest.fixture(scope="session")
def new_warehouse(tmp_path_factory) -> Micro:
    """A warehouse with its tables and its instance, in which nothing was made: copy it."""
    made = Micro(tmp_path_factory.mktemp("new"), text=STUDY)
    prepared(made.study, settings=made.settings)
    return made


@pytest.fixture
def empty(small) -> Ledger:
    """Nothing was made yet."""
    ledger = Ledger(small.graph)
    ledger.observe_all(present_settings(small.study))
    return ledger


@pytest.fixture
def whole(empty) -> Ledger:
    """Everything was made."""
    empty.make_all()
    return empty
