"""4-bit weights unpacked once: the same numbers, and the model as it was afterwards."""

import numpy as np
import pytest
import torch
from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, get_peft_model

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.inference.dense import dense_weights
from bioalign_assets.inference.scoring import p_true
from bioalign_assets.models import memory
from bioalign_assets_tests import tiny_models

TEXTS = tiny_models.statements(5)
IDS = torch.arange(3, 40).reshape(1, -1)


def logits(loaded):
    with torch.inference_mode():
        return loaded.model(input_ids=IDS).logits


def packed(loaded):
    return [module for module in loaded.model.modules() if isinstance(module, Linear4bit)]


def with_random_adapter(loaded, **more):
    config = LoraConfig(
        r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM", **more
    )
    object.__setattr__(loaded, "model", get_peft_model(loaded.model, config).eval())
    return loaded


def test_unpacked_weights_give_the_same_bits(architecture):
    loaded = tiny_models.load(architecture)
    expected, layers = logits(loaded), packed(loaded)
    assert layers
    with dense_weights(loaded):
        assert not packed(loaded)
        assert (logits(loaded) == expected).all()
    assert packed(loaded) == layers
    assert (logits(loaded) == expected).all()


def test_an_adapter_is_added_in_float32(architecture):
    plain = logits(tiny_models.load(architecture))
    loaded = with_random_adapter(tiny_models.load(architecture))
    expected, layers = logits(loaded), list(loaded.model.modules())
    assert (expected - plain).abs().max() > 0.1
    with dense_weights(loaded):
        assert not packed(loaded)
        assert not [name for name, _ in loaded.model.named_modules() if "lora_A" in name]
        assert (logits(loaded) - expected).abs().max() < 1e-4
    assert list(loaded.model.modules()) == layers
    assert (logits(loaded) == expected).all()


@pytest.mark.parametrize("more", [{"use_dora": True}, {"lora_bias": True}])
def test_an_adapter_of_another_form_stays_apart(more):
    loaded = with_random_adapter(tiny_models.load("llama"), **more)
    expected = logits(loaded)
    with dense_weights(loaded):
        assert [name for name, _ in loaded.model.named_modules() if "lora_A" in name]
        assert (logits(loaded) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_an_adapter_stays_apart_in_16_bits_and_is_the_same_with_room_and_without(dtype, monkeypatch):
    loaded = with_random_adapter(tiny_models.load("llama", dtype=dtype))
    found = []
    for free in (10**12, 10**6):
        monkeypatch.setattr(memory, "free_memory", lambda _device, free=free: free)
        with dense_weights(loaded), loaded.computing():
            assert [name for name, _ in loaded.model.named_modules() if "lora_A" in name]
            found.append(logits(loaded))
    assert (found[0] == found[1]).all()


def test_nothing_is_unpacked_without_room(monkeypatch):
    loaded = tiny_models.load("llama")
    expected = p_true(TEXTS, prompt=PROMPTS["unseen"], loaded=loaded)
    for free in (10**6, 0):
        monkeypatch.setattr(memory, "free_memory", lambda _device, free=free: free)
        with dense_weights(loaded):
            assert packed(loaded)
        assert np.array_equal(p_true(TEXTS, prompt=PROMPTS["unseen"], loaded=loaded), expected)


def test_weights_are_packed_again_after_an_error():
    loaded = tiny_models.load("llama")
    layers = packed(loaded)
    with pytest.raises(RuntimeError, match="broken"), dense_weights(loaded):
        raise RuntimeError("broken")
    assert packed(loaded) == layers
