"""A published model through Dagster: it stays at its first commit, or a folder in its place, until it is moved."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import huggingface_hub.constants
import pytest
from click.testing import CliRunner

from bioalign_assets.cli import cli
from bioalign_assets.errors import BioAlignError, ModelError, StudyError
from bioalign_assets.execution import base_models, uses
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


@pytest.fixture
def versions(tmp_path):
    """Two versions of a model, as folders."""
    older, newer = tmp_path / "older", tmp_path / "newer"
    shutil.copytree(tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse()), older)
    shutil.copytree(older, newer)
    (newer / "generation_config.json").write_text('{"do_sample": true}')
    return older, newer


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.setattr(uses, "InProcesses", in_this_process)
    return Micro(tmp_path, text=STUDY)


@pytest.fixture
def held(house):
    """How the model is held, by a function."""

    def found():
        rows = house.tables.read(TABLES["models.base"], partitions=["published"])
        return ResolvedModel.from_table(rows, model="published")

    return found


def test_a_model_stays_at_its_commit_until_it_is_moved(tmp_path, hub, monkeypatch, versions, house, held):
    older, newer = versions
    hub.put(REPO, older, commit=OLDER)
    wanted = "models.base[published]"

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
    (step,) = base_models.move_models(house.workplace, names=["published"])
    assert (step.outcome, held().revision) == ("same", PAGE)
    before = held()
    hub.put(REPO, newer, commit=NEWER)  # the branch moves on
    assert [step.outcome for step in house.make(wanted)] == ["looked"]
    house.edit_study("associations = 120", "associations = 121")  # another release, for which it is made anew
    *_, step = house.make(wanted)
    assert (step.outcome, {*step.nodes}) == ("same", house.nodes(wanted))
    assert held() == before
    (step,) = base_models.move_models(house.workplace, names=["published"])
    assert (step.outcome, step.title) == ("changed", "models.base [published]")
    assert held().revision == NEWER
    assert held().weights_sha256 != before.weights_sha256
    with pytest.raises(StudyError, match="no model of that name in the study that it is for"):
        list(base_models.move_models(house.workplace, names=["tiny"]))

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


def test_a_folder_in_the_hubs_place_stays_there_until_the_model_is_moved(
    tmp_path, hub, versions, house, held
):
    older, newer = versions
    wanted = "models.base[published]"
    *_, step = base_models.take_models(
        house.workplace, paths={"published": newer}
    )  # with the release before it
    assert (step.outcome, hub.asked) == ("made", [])
    taken = held()
    assert (taken.source, taken.origin, taken.repo_id, taken.revision) == ("folder", str(newer), REPO, None)
    assert [step.outcome for step in house.make(wanted)] == ["looked"]
    house.edit_study("associations = 120", "associations = 121")  # another release, for which it is made anew
    *_, step = house.make(wanted)
    assert (step.outcome, held(), hub.asked) == ("same", taken, [])

    environment = {"BIOALIGN_STUDY": str(house.study_file), "BIOALIGN_WAREHOUSE": str(house.root)}
    shown = CliRunner().invoke(cli, ["models"], env=environment)
    told = " ".join(shown.output.split())
    assert f"in the place of {REPO}" in told
    assert taken.weights_sha256[:16] in told

    (newer / "model.safetensors").unlink()  # what is there now is refused, and the row stays
    failed = CliRunner().invoke(cli, ["models", "--take", f"published={newer}"], env=environment)
    assert isinstance(failed.exception, ModelError), failed.output
    assert held() == taken
    shutil.copy(older / "model.safetensors", newer)
    assert held().folder(warehouse=house.root) == newer

    hub.put(REPO, older, commit=OLDER)
    (step,) = base_models.move_models(house.workplace, names=["published"])
    assert (held().source, held().revision, held().origin, held().files) == ("hub", OLDER, None, None)
    for option in (["--take", "tiny=x"], ["--take", "nothing=x"]):
        refused = CliRunner().invoke(cli, ["models", *option], env=environment)
        assert isinstance(refused.exception, StudyError)
    for option in (["--take", "published"], ["--take", "published=x", "--move", "published"]):
        assert CliRunner().invoke(cli, ["models", *option], env=environment).exit_code == 2
