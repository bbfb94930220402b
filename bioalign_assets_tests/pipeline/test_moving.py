"""A published model through Dagster: it stays at the commit of its first run until somebody moves it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import huggingface_hub.constants
import pytest
from click.testing import CliRunner

from bioalign_assets.cli import cli
from bioalign_assets.errors import BioAlignError, ModelError, StudyError
from bioalign_assets.execution import uses
from bioalign_assets.execution.instance import open_instance
from bioalign_assets.execution.processes import InThisProcess, Workplace
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests import tiny_models
from bioalign_assets_tests.micro import Micro
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


@contextmanager
def in_this_process(workplace: Workplace, **_: object) -> Iterator[InThisProcess]:
    """Execute here what a study with a published model has executed in processes of its own: the hub is only here."""
    yield InThisProcess(
        job=workplace.build(
            settings=workplace.settings, study=workplace.study
        ).resolve_implicit_global_asset_job_def(),
        instance=open_instance(workplace.settings.warehouse),
        study=workplace.study,
    )


def test_a_model_stays_at_its_commit_until_it_is_moved(tmp_path, hub, monkeypatch):
    monkeypatch.setattr(uses, "InProcesses", in_this_process)
    older, newer = tmp_path / "older", tmp_path / "newer"
    shutil.copytree(tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse()), older)
    shutil.copytree(older, newer)
    (newer / "generation_config.json").write_text('{"do_sample": true}')
    hub.put(REPO, older, commit=OLDER)
    house = Micro(tmp_path, text=STUDY)
    wanted = "models.base[published]"

    def held():
        rows = house.tables.read(TABLES["models.base"], partitions=["published"])
        return ResolvedModel.from_table(rows, model="published")

    with monkeypatch.context() as offline:  # as on a machine without a network
        offline.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(ModelError) as told:
            house.make(wanted)
    message = str(told.value)
    assert "\n" not in message
    for part in ("published", REPO, "BIOALIGN_STUDY=demo needs no hub"):
        assert part in message
    assert len(house.tables.read(TABLES["models.base"])) == 0

    house.make(wanted)
    assert (held().revision, held().named_revision) == (OLDER, "main")
    hub.put(REPO, older, commit=PAGE)  # a commit that leaves the model's files alone makes nothing stale
    (step,) = uses.move_models(house.workplace, names=["published"])
    assert (step.outcome, held().revision) == ("same", PAGE)
    before = held()
    hub.put(REPO, newer, commit=NEWER)  # the branch moves on
    assert [step.outcome for step in house.make(wanted)] == ["looked"]
    house.edit_study("associations = 120", "associations = 121")  # another release, for which it is made anew
    *_, step = house.make(wanted)
    assert (step.outcome, {*step.nodes}) == ("same", house.nodes(wanted))
    assert held() == before
    (step,) = uses.move_models(house.workplace, names=["published"])
    assert (step.outcome, step.title) == ("changed", "models.base [published]")
    assert held().revision == NEWER
    assert held().weights_sha256 != before.weights_sha256
    with pytest.raises(StudyError, match="no model of that name in the study that could be moved"):
        list(uses.move_models(house.workplace, names=["tiny"]))

    environment = {"BIOALIGN_STUDY": str(house.study_file), "BIOALIGN_WAREHOUSE": str(house.root)}
    shown = CliRunner().invoke(cli, ["models"], env=environment)
    assert shown.exit_code == 0
    assert NEWER in shown.output
    (tmp_path / "empty").mkdir()
    hub.put(REPO, tmp_path / "empty", commit="d4" * 20)
    before = held()
    failed = CliRunner().invoke(cli, ["models", "--move", "published"], env=environment)
    assert isinstance(failed.exception, BioAlignError), failed.output  # main() tells it, with exit status 1
    assert held() == before
