"""The real asset graph of a small study, and ledgers over it."""

import pytest

from bioalign_assets.definitions import build_defs
from bioalign_assets.freshness.partition_graph import PartitionGraph
from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study
from bioalign_assets_tests.freshness.ledger import Ledger
from bioalign_assets_tests.micro import FAIR_DATASETS, STUDY


@pytest.fixture(scope="session")
def graph_of(tmp_path_factory):
    """Return the asset graph by partitions of a study's text."""

    def made(text):
        folder = tmp_path_factory.mktemp("study")
        file = folder / "study.toml"
        file.write_text(text, encoding="utf-8")
        settings = Settings(study=str(file), warehouse=folder / "warehouse")
        return PartitionGraph(
            build_defs(settings=settings, study=load_study(str(file))).resolve_asset_graph()
        )

    return made


@pytest.fixture(scope="session")
def graph(graph_of) -> PartitionGraph:
    return graph_of(STUDY + FAIR_DATASETS)


@pytest.fixture
def ledger(graph) -> Ledger:
    """Everything made once, but for the variant that nobody has asked for."""
    made = Ledger(graph)
    made.make_all(but=[node for node in graph if node.partition == "tiny-benchmark@untuned"])
    return made
