"""A micro study with two trainings that take a while, and ``bioalign dev`` over it: helpers of the tests."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil

from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.micro import STUDY, Micro

from .test_processes import environment, free_port

VARIANTS = ("tiny-llama@paper", "tiny-llama@again")
TRAINING = "training__train"
_AGAIN = """
[experiments.again]
train_on = "published"
evaluate_on = ["published"]
steps = {steps}
batch_size = 4
accumulation = 1
gradient_checkpointing = false

[evaluation]
"""


def two_trainings(folder: Path, *, steps: int) -> Micro:
    """Return a study whose two trainings take ``steps`` steps; all that comes before them has run."""
    micro = Micro(folder)
    text = STUDY.replace("steps = 3", f"steps = {steps}").replace(
        "[evaluation]\n", _AGAIN.format(steps=steps)
    )
    micro.study_file.write_text(text, encoding="utf-8")
    micro.study = load_study(str(micro.study_file))
    micro.settings = Settings(study=str(micro.study_file), warehouse=folder / "warehouse")
    assert micro.tables == Tables(micro.settings.warehouse)
    micro.run(parts=1 + len(micro.study.datasets) + len(micro.study.models))
    return micro


class Dev:
    """A running ``bioalign dev``: webserver, daemon, code server."""

    def __init__(self, process: subprocess.Popen, *, port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def ask(self, query: str, **variables: object) -> dict:
        """Return the data of a GraphQL query."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def launch(self, variant: str) -> str:
        """Launch the training of a variant as the UI does; return the run's id."""
        told = self.ask(_LAUNCH, executionParams=_training(variant))["launchPipelineExecution"]
        assert told["__typename"] == "LaunchRunSuccess", told
        return told["run"]["runId"]

    def tree(self) -> list[psutil.Process]:
        """Return this process and all below it."""
        root = psutil.Process(self.process.pid)
        return [*root.children(recursive=True), root]


_LAUNCH = """
mutation Launch($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
    ... on InvalidSubsetError { message }
  }
}
"""


def _training(variant: str) -> dict:
    return {
        "selector": {
            "repositoryLocationName": "bioalign",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": ["training", "adapter"]}, {"path": ["training", "log"]}],
        },
        "mode": "default",
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": variant}]},
    }


@contextmanager
def dev(micro: Micro, *, log: Path) -> Iterator[Dev]:
    """Start ``bioalign dev`` and give it once it answers; nothing of it is left at the end."""
    port = free_port()
    with log.open("w") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "bioalign_assets.cli", "dev", "-p", str(port)],
            env=environment(micro), stdout=told, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        opened = Dev(process, port=port, log=log)
        started: list[psutil.Process] = []
        try:
            wait_for(lambda: _answers(opened), what=f"bioalign dev, see {log}", seconds=240)
            yield opened
        finally:
            if process.poll() is None:
                started = opened.tree()
            kill_all(started)
            process.wait(timeout=30)


def _answers(opened: Dev) -> bool:
    assert opened.process.poll() is None, opened.log.read_text()[-3000:]
    try:
        return bool(opened.ask("{ assetNodes { id } }")["assetNodes"])
    except OSError:
        return False


def kill_all(processes: list[psutil.Process]) -> None:
    """Kill processes at once (SIGKILL), and wait until they are gone."""
    for process in processes:  # stopped first, so that none notices another's death
        with _gone_is_fine():
            process.send_signal(signal.SIGSTOP)
    for process in processes:
        with _gone_is_fine():
            process.kill()
    psutil.wait_procs(processes, timeout=20)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return


def wait_for(is_so, *, what: str, seconds: float = 300) -> None:
    """Wait until something is so; fail if it takes too long."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.1)


def status(micro: Micro, run_id: str) -> dg.DagsterRunStatus:
    with micro.instance as instance:
        return instance.get_run_by_id(run_id).status


def is_training(micro: Micro, run_id: str) -> bool:
    with micro.instance as instance:
        return bool(instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START))


def slots(micro: Micro) -> set[str]:
    """Return the runs that hold a slot of the training pool."""
    with micro.instance as instance:
        return set(instance.event_log_storage.get_concurrency_info("training").active_run_ids)


def training_time(micro: Micro, run_id: str) -> tuple[float, float]:
    """Return when a run's training began and ended, by the event log, in seconds."""
    with micro.instance as instance:
        (step,) = instance.get_run_step_stats(run_id, [TRAINING])
        return step.start_time, step.end_time


def run_worker(micro: Micro, run_id: str) -> psutil.Process:
    """Return the process that conducts a run."""
    with micro.instance as instance:
        (event,) = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_START)
        return psutil.Process(event.dagster_event.pid)
