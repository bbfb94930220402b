"""Runs of a study in several processes at once: the same tables, and an end that is told whatever happens."""

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from bioalign_assets.at_once import Hands
from bioalign_assets.demo import plan, run_study, runs_at_once, working_alone
from bioalign_assets.instance import mend_killed_runs, open_instance
from bioalign_assets.running import PlannedRun

from bioalign_assets.errors import BioAlignError, WarehouseError
from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STUDY = """
title = "T"
[demo_release]
genes = 60
diseases = 30
associations = 250
[models.m]
tiny = "llama"
pretraining_steps = 2
[models.n]
tiny = "phi3"
pretraining_steps = 2
[datasets.one]
sampler = "stable"
split = "pair"
[datasets.two]
sampler = "published"
split = "pair"
[experiments.untuned]
evaluate_on = ["one"]
[evaluation]
resamples = 100
"""
ROOMS = ("ctd", "curation", "models")


@pytest.fixture
def make(tmp_path):
    """Return a study in a warehouse of its own, and what it plans without its variants."""

    def made(name="warehouse", **settings):
        file = tmp_path / "study.toml"
        file.write_text(STUDY)
        study = load_study(str(file))
        settings = Settings(study=str(file), warehouse=tmp_path / name, **settings)
        runs = [run for run in plan(study, settings=settings) if run.assets[0].split(".")[0] in ROOMS]
        return study, settings, runs

    return made


@pytest.fixture
def ready(make):
    """A study whose release is there."""
    study, settings, runs = make()
    assert [run.title for run, _, _ in run_study(study, settings=settings, runs=runs[:1])] == ["CTD release"]
    return study, settings, runs[1:]


def hashes(settings):
    tables = Tables(settings.warehouse)
    names = ("ctd.associations", "curation.pairs", "curation.profile", "evaluation.baselines")
    return {name: content_hash(tables.read(TABLES[name]), schema=TABLES[name]) for name in names}


def test_the_tables_are_those_of_one_run_after_another(make):
    made = {}
    for at_once in (1, 2):
        study, settings, runs = make(f"{at_once}")
        ended = list(run_study(study, settings=settings, runs=runs, at_once=at_once))
        assert {run.title for run, _, _ in ended} == {run.title for run in runs}
        assert ended[0][0].title == "CTD release"
        with open_instance(settings.warehouse) as instance:
            assert {instance.get_run_by_id(run_id).status.value for _, run_id, _ in ended} == {"SUCCESS"}
            by = {instance.get_run_by_id(run_id).tags["bioalign/process"] for _, run_id, _ in ended}
        assert len(by) == (1 if at_once == 1 else 3)  # this one and two more
        models = (
            Tables(settings.warehouse)
            .read(TABLES["models.base"])
            .select(["model", "weights_sha256"])
            .to_pylist()
        )
        made[at_once] = (hashes(settings), sorted(map(str, models)))
    assert made[1] == made[2]


def test_what_is_under_way_is_ended_before_an_error_is_told(ready):
    study, settings, runs = ready
    # before its pairs are there
    lost = PlannedRun(title="lost", assets=("curation.profile",), partition="two")
    others = [run for run in runs if run.partition != "two"]
    assert len(others) == 3
    later = [replace(run, after=run.after | {"lost"}) for run in others[1:]]
    with working_alone(study, settings=settings), Hands(2, study=study, settings=settings) as hands:
        outcomes = list(hands.execute([others[0], lost, *later]))
    # nothing was begun after it
    assert [planned.title for planned, _, _ in outcomes] == [others[0].title, "lost"]
    assert isinstance(outcomes[0][1], str)
    assert isinstance(outcomes[1][1], BioAlignError)
    assert "no rows for two" in str(outcomes[1][1])


def test_a_process_that_is_killed_is_told_and_its_run_can_be_run_again(ready):
    study, settings, runs = ready
    found = []

    def kill_one():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not found:
            with open_instance(settings.warehouse) as instance:
                working = [run for run in instance.get_runs() if run.status.value == "STARTED"]
            marks = list((settings.warehouse / "dagster" / "at_work").glob("*"))
            for run in working:
                if any(mark.name.startswith(run.run_id) for mark in marks):
                    found.append(run.run_id)
                    os.kill(int(run.tags["bioalign/process"]), signal.SIGKILL)
                    break
            time.sleep(0.05)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with (
        working_alone(study, settings=settings),
        Hands(2, study=study, settings=settings) as hands,
        pytest.raises(WarehouseError, match=r"found that it was killed.*--at-once 1"),
    ):
        list(hands.execute(runs))
    killer.join()
    assert multiprocessing.active_children() == []
    ended = list(run_study(study, settings=settings, runs=runs))
    assert len(ended) == len(runs)
    with open_instance(settings.warehouse) as instance:
        mend_killed_runs(instance, unmarked_for_s=0)
        assert all(run.is_finished for run in instance.get_runs())
        assert instance.get_run_by_id(found[0]).status.value == "FAILURE"


def test_an_error_of_programming_comes_with_its_trace(ready):
    study, settings, runs = ready
    unknown = PlannedRun(title="unknown", assets=("curation.nothing",), partition="one")
    with (
        working_alone(study, settings=settings),
        Hands(2, study=study, settings=settings) as hands,
        pytest.raises(RuntimeError, match=r"unknown:\nTraceback"),
    ):
        list(hands.execute([unknown, runs[0]]))


def test_what_nothing_makes_is_told_at_once(ready):
    study, settings, _ = ready
    circle = [
        PlannedRun(title="a", assets=("curation.pairs",), after=frozenset({"b"})),
        PlannedRun(title="b", assets=("curation.pairs",), after=frozenset({"a"})),
    ]
    with (
        Hands(1, study=study, settings=settings) as hands,
        pytest.raises(RuntimeError, match="nothing makes what these runs read: a, b"),
    ):
        list(hands.execute(circle))


def test_what_a_process_can_not_even_begin_is_told(make):
    study, settings, runs = make()
    settings = settings.model_copy(update={"warehouse": Path("/proc/no-such-place")})
    with (
        Hands(1, study=study, settings=settings) as hands,
        pytest.raises(RuntimeError, match=r"CTD release:\nTraceback[\s\S]*no-such-place"),
    ):
        list(hands.execute(runs[:1]))


def test_only_tiny_models_go_at_once(make):
    study, _, _ = make()
    assert runs_at_once(study) == min(2, len(os.sched_getaffinity(0)))
    assert runs_at_once(load_study("paper")) == 1
