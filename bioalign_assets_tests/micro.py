"""The smallest study in which every asset has something to do: for tests of the wiring, in seconds."""

import importlib.metadata
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import torch
from dagster._core.execution.context.invocation import DirectAssetCheckExecutionContext

import bioalign_assets
from bioalign_assets import plotting
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.definitions import build_defs
from bioalign_assets.execution.instance import adopt, open_instance
from bioalign_assets.execution.processes import Workplace
from bioalign_assets.execution.uses import make, walk, with_needed
from bioalign_assets.execution.walk import Step
from bioalign_assets.freshness.history import History
from bioalign_assets.freshness.look import Look
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph
from bioalign_assets.freshness.settings_assets import present_settings
from bioalign_assets.report import blocks
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study, load_study
from bioalign_assets.study.source import DemoRelease
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.kept import kept

# sums depend on their number, and two spinning threads on busy cores are slower than one
torch.set_num_threads(1)

STUDY = """
title = "Micro study"

[source]
ctd = "demo"
ctd_diseases = "demo"

[demo_release]
genes = 150
diseases = 80
associations = 400

[models.tiny-llama]
tiny = "llama"
pretraining_steps = 2

[models.tiny-benchmark]
tiny = "mistral"
role = "benchmark"
pretraining_steps = 2

[datasets.published]
sampler = "published"
split = "pair"

[datasets.published-entity-held-out]
sampler = "published"
split = "entity"

[datasets.stable]
sampler = "stable"
split = "pair"

[experiments.untuned]
evaluate_on = ["published"]

[experiments.paper]
train_on = "published"
evaluate_on = ["published"]
steps = 3
batch_size = 4
accumulation = 1
gradient_checkpointing = false

[evaluation]
sample_size = 80
resamples = 100
prompts = ["unseen", "training"]
map_size = 40
link_queries = 10
link_candidates = 5
"""

FAIR_DATASETS = """
[datasets.degree-matched]
sampler = "stable"
split = "pair"
negatives = "degree-matched"

[datasets.same-class]
sampler = "stable"
split = "pair"
negatives = "same-class"
"""
"""What the checks of the fair negatives look at; the automation's tests do without."""


@contextmanager
def without_pictures() -> Iterator[None]:
    """Spare the drawing, the longest part of many runs, where nothing looks at a picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plotting, "png", lambda *_, **__: b"")
        patch.setattr(blocks, "svg", lambda *_, **__: "<svg></svg>")
        yield


class Micro:
    """A micro study in a warehouse of its own.

    :param text: of its study file
    """

    def __init__(self, folder: Path, *, text: str = STUDY + FAIR_DATASETS) -> None:
        self.study_file = folder / "micro.toml"
        if not self.study_file.exists() or self.study_file.read_text("utf-8") != text:
            self.study_file.write_text(text, encoding="utf-8")
        self.settings = Settings(study=str(self.study_file), warehouse=folder / "warehouse")
        self.root = self.settings.warehouse
        self.tables = Tables(self.root)
        self.load()

    def load(self) -> None:
        """Load the study file (anew)."""
        self.study: Study = load_study(str(self.study_file))
        self._defs: dg.Definitions | None = None

    def copy(self, folder: Path) -> "Micro":
        """Return a copy that is the caller's to change."""
        folder.mkdir(parents=True, exist_ok=True)
        made = type(self)(folder, text=self.study_file.read_text("utf-8"))
        shutil.copytree(self.root, made.root, dirs_exist_ok=True)
        adopt(made.root, study=made.settings.study, home=None)
        return made

    def use(self, **settings: object) -> None:
        """Change settings of the environment, such as ``ctd_source``."""
        self.settings = self.settings.model_copy(update=settings)
        self._defs = None

    def edit_study(self, old: str, new: str) -> None:
        """Change the study file and load it."""
        text = self.study_file.read_text("utf-8")
        assert old in text
        self.study_file.write_text(text.replace(old, new), encoding="utf-8")
        self.load()

    @property
    def workplace(self) -> Workplace:
        return Workplace(study=self.study, settings=self.settings, build=build_defs)

    def walk(self, *wanted: str) -> list[Step]:
        """Make what is missing or stale of some assets (``room.table`` or ``room.table[partition]``; all by default)
        with what they are made from, in this process; return the steps."""
        with walk(self.workplace, at_once=1) as walking:
            nodes = with_needed(self.nodes(*wanted), graph=walking.graph)
            return list(make(walking, self.workplace, nodes=nodes))

    def make(self, *wanted: str) -> list[Step]:
        """The same; raise what the first failed step said."""
        steps = self.walk(*wanted)
        for step in steps:
            if step.error is not None:
                raise step.error
        return steps

    def nodes(self, *wanted: str) -> set[AssetPartition]:
        """Return asset partitions by name; all by default."""
        found = {node for node in self.graph if not wanted or node.asset in wanted or str(node) in wanted}
        assert all(any(name in (node.asset, str(node)) for node in found) for name in wanted), wanted
        return found

    @property
    def defs(self) -> dg.Definitions:
        if self._defs is None:
            self._defs = build_defs(settings=self.settings, study=self.study)
        return self._defs

    @property
    def graph(self) -> PartitionGraph:
        return PartitionGraph(self.defs.resolve_asset_graph())

    @property
    def instance(self) -> dg.DagsterInstance:
        return open_instance(self.root)

    def look(self) -> Look:
        """Return how all stands, with the study file as it is now."""
        graph, instance = self.graph, self.instance
        history = History(graph)
        history.read(instance=instance)
        return Look(
            graph=graph,
            history=history,
            instance=instance,
            under_way={},
            settings=present_settings(self.study),
        )

    def of_state(self, state: str) -> set[str]:
        """Return the asset partitions that are fresh, stale or missing."""
        look = self.look()
        return {str(node) for node in look.graph if look.state(node) == state}

    def check(self, asset: str, name: str, *, partition: str | None) -> dg.AssetCheckResult:
        """Run one asset check over what is stored now.

        Called directly: Dagster runs a partitioned check only together with its asset.
        """
        key = dg.AssetCheckKey(dg.AssetKey(asset.split(".")), name)
        (definition,) = [d for d in self.defs.asset_checks if key in d.check_keys]
        context = DirectAssetCheckExecutionContext(
            dg.build_op_context(
                partition_key=partition, resources={"warehouse": Warehouse(folder=str(self.root))}
            )
        )
        return definition(context)

    def evaluations(self, key: dg.AssetCheckKey) -> list[dg.AssetCheckEvaluation]:
        """Return all evaluations of a check that Dagster recorded."""
        history = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        return [record.event.dagster_event.event_specific_data for record in history]


def whole_micro() -> Micro:
    """Return a micro study that has run whole, pictures and all; it is kept between runs: read it, copy it to change it."""
    return Micro(
        kept("micro", made_from=_code(STUDY + FAIR_DATASETS), build=lambda folder: Micro(folder).make())
    )


def _code(text: str) -> list[Path | str]:
    """Return all that a study's tables follow from: our code, the libraries, the study."""
    versions = sorted(f"{found.name} {found.version}" for found in importlib.metadata.distributions())
    return [Path(bioalign_assets.__file__).parent, Path(__file__), "\n".join(versions), text]


def release_file(path: Path, **changed: object) -> Path:
    """Write a synthetic release to a file."""
    write_demo_release(
        path, spec=DemoRelease(**{"genes": 150, "diseases": 80, "associations": 400, **changed})
    )
    return path
