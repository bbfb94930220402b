"""The pipeline finds what was planted, and nothing where nothing was."""

import pyarrow.compute as pc
import pytest
from sklearn.metrics import roc_auc_score

from bioalign_assets.evaluation.popularity import popularity
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.micro import Micro, without_pictures

STUDY = """
title = "Signal"

[demo_release]
genes = 300
diseases = 120
associations = 2500
{release}

[models.tiny-llama]
tiny = "llama"
pretraining_steps = 15

[datasets.stable]
sampler = "stable"
split = "pair"

[experiments.untuned]
evaluate_on = ["stable"]

[experiments.paper]
train_on = "stable"
evaluate_on = ["stable"]
steps = 100
learning_rate = 4e-3
batch_size = 8
accumulation = 1
gradient_checkpointing = false

[evaluation]
sample_size = 500
prompts = ["training"]
"""
NOTHING_TO_LEARN = "strength = 0.0\ngene_tail = 0.0\ndisease_tail = 0.0"
FULL_STRENGTH = "strength = 1.0"
# Over six releases of either kind (seeds 1 to 6) the tuned model's AUROC was 0.74 to 0.82 at full strength and 0.49 to
# 0.54 without anything to learn, the untuned one's 0.41 to 0.56; the standard error is 0.02 to 0.03.


def asked(folder, release) -> Micro:
    """Return a study whose model was trained, asked and evaluated."""
    made = Micro(folder, text=STUDY.format(release=release))
    with without_pictures():
        made.make("evaluation.zero_shot")
    return made


def auroc(micro, experiment) -> tuple[float, float]:
    """Return the AUROC's interval."""
    rows = micro.tables.read(TABLES["evaluation.zero_shot"], partitions=[f"tiny-llama@{experiment}"])
    (row,) = rows.filter(pc.equal(rows["metric"], "auroc")).to_pylist()
    return row["ci_low"], row["ci_high"]


@pytest.mark.slow
def test_where_nothing_is_planted_nothing_is_found(tmp_path):
    low, high = auroc(asked(tmp_path, NOTHING_TO_LEARN), "paper")
    assert low < 0.55
    assert high > 0.45
    # popularity at one seed says little either way; over many seeds: ctd/test_synthetic.py


@pytest.mark.slow
def test_at_full_strength_the_tuned_model_finds_it(tmp_path):
    micro = asked(tmp_path, FULL_STRENGTH)
    low, _ = auroc(micro, "paper")
    assert low > 0.6
    assert low > auroc(micro, "untuned")[1]
    pairs = micro.tables.read(TABLES["curation.pairs"])
    train, test = (pairs.filter(pc.equal(pairs["split"], split)) for split in ("train", "test"))
    assert roc_auc_score(test["label"], popularity(train, seed=42)(test)) > 0.65
