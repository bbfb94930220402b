"""Adapters find their base: by PEFT alone, on another machine, and without a word of this one."""

import dataclasses
import json
import shutil
import socket

import huggingface_hub.constants
import pytest
import torch
from huggingface_hub import ModelCard
from peft import AutoPeftModelForCausalLM, PeftModel
from transformers import AutoModelForCausalLM

from bioalign_assets.training.adapters import adapter_sha256, with_adapter
from bioalign_assets.training.home import tell_base
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets_tests import tiny_models
from bioalign_assets_tests.models.hub_cache import COMMIT, OLDER, REPO, put

TOKENS = torch.arange(5, 25).reshape(1, -1)
TINY = tiny_models.resolved("llama")
PUBLISHED = dataclasses.replace(
    TINY, source="hub", repo_id=REPO, revision=OLDER, path="/home/somebody/.cache/x"
)
FOLDER = dataclasses.replace(TINY, source="folder", path="/home/somebody/m", origin="/home/somebody/m")
TAKEN = dataclasses.replace(FOLDER, repo_id=REPO)
UNPACKED = dataclasses.replace(TINY, source="gguf", path=f"models/{'c' * 64}", origin="/home/somebody/m.gguf")
BASES = {"tiny": TINY, "published": PUBLISHED, "folder": FOLDER, "taken": TAKEN, "unpacked": UNPACKED}


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_adapter(
        tiny_models.training_rows(8),
        loaded=tiny_models.load("llama"),
        spec=tiny_models.experiment(steps=3, batch_size=2, targets=["v_proj"]),
        adapters=tmp_path_factory.mktemp("trained"),
        name="toy",
    ).folder


@pytest.fixture
def warehouse(tmp_path, trained):
    """A warehouse with the adapter and its tiny base."""
    shutil.copytree(trained, tmp_path / "adapters" / trained.name)
    shutil.copytree(tiny_models.warehouse() / TINY.path, tmp_path / TINY.path)
    return tmp_path


def logits(model):
    with torch.inference_mode():
        return model.eval()(input_ids=TOKENS).logits


def by_hand(adapter):
    base = AutoModelForCausalLM.from_pretrained(tiny_models.warehouse() / TINY.path)
    untuned = logits(base)
    tuned = logits(PeftModel.from_pretrained(base, adapter))
    assert not torch.equal(tuned, untuned)
    return tuned


def test_a_published_base_is_found_at_its_commit(trained, warehouse, tmp_path):
    adapter = warehouse / "adapters" / trained.name
    tell_base(adapter, base=PUBLISHED, variant="m@x")
    cache = tmp_path / "cache"
    put(cache, tiny_models.warehouse() / TINY.path, commit=OLDER, branch=None)
    another = tiny_models.resolved("llama", pretraining_steps=tiny_models.LEARNED)
    put(cache, tiny_models.warehouse() / another.path, commit=COMMIT)  # where main stands now
    found = AutoPeftModelForCausalLM.from_pretrained(adapter, cache_dir=cache)
    assert torch.equal(logits(found), by_hand(trained))
    assert ModelCard.load(adapter / "README.md").data.base_model == REPO


def test_a_tiny_base_is_found_in_the_warehouse_wherever_that_was_moved(trained, warehouse, monkeypatch):
    adapter = f"adapters/{trained.name}"
    tell_base(warehouse / adapter, base=TINY, variant="m@x")
    moved = warehouse / "moved"
    moved.mkdir()
    for name in ("adapters", "models"):
        (warehouse / name).rename(moved / name)
    monkeypatch.chdir(moved)
    assert torch.equal(logits(AutoPeftModelForCausalLM.from_pretrained(adapter)), by_hand(trained))


@pytest.mark.parametrize("base", [TINY, FOLDER, TAKEN, UNPACKED], ids=lambda base: base.source)
def test_elsewhere_the_error_names_the_base_and_no_hub_is_asked(trained, warehouse, base, monkeypatch):
    adapter = warehouse / "adapters" / trained.name
    tell_base(adapter, base=base, variant="m@x")
    monkeypatch.chdir(adapter)
    named = UNPACKED.path if base is UNPACKED else f"models/{TINY.weights_sha256}"
    with pytest.raises(OSError, match=f"'./{named}'") as told:
        AutoPeftModelForCausalLM.from_pretrained(adapter)
    assert "connect" not in str(told.value)


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
def test_where_the_base_is_is_no_content_and_names_nothing_of_this_machine(trained, warehouse, base):
    adapter = warehouse / "adapters" / trained.name
    tell_base(adapter, base=base, variant="m@x")
    tell_base(adapter, base=base, variant="m@x")
    assert adapter_sha256(adapter) == trained.name
    assert {path.name for path in adapter.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "README.md",
    }  # fmt: skip
    card = ModelCard.load(adapter / "README.md")
    assert TINY.weights_sha256 in card.text
    written = str(card) + (adapter / "adapter_config.json").read_text()
    assert "somebody" not in written
    assert "None" not in written
    assert str(warehouse) not in written


@pytest.mark.parametrize("where", ["adapter_config.json", "adapter_model.safetensors", "more"])
def test_anything_else_is_content(trained, warehouse, where):
    adapter = warehouse / "adapters" / trained.name
    tell_base(adapter, base=PUBLISHED, variant="m@x")
    path = adapter / where
    if where == "adapter_config.json":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"lora_alpha": 9}))
    else:
        path.write_bytes(b"x")
    assert adapter_sha256(adapter) != trained.name


def test_a_configuration_that_is_no_json_is_another_content(trained, warehouse):
    adapter = warehouse / "adapters" / trained.name
    (adapter / "adapter_config.json").write_bytes(b"\0")
    assert adapter_sha256(adapter) != trained.name


def test_our_own_loading_asks_nobody(trained, warehouse, monkeypatch):
    adapter = warehouse / "adapters" / trained.name
    tell_base(adapter, base=PUBLISHED, variant="m@x")

    def refuse(*_):
        raise AssertionError("something was asked for over the network")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = with_adapter(tiny_models.load("llama"), folder=adapter)
    assert torch.equal(
        logits(found.model), logits(with_adapter(tiny_models.load("llama"), folder=trained).model)
    )
