"""A training that is killed in Dagster's hands: the rerun of the partition goes on from its last checkpoint."""

import dagster as dg
import psutil
import pytest

from bioalign_assets.instance import mend_killed_runs
from bioalign_assets.models.loading import load_base
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study import load_study
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets.training.samples import training_rows
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.micro import STUDY, Micro

from .test_one_training import materializing
from .two_trainings import kill_all, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ADAPTER = dg.AssetKey(["training", "adapter"])
VARIANT = "tiny-llama@paper"


@pytest.fixture
def study(tmp_path):
    """A study whose training has a checkpoint every five steps; what comes before it has run."""
    micro = Micro(tmp_path)
    micro.study_file.write_text(STUDY.replace("steps = 3", "steps = 40\ncheckpoint_every = 5"), "utf-8")
    micro.study = load_study(str(micro.study_file))
    micro.run(parts=1 + len(micro.study.datasets) + len(micro.study.models))
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


def stored(study, name):
    return study.tables.read(TABLES[name], partitions=[VARIANT])


def test_the_rerun_of_a_killed_training_ends_with_the_same_adapter(study, tmp_path):
    checkpoints = study.root / "checkpoints"
    with materializing(study, VARIANT) as process:
        wait_for(lambda: list(checkpoints.glob("*/checkpoint-5/whole.json")), what="a checkpoint")
        root = psutil.Process(process.pid)
        kill_all([*root.children(recursive=True), root])
    assert len(stored(study, "training.adapter")) == 0
    assert list((study.root / "adapters").glob("*")) == []
    (training,) = [path for path in checkpoints.iterdir() if path.is_dir()]

    with study.instance as instance:
        assert len(mend_killed_runs(instance)) == 1
    with materializing(study, VARIANT) as process:
        assert process.wait(240) == 0
    (row,) = stored(study, "training.adapter").to_pylist()
    whole = uninterrupted(study, adapters=tmp_path / "elsewhere")
    assert (row["sha256"], row["steps"], row["samples"]) == (whole.sha256, whole.steps, whole.samples)
    assert [path.name for path in (study.root / "adapters").iterdir()] == [whole.sha256]
    log = stored(study, "training.log").drop(["variant", "tokens_per_s"])
    assert log.equals(whole.log.drop(["tokens_per_s"]))

    with study.instance as instance:
        (event,) = instance.fetch_materializations(ADAPTER, limit=10).records
    resumed = event.asset_materialization.metadata["resumed_after_steps"].value
    assert resumed in {"5", "10", "15", "20", "25", "30", "35", "40"}
    assert not training.exists()  # both rows are written, nobody needs them any more
