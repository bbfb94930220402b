"""The check-up: what is told of this machine and of stand-ins for others, and when a study can run."""

import io
import json
import shutil

import click.testing
import huggingface_hub.constants
import pytest
import torch
from rich.console import Console

from bioalign_assets.cli import cli
from bioalign_assets.doctor import machine as looking
from bioalign_assets.doctor.checkup import check_up
from bioalign_assets.doctor.output import checkup_for_terminal
from bioalign_assets.models import fetching
from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests import tiny_models
from bioalign_assets_tests.models.local_hub import LocalHub
from bioalign_assets_tests.models.test_hub import COMMIT, put


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing answers there
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)


def checkup_of(study, folder, **settings):
    return check_up(
        load_study(str(study)), settings=Settings(study=str(study), warehouse=folder / "w", **settings)
    )


def line(checkup, what):
    (found,) = [line for line in (*checkup.machine, checkup.downloads) if line.what == what]
    return found


def card(monkeypatch, *, gigabytes, has_bfloat16=True):
    """A stand-in for a CUDA card."""
    total = int(gigabytes * 1e9)
    for name, value in {
        "is_available": True, "mem_get_info": (total, total), "get_device_name": "A card",
        "is_bf16_supported": has_bfloat16,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(looking, "_quantises", lambda *_, **__: "")


@pytest.fixture
def hub(monkeypatch):
    made = LocalHub()
    with made.serving() as address:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
        yield made


def test_the_demo_runs_on_a_cpu_without_a_network(tmp_path):
    checkup = checkup_of("demo", tmp_path)
    assert checkup.can_run
    assert line(checkup, "bitsandbytes").state == "ok"
    assert line(checkup, "to fetch").found == "nothing"
    assert {model.model: model.training_bytes == 0 for model in checkup.models} == {
        "tiny-llama": False, "tiny-mistral": False, "tiny-phi3": False, "tiny-benchmark": True,
    }  # fmt: skip
    assert not (tmp_path / "w").exists()  # looking makes nothing


def test_the_papers_study_does_not_run_on_a_cpu_and_each_reason_has_a_remedy(tmp_path):
    checkup = checkup_of("paper", tmp_path)
    assert not checkup.can_run
    for what in ("CUDA card", "model hub"):
        assert line(checkup, what).state == "missing"
    assert all(each.mend for each in checkup.machine if each.state != "ok")
    for model in checkup.models:
        told = "; ".join(checkup.obstacles[model.model])
        assert "no CUDA card" in told
        assert "no hub answers" in told
    sizes = {model.model: round(model.download_bytes / 1e9, 1) for model in checkup.models}
    assert sizes == {"llama-3-8b": 5.7, "mistral-7b": 4.1, "phi-3-mini": 2.3, "biomistral-7b": 14.5}


def test_the_papers_study_runs_on_a_card_with_the_hub(tmp_path, monkeypatch, hub):
    token = "hf_ours"  # noqa: S105 - of the stand-in
    hub.users[token] = "somebody"
    card(monkeypatch, gigabytes=24)
    checkup = checkup_of("paper", tmp_path, hf_token=token)
    assert checkup.can_run, checkup
    assert line(checkup, "hub login").found == "token of somebody"
    assert "24.0 GB" in line(checkup, "CUDA card").found


def test_a_card_that_is_too_small_is_told_by_model(tmp_path, monkeypatch, hub):
    card(monkeypatch, gigabytes=8, has_bfloat16=False)
    checkup = checkup_of("paper", tmp_path)
    assert "it has no bfloat16" in line(checkup, "CUDA card").found
    stuck = {name for name, problems in checkup.obstacles.items() if problems}
    assert "llama-3-8b" in stuck
    assert "biomistral-7b" not in stuck  # it is never trained
    assert any("training needs about" in problem for problem in checkup.obstacles["llama-3-8b"])


def test_a_disk_that_is_too_small_is_told_before_the_first_download(tmp_path, monkeypatch, hub):
    card(monkeypatch, gigabytes=24)
    monkeypatch.setattr(looking, "free_disk", lambda _: 20 * 10**9)
    checkup = checkup_of("paper", tmp_path)
    assert not checkup.can_run
    assert "about 26.6 GB for 4 models; 20.0 GB are free" in line(checkup, "to fetch").found


def test_room_is_asked_for_what_the_study_still_makes(tmp_path, monkeypatch):
    asked = line(checkup_of("paper", tmp_path), "disk, warehouse").found
    (tmp_path / "w" / "raw").mkdir(parents=True)
    with (tmp_path / "w" / "raw" / "old").open("wb") as old:
        old.truncate(30 * 10**9)  # a hole: it takes no room here, and is no part of what the study makes
    assert line(checkup_of("paper", tmp_path), "disk, warehouse").found.split("; ")[1] == asked.split("; ")[1]
    monkeypatch.setattr("bioalign_assets.doctor.checkup.free_disk", lambda _: 10**9)
    small = line(checkup_of("paper", tmp_path), "disk, warehouse")
    assert (small.state, small.found.split(" free")[0]) == ("missing", "1.0 GB")
    assert not checkup_of("paper", tmp_path).can_run
    monkeypatch.setattr("bioalign_assets.doctor.checkup.why_not_written", lambda _: "Read-only file system")
    assert (
        "can't be written (Read-only file system)"
        in line(checkup_of("demo", tmp_path), "disk, warehouse").found
    )


def test_a_refused_token_is_told(tmp_path, hub):
    old = "hf_old"
    assert (
        line(checkup_of("paper", tmp_path, hf_token=old), "hub login").found == "a token that the hub refuses"
    )
    assert line(checkup_of("paper", tmp_path), "hub login").found == "no token"


def study_file(folder, *lines):
    path = folder / "study.toml"
    path.write_text(
        'title = "One"\n[datasets.d]\nsampler = "stable"\nsplit = "pair"\n[experiments.untuned]\nevaluate_on = ["d"]\n'
        '[experiments.e]\ntrain_on = "d"\nevaluate_on = ["d"]\nsteps = 3\n[models.m]\n' + "\n".join(lines)
    )
    return path


def test_what_is_in_the_cache_needs_no_hub_and_its_configuration_counts(tmp_path, hub):
    study = study_file(tmp_path, 'repo_id = "made-up/model"')
    absent = checkup_of(study, tmp_path)
    (model,) = absent.models
    assert (model.download_bytes, model.training_bytes, model.scoring_bytes) == (None, None, None)
    assert not absent.can_run  # what is not known can't be told to fit a CPU
    assert "not known before the hub is asked" in line(absent, "to fetch").found
    source = tmp_path / "source"
    shutil.copytree(tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse()), source)
    snapshot = put(tmp_path / "cache", source)
    here = checkup_of(study, tmp_path)
    assert here.can_run
    assert here.models[0].parameters == tiny_models.resolved("llama").parameters
    assert (here.models[0].download_bytes, here.models[0].commit) == (0, None)
    (snapshot / "model.safetensors").unlink()
    assert fetching.cached("made-up/model", revision=COMMIT) is None
    assert not checkup_of(study, tmp_path).models[0].is_here  # half a download is none


def test_the_recorded_commit_is_the_one_that_is_looked_for(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse()), source)
    put(tmp_path / "cache", source)
    row = {
        **vars(tiny_models.resolved("llama")), "model": "m", "source": "hub", "repo_id": "made-up/model",
        "revision": "c3" * 20, "named_revision": "main",
    }  # fmt: skip
    tables = Tables(tmp_path / "w")
    schema = TABLES["models.base"]
    tables.write(type(tiny_models.resolved("llama"))(**row).to_table(), schema=schema, partition="m")
    (model,) = checkup_of(study_file(tmp_path, 'repo_id = "made-up/model"'), tmp_path).models
    assert (model.commit, model.is_here) == (
        "c3" * 20,
        False,
    )  # main has moved on in the cache, the study has not


def test_a_model_on_this_machine_needs_no_hub(tmp_path):
    source = tiny_models.resolved("llama").folder(warehouse=tiny_models.warehouse())
    found = checkup_of(study_file(tmp_path, f'path = "{source}"'), tmp_path)
    (model,) = found.models
    assert found.can_run
    assert (model.is_here, model.download_bytes, model.source) == (True, 0, str(source))
    assert model.parameters == tiny_models.resolved("llama").parameters
    lost = checkup_of(study_file(tmp_path, 'path = "gone"'), tmp_path)
    assert f"nothing at {tmp_path / 'gone'}" in lost.obstacles["m"]
    row = {
        **vars(tiny_models.resolved("llama")), "model": "m", "source": "folder", "repo_id": "made-up/model",
        "named_revision": "main", "origin": str(source), "path": str(source),
    }  # fmt: skip
    rows = type(tiny_models.resolved("llama"))(**row).to_table()
    Tables(tmp_path / "w").write(rows, schema=TABLES["models.base"], partition="m")
    taken = checkup_of(study_file(tmp_path, 'repo_id = "made-up/model"'), tmp_path)
    assert taken.can_run
    assert (taken.models[0].source, taken.models[0].download_bytes) == (str(source), 0)


def test_unsloth_is_asked_for_only_where_it_trains(tmp_path):
    asks = study_file(tmp_path, 'tiny = "llama"', 'backend = "unsloth"')
    assert checkup_of(asks, tmp_path).obstacles["m"] == ['backend = "unsloth": no package unsloth']
    asks.write_text(asks.read_text() + '\nrole = "benchmark"\n')
    assert checkup_of(asks, tmp_path).can_run


def test_a_library_that_can_not_quantise_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("bitsandbytes.functional.dequantize_4bit", lambda *_: torch.zeros(64, 64))
    checkup = checkup_of("demo", tmp_path)
    assert "weights that come back wrong by 1.00 of 1" in line(checkup, "bitsandbytes").found
    assert not checkup.can_run


@pytest.mark.parametrize("width", [80, 120])
def test_it_reads_well_in_a_narrow_and_in_a_wide_terminal(tmp_path, width):
    checkup = checkup_of("paper", tmp_path)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(checkup_for_terminal(checkup))
    shown = console.export_text()
    assert max(map(len, shown.splitlines())) <= width
    for model in checkup.models:
        assert model.model in shown
    assert "…" not in shown  # nothing is cut


def test_the_command_says_it_by_its_exit_status_and_as_json(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOALIGN_WAREHOUSE", str(tmp_path / "w"))
    for study, status in (("demo", 0), ("paper", 1)):
        monkeypatch.setenv("BIOALIGN_STUDY", study)
        result = click.testing.CliRunner().invoke(cli, ["doctor", "--json"])
        assert result.exit_code == status
        told = json.loads(result.output)
        assert told["can_run"] is (status == 0)
        assert {model["model"] for model in told["models"]} == set(load_study(study).models)
