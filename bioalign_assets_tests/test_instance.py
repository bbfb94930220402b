"""The Dagster instance of a warehouse: set up once, and mended after a kill."""

import os
import signal
import socket
import subprocess
import sys
import time

import dagster as dg
import psutil
import pytest
import yaml

from bioalign_assets.instance import dagster_home, mend_killed_runs, open_instance, owner_tags

from .warehouse._make import in_processes

_OPEN = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


@dg.op(pool="gpu")
def train():
    pass


@dg.job
def training():
    train()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("warehouse")


@pytest.fixture
def instance(root):
    with open_instance(root) as opened:
        yield opened
        opened.wipe()


@pytest.fixture
def living():
    """A process that is at work."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def _run(instance, *, process, status=dg.DagsterRunStatus.STARTED, host=None):
    tags = {"bioalign/host": host or socket.gethostname(), "bioalign/process": str(process)}
    return instance.create_run_for_job(training, status=status, tags=tags)


def _status(instance, run):
    return instance.get_run_by_id(run.run_id).status


def test_an_instance_lives_in_its_warehouse(root, instance):
    assert instance.root_directory == str(dagster_home(root))
    assert dagster_home(root).parent == root
    assert (dagster_home(root) / "dagster.yaml").is_file()


def test_an_instance_sends_no_telemetry_and_trains_one_at_a_time(root, instance):
    written = yaml.safe_load((dagster_home(root) / "dagster.yaml").read_text())
    assert written["telemetry"]["enabled"] is False
    assert instance.telemetry_enabled is False
    assert instance.get_concurrency_config().pool_config.default_pool_limit == 1


def test_settings_that_a_person_changed_are_kept(tmp_path):
    with open_instance(tmp_path):
        pass
    file = dagster_home(tmp_path) / "dagster.yaml"
    file.write_text("telemetry:\n  enabled: false\nconcurrency:\n  pools:\n    default_limit: 3\n")
    with open_instance(tmp_path) as again:
        assert again.get_concurrency_config().pool_config.default_pool_limit == 3
    assert "default_limit: 3" in file.read_text()


def test_runs_are_there_when_the_instance_is_opened_again(tmp_path):
    with open_instance(tmp_path) as first:
        run = _run(first, process=1)
    with open_instance(tmp_path) as second:
        assert second.get_run_by_id(run.run_id).job_name == "training"


def _open_and_count(root):
    with open_instance(root) as opened:
        opened.create_run_for_job(training)
        return len(opened.get_runs())


def test_processes_set_up_a_new_instance_at_once(tmp_path):
    told = in_processes([(_open_and_count, (tmp_path / "new",))] * 3)
    assert max(told) == 3
    assert all(isinstance(count, int) for count in told)


def test_the_owner_of_a_run_is_this_process():
    assert owner_tags() == {"bioalign/host": socket.gethostname(), "bioalign/process": str(os.getpid())}


@pytest.mark.parametrize("status", _OPEN)
def test_a_run_whose_process_is_gone_is_failed(status, instance, dead):
    run = _run(instance, process=dead, status=status)
    assert mend_killed_runs(instance) == [run.run_id]
    assert _status(instance, run) == dg.DagsterRunStatus.FAILURE
    told = [event.message for event in instance.all_logs(run.run_id)]
    assert any("process that executed this run is gone" in message for message in told)


def test_mending_again_finds_nothing(instance, dead):
    _run(instance, process=dead)
    assert len(mend_killed_runs(instance)) == 1
    assert mend_killed_runs(instance) == []


def test_a_run_of_a_living_process_is_left(instance, living):
    run = _run(instance, process=living)
    assert mend_killed_runs(instance) == []
    assert _status(instance, run) == dg.DagsterRunStatus.STARTED


def test_a_run_of_another_machine_is_left(instance, dead):
    run = _run(instance, process=dead, host="somewhere-else")
    assert mend_killed_runs(instance) == []
    assert _status(instance, run) == dg.DagsterRunStatus.STARTED


def test_a_run_that_is_not_ours_is_left(instance):
    run = instance.create_run_for_job(training, status=dg.DagsterRunStatus.STARTED)
    assert mend_killed_runs(instance) == []
    assert _status(instance, run) == dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize(
    "status",
    [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
)  # fmt: skip
def test_a_run_that_has_ended_is_left(status, instance, dead):
    run = _run(instance, process=dead, status=status)
    assert mend_killed_runs(instance) == []
    assert _status(instance, run) == status


def test_a_run_of_an_earlier_process_with_this_ones_number_is_failed(instance):
    run = _run(instance, process=os.getpid())
    assert mend_killed_runs(instance) == [run.run_id]


def test_a_run_whose_number_a_younger_process_has_now_is_failed(instance, living, monkeypatch):
    run = _run(instance, process=living)
    later = time.time() + 3600
    monkeypatch.setattr(psutil.Process, "create_time", lambda _self: later)
    assert mend_killed_runs(instance) == [run.run_id]


def test_a_killed_process_that_nobody_has_waited_for_is_gone(instance):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    run = _run(instance, process=process.pid)
    os.kill(process.pid, signal.SIGKILL)
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert mend_killed_runs(instance) == [run.run_id]
    process.wait()


def test_a_process_that_we_may_not_look_at_is_left(instance, living, monkeypatch):
    def refuse(_self):
        raise psutil.AccessDenied

    _run(instance, process=living)
    monkeypatch.setattr(psutil.Process, "create_time", refuse)
    assert mend_killed_runs(instance) == []


def test_the_pool_slot_of_a_killed_run_is_free_again(instance, dead, living):
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("gpu")  # as Dagster does before a step
    killed, waiting = _run(instance, process=dead), _run(instance, process=living)
    assert storage.claim_concurrency_slot("gpu", killed.run_id, "train").is_claimed
    assert not storage.claim_concurrency_slot("gpu", waiting.run_id, "train").is_claimed
    assert mend_killed_runs(instance) == [killed.run_id]
    assert storage.claim_concurrency_slot("gpu", waiting.run_id, "train").is_claimed


def test_the_pool_slot_of_a_living_run_is_kept(instance, living):
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("gpu")  # as Dagster does before a step
    run = _run(instance, process=living)
    assert storage.claim_concurrency_slot("gpu", run.run_id, "train").is_claimed
    assert mend_killed_runs(instance) == []
    assert storage.get_concurrency_info("gpu").active_run_ids == {run.run_id}
