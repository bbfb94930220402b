"""The pipeline finds what was planted, and nothing where nothing was."""

import pytest

from bioalign_assets.study import Study, load_study
from bioalign_assets.warehouse.catalogue import open_catalogue
from bioalign_assets_tests.micro import Micro

STUDY = """
title = "Signal"

[demo_release]
{release}

[models.tiny-llama]
tiny = "llama"
pretraining_steps = 120

[datasets.stable]
sampler = "stable"
split = "pair"

[experiments.untuned]
evaluate_on = ["stable"]

[experiments.paper]
train_on = "stable"
evaluate_on = ["stable"]
steps = 250
learning_rate = 2e-3
batch_size = 8
accumulation = 1
gradient_checkpointing = false

[evaluation]
sample_size = 1000
prompts = ["training"]
link_queries = 5
link_candidates = 9
"""
NOTHING_TO_LEARN = "strength = 0.0\ngene_tail = 0.0\ndisease_tail = 0.0"
FULL_STRENGTH = "strength = 1.0"


def figures(folder, release) -> dict[tuple[str, str], tuple[float, float]]:
    """Run the study; return the AUROC interval of each contestant."""
    micro = Micro(folder)
    file = folder / "signal.toml"
    file.write_text(STUDY.format(release=release), encoding="utf-8")
    study: Study = load_study(str(file))
    micro.study = study
    micro.run()
    with open_catalogue(micro.root) as connection:
        rows = connection.execute(
            "SELECT model, experiment, auroc_ci_low, auroc_ci_high FROM report.leaderboard WHERE prompt = 'training'"
        ).fetchall()
    return {(model, experiment): (low, high) for model, experiment, low, high in rows}


@pytest.mark.slow
def test_where_nothing_is_planted_nothing_is_found(tmp_path):
    found = figures(tmp_path, NOTHING_TO_LEARN)
    low, high = found["tiny-llama", "paper"]
    assert low <= 0.5 <= high
    # popularity at one seed says little either way; over many seeds: ctd/test_synthetic.py


@pytest.mark.slow
def test_at_full_strength_the_tuned_model_finds_it(tmp_path):
    found = figures(tmp_path, FULL_STRENGTH)
    low, _ = found["tiny-llama", "paper"]
    assert low > 0.6
    assert low > found["tiny-llama", "untuned"][1]
    assert found["popularity", "baseline"][0] > 0.6
