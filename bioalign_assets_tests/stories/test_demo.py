"""A person makes a study: interrupts it, has it killed, runs two at once, and ends with the same tables."""

import os
import signal

import pytest

from bioalign_assets.execution import dev_server
from bioalign_assets.execution.killed_runs import mend_killed_runs
from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.micro import Micro, whole_micro
from bioalign_assets_tests.stories.commands import Terminal, are_gone, bioalign, ending, family, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def hashes(micro):
    return {name: content_hash(micro.tables.read(schema), schema=schema) for name, schema in TABLES.items()}


def test_a_study_that_is_interrupted_and_killed_goes_on_where_it_stopped(tmp_path):
    micro = Micro(tmp_path)
    told = bioalign(micro, "demo", BIOALIGN_CTD_SOURCE="/no/such/file.csv")
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    assert "/no/such/file.csv: found nothing there" in told.stderr
    told = bioalign(micro, "demo", BIOALIGN_STUDY="dmeo")
    assert (told.returncode, told.stderr.count("found no such file")) == (1, 1)

    # Ctrl-C, which all processes in the foreground get
    with ending(Terminal(micro, "demo", "--at-once", "2")) as demo:
        demo.lines_until("ctd.associations")
        until(lambda: len(at_work(micro)) == 2, what="two runs at once")
        hands = family(demo.process)
        assert len(hands) >= 3  # two, and the fork server
        os.killpg(demo.process.pid, signal.SIGINT)
        status, _, drawn = demo.end()
        assert status == 130
        assert are_gone(hands)
        assert "Stopped. What was finished is kept" in drawn
        assert "Traceback" not in drawn
    mend_killed_runs(micro.instance, unmarked_for_s=0)
    assert at_work(micro) == []

    # killed while it trains; a second one beside it is refused
    with ending(Terminal(micro, "demo", "--at-once", "2")) as demo:
        demo.lines_until("models.base [tiny-llama]")
        second = bioalign(micro, "run")
        assert second.returncode == 1
        assert "found another bioalign demo, run or refresh at work in it" in second.stderr
        hands = family(demo.process)
        demo.process.send_signal(signal.SIGKILL)
        _, _, drawn = demo.end()
        assert are_gone(hands)  # they have not worked on behind its back
        bars = [line for line in drawn.replace("\r", "\n").split("\n") if "%|" in line]
        assert 0 < max(map(len, bars[:-1] or bars)) <= 80  # a bar that wraps leaves a line at every step
    made = len([run for run in micro.instance.get_runs() if run.status.value == "SUCCESS"])

    with ending(Terminal(micro, "demo", "--at-once", "1")) as demo:
        status, printed, drawn = demo.end()
    assert status == 0, drawn[-3000:]
    assert "ctd.associations" not in printed  # that was made before
    assert "training tiny-llama" in drawn or "asking (unseen)" in drawn  # the bars of one process
    for part in (
        "Micro study", "report", "tiny-llama", "tiny-benchmark", "popularity", "baseline", "AUROC [95%]",
        "Where the time went", "Where to look next", "report/study.html", "bioalign dev", "from report.leaderboard",
        "None of 1 tuned variants beats the popularity baseline",
    ):  # fmt: skip
        assert part in printed, part
    assert made > 3
    assert all(run.is_finished for run in micro.instance.get_runs())
    partial = [
        path for path in micro.root.rglob("*.partial*") if path.parent.name not in {"adapters", "models"}
    ]
    assert partial == []

    # whatever was killed, and however many went at once: the tables of a study that ran in one go, one after another
    assert hashes(micro) == hashes(whole_micro())
    told = bioalign(micro, "run")
    assert (told.returncode, told.stderr) == (0, "")
    assert "Everything that was built is fresh." in told.stdout
    told = bioalign(micro, "leaderboard")
    assert "popularity" in told.stdout


def at_work(micro):
    return [run for run in micro.instance.get_runs() if run.status.value == "STARTED"]


def test_without_a_checkout_dagster_is_told_the_same_of_our_definitions(tmp_path, monkeypatch):
    with dev_server.workspace_file() as own:
        assert own == PROJECT_ROOT / "workspace.yaml"
        said = own.read_text()
    assert "bioalign_assets.definitions" in said
    monkeypatch.setattr(dev_server, "PROJECT_ROOT", tmp_path)
    with dev_server.workspace_file() as made:
        assert made.read_text() == said
    assert not made.exists()
