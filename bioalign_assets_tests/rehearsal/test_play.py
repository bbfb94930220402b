"""A rehearsal from end to end, and the faults that it is there to find, put back."""

import json
import shutil

import pytest
from trl import SFTTrainer

from bioalign_assets.definitions import build_defs
from bioalign_assets.errors import StudyError, WarehouseError
from bioalign_assets.execution.instance import see_that_it_belongs
from bioalign_assets.execution.processes import Workplace
from bioalign_assets.models.base import resolve_model
from bioalign_assets.rehearsal.growth import living_after_trainings
from bioalign_assets.rehearsal.originals import originals_of
from bioalign_assets.rehearsal.play import Rehearsal
from bioalign_assets.rehearsal.shortened import STEPS, shortened
from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study
from bioalign_assets.training.trainer import AdapterTrainer
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests import tiny_models

STUDY = """
title = "A study to rehearse"

[source]
ctd = "demo"
ctd_diseases = "demo"

[demo_release]
genes = 150
diseases = 80
associations = 400

[models.real]
path = "model"

[models.elsewhere]
repo_id = "nobody/nothing"

[datasets.published]
sampler = "published"
split = "pair"

[experiments.untuned]
evaluate_on = ["published"]

[experiments.paper]
train_on = "published"
evaluate_on = ["published"]
steps = 2000
max_tokens = 512

[experiments.short]
like = "paper"
max_tokens = 20
"""


@pytest.fixture
def workplace(tmp_path):
    model = tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse())
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "study.toml"
    file.write_text(STUDY, encoding="utf-8")
    settings = Settings(study=str(file), warehouse=tmp_path / "warehouse")
    return Workplace(study=load_study(str(file)), settings=settings, build=build_defs)


def test_a_study_is_played_whole_and_what_would_fail_is_told(workplace, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rehearsal = Rehearsal(workplace=workplace, folder=tmp_path / "rehearsal", at_once=2)
    steps = {step.title: step for step in rehearsal.steps()}
    found = rehearsal.result()
    real, elsewhere = found.models
    # tuned with samples that are too long: it would fail, and is told with model, dataset and length
    assert (real.ran, real.variants) == (2, 3)
    assert elsewhere.ran == 0
    assert not found.would_run
    told = {problem.what: problem.why for problem in found.problems}
    assert set(told) == {"model elsewhere", "trainings of real", "training.adapter + log [real@short]"}
    assert "published by the tokenizer of real" in told["trainings of real"]
    assert "max_tokens = 20, the longest with" in told["trainings of real"]
    assert steps["memory of real"].outcome == "made"
    assert real.needs.training_bytes > real.needs.scoring_bytes
    # it has a warehouse of its own, in which everything is there
    assert not workplace.settings.warehouse.exists()
    assert (tmp_path / "rehearsal" / "report").is_dir()
    assert found.to_json()["models"][0]["needs"]["fetched_bytes"] == 0


def test_a_folder_for_a_model_that_is_not_published_is_refused(workplace, tmp_path):
    with pytest.raises(StudyError, match=r"--files other.*one of real, elsewhere"):
        Rehearsal(workplace=workplace, folder=tmp_path, files={"other": tmp_path})


def test_configuration_and_tokenizer_come_from_a_folder(workplace, tmp_path):
    folder = tmp_path / "given"
    folder.mkdir()
    found, lacking = originals_of(
        workplace.study, warehouse=tmp_path / "none", folders={"elsewhere": folder}, token=None
    )
    assert set(found) == {"real"}
    assert "no configuration in" in str(lacking["elsewhere"])
    for file in (tmp_path / "model").iterdir():
        if file.suffix == ".json":
            shutil.copy(file, folder)
    found, lacking = originals_of(
        workplace.study, warehouse=tmp_path / "none", folders={"elsewhere": folder}, token=None
    )
    assert set(found) == {"real", "elsewhere"}
    assert not lacking


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes"),
    ],
)
def test_what_models_base_would_refuse_is_refused(workplace, tmp_path, published, expected):
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": published}))
    _, lacking = originals_of(workplace.study, warehouse=tmp_path / "none", folders={}, token=None)
    assert f"weights that are quantised already ({expected})" in str(lacking["real"])
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    _, lacking = originals_of(workplace.study, warehouse=tmp_path / "none", folders={}, token=None)
    assert "a tokenizer that transformers can't read" in str(lacking["real"])


def test_what_was_taken_in_a_models_place_is_what_is_rehearsed(workplace, tmp_path):
    spec = workplace.study.models["elsewhere"]
    taken = resolve_model(
        spec, name="elsewhere", associations=None, warehouse=tmp_path / "real", take=str(tmp_path / "model")
    )
    schema = TABLES["models.base"]
    Tables(tmp_path / "real").write(taken.to_table(), schema=schema, partition="elsewhere")
    found, lacking = originals_of(workplace.study, warehouse=tmp_path / "real", folders={}, token=None)
    assert not lacking
    assert found["elsewhere"].tokenizer == tmp_path / "model"
    assert found["elsewhere"].fetched_bytes == 0


def test_a_real_warehouse_is_not_played_in(workplace, tmp_path):
    see_that_it_belongs(tmp_path / "warehouse", study=workplace.settings.study)
    with pytest.raises(WarehouseError, match=r"study\.toml on record.*Name another folder"):
        next(Rehearsal(workplace=workplace, folder=tmp_path / "warehouse").steps())


@pytest.mark.parametrize("ended_well", [True, False])
def test_a_rehearsal_begins_anew_after_one_that_ended_well(workplace, tmp_path, ended_well):
    """Libraries may be others by now, which no table tells; else it goes on where the last one stopped."""
    folder = tmp_path / "played"
    see_that_it_belongs(folder, study=f"/rehearsal of {workplace.settings.study}")
    (folder / "of-the-last-one").touch()
    if ended_well:
        (folder / "all-would-run.json").touch()
    Rehearsal(workplace=workplace, folder=folder).settle_folder()
    assert (folder / "of-the-last-one").exists() != ended_well


def test_a_folder_that_is_no_rehearsals_is_left_as_it_is(workplace, tmp_path):
    folder = tmp_path / "somebodys"
    folder.mkdir()
    (folder / "all-would-run.json").touch()
    Rehearsal(workplace=workplace, folder=folder).settle_folder()
    assert (folder / "all-would-run.json").exists()


def test_the_papers_shapes_are_known_without_a_configuration(tmp_path):
    tiny_models.load("llama").tokenizer.save_pretrained(tmp_path)
    study = load_study("paper")
    found, lacking = originals_of(
        study, warehouse=tmp_path / "none", folders=dict.fromkeys(study.models, tmp_path), token=None
    )
    assert not lacking
    assert [found[name].is_nf4 for name in study.models] == [True, True, True, False]
    assert found["biomistral-7b"].is_pickled
    assert all(each.shape.parameters > 3e9 for each in found.values())


def test_what_is_played_is_the_study_but_for_its_length(tmp_path):
    study = load_study("paper")
    played = shortened(study, stand_ins=dict.fromkeys(study.models, tmp_path))
    assert [variant.key for variant in played.variants] == [variant.key for variant in study.variants]
    assert (played.datasets, played.source) == (study.datasets, study.source)
    for name, spec in played.experiments.items():
        real = study.experiments[name]
        assert spec.is_untuned == real.is_untuned
        assert spec.is_untuned or (spec.steps, spec.epochs) == (STEPS, None)
        kept = {
            "rank",
            "alpha",
            "loss",
            "prompts",
            "optimiser",
            "batch_size",
            "accumulation",
            "max_tokens",
            "seed",
        }
        assert spec.model_dump(include=kept) == real.model_dump(include=kept)


def living(tmp_path):
    return living_after_trainings(
        tiny_models.training_rows(16),
        resolved=tiny_models.resolved("llama"),
        model_spec=tiny_models.spec_of("llama"),
        spec=tiny_models.experiment(steps=2),
        warehouse=tiny_models.warehouse(),
    )


def test_memory_that_comes_back_does_not_grow(tmp_path):
    assert len(set(living(tmp_path))) == 1


def test_memory_that_does_not_come_back_is_seen_to_grow(tmp_path, monkeypatch, workplace, original):
    """The fault as it was: transformers tells bitsandbytes' global list of each embedding."""
    monkeypatch.setattr(AdapterTrainer, "create_optimizer", SFTTrainer.create_optimizer)
    alive = living(tmp_path)
    embedding = tiny_models.load("llama").model.get_input_embeddings().weight
    assert alive[1] - alive[0] == alive[2] - alive[1] >= embedding.numel() * 4
    rehearsal = Rehearsal(workplace=workplace, folder=tmp_path)
    outcome, why = rehearsal._told_growth("real", original=original(), alive=alive)
    assert outcome == "failed"
    assert "of tensors outlive each training" in why
    assert not rehearsal.result().would_run
