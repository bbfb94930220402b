"""Memory: nothing of a training outlives it, and what is kept to be faster is as much as there is room for."""

import gc
import weakref

import pytest
import torch

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import ModelError
from bioalign_assets.inference.answers import ask
from bioalign_assets.inference.embeddings import embed
from bioalign_assets.models.loading import load_base
from bioalign_assets.models.memory import living_tensor_bytes
from bioalign_assets.training import memory
from bioalign_assets.training.memory import training_memory
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets.training.trainer import StopOnNaN
from bioalign_assets_tests import tiny_models


def trained(folder, **more):
    """Train on a model that is loaded for it; return a reference to the model that does not keep it."""
    loaded = load_base(
        tiny_models.resolved("llama"), spec=tiny_models.spec_of("llama"), warehouse=tiny_models.warehouse()
    )
    train_adapter(
        tiny_models.training_rows(8), loaded=loaded, spec=tiny_models.experiment(steps=2, **more),
        adapters=folder, name="toy",
    )  # fmt: skip
    return weakref.ref(loaded.model)


@pytest.mark.parametrize("optimiser", ["adamw_8bit", "adamw_torch"])
@pytest.mark.parametrize("packing", [True, False])
def test_nothing_of_three_trainings_outlives_them(tmp_path, optimiser, packing):
    trained(
        tmp_path, optimiser=optimiser, packing=packing
    )  # what libraries keep of themselves is there from now on
    before = living_tensor_bytes()
    models = [trained(tmp_path, optimiser=optimiser, packing=packing) for _ in range(3)]
    assert living_tensor_bytes() == before
    assert [model() for model in models] == [None] * 3


def test_nothing_of_a_failed_training_outlives_it(tmp_path, monkeypatch):
    trained(tmp_path)
    before = living_tensor_bytes()

    def broken(*_, **__):
        raise ModelError("x", found="x", expected="x", remedy="x")

    monkeypatch.setattr(StopOnNaN, "on_log", broken)
    for _ in range(2):
        with pytest.raises(ModelError):
            trained(tmp_path)
    assert living_tensor_bytes() == before


def test_nothing_of_being_asked_outlives_it():
    def asked():
        loaded = load_base(
            tiny_models.resolved("llama"),
            spec=tiny_models.spec_of("llama"),
            warehouse=tiny_models.warehouse(),
        )
        texts = tiny_models.statements(8)
        ask(texts, prompt=PROMPTS["unseen"], loaded=loaded)
        embed(texts, loaded=loaded)

    asked()
    before = living_tensor_bytes()
    for _ in range(2):
        asked()
    assert living_tensor_bytes() == before


def test_living_tensors_are_counted_each_storage_once():
    before = living_tensor_bytes()
    tensor = torch.zeros(1000)
    view = tensor[:10]
    assert living_tensor_bytes() == before + 4000
    del tensor
    assert living_tensor_bytes() == before + 4000  # the view holds it
    del view
    gc.collect()
    assert living_tensor_bytes() == before


@pytest.mark.parametrize(
    ("free", "setting", "is_checkpointed", "holds_weights"),
    [
        (10**12, "auto", False, True),
        (10**12, True, True, True),
        (4_000_000, "auto", True, False),
        (4_000_000, False, False, False),
        (0, "auto", True, False),
    ],
)
def test_what_is_kept_is_what_there_is_room_for(monkeypatch, free, setting, is_checkpointed, holds_weights):
    monkeypatch.setattr(memory, "free_memory", lambda _: free)
    found = training_memory(
        tiny_models.load("llama"), spec=tiny_models.experiment(gradient_checkpointing=setting), tokens=300
    )
    assert (found.is_checkpointed, found.holds_weights) == (is_checkpointed, holds_weights)


def test_what_is_kept_moves_no_bit(tmp_path, monkeypatch):
    found = set()
    for free in (10**12, 4_000_000):
        monkeypatch.setattr(memory, "free_memory", lambda _, free=free: free)
        training = train_adapter(
            tiny_models.training_rows(12), loaded=tiny_models.load("llama"),
            spec=tiny_models.experiment(gradient_checkpointing="auto"), adapters=tmp_path, name="toy",
        )  # fmt: skip
        found.add(training.sha256)
    assert len(found) == 1
