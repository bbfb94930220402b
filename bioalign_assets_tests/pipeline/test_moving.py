"""A published model through Dagster: it stays at the commit of its first run until somebody moves it."""

import shutil

import huggingface_hub.constants
import pytest
from bioalign_assets.automation.moving import move_models
from bioalign_assets.demo import plan, run_study
from click.testing import CliRunner

from bioalign_assets.cli import cli
from bioalign_assets.errors import BioAlignError, StudyError
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests import tiny_models
from bioalign_assets_tests.models.local_hub import LocalHub

OLDER, PAGE, NEWER, REPO = "b2" * 20, "c3" * 20, "a1" * 20, "made-up/model"
STUDY = f"""
title = "One published model"
[demo_release]
genes = 60
diseases = 40
associations = 120
[models.published]
repo_id = "{REPO}"
[models.tiny]
tiny = "llama"
[datasets.d]
sampler = "stable"
split = "pair"
[experiments.untuned]
evaluate_on = ["d"]
"""


@pytest.fixture
def hub(monkeypatch, tmp_path):
    made = LocalHub()
    with made.serving() as address:
        for name, value in {
            "HF_HUB_OFFLINE": False, "ENDPOINT": address, "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        }.items():  # fmt: skip
            monkeypatch.setattr(huggingface_hub.constants, name, value)
        yield made


def test_a_model_stays_at_its_commit_until_it_is_moved(tmp_path, hub, monkeypatch):
    older, newer = tmp_path / "older", tmp_path / "newer"
    shutil.copytree(tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse()), older)
    shutil.copytree(older, newer)
    (newer / "generation_config.json").write_text('{"do_sample": true}')
    hub.put(REPO, older, commit=OLDER)
    study_file = tmp_path / "study.toml"
    study_file.write_text(STUDY)
    study = load_study(str(study_file))
    settings = Settings(study=str(study_file), warehouse=tmp_path / "w", ctd_source="demo")
    wanted = [
        run for run in plan(study, settings=settings) if run.title in ("CTD release", "base model published")
    ]

    def held():
        rows = Tables(settings.warehouse).read(TABLES["models.base"], partitions=["published"])
        return ResolvedModel.from_table(rows, model="published")

    list(run_study(study, settings=settings, runs=wanted))
    assert (held().revision, held().named_revision) == (OLDER, "main")
    before = held()
    hub.put(REPO, older, commit=PAGE)  # a commit that leaves the model's files alone makes nothing stale
    (step,) = move_models(study, settings=settings, names=["published"])
    assert (step.outcome, held().revision) == ("same", PAGE)
    before = held()
    hub.put(REPO, newer, commit=NEWER)  # the branch moves on
    list(run_study(study, settings=settings, runs=wanted[1:]))
    assert held() == before
    (step,) = move_models(study, settings=settings, names=["published"])
    assert (step.outcome, step.title) == ("changed", "models.base[published]")
    assert held().revision == NEWER
    assert held().weights_sha256 != before.weights_sha256
    with pytest.raises(StudyError, match="no published model of that name"):
        list(move_models(study, settings=settings, names=["tiny"]))
    monkeypatch.setenv("BIOALIGN_STUDY", str(study_file))
    monkeypatch.setenv("BIOALIGN_WAREHOUSE", str(settings.warehouse))
    shown = CliRunner().invoke(cli, ["models"])
    assert shown.exit_code == 0
    assert NEWER in shown.output
    (tmp_path / "empty").mkdir()
    hub.put(REPO, tmp_path / "empty", commit="d4" * 20)
    failed = CliRunner().invoke(cli, ["models", "--move", "published"])
    assert isinstance(failed.exception, BioAlignError), failed.output  # main() tells it, with exit status 1
