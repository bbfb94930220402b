"""What killed runs leave is mended, and what lives is left alone."""

import os
import socket
import sys
import threading
import time

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from bioalign_assets.automation.sensors import build_mending_sensor
from bioalign_assets.execution import killed_runs, marks
from bioalign_assets.execution.executor import marked_executor
from bioalign_assets.execution.guarded_warehouse import GuardedWarehouse
from bioalign_assets.execution.instance import adopt, open_instance
from bioalign_assets.execution.killed_runs import hold_run, mend_killed_runs, owner_tags
from bioalign_assets.execution.marks import Life, Part

from .holders import Holder

STATUS = dg.DagsterRunStatus
_OPEN = (STATUS.NOT_STARTED, STATUS.STARTING, STATUS.STARTED, STATUS.CANCELING)
_OVER = (STATUS.SUCCESS, STATUS.FAILURE, STATUS.CANCELED)


@dg.asset(key=["training", "adapter"], pool="training")
def adapter(warehouse: GuardedWarehouse):
    pass


@dg.asset(key=["theirs", "table"])
def table():
    pass


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warehouse")
    adopt(folder, study="demo", home=None)
    return folder


@pytest.fixture
def instance(root):
    with open_instance(root) as opened:
        yield opened
        folder = killed_runs.marks_folder(opened)
        for run in marks.runs_held(folder):
            marks.let_go(folder, run)
        opened.wipe()


@pytest.fixture
def holder(instance):
    """Hold a run as another process would."""
    started = []

    def start(run, part=Part.RUN):
        started.append(Holder(killed_runs.marks_folder(instance), run.run_id, part))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def guarded(root):
    return GuardedWarehouse(folder=str(root), study="demo", code="c")


def job_of(asset):
    resources = {"warehouse": GuardedWarehouse(folder="unused", study="demo", code="c")}
    return dg.Definitions(assets=[asset], resources=resources).resolve_implicit_global_asset_job_def()


def make_run(instance, *, status=STATUS.STARTED, asset=adapter, module=None):
    """A run on record as Dagster makes one of the implicit asset job, in one process or of a code location."""
    if module is None and status is not STATUS.QUEUED:
        return instance.create_run_for_job(job_of(asset), status=status, asset_selection={asset.key})
    location = RegisteredCodeLocationOrigin("bioalign")
    code = RepositoryPythonOrigin(
        sys.executable, ModuleCodePointer(module or "bioalign_assets.definitions", "defs")
    )
    return instance.create_run_for_job(
        job_of(asset),
        status=status,
        asset_selection={asset.key},
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "__ASSET_JOB"),
        job_code_origin=JobPythonOrigin("__ASSET_JOB", code),
    )


@pytest.fixture
def killed(instance, holder):
    """Make a run that was killed."""

    def make(status=STATUS.STARTED):
        run = make_run(instance, status=status)
        holder(run).kill()
        return run

    return make


def status_of(instance, run):
    return instance.get_run_by_id(run.run_id).status


def test_the_owner_of_a_run_is_this_process():
    assert owner_tags() == {"bioalign/host": socket.gethostname(), "bioalign/process": str(os.getpid())}


# Killed runs


@pytest.mark.parametrize("status", _OPEN)
def test_a_run_whose_process_is_gone_is_ended(status, instance, killed):
    run = killed(status)
    assert mend_killed_runs(instance) == [run.run_id]
    # who asked for a run to be canceled is told that it was
    assert status_of(instance, run) == (STATUS.CANCELED if status is STATUS.CANCELING else STATUS.FAILURE)
    told = [event.message for event in instance.all_logs(run.run_id)]
    assert any("process that executed this run is gone" in message for message in told)


def test_mending_again_finds_nothing(instance, killed):
    killed()
    assert len(mend_killed_runs(instance)) == 1
    assert mend_killed_runs(instance) == []


@pytest.mark.parametrize("status", _OPEN)
@pytest.mark.parametrize("part", Part)
def test_a_run_of_a_living_process_is_left(part, status, instance, holder):
    run = make_run(instance, status=status)
    holder(run, part)
    assert mend_killed_runs(instance, unmarked_for_s=-1) == []
    assert status_of(instance, run) == status


def test_a_run_of_this_very_process_is_left(instance):
    run = make_run(instance)
    hold_run(instance, run.run_id)
    assert mend_killed_runs(instance, unmarked_for_s=-1) == []
    assert status_of(instance, run) == STATUS.STARTED


def test_a_living_run_is_left_whatever_its_host_and_number_are(instance, holder, monkeypatch):
    """As seen from another container: another host name, and processes that have other numbers or none."""
    run = make_run(instance)
    holder(run)
    monkeypatch.setattr(socket, "gethostname", lambda: "another-container")
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert mend_killed_runs(instance, unmarked_for_s=-1) == []
    assert status_of(instance, run) == STATUS.STARTED


def test_a_run_that_was_killed_in_a_container_is_ended_by_its_successor(instance, killed, monkeypatch):
    run = killed()
    monkeypatch.setattr(socket, "gethostname", lambda: "another-container")
    assert mend_killed_runs(instance) == [run.run_id]


@pytest.mark.parametrize("status", _OVER)
def test_a_run_that_has_ended_is_left(status, instance, killed):
    run = killed(status)
    assert mend_killed_runs(instance) == []
    assert status_of(instance, run) == status


def test_a_run_that_waits_for_the_daemon_is_left(instance):
    run = make_run(instance, status=STATUS.QUEUED)
    assert mend_killed_runs(instance, unmarked_for_s=-1) == []
    assert status_of(instance, run) == STATUS.QUEUED


def test_a_run_that_ended_well_after_it_was_looked_up_is_left(instance, holder, monkeypatch):
    """The process records the end and leaves, just between the look at the record and the look at the locks."""
    run = make_run(instance)
    process = holder(run)
    real = marks.life

    def end_first(folder, run_id):
        if process.is_alive:
            instance.report_dagster_event(
                dg.DagsterEvent(
                    event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name=run.job_name
                ),
                run_id=run_id,
            )
            process.kill()
        return real(folder, run_id)

    monkeypatch.setattr(marks, "life", end_first)
    assert mend_killed_runs(instance) == []
    assert status_of(instance, run) == STATUS.SUCCESS


@pytest.mark.parametrize("status", _OPEN)
@pytest.mark.parametrize("module", [None, "bioalign_assets.definitions"])
def test_a_run_that_was_never_held_is_ended_after_a_while(module, status, instance):
    run = make_run(instance, status=status, module=module)
    assert mend_killed_runs(instance) == []
    assert mend_killed_runs(instance, unmarked_for_s=-1) == [run.run_id]
    assert status_of(instance, run).value in {"FAILURE", "CANCELED"}


def test_the_while_begins_with_the_last_change_of_the_run(instance):
    run = make_run(instance, status=STATUS.NOT_STARTED)
    time.sleep(0.9)
    instance.report_dagster_event(
        dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_STARTING.value, job_name=run.job_name),
        run_id=run.run_id,
    )
    assert mend_killed_runs(instance, unmarked_for_s=0.8) == []


@pytest.mark.parametrize(("asset", "module"), [(table, None), (adapter, "their.definitions")])
def test_a_run_of_others_that_nothing_marks_is_left(asset, module, instance):
    run = make_run(instance, asset=asset, module=module)
    assert mend_killed_runs(instance, unmarked_for_s=-1) == []
    assert status_of(instance, run) == STATUS.STARTED


def test_orphaned_steps_are_waited_for(instance, holder):
    run = make_run(instance)
    conductor, step = holder(run), holder(run, Part.STEP)
    conductor.kill()
    threading.Timer(0.3, step.kill).start()
    assert mend_killed_runs(instance) == [run.run_id]
    assert not step.is_alive


def test_a_run_whose_orphaned_step_is_stuck_is_left_for_the_next_time(instance, holder, monkeypatch):
    monkeypatch.setattr(killed_runs, "_ORPHAN_S", 0.3)
    run = make_run(instance)
    conductor, step = holder(run), holder(run, Part.STEP)
    slot(instance, run)
    conductor.kill()
    assert mend_killed_runs(instance) == []
    assert status_of(instance, run) == STATUS.STARTED
    assert holders(instance) == {run.run_id}
    step.kill()
    assert mend_killed_runs(instance) == [run.run_id]
    assert holders(instance) == set()


# The pool


def slot(instance, run):
    """Ask for the slot of the training pool, as Dagster does before a step; tell whether the run has it now."""
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("training")
    return storage.claim_concurrency_slot("training", run.run_id, "training__adapter").is_claimed


def holders(instance):
    return instance.event_log_storage.get_concurrency_info("training").active_run_ids


def test_the_pool_slot_of_a_killed_run_is_free_again(instance, holder):
    run, waiting = make_run(instance), make_run(instance)
    process = holder(run)
    holder(waiting)
    assert slot(instance, run)
    assert not slot(instance, waiting)
    process.kill()
    assert mend_killed_runs(instance) == [run.run_id]
    assert slot(instance, waiting)


def test_the_pool_slot_of_a_living_run_is_kept(instance, holder):
    run = make_run(instance)
    holder(run)
    assert slot(instance, run)
    assert mend_killed_runs(instance) == []
    assert holders(instance) == {run.run_id}


def test_a_killed_run_gives_up_its_place_in_the_queue_for_the_pool(instance, holder, killed):
    living, gone = make_run(instance), killed()
    holder(living)
    assert slot(instance, living)
    assert not slot(instance, gone)
    mend_killed_runs(instance)
    info = instance.event_log_storage.get_concurrency_info("training")
    assert info.pending_run_ids == set()
    assert info.active_run_ids == {living.run_id}


@pytest.mark.parametrize("status", _OVER)
def test_the_pool_slot_that_an_ended_run_left_is_free_again(status, instance, killed):
    """As after a kill of the run worker alone: the code server ends the run, and nobody frees the slot."""
    run = killed(status)
    assert slot(instance, run)
    assert mend_killed_runs(instance) == []
    assert holders(instance) == set()


def test_the_pool_slot_of_a_run_that_was_ended_by_force_is_kept_while_it_still_trains(instance, holder):
    run = make_run(instance, status=STATUS.CANCELED)
    holder(run)
    assert slot(instance, run)
    mend_killed_runs(instance)
    assert holders(instance) == {run.run_id}


def test_the_pool_slot_of_a_run_that_was_deleted_is_free_again(instance, killed):
    run = killed()
    assert slot(instance, run)
    instance.delete_run(run.run_id)
    mend_killed_runs(instance)
    assert holders(instance) == set()


# What holds the runs


def test_marks_don_t_pile_up(instance, killed, monkeypatch):
    folder = killed_runs.marks_folder(instance)
    runs = [killed(), killed(STATUS.SUCCESS)]
    mend_killed_runs(instance)
    assert {run.run_id for run in runs} <= marks.marked(folder)  # a late step may still look for them
    monkeypatch.setattr(marks, "FORGET_AFTER_S", -1)
    monkeypatch.setattr(marks.forget, "__kwdefaults__", {"older_than_s": -1})
    mend_killed_runs(instance)
    assert marks.marked(folder) == set()


def test_a_process_lets_go_of_a_run_when_its_end_is_on_record(instance):
    folder = killed_runs.marks_folder(instance)
    first, second = make_run(instance), make_run(instance)
    hold_run(instance, first.run_id)
    hold_run(instance, second.run_id)
    assert marks.runs_held(folder) == {first.run_id, second.run_id}
    instance.report_run_failed(first)
    hold_run(instance, second.run_id)
    assert marks.runs_held(folder) == {second.run_id}


@dg.asset(key=["training", "adapter"])
def looks_at_itself(context: dg.AssetExecutionContext, warehouse: GuardedWarehouse):
    folder = killed_runs.marks_folder(context.instance)
    found = sorted(path.name.split(".")[1] for path in folder.glob(f"{context.run.run_id}.*"))
    return dg.MaterializeResult(
        metadata={
            "marks": ",".join(found),
            "life": str(marks.life(folder, context.run.run_id)),
            "process": os.getpid(),
        }
    )


def _looking(is_light):
    defs = dg.Definitions(
        assets=[looks_at_itself],
        resources={"warehouse": GuardedWarehouse(folder=os.environ["LOOKING_AT"], study="demo", code="c")},
        executor=marked_executor(dg.multiprocess_executor, is_light=is_light).configured(
            {"max_concurrent": 1}
        ),
        jobs=[dg.define_asset_job("looking")],
    )
    return defs.resolve_job_def("looking")


def looking_job():
    return _looking(lambda _: False)


def light_job():
    return _looking(lambda step: step == "training__adapter")


@pytest.fixture(autouse=True)
def _looked_at(root, monkeypatch):
    monkeypatch.setenv("LOOKING_AT", str(root))  # in the processes of steps too


def told(result):
    (materialization,) = result.asset_materializations_for_node("training__adapter")
    return {name: value.value for name, value in materialization.metadata.items() if name != "process"}


def test_a_run_in_one_process_is_held_by_its_steps(root, instance):
    result = looking_job().execute_in_process(instance=instance)
    assert told(result) == {"marks": "step", "life": "living"}
    assert marks.life(killed_runs.marks_folder(instance), result.run_id) is Life.LIVING
    assert mend_killed_runs(instance) == []


def test_a_run_is_marked_by_its_conductor_and_its_steps_and_light_ones_have_one_process(instance):
    for job, is_here in ((light_job, True), (looking_job, False)):
        with dg.execute_job(dg.reconstructable(job), instance=instance) as result:
            assert result.success
            assert told(result) == {"marks": "run,step", "life": "living"}
            (made,) = result.asset_materializations_for_node("training__adapter")
            assert (made.metadata["process"].value == os.getpid()) is is_here
    assert mend_killed_runs(instance) == []


def test_an_executor_that_holds_its_runs_is_the_same_otherwise():
    real = dg.multiprocess_executor
    wrapped = marked_executor(real, is_light=lambda _: False)
    assert wrapped.name == real.name
    assert wrapped.config_schema is real.config_schema
    assert wrapped.get_requirements({}) == real.get_requirements({})
    context = dg.InitExecutorContext(
        job=dg.reconstructable(looking_job),
        executor_def=wrapped,
        executor_config={"retries": {"disabled": {}}, "max_concurrent": 3},
        instance=dg.DagsterInstance.ephemeral(),
    )
    made, original = wrapped.executor_creation_fn(context), real.executor_creation_fn(context)
    assert made.retries == original.retries
    assert made.step_dependency_config == original.step_dependency_config
    assert made._executor._max_concurrent == 3


def test_the_sensor_mends_and_says_what_it_did(instance, killed):
    sensor = build_mending_sensor(every_s=7)
    assert sensor.minimum_interval_seconds == 7
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    run = killed()
    for expected in (f"Ended killed runs: {run.run_id}", "No run was killed."):
        data = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=dg.Definitions()))
        assert data.skip_message == expected
        assert data.run_requests == []
    assert status_of(instance, run) == STATUS.FAILURE
