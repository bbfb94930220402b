"""A training that is killed leaves nothing that looks finished, and another process trains the same adapter."""

import os
import signal
import subprocess
import sys

import pytest

from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.training.adapters import adapter_sha256
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets.warehouse.atomic import PARTIAL_SUFFIX, remove_leftovers
from bioalign_assets_tests import tiny_models


def train(folder):
    return train_adapter(
        tiny_models.training_rows(18), loaded=tiny_models.load("phi3"), spec=tiny_models.experiment(),
        adapters=folder / "adapters", name="toy",
    )  # fmt: skip


@pytest.mark.slow
def test_a_training_that_is_killed_before_its_adapter_has_a_name(tmp_path):
    """With another hash seed: nothing depends on the order of a set or on an address (test_resuming: on the way)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bioalign_assets_tests.training.killed_at_the_end", str(tmp_path)],
        cwd=PROJECT_ROOT, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline().strip() == "ready"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    adapters = tmp_path / "adapters"
    (left,) = adapters.iterdir()
    assert left.name.endswith(PARTIAL_SUFFIX)
    training = train(tmp_path)
    assert {file.name for file in left.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert adapter_sha256(left) == training.sha256
    assert remove_leftovers(adapters, older_than_s=-1) == [left]
    assert list(adapters.iterdir()) == [training.folder]
