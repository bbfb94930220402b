"""Every benchmark runs on a small input; those of two ways end with a ratio, how large the machine decides."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import intervals, pooling
from benchmarks.baselines import KINDS
from benchmarks.side_by_side import machine, side_by_side
from bioalign_assets.evaluation.baselines import BASELINES
from bioalign_assets_tests.micro import STUDY

ROOT = Path(__file__).parents[1]
SMALL = {
    "curation": ["--source", "synthetic", "--rows", "200", "--repeats", "2"],
    "packing": ["--source", "synthetic", "--steps", "2", "--repeats", "1"],
    "answers": ["--source", "synthetic", "--rows", "20", "--repeats", "1", "--tuned"],
    "embeddings": ["--source", "synthetic", "--rows", "60", "--repeats", "1"],
}
"""Benchmarks, and the arguments that make them small."""
SAME = {
    "curation": "equal pairs and equal generator afterwards: yes",
    "packing": "largest difference of the two loss curves: ",
    "answers": "same answers: ",
    "embeddings": "largest difference of two values: ",
}
"""What each says of the results that it compares."""


@pytest.mark.parametrize("name", SMALL)
def test_benchmark_ends_with_its_ratio(name):
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALL[name]]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    last = run.stdout.splitlines()[-1]
    assert re.fullmatch(r"ratio \d+(\.\d+)?", last)
    assert float(last.removeprefix("ratio ")) > 0
    assert SAME[name] in run.stdout


@pytest.mark.slow
def test_baselines_give_a_table_of_every_kind_of_dataset():
    command = [sys.executable, "-m", "benchmarks.baselines", "--release", "synthetic", "--rows", "1500"]
    run = subprocess.run(
        [*command, "--resamples", "100"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )
    assert run.returncode == 0, run.stderr
    rows = [line.strip("| ").split(" | ") for line in run.stdout.splitlines() if line.startswith("| ")]
    assert rows[0][0] == "dataset"
    assert {row[0].partition(",")[0] for row in rows[2:]} == {kind.name for kind in KINDS}
    assert {row[2] for row in rows[2:]} == set(BASELINES)
    for row in rows[2:]:
        assert re.fullmatch(r"0\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", row[3]), row


@pytest.mark.slow
def test_the_papers_models_train_in_tiny_sizes_where_there_is_no_card():
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu_qlora",
        "--tiny",
        "--steps",
        "1",
        "--source",
        "synthetic",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 0, run.stderr[-2000:]
    rows = [line.strip("| ").split(" | ") for line in run.stdout.splitlines() if "(tiny)" in line]
    assert {row[0] for row in rows} == {"llama-3-8b (tiny)", "mistral-7b (tiny)", "phi-3-mini (tiny)"}
    assert [row[1] for row in rows] == ["TRL, padded 2 x 4", "Unsloth", "BioAlign, packed"] * 3
    for row in rows:
        assert row[1] == "Unsloth" or float(row[2]) > 0


def test_calls_alternate_and_the_first_of_each_does_not_count(monkeypatch, capsys):
    calls, now = [], [0.0]
    monkeypatch.setattr("benchmarks.side_by_side.perf_counter", lambda: now[0])

    def taking(name, seconds):
        durations = iter(seconds)

        def call():
            calls.append(name)
            now[0] += next(durations)

        return call

    ratio = side_by_side(
        taking("A", [50, 1, 2, 9]), taking("B", [0, 6, 4, 5]), names=("fast", "slow"), repeats=3
    )
    assert "".join(calls) == "ABABABAB"
    assert ratio == 2.5
    *_, fast, slow, last = capsys.readouterr().out.splitlines()
    assert fast.split() == ["fast", "1000.000", "2000.000", "9000.000"]
    assert slow.split() == ["slow", "4000.000", "5000.000", "6000.000"]
    assert last == "ratio 2.500"


def test_nothing_to_time():
    with pytest.raises(ValueError, match="at least 1"):
        side_by_side(int, int, repeats=0)


def test_machine_is_one_line():
    assert re.fullmatch(r".+, \d+ cores?, .+, Python 3\.\d+\.\d+.*", machine())


def test_the_benchmark_of_intervals_times_every_figure(capsys):
    intervals.main(["--rows", "200", "--sample", "60", "--width", "20", "--resamples", "100"])
    timed = dict(re.findall(r"^  (\S.*?) +(\d+\.\d{3})$", capsys.readouterr().out, flags=re.MULTILINE))
    assert len(timed) == 13
    assert all(0 <= float(seconds) < 60 for seconds in timed.values())


def test_the_benchmark_of_pooling_shows_that_only_the_padded_mean_hangs_on_the_order(tmp_path, capsys):
    study = tmp_path / "micro.toml"
    study.write_text(STUDY, encoding="utf-8")
    pooling.main(["--study", str(study)])
    lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = {cells[0].strip(): [float(cell) for cell in cells[1:]] for cells in lines[2:]}
    assert len(lines[0]) == 6
    (mean, mean_shuffled, padded, padded_shuffled) = rows.values()
    assert mean == pytest.approx(mean_shuffled, abs=2e-4)
    assert not np.allclose(padded, padded_shuffled, atol=2e-4)
    assert not np.allclose(padded, mean, atol=2e-4)
