"""The smallest study in which every asset has something to do: for tests of the wiring, in seconds."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg
import pytest
from bioalign_assets.demo import plan, run_study
from bioalign_assets.instance import open_instance
from dagster._core.execution.context.invocation import DirectAssetCheckExecutionContext
from filelock import FileLock

from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.definitions import build_defs
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study, load_study
from bioalign_assets.study.source import DemoRelease
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.tables import Tables

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


def build_once(factory: pytest.TempPathFactory, *, name: str, build: Callable[[Path], object]) -> Path:
    """Return a folder that the first of the workers has built who needed it, for all to read."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers of this session
    folder = folder / name
    stamp = folder.with_suffix(".built")
    with FileLock(folder.with_suffix(".lock")):
        if not stamp.exists():
            shutil.rmtree(folder, ignore_errors=True)  # a worker failed in the middle
            folder.mkdir()
            build(folder)
            stamp.touch()
    return folder


class Micro:
    """A micro study in a warehouse of its own, run as the demo runs it.

    :param text: of its study file
    """

    def __init__(self, folder: Path, *, text: str = STUDY + FAIR_DATASETS) -> None:
        self.study_file = folder / "micro.toml"
        if not self.study_file.exists() or self.study_file.read_text("utf-8") != text:
            self.study_file.write_text(text, encoding="utf-8")
        self.study: Study = load_study(str(self.study_file))
        self.settings = Settings(study=str(self.study_file), warehouse=folder / "warehouse")
        self.root = self.settings.warehouse
        self.tables = Tables(self.root)

    def run(
        self, *, ctd_source: str | None = None, parts: int | None = None, without: Sequence[str] = ()
    ) -> list[str]:
        """Run the study, or its first ``parts`` runs, without those of some titles; return the ids of the runs."""
        settings = self.settings.model_copy(update={"ctd_source": ctd_source})
        wanted = [part for part in plan(self.study, settings=settings) if part.title not in without]
        total = len(wanted)
        runs = run_study(self.study, settings=settings, runs=wanted)
        ids = [run_id for _, (_, run_id, _) in zip(range(parts or total), runs, strict=False)]
        runs.close()
        return ids

    @property
    def defs(self) -> dg.Definitions:
        return build_defs(settings=self.settings, study=self.study)

    @property
    def instance(self) -> dg.DagsterInstance:
        return open_instance(self.root)

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


def release_file(path: Path, **changed: object) -> Path:
    """Write a synthetic release to a file."""
    write_demo_release(
        path, spec=DemoRelease(**{"genes": 150, "diseases": 80, "associations": 400, **changed})
    )
    return path
