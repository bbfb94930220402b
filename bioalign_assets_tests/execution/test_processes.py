"""Processes that execute runs: real ones, with next to nothing to execute."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait

import dagster as dg
import pytest

from bioalign_assets.errors import CurationError, WarehouseError
from bioalign_assets.execution import forkserver_imports, killed_runs, marks
from bioalign_assets.execution.instance import open_instance
from bioalign_assets.execution.processes import InProcesses, InThisProcess, Workplace, failure_of
from bioalign_assets.execution.runs import PlannedRun
from bioalign_assets.execution.uses import prepared
from bioalign_assets.settings import Settings
from bioalign_assets_tests.execution import trivial

pytestmark = pytest.mark.slow
STATUS = dg.DagsterRunStatus


@pytest.fixture(scope="module")
def workplace(small, tmp_path_factory):
    settings = Settings(study=small.settings.study, warehouse=tmp_path_factory.mktemp("processes"))
    prepared(small.study, settings=settings)
    return Workplace(study=small.study, settings=settings, build=trivial.build)


@pytest.fixture
def instance(workplace):
    with open_instance(workplace.settings.warehouse) as opened:
        yield opened


def told_to(what):
    config = {"ops": {"curation__pairs": {"config": {"what": what}}}}
    return PlannedRun(title=f"told to {what}", assets=("curation.pairs",), config=config)


def by(workplace, what):
    """The processes that were told something."""
    return {int(path.suffix[1:]) for path in workplace.settings.warehouse.glob(f"{what}.*")}


def until(is_so):
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_the_fork_server_imports_starts_no_thread():
    """A fork copies one thread alone."""
    assert forkserver_imports.torch is not None
    command = (
        "import threading, bioalign_assets.execution.forkserver_imports; "
        "raise SystemExit(threading.active_count() - 1)"
    )
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


def test_runs_here_and_in_processes_are_told_alike(workplace, instance):
    """Their end, an error of ours, one that nobody foresaw, and a process that is killed in the midst of one."""
    job = workplace.build(settings=workplace.settings, study=workplace.study)
    here = InThisProcess(
        job=job.resolve_implicit_global_asset_job_def(), instance=instance, study=workplace.study
    )
    with InProcesses(workplace, at_once=2, is_kept=True) as there:
        for executes in (here, there):
            done = [executes.submit(told_to(what)) for what in ("end", "fail")]
            wait(done)
            assert instance.get_run_by_id(done[0].result()).status is STATUS.SUCCESS
            failed = failure_of(done[1], planned=told_to("fail"))
            assert isinstance(failed, CurationError)
            assert "told to fail" in str(failed)
        with pytest.raises((ZeroDivisionError, dg.DagsterError), match="an error of programming"):
            failure_of(here.submit(told_to("break")), planned=told_to("break"))
        broken = failure_of(there.submit(told_to("break")), planned=told_to("break"))
        assert "an error that nobody foresaw: " in str(broken)  # it holds up nothing else
        assert "an error of programming" in str(broken)
        assert (
            len(by(workplace, "end") | by(workplace, "fail") | by(workplace, "break")) == 3
        )  # here, and two more

        dead, other = there.submit(told_to("die")), there.submit(told_to("end"))
        killed = failure_of(dead, planned=told_to("die"))
        assert isinstance(killed, WarehouseError)
        assert "that it was killed" in str(killed)
        assert "--at-once 1" in str(killed)
        assert other.result()  # the others go on
        assert there.submit(told_to("end")).result()  # and another takes its place
    assert multiprocessing.active_children() == []
    folder = killed_runs.marks_folder(instance)
    until(lambda: not killed_runs.mend_killed_runs(instance, unmarked_for_s=0))
    assert all(run.is_finished for run in instance.get_runs())
    assert {marks.life(folder, run) for run in marks.marked(folder)} <= {marks.Life.GONE, marks.Life.LIVING}


def test_a_process_whose_memory_is_to_be_given_back_executes_one_run(workplace):
    before = by(workplace, "end")
    with InProcesses(workplace, at_once=1, is_kept=False) as processes:
        for _ in range(2):
            assert processes.submit(told_to("end")).result()
    assert len(by(workplace, "end") - before) == 2


def test_what_is_under_way_at_an_interrupt_is_ended_and_recorded(workplace, instance):
    def interrupted():
        with InProcesses(workplace, at_once=1, is_kept=True) as processes:
            processes.submit(told_to("wait"))
            until(lambda: by(workplace, "wait"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (process,) = by(workplace, "wait")
    with pytest.raises(ProcessLookupError):
        os.kill(process, signal.SIG_DFL)
    killed_runs.mend_killed_runs(instance, unmarked_for_s=0)
    assert all(run.is_finished for run in instance.get_runs())


def test_what_a_process_can_not_even_begin_is_told(workplace):
    missing = workplace.settings.warehouse / "no definitions"
    missing.touch()
    try:
        with InProcesses(workplace, at_once=1, is_kept=True) as processes:
            error = failure_of(processes.submit(told_to("end")), planned=told_to("end"))
        assert "found none, expected some" in str(error)
    finally:
        missing.unlink()
