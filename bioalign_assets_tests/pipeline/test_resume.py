"""A training that is killed in Dagster's hands: the rerun of the partition goes on from its last checkpoint."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from bioalign_assets.instance import mend_killed_runs

from bioalign_assets.models.loading import load_base
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.study import load_study
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets.training.samples import training_rows
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.micro import STUDY, Micro

from .hands import materialize
from .two_trainings import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ADAPTER = dg.AssetKey(["training", "adapter"])
VARIANT = "tiny-llama@paper"
BEFORE = (
    (("ctd.release", "ctd.associations"), None),
    (("curation.pairs",), "published"),
    (("models.base",), "tiny-llama"),
)
_CHILD = """
import sys
from pathlib import Path
from bioalign_assets_tests.pipeline.test_resume import opened, train
train(opened(Path(sys.argv[1])))
"""


def opened(folder: Path) -> Micro:
    """Return a study whose training has a checkpoint every three steps."""
    micro = Micro(folder)
    micro.study_file.write_text(STUDY.replace("steps = 3", "steps = 15\ncheckpoint_every = 3"), "utf-8")
    micro.study = load_study(str(micro.study_file))
    return micro


def train(study: Micro) -> None:
    job = study.defs.resolve_implicit_global_asset_job_def()
    materialize(job, root=study.root, assets=("training.adapter", "training.log"), partition=VARIANT)


@pytest.fixture
def study(tmp_path):
    """What comes before the training has run."""
    micro = opened(tmp_path)
    job = micro.defs.resolve_implicit_global_asset_job_def()
    for assets, partition in BEFORE:
        materialize(job, root=micro.root, assets=assets, partition=partition)
    return micro


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
            raise OSError("no log")
        return write(self, table, schema=schema, **more)

    return failing


def stored(study, name):
    return study.tables.read(TABLES[name], partitions=[VARIANT])


def test_the_rerun_of_a_killed_training_ends_with_the_same_adapter(study, tmp_path, monkeypatch):
    checkpoints = study.root / "checkpoints"
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path)],
        cwd=PROJECT_ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: list(checkpoints.glob("*/checkpoint-3/whole.json")), what="a checkpoint")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert len(stored(study, "training.adapter")) == 0
    assert list((study.root / "adapters").glob("*")) == []
    (training,) = [path for path in checkpoints.iterdir() if path.is_dir()]

    with study.instance as instance:
        assert len(mend_killed_runs(instance)) == 1
    with monkeypatch.context() as failing:  # trained to the end, but one of the two tables can't be written
        failing.setattr(Tables, "write", write_no_log(Tables.write))
        with pytest.raises(OSError, match="no log"):
            train(study)
    assert (training / "checkpoint-15" / "whole.json").is_file()
    train(study)
    (row,) = stored(study, "training.adapter").to_pylist()
    whole = uninterrupted(study, adapters=tmp_path / "elsewhere")
    assert (row["sha256"], row["steps"], row["samples"]) == (whole.sha256, whole.steps, whole.samples)
    assert [path.name for path in (study.root / "adapters").iterdir()] == [whole.sha256]
    log = stored(study, "training.log").drop(["variant", "tokens_per_s"])
    assert log.equals(whole.log.drop(["tokens_per_s"]))

    with study.instance as instance:
        newest, *_ = instance.fetch_materializations(ADAPTER, limit=1).records
    after_kill, after_failure = newest.asset_materialization.metadata["resumed_after_steps"].value.split(", ")
    assert after_kill in {"3", "6", "9", "12"}
    assert after_failure == "15"  # no step was taken again
    assert not training.exists()  # both rows are written, nobody needs them any more
