"""A training that is killed leaves nothing that looks finished, and another process trains the same adapter."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bioalign_assets.training.qlora import train_adapter
from bioalign_assets.warehouse.atomic import PARTIAL_SUFFIX, remove_leftovers
from bioalign_assets_tests import tiny_models

HASH_SEED = {"step": "1", "save": "2", "end": "3"}
ROOT = Path(__file__).parents[2]


def start(place, folder):
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "bioalign_assets_tests.training.run_and_wait",
            place,
            str(folder),
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": HASH_SEED[place]},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def train_here(folder):
    return train_adapter(
        tiny_models.training_rows(18), loaded=tiny_models.load("phi3"), spec=tiny_models.experiment(),
        adapters=folder / "adapters", name="toy",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("place", ["step", "save"])
def test_a_killed_training_leaves_nothing_that_looks_finished(tmp_path, place):
    process = start(place, tmp_path)
    try:
        assert process.stdout.readline().strip() == "ready"
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
    finally:
        process.kill()
    adapters = tmp_path / "adapters"
    left = list(adapters.glob("*"))
    assert all(path.name.endswith(PARTIAL_SUFFIX) for path in left)
    if place == "save":  # killed between the last file and the name
        assert [{f.name for f in path.iterdir()} for path in left] == [
            {"adapter_config.json", "adapter_model.safetensors"}
        ]
    training = train_here(tmp_path)
    assert training.folder.is_dir()
    assert set(remove_leftovers(adapters, older_than_s=-1)) == set(left)
    assert [path.name for path in adapters.iterdir()] == [training.sha256]


@pytest.mark.slow
def test_another_process_trains_the_same_adapter(tmp_path):
    """From its own base, with other hash seeds: nothing depends on the order of a set or on an address."""
    process = start("end", tmp_path)
    out, _ = process.communicate(timeout=240)
    training = train_here(tmp_path)
    assert process.returncode == 0
    assert out.split() == [training.sha256]
    assert [path.name for path in (tmp_path / "adapters").iterdir()] == [
        training.sha256
    ]  # the same one, kept
