"""A training that is killed in Dagster's hands: the rerun of the partition goes on from its last checkpoint."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from bioalign_assets.models.loading import load_base
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets.training.samples import training_rows
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.micro import Micro

pytestmark = pytest.mark.slow
VARIANT = "tiny-llama@paper"
WANTED = (f"training.adapter[{VARIANT}]", f"training.log[{VARIANT}]")
_CHILD = """
import os, signal, sys
from pathlib import Path
from bioalign_assets.training.checkpoints import Checkpoints
from bioalign_assets_tests.micro import Micro
from bioalign_assets_tests.pipeline.test_resume import WANTED

seal = Checkpoints.seal

def seal_and_die(self, step, **noted):
    seal(self, step, **noted)
    os.kill(os.getpid(), signal.SIGKILL)

Checkpoints.seal = seal_and_die
folder = Path(sys.argv[1])
Micro(folder, text=(folder / "micro.toml").read_text("utf-8")).make(*WANTED)
"""


@pytest.fixture
def study(micro, tmp_path) -> Micro:
    """A study whose adapter is stale; its training has a checkpoint every two steps."""
    made = micro.copy(tmp_path / "study")
    made.edit_study("steps = 3", "steps = 6\ncheckpoint_every = 2")
    return made


def uninterrupted(study, *, adapters):
    """Train as the asset does, in one go."""
    base = ResolvedModel.from_table(study.tables.read(TABLES["models.base"]), model="tiny-llama")
    pairs = study.tables.read(TABLES["curation.pairs"], partitions=["published"])
    return train_adapter(
        training_rows(pairs, dataset="published"),
        loaded=load_base(base, spec=study.study.models["tiny-llama"], warehouse=study.root),
        spec=study.study.experiments["paper"],
        adapters=adapters,
        name=VARIANT,
    )


def write_no_log(write):
    def failing(self, table, *, schema, **more):
        if schema.full_name == "training.log":
            raise OSError(errno.EIO, "no log")
        return write(self, table, schema=schema, **more)

    return failing


def folders(path: Path) -> set[str]:
    return {each.name for each in path.iterdir() if each.is_dir()}


def stored(study, name):
    return study.tables.read(TABLES[name], partitions=[VARIANT])


def test_the_rerun_of_a_killed_training_ends_with_the_same_adapter(study, tmp_path, monkeypatch):
    before, adapters = stored(study, "training.adapter"), folders(study.root / "adapters")
    killed = subprocess.run(
        [sys.executable, "-c", _CHILD, str(study.study_file.parent)],
        cwd=PROJECT_ROOT, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert stored(study, "training.adapter").equals(before)
    assert folders(study.root / "adapters") == adapters
    (training,) = folders(study.root / "checkpoints")

    with monkeypatch.context() as failing:  # trained to the end, but one of the two tables can't be written
        failing.setattr(Tables, "write", write_no_log(Tables.write))
        (step,) = [step for step in study.walk(*WANTED) if step.outcome == "failed"]
        assert "found no log (OSError)" in str(step.error)
    ended, failed = study.instance.get_runs(limit=2)[::-1]
    assert ended.status == failed.status == dg.DagsterRunStatus.FAILURE  # that of the killed process too
    assert (study.root / "checkpoints" / training / "checkpoint-6" / "whole.json").is_file()
    study.make(*WANTED)
    assert study.of_state("stale").isdisjoint(WANTED)
    (row,) = stored(study, "training.adapter").to_pylist()
    whole = uninterrupted(study, adapters=tmp_path / "elsewhere")
    assert (row["sha256"], row["steps"], row["samples"]) == (whole.sha256, whole.steps, whole.samples)
    assert folders(study.root / "adapters") == adapters | {whole.sha256}
    log = stored(study, "training.log").drop(["variant", "tokens_per_s"])
    assert log.equals(whole.log.drop(["tokens_per_s"]))

    newest, *_ = study.instance.fetch_materializations(dg.AssetKey(["training", "adapter"]), limit=1).records
    resumed = newest.asset_materialization.metadata["resumed_after_steps"].value
    assert resumed == "2, 6"  # after the failure no step was taken again
    assert folders(study.root / "checkpoints") == set()  # both rows are written, nobody needs them any more
