"""One training at a time over all runs of an instance, whoever executes them; and what a kill of one leaves."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psutil
import pytest
from bioalign_assets.instance import dagster_home, mend_killed_runs
from bioalign_assets.warehouse.at_work import Part

from bioalign_assets.warehouse import at_work
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.warehouse._holders import kill, start_holder

from .test_processes import environment
from .two_trainings import (
    VARIANTS,
    dev,
    is_training,
    kill_all,
    run_worker,
    slots,
    status,
    training_time,
    two_trainings,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
STATUS = dg.DagsterRunStatus


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose trainings take some ten seconds each; what comes before them has run."""
    return two_trainings(tmp_path_factory.mktemp("two"), steps=150)


@contextmanager
def materializing(study, variant) -> Iterator[subprocess.Popen]:
    """Train a variant in a process of its own, with Dagster's command line."""
    command = [
        sys.executable, "-m", "dagster", "asset", "materialize", "-m", "bioalign_assets.definitions",
        "--select", "training/adapter,training/log", "--partition", variant,
    ]  # fmt: skip
    with _started(study, command, DAGSTER_HOME=str(dagster_home(study.root))) as process:
        yield process


@contextmanager
def _started(study, command, **more) -> Iterator[subprocess.Popen]:
    log = study.study_file.with_name(f"{command[2]}.log")
    with log.open("w") as told:
        process = subprocess.Popen(
            command, env=environment(study, **more), stdout=told, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                root = psutil.Process(process.pid)
                kill_all([*root.children(recursive=True), root])
            process.wait()


class Blocker:
    """A living run that has all slots of the training pool."""

    def __init__(self, study, *, limit: int) -> None:
        self.study = study
        with study.instance as instance:
            run = instance.create_run_for_job(
                study.defs.resolve_implicit_global_asset_job_def(), status=STATUS.STARTED
            )
            folder = dagster_home(study.root) / "at_work"
            self.holder = start_holder(folder, run.run_id, Part.RUN)
            assert at_work.life(folder, run.run_id) is at_work.Life.LIVING
            storage = instance.event_log_storage
            storage.initialize_concurrency_limit_to_default("training")
            for number in range(limit):
                claim = storage.claim_concurrency_slot("training", run.run_id, f"step{number}")
                assert claim.is_claimed
            self.run_id = run.run_id

    def waiting(self) -> set[str]:
        """Return the runs that wait for a slot."""
        with self.study.instance as instance:
            return set(instance.event_log_storage.get_concurrency_info("training").pending_run_ids)

    def kill(self) -> None:
        """Kill the run and have it mended, which gives its slots to those who wait."""
        kill(self.holder)
        with self.study.instance as instance:
            assert mend_killed_runs(instance) == [self.run_id]


def _times(study, runs):
    return sorted(training_time(study, run) for run in runs)


def _was_blocked(study, run_id) -> bool:
    with study.instance as instance:
        messages = [
            log.message for log in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        ]
    return any("blocked by limit for pool training" in message for message in messages)


def test_trainings_of_two_runs_at_once_take_turns(study):
    blocker = Blocker(study, limit=1)
    with materializing(study, VARIANTS[0]) as first, materializing(study, VARIANTS[1]) as second:
        wait_for(lambda: len(blocker.waiting()) == 2, what="two runs in the queue of the pool")
        runs = blocker.waiting()
        blocker.kill()
        assert [first.wait(240), second.wait(240)] == [0, 0]
    (_, end_of_first), (start_of_second, _) = _times(study, runs)
    assert end_of_first <= start_of_second
    assert all(_was_blocked(study, run) for run in runs)
    assert slots(study) == set()


def test_with_two_slots_two_train_at_once(study):
    settings = dagster_home(study.root) / "dagster.yaml"
    one = settings.read_text()
    assert "default_limit: 1" in one
    settings.write_text(one.replace("default_limit: 1", "default_limit: 2"))
    try:
        blocker = Blocker(study, limit=2)
        with materializing(study, VARIANTS[0]) as first, materializing(study, VARIANTS[1]) as second:
            wait_for(lambda: len(blocker.waiting()) == 2, what="two runs in the queue of the pool")
            runs = blocker.waiting()
            blocker.kill()
            assert [first.wait(240), second.wait(240)] == [0, 0]
        (_, end_of_first), (start_of_second, _) = _times(study, runs)
        assert start_of_second < end_of_first
    finally:
        settings.write_text(one)


def test_a_training_of_the_demo_takes_turns_with_other_runs(study):
    blocker = Blocker(study, limit=1)
    demo = [sys.executable, "-m", "bioalign_assets.cli", "demo"]
    with _started(study, demo), materializing(study, VARIANTS[1]) as other:
        wait_for(lambda: len(blocker.waiting()) == 2, what="two runs in the queue of the pool", seconds=180)
        runs = blocker.waiting()
        blocker.kill()
        assert other.wait(240) == 0
        wait_for(lambda: all(training_time(study, run)[1] for run in runs), what="the demo's training")
    (_, end_of_first), (start_of_second, _) = _times(study, runs)
    assert end_of_first <= start_of_second


def test_a_killed_training_of_the_ui_is_ended_and_its_slot_freed(study, tmp_path):
    with dev(study, log=tmp_path / "first.log") as first:
        # the run worker alone: webserver, daemon and code server live on
        run = first.launch(VARIANTS[0])
        wait_for(lambda: is_training(study, run), what="a training")
        assert slots(study) == {run}
        worker = run_worker(study, run)
        steps = worker.children(recursive=True)
        assert steps
        worker.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(steps, timeout=30)
        assert alive == []  # a step does not train on as an orphan
        wait_for(lambda: status(study, run) is STATUS.FAILURE, what="the run's end")
        wait_for(lambda: slots(study) == set(), what="the daemon to free the slot")

        # everything, at once
        run = first.launch(VARIANTS[0])
        wait_for(lambda: is_training(study, run), what="a training")
        processes = first.tree()
        assert run_worker(study, run) in processes
        kill_all(processes)
    assert status(study, run) is STATUS.STARTED
    assert slots(study) == {run}

    with dev(study, log=tmp_path / "second.log") as second:
        assert status(study, run) is STATUS.FAILURE
        assert slots(study) == set()
        again = second.launch(VARIANTS[0])
        wait_for(lambda: status(study, again).value in {"SUCCESS", "FAILURE"}, what="the rerun", seconds=240)
        assert status(study, again) is STATUS.SUCCESS
    adapters = study.tables.read(TABLES["training.adapter"], partitions=[VARIANTS[0]])
    assert (study.root / adapters["path"][0].as_py()).is_dir()
    with study.instance as instance:
        # the demo that was killed above may have created a run that it had not marked yet: given minutes otherwise
        mend_killed_runs(instance, unmarked_for_s=0)
        assert [run for run in instance.get_runs() if not run.is_finished] == []
