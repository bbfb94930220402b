"""Whole processes: the command line, a kill in the middle, two at once, the real webserver, several processes."""

import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import psutil
import pytest
from bioalign_assets.demo import plan, runs_at_once
from bioalign_assets.instance import dagster_home, mend_killed_runs, open_instance

from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.warehouse.catalogue import open_catalogue
from bioalign_assets_tests.micro import Micro

pytestmark = pytest.mark.slow


def environment(micro: Micro, **more: str) -> dict[str, str]:
    return os.environ | {
        "BIOALIGN_STUDY": str(micro.study_file),
        "BIOALIGN_WAREHOUSE": str(micro.root),
        "OMP_NUM_THREADS": "1",
        **more,
    }


def bioalign(micro: Micro, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bioalign_assets.cli", *arguments],
        env=environment(micro, **more), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def leaderboard_rows(micro: Micro) -> int:
    with open_catalogue(micro.root) as connection:
        return connection.execute("SELECT count(*) FROM report.leaderboard").fetchone()[0]


@pytest.fixture
def fresh(tmp_path) -> Micro:
    return Micro(tmp_path)


def test_the_demo_prints_leaderboard_times_and_where_to_look(fresh):
    done = bioalign(fresh, "demo")
    assert done.returncode == 0, done.stderr
    at_once = runs_at_once(fresh.study)
    runs = len(plan(fresh.study, settings=fresh.settings, at_once=at_once))
    for part in (
        "Micro study", f"{runs}/{runs}", "report", "tiny-llama", "tiny-benchmark", "popularity", "baseline", "AUROC [95%]",
        "Where the time went", "Where to look next", "report/study.html", "make dev", "from report.leaderboard",
        "None of 1 tuned variants beats the popularity baseline",
    ):  # fmt: skip
        assert part in done.stdout, part
    assert done.stderr == ""
    again = bioalign(fresh, "leaderboard")
    assert again.returncode == 0
    assert "popularity" in again.stdout


def test_a_bad_source_is_one_paragraph_and_exit_status_1(fresh):
    done = bioalign(fresh, "demo", BIOALIGN_CTD_SOURCE="/no/such/file.csv")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "/no/such/file.csv: found nothing there" in done.stderr


def test_a_bad_study_is_one_paragraph_and_exit_status_1(fresh):
    for command in ("demo", "dev", "leaderboard"):
        done = bioalign(fresh, command, BIOALIGN_STUDY="dmeo")
        if command == "leaderboard":  # needs no study, only the tables
            assert "found no rows" in done.stderr
        else:
            assert "BIOALIGN_STUDY=dmeo: found no such file" in done.stderr
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


def read_all(descriptor: int, into: bytearray) -> None:
    try:
        while block := os.read(descriptor, 4096):
            into.extend(block)
    except OSError:  # the other end of a pseudo-terminal was closed
        return


class Terminal:
    """A person's terminal, on which the progress bars are."""

    def __init__(self) -> None:
        seen, self.descriptor = pty.openpty()
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.drawn = bytearray()
        self._reader = threading.Thread(target=read_all, args=(seen, self.drawn), daemon=True)
        self._reader.start()

    def start_demo(self, micro: Micro, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "bioalign_assets.cli", "demo", *arguments],
            env=environment(micro), stdout=subprocess.PIPE, stderr=self.descriptor, text=True,
            start_new_session=True,
        )  # fmt: skip
        os.close(self.descriptor)
        return process

    def end(self) -> bytes:
        self._reader.join(timeout=10)
        return bytes(self.drawn)


def test_a_killed_demo_can_be_run_again_and_two_at_once_are_refused(fresh):
    terminal = Terminal()
    process = terminal.start_demo(fresh, "--at-once", "2")
    for line in process.stdout:
        if "training tiny-llama@untuned" in line:  # the next one trains
            break
    second = bioalign(fresh, "demo")
    assert second.returncode == 1
    assert "found another bioalign demo or refresh at work in it" in second.stderr
    hands = psutil.Process(process.pid).children(recursive=True)
    assert len(hands) >= 3  # two, and the fork server
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, left = psutil.wait_procs(hands, timeout=20)
    assert left == []  # they have not worked on behind its back
    drawn = terminal.end()
    assert b"base model tiny-llama" in drawn
    bars = [line for line in drawn.decode().replace("\r", "\n").split("\n") if "%|" in line]
    bars.pop()  # behind it stands what Python says of the kill
    assert 0 < max(map(len, bars)) <= 80  # a bar that wraps leaves a line at every step

    terminal = Terminal()
    process = terminal.start_demo(fresh, "--at-once", "1")
    told, _ = process.communicate(timeout=600)
    drawn = terminal.end()
    assert process.returncode == 0, drawn[-3000:]
    assert "Where to look next" in told
    assert b"pre-training tiny-llama" in drawn
    assert b"asking (unseen)" in drawn
    assert leaderboard_rows(fresh) > 0
    unfinished = [run for run in fresh.instance.get_runs() if not run.is_finished]
    assert unfinished == []
    for run in fresh.instance.get_runs():
        assert run.status.value in {"SUCCESS", "FAILURE"}
    partial = [
        path for path in fresh.root.rglob("*.partial*") if path.parent.name not in {"adapters", "models"}
    ]
    assert partial == []


def test_an_interrupted_demo_leaves_no_process_and_records_how_its_runs_ended(fresh):
    terminal = Terminal()
    process = terminal.start_demo(fresh, "--at-once", "2")
    for line in process.stdout:
        if line.lstrip().startswith("1/"):
            break
    with open_instance(fresh.root) as instance:
        assert until(lambda: len(under_way(instance)) == 2, seconds=120)
        hands = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C, which all processes in the foreground get
        assert process.wait(timeout=60) == 130
        _, left = psutil.wait_procs(hands, timeout=20)
        assert left == []
        mend_killed_runs(instance, unmarked_for_s=0)
        assert all(run.is_finished for run in instance.get_runs())
    drawn = terminal.end()
    assert b"Stopped. What was finished is kept" in drawn
    assert b"Traceback" not in drawn, drawn.decode()


def under_way(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return [run for run in instance.get_runs() if run.status is dg.DagsterRunStatus.STARTED]


def until(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (reached := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return reached


def test_dagsters_own_command_line_runs_steps_in_several_processes(fresh):
    fresh.run(parts=1)
    done = subprocess.run(
        [
            sys.executable, "-m", "dagster", "asset", "materialize", "-m", "bioalign_assets.definitions",
            "--select", "curation/pairs,curation/profile,evaluation/baselines", "--partition", "stable",
        ],
        env=environment(fresh, DAGSTER_HOME=str(dagster_home(fresh.root))),
        capture_output=True, text=True, timeout=600, check=False, cwd=PROJECT_ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    with open_catalogue(fresh.root) as connection:
        assert connection.execute("SELECT count(*) FROM curation.pairs").fetchone() == (800,)
        assert connection.execute("SELECT count(DISTINCT dataset) FROM evaluation.baselines").fetchone() == (
            1,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def graphql(port: int, query: str) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return json.load(answer)["data"]


def test_the_ui_shows_the_runs_of_the_demo(micro, tmp_path):
    served = Micro(tmp_path)  # a copy: the daemon writes, and other workers read the study too
    shutil.copytree(micro.root, served.root)
    port = free_port()
    log = (tmp_path / "dev.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "bioalign_assets.cli", "dev", "-p", str(port)],
        env=environment(served), stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        data = wait_for(port, process)
        runs = data["runsOrError"]["results"]
        assert len(runs) >= 10
        assert {run["status"] for run in runs} == {"SUCCESS"}
        assets = {"/".join(node["assetKey"]["path"]): node for node in data["assetNodes"]}
        assert assets["report/leaderboard"]["groupName"] == "report"
        assert len(assets["report/leaderboard"]["assetMaterializations"]) == 1
        assert set(assets["training/adapter"]["partitionKeys"]) == {v.key for v in micro.study.variants}
        assert assets["training/adapter"]["kinds"]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


def wait_for(port: int, process: subprocess.Popen) -> dict:
    query = """{
      runsOrError { ... on Runs { results { status } } }
      assetNodes { assetKey { path } groupName kinds partitionKeys assetMaterializations(limit: 1) { timestamp } }
    }"""
    for _ in range(90):
        assert process.poll() is None, "bioalign dev ended"
        try:
            data = graphql(port, query)
        except OSError:
            time.sleep(1)
            continue
        if data["assetNodes"]:
            return data
        time.sleep(1)
    raise AssertionError("the webserver did not answer")


def test_workspace_yaml_names_the_definitions():
    assert "bioalign_assets.definitions" in Path(PROJECT_ROOT / "workspace.yaml").read_text()
