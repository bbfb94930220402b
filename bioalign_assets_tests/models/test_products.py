"""Base and adapter as one product: what PEFT computes, in 16 bits without losing what the adapter adds."""

import pytest
import torch
from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, get_peft_model

from bioalign_assets.models.products import joined_products, product_bytes
from bioalign_assets_tests import tiny_models

IDS = torch.arange(3, 40).reshape(1, -1)


def adapted(loaded, **more):
    config = LoraConfig(
        r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM", **more
    )
    return get_peft_model(loaded.model, config).train()


def loss_and_gradients(model):
    model.zero_grad()
    loss = model(input_ids=IDS, labels=IDS, use_cache=False).loss
    loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    return loss.detach(), found


@pytest.mark.parametrize("quantisation", ["nf4", "none"])
def test_losses_and_gradients_are_pefts(architecture, quantisation):
    model = adapted(tiny_models.load(architecture, quantisation=quantisation))
    loss, gradients = loss_and_gradients(model)
    joined_ones = []
    for holds in (True, False):
        with joined_products(model, dtype=torch.float32, holds=holds) as count:
            assert count == 4 * (4 if architecture == "phi3" else 7)
            joined_ones.append(loss_and_gradients(model))
    (joined_loss, joined), (not_held_loss, not_held) = joined_ones
    assert joined_loss == pytest.approx(float(loss), abs=1e-5)
    for name, gradient in gradients.items():
        assert torch.allclose(joined[name], gradient, rtol=1e-4, atol=1e-5 * gradient.abs().max())
        # 4-bit weights unpacked once or in every pass: the same bits
        assert torch.equal(joined[name], not_held[name])
    assert joined_loss == not_held_loss
    after, _ = loss_and_gradients(model)
    assert after == loss  # PEFT's own again


def test_gradients_are_those_of_small_differences():
    layer = (
        adapted(tiny_models.load("llama", quantisation="none")).base_model.model.model.layers[0].mlp.up_proj
    )
    layer.double()
    x = torch.randn(3, 128, dtype=torch.float64, requires_grad=True)
    with joined_products(layer, dtype=torch.float64, holds=True) as count:
        assert count == 1
        assert torch.autograd.gradcheck(layer, (x,))


def test_what_is_smaller_than_a_last_bit_is_added_all_the_same():
    """An update of a training step is far smaller than bfloat16's last bit: the mean of many outputs must show it."""
    base = torch.nn.Linear(64, 4096, bias=False).to(torch.bfloat16)
    holder = torch.nn.Sequential(base)
    model = get_peft_model(holder, LoraConfig(r=4, lora_alpha=4, target_modules=["0"])).train()
    layer = model.base_model.model[0]
    with torch.no_grad():
        layer.lora_A["default"].weight.fill_(1 / 64)
        layer.lora_B["default"].weight.fill_(1e-4)
    x = torch.ones(1, 64, dtype=torch.bfloat16)
    exact = base(x.float().to(torch.bfloat16)).float()
    true = torch.nn.functional.linear(x.double(), base.weight.double())
    added = 4 * 1e-4  # four ranks, each 1 x 1e-4
    with torch.no_grad(), joined_products(model, dtype=torch.bfloat16, holds=True):
        joined = (model(x).double() - true).mean()
    peft = ((exact + added).to(torch.bfloat16).double() - exact.double()).abs().sum()
    assert joined == pytest.approx(added, rel=0.5)
    assert peft < added * 4096 / 2  # rounded beforehand, most of it is lost


@pytest.mark.parametrize("more", [{"use_dora": True}, {"lora_bias": True}, {"lora_dropout": 0.5}])
def test_an_adapter_of_another_form_is_pefts(more):
    model = adapted(tiny_models.load("llama"), **more)
    with joined_products(model, dtype=torch.float32, holds=True) as count:
        assert count == 0


def test_the_size_is_that_of_all_matrices():
    loaded = tiny_models.load("llama")
    numbers = sum(m.in_features * m.out_features for m in loaded.model.modules() if isinstance(m, Linear4bit))
    assert product_bytes(loaded.model, dtype=torch.bfloat16) == 2 * numbers
    assert product_bytes(adapted(loaded), dtype=torch.float32) == 4 * numbers
