"""Unsloth itself, where it is installed: its losses are ours, on a card or (since 2026.10 it can) on a CPU.

It is no dependency of the core, so elsewhere a stand-in has to do (``test_backends.py``). To run it:
``pip install --no-deps 'unsloth>=2026.10,<2026.11' unsloth_zoo``, then ``pytest -m unsloth``.
"""

import importlib.util

import pytest

from bioalign_assets.models.backends import choose
from bioalign_assets.training.on_base import train_on_base
from bioalign_assets_tests import tiny_models

pytestmark = [
    pytest.mark.unsloth,
    pytest.mark.skipif(importlib.util.find_spec("unsloth") is None, reason="unsloth is not installed"),
]


def losses(folder, *, backend):
    training = train_on_base(
        tiny_models.training_rows(18),
        resolved=tiny_models.resolved("llama"),
        model_spec=tiny_models.spec_of("llama", backend=backend, dtype="float32"),
        spec=tiny_models.experiment(steps=4, packing=False),
        warehouse=tiny_models.warehouse(),
        adapters=folder,
        name="toy",
    )
    return training.log["loss"].to_pylist()


def test_losses_are_ours(tmp_path, monkeypatch):
    # A study is refused it without a card, where it is slower than transformers. UNSLOTH_ALLOW_CPU=1, which makes it
    # take the CPU for a card, is not set: its loader then asks that card for its memory, and fails.
    monkeypatch.setattr(choose, "unsloth_lacks", lambda: "")
    found = losses(tmp_path / "unsloth", backend="unsloth")
    assert found == pytest.approx(losses(tmp_path / "ours", backend="transformers"), abs=2e-3)
