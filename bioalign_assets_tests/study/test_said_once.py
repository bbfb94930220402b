"""A study file says each thing once: ``like`` takes over an experiment's settings, ``seeds`` makes one a seed."""

import hashlib
import json

import pytest

from bioalign_assets.errors import StudyError
from bioalign_assets.study import load_study
from bioalign_assets.study.inputs import settings_groups

HEAD = """
title = "T"
[models.m]
tiny = "llama"
[datasets.one]
sampler = "stable"
split = "pair"
[experiments.untuned]
evaluate_on = ["one"]
"""
PAPER = """
[experiments.paper]
train_on = "one"
evaluate_on = ["one"]
steps = 7
rank = 4
"""


@pytest.fixture
def load(tmp_path):
    def loaded(text):
        path = tmp_path / "study.toml"
        path.write_text(HEAD + text, encoding="utf-8")
        return load_study(str(path))

    return loaded


@pytest.fixture
def told(load):
    def found(text):
        with pytest.raises(StudyError) as error:
            load(text)
        return error.value.found

    return found


def test_an_experiment_takes_over_what_it_does_not_say_itself(load):
    study = load(PAPER + '[experiments.other]\nlike = "paper"\nrank = 8\n')
    paper, other = study.experiments["paper"], study.experiments["other"]
    assert other == paper.model_copy(update={"rank": 8})


def test_it_may_stand_before_what_it_is_like_and_be_like_one_that_is_like_another(load):
    chain = '[experiments.first]\nlike = "second"\nseed = 1\n[experiments.second]\nlike = "paper"\nrank = 8\n'
    study = load(chain + PAPER)
    assert (study.experiments["first"].rank, study.experiments["first"].steps) == (8, 7)
    assert list(study.experiments) == ["untuned", "first", "second", "paper"]


def test_steps_and_epochs_stand_in_each_others_place(load):
    experiments = load(
        PAPER
        + '[experiments.epoch]\nlike = "paper"\nepochs = 1.0\n[experiments.back]\nlike = "epoch"\nsteps = 3\n'
    ).experiments
    assert (experiments["epoch"].steps, experiments["epoch"].epochs) == (None, 1.0)
    assert (experiments["back"].steps, experiments["back"].epochs) == (3, None)


def test_seeds_make_an_experiment_each_and_the_first_keeps_the_name(load):
    study = load(PAPER + 'seeds = [42, 43, 7]\n[experiments.other]\nlike = "paper"\n')
    made = {name: spec.seed for name, spec in study.experiments.items()}
    # how often is not taken over, and what is said by seeds is not said otherwise
    assert made == {"untuned": 42, "paper": 42, "paper-seed-43": 43, "paper-seed-7": 7, "other": 42}
    assert study.experiments["paper-seed-7"] == study.experiments["paper"].model_copy(update={"seed": 7})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[experiments.other]\nlike = "papr"\n',
            "experiments.other.like = 'papr': allowed are untuned, paper (did you",
        ),
        (
            '[experiments.other]\nlike = "other"\n',
            "experiments.other.like = 'other': allowed are untuned, paper",
        ),
        (
            '[experiments.a]\nlike = "b"\n[experiments.b]\nlike = "a"\n',
            "experiments.a.like = 'b': the two are like each other",
        ),
        ("seeds = []\n", "experiments.paper.seeds = []: whole numbers, each once"),
        ("seeds = [1, 1]\n", "experiments.paper.seeds = [1, 1]"),
        ("seeds = [1, true]\n", "experiments.paper.seeds = [1, True]"),
        ("seeds = 3\n", "experiments.paper.seeds = 3"),
        ("seeds = [1]\nseed = 2\n", "and no seed beside them"),
        (
            'seeds = [1, 2]\n[experiments.paper-seed-2]\nlike = "paper"\n',
            "experiments.paper.seeds: paper-seed-2 stands in the file by itself",
        ),
        ("sede = 3\n", "sede: unknown key; allowed are"),
    ],
)
def test_what_can_not_be_followed_is_told(told, text, problem):
    assert problem in told(PAPER + text)


def test_a_wrong_setting_is_told_where_it_stands_and_not_of_all_that_are_like_it(told):
    found = told(
        PAPER.replace("rank = 4", "rank = 0")
        + 'seeds = [1, 2]\n[experiments.other]\nlike = "paper"\nalpha = 0\n'
    )
    assert found.count("rank = 0") == 1
    assert "experiments.other.alpha = 0" in found


@pytest.mark.parametrize(
    ("name", "variants", "digest"),
    [
        ("demo", 19, "8de43b20a1edc18ead2b4c3204fcbf83da2d12944877902602281f120035a8fb"),
        ("paper", 55, "464053e1cbeba10602087703b707e7bdf78a0ea20f2ee422eb66dd5b8cfa128d"),
    ],
)
def test_the_built_in_studies_have_the_partitions_and_settings_that_they_had_when_all_was_written_out(
    name, variants, digest
):
    study = load_study(name)
    versions = {
        f"{group.name}[{partition}]": group.version(partition)
        for group in settings_groups(study)
        for partition in group.values
    }
    assert len(study.variants) == variants
    # a change of a setting on purpose changes this too: then what it makes stale is to be told in CHANGELOG.md
    assert hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest() == digest
