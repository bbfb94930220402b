"""An interrupted training goes on from its last checkpoint, and ends as if it had never been interrupted."""

import copy
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.training import trainer
from bioalign_assets.training.checkpoints import Checkpoint
from bioalign_assets.training.log import log_table
from bioalign_assets.training.resuming import Checkpointing, Session

from .interrupted import EVERY, Interrupted, assert_same, hold, published, stop, train

one_architecture = pytest.mark.parametrize("architecture", ["llama"], indirect=True, scope="session")


def test_it_ends_with_the_same_adapter_by_the_same_curve(trained, architecture, tmp_path):
    whole, _ = trained
    with hold(tmp_path) as checkpoints:
        with pytest.raises(Interrupted):
            train(tmp_path, checkpoints=checkpoints, architecture=architecture, at=stop(5))
        assert published(tmp_path) == []
    torch.manual_seed(123)  # what ran before does not matter
    with hold(tmp_path) as checkpoints:
        before = checkpoints.newest()
        assert before.step == 4
        again = train(tmp_path, checkpoints=checkpoints, architecture=architecture)
    assert_same(again, whole)
    assert again.resumed_after == (4,)
    assert whole.resumed_after == ()
    assert again.seconds > before.seconds > 0
    speeds = np.array(again.log["tokens_per_s"].to_pylist())
    assert (speeds > 0).all()
    assert (speeds < 1e6).all()


OTHERS = {
    "8-bit moments of large matrices, and steps computed twice": {
        "rank": 64, "steps": 4, "gradient_checkpointing": True, "schedule": "cosine",
    },
    "random numbers in each step, the whole text, padded": {
        "dropout": 0.2, "loss": "full", "optimiser": "adamw_torch", "steps": 4,
    },
    "epochs whose last step is a small one": {
        "rows": 10, "epochs": 2.0, "batch_size": 2, "accumulation": 2, "packing": False,
    },
    "the end of an epoch": {"rows": 12, "epochs": 2.0, "batch_size": 2, "accumulation": 3},
}  # fmt: skip


@pytest.mark.parametrize("more", OTHERS.values(), ids=OTHERS)
def test_whatever_the_settings_are(tmp_path, more):
    whole = train(tmp_path, checkpoints=None, **more)
    with hold(tmp_path) as checkpoints:
        with pytest.raises(Interrupted):
            train(tmp_path, checkpoints=checkpoints, at=stop(3), **more)
        again = train(tmp_path, checkpoints=checkpoints, **more)
    assert again.resumed_after == (EVERY,)
    assert_same(again, whole)


def test_the_optimiser_goes_on_with_the_very_state_that_was_saved(tmp_path, monkeypatch):
    seen = []
    original = Checkpointing.on_train_begin

    def on_train_begin(self, args, state, control, optimizer=None, **more):
        original(self, args, state, control, optimizer=optimizer, **more)
        seen.append(copy.deepcopy(list(optimizer.state.values())))

    with hold(tmp_path) as checkpoints:
        with pytest.raises(Interrupted):
            train(tmp_path, checkpoints=checkpoints, at=stop(3), rank=64, targets=["up_proj"])
        saved = torch.load(checkpoints.newest().folder / "optimizer.pt", weights_only=True)["state"]
        monkeypatch.setattr(Checkpointing, "on_train_begin", on_train_begin)
        with pytest.raises(Interrupted):
            train(tmp_path, checkpoints=checkpoints, at=stop(3), rank=64, targets=["up_proj"])
    (loaded,) = seen
    assert len(loaded) == len(saved) == 2 * 4
    assert {of_one["state1"].dtype for of_one in loaded} == {torch.uint8}
    assert {"state1", "state2", "qmap1", "qmap2", "absmax1", "absmax2", "step"} == set(loaded[0])
    for of_one, kept in zip(loaded, saved.values(), strict=True):
        (wrapped,) = (value for value in kept.values() if isinstance(value, dict))
        assert of_one["step"] == kept["step"] == EVERY
        for name, value in wrapped.items():
            assert of_one[name].dtype == value.dtype
            assert torch.equal(of_one[name], value)


def test_a_curve_with_fewer_points_than_steps_is_the_same_too(tmp_path, monkeypatch):
    """The loss since the last point is in no checkpoint: one is only taken at a point."""
    monkeypatch.setattr(trainer, "_LOGGED_POINTS", 4)
    more = {"steps": 13, "targets": ["v_proj"], "batch_size": 2}
    whole = train(tmp_path, checkpoints=None, **more)
    assert whole.log["step"].to_pylist() == [3, 6, 9, 12]
    with hold(tmp_path, every=4) as checkpoints:
        with pytest.raises(Interrupted):
            train(tmp_path, checkpoints=checkpoints, at=stop(11), **more)
        again = train(tmp_path, checkpoints=checkpoints, **more)
        assert {path.name for path in checkpoints.folder.glob("check*")} == {"checkpoint-12", "checkpoint-13"}
    assert again.resumed_after == (6,)
    assert_same(again, whole)


@one_architecture
def test_what_was_finished_but_not_yet_on_record_is_not_trained_again(trained, tmp_path):
    whole, _ = trained
    with hold(tmp_path) as checkpoints:
        first = train(tmp_path, checkpoints=checkpoints)

        def at(*_, **__):
            raise AssertionError("a step was taken")

        again = train(tmp_path, checkpoints=checkpoints, at=at)
    assert_same(first, whole)
    assert_same(again, whole)
    assert again.resumed_after == (6,)
    assert published(tmp_path) == [whole.sha256]


@one_architecture
def test_it_may_be_interrupted_again_and_the_interval_may_change(tmp_path, trained, caplog):
    for every, step in ((1, 3), (3, 4), (1, 5)):
        with hold(tmp_path, every=every) as checkpoints, pytest.raises(Interrupted):
            train(tmp_path, checkpoints=checkpoints, at=stop(step))
    with hold(tmp_path) as checkpoints:
        again = train(tmp_path, checkpoints=checkpoints)
    assert again.resumed_after == (2, 3, 4)
    assert_same(again, trained[0])
    assert "do not match" not in caplog.text


@one_architecture
def test_a_checkpoint_that_was_torn_costs_the_steps_since_the_one_before(tmp_path, trained):
    with hold(tmp_path) as checkpoints:
        with pytest.raises(Interrupted):
            train(tmp_path, checkpoints=checkpoints, at=stop(5))
        torn = checkpoints.folder / "checkpoint-4" / "optimizer.pt"
        os.truncate(torn, torn.stat().st_size // 2)
        again = train(tmp_path, checkpoints=checkpoints)
    assert again.resumed_after == (2,)
    assert_same(again, trained[0])


def test_the_progress_bar_begins_where_the_training_does(tmp_path, monkeypatch):
    bars = []

    class Bar(trainer.tqdm):
        def __init__(self, *arguments, **more):
            super().__init__(*arguments, **more | {"disable": True})
            bars.append((more["initial"], more["total"]))

    monkeypatch.setattr(trainer, "tqdm", Bar)
    with hold(tmp_path) as checkpoints:
        for _ in range(2):
            with pytest.raises(Interrupted):
                train(tmp_path, checkpoints=checkpoints, at=stop(3), targets=["v_proj"])
    assert bars == [(0, 6), (2, 6)]


def test_time_and_memory_are_those_of_all_processes(tmp_path):
    before = Checkpoint(folder=tmp_path, step=2, seconds=1000.0, peak_memory_bytes=10**15)
    device = torch.device("cpu")
    started = time.perf_counter() - 5
    session = Session(device=device, resumed=before, started=started)
    assert 1005 <= session.seconds <= 1000 + (time.perf_counter() - started)
    assert session.peak_memory_bytes == 10**15
    alone = Session(device=device)
    assert 0 <= alone.seconds <= time.perf_counter() - started
    assert 10_000_000 < alone.peak_memory_bytes < 10**15


def test_throughput_is_taken_within_a_process():
    def entry(step, tokens, seconds):
        return {
            "step": step, "loss": 0.5, "learning_rate": 0.1, "grad_norm": 1.0, "num_input_tokens_seen": tokens,
            "train_runtime": seconds,
        }  # fmt: skip

    history = [entry(1, 100, 50.0), {"resumed": True, "step": 1}, entry(2, 300, 60.0), entry(3, 400, 61.0)]
    assert log_table(history, name="x")["tokens_per_s"].to_pylist() == [2.0, 200 / 60, 100.0]


# --- a real kill ---

_CHILD = """
import sys, time
from pathlib import Path
from bioalign_assets_tests.training.interrupted import hold, train

def wait(step, **_):
    if step == 7:  # before it removes the checkpoint that its killer looks for, however late that is
        time.sleep(3600)

folder = Path(sys.argv[1])
with hold(folder) as checkpoints:
    train(folder, checkpoints=checkpoints, at=wait, steps=10, targets=["q_proj", "v_proj"])
"""


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_moment(tmp_path):
    """SIGKILL from outside, as soon as a checkpoint is there: while it trains on, or writes the next."""
    more = {"steps": 10, "targets": ["q_proj", "v_proj"]}
    whole = train(tmp_path / "whole", checkpoints=None, **more)
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path)],
        cwd=PROJECT_ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not (tmp_path / "checkpoints" / "k" / "checkpoint-4" / "whole.json").is_file():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
    assert process.returncode == -signal.SIGKILL
    assert published(tmp_path) == []
    with hold(tmp_path) as checkpoints:
        again = train(tmp_path, checkpoints=checkpoints, **more)
    assert again.resumed_after[0] in {4, 6}
    assert_same(again, whole)
