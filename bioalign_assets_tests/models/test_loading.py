"""Loading: 4-bit NF4 weights that are really in 4 bits, plain ones, and files that can't be loaded."""

import dataclasses
import json
import shutil

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from safetensors.torch import load_file, save_file

from bioalign_assets.errors import ModelError
from bioalign_assets.models.loading import compute_dtype, load_base
from bioalign_assets.study.models import ModelSpec
from bioalign_assets_tests import tiny_models


def linears(model):
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}


@pytest.fixture
def copied(tmp_path):
    """A tiny model's folder that a test may break, and the value that names it."""
    value = tiny_models.resolved("llama")
    folder = tmp_path / "model"
    shutil.copytree(value.folder(warehouse=tiny_models.warehouse()), folder)
    return folder, dataclasses.replace(value, path="model")


def test_weights_are_nf4_with_double_quantisation(architecture):
    model = tiny_models.load(architecture).model
    layers = linears(model)
    packed = {name: layer for name, layer in layers.items() if name != "lm_head"}
    assert len(packed) == 4 * (4 if architecture == "phi3" else 7)
    for layer in packed.values():
        assert isinstance(layer, Linear4bit)
        assert layer.weight.dtype == torch.uint8
        assert layer.weight.quant_type == "nf4"
        assert layer.weight.quant_state.nested  # the scales are quantised as well
        assert layer.weight.numel() * 2 == layer.in_features * layer.out_features
        assert layer.compute_dtype == torch.float32
    assert not isinstance(layers["lm_head"], Linear4bit)
    assert model.is_loaded_in_4bit
    assert not model.training


def test_dequantised_weights_are_those_on_disk_but_for_the_rounding(resolved, architecture, warehouse):
    stored = load_file(next(resolved.folder(warehouse=warehouse).glob("*.safetensors")))
    for name, layer in linears(tiny_models.load(architecture).model).items():
        if name == "lm_head":
            continue
        weight, packed = stored[f"{name}.weight"], layer.weight
        rounded = dequantize_4bit(packed.data, packed.quant_state)
        error = (rounded - weight).abs()
        assert (
            0 < error.max() < 0.2 * weight.abs().max()
        )  # NF4's widest gap between levels is 0.3 of the maximum
        assert torch.corrcoef(torch.stack([rounded.flatten(), weight.flatten()]))[0, 1] > 0.99


def test_without_quantisation_the_weights_are_those_on_disk(resolved, architecture, warehouse):
    model = tiny_models.load(architecture, quantisation="none").model
    assert not any(isinstance(layer, Linear4bit) for layer in linears(model).values())
    stored = load_file(next(resolved.folder(warehouse=warehouse).glob("*.safetensors")))
    for name, weight in model.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, stored[name])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_computes_in_the_type_of_the_study(dtype):
    loaded = tiny_models.load("llama", dtype=dtype)
    assert loaded.dtype == getattr(torch, dtype)
    assert loaded.model.model.layers[0].mlp.down_proj.compute_dtype == loaded.dtype
    assert loaded.model.model.embed_tokens.weight.dtype == loaded.dtype


@pytest.mark.parametrize(
    ("has_bf16", "device", "expected"),
    [(True, "cuda", torch.bfloat16), (False, "cuda", torch.float16), (False, "cpu", torch.float32)],
)
def test_the_automatic_type_follows_the_device(monkeypatch, has_bf16, device, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)
    assert compute_dtype(ModelSpec(tiny="llama"), device=torch.device(device)) == expected


def test_a_tokenizer_without_padding_pads_with_its_end(copied, tmp_path):
    folder, value = copied
    for name, key in (("tokenizer_config.json", "pad_token"), ("tokenizer.json", "padding")):
        content = json.loads((folder / name).read_text())
        del content[key]
        (folder / name).write_text(json.dumps(content))
    tokenizer = load_base(value, spec=ModelSpec(tiny="llama"), warehouse=tmp_path).tokenizer
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def change_json(file, **more):
    file.write_text(json.dumps(json.loads(file.read_text()) | more))


def change_tensors(file, change):
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def bring_code(folder):
    (folder / "c.py").write_text("raise RuntimeError('ran foreign code')")
    change_json(
        folder / "config.json",
        model_type="made-up",
        auto_map={"AutoConfig": "c.C", "AutoModelForCausalLM": "c.M"},
    )


def weights_of(folder):
    return folder / "model.safetensors"


BREAKING = {
    "folder gone": shutil.rmtree,
    "weights gone": lambda folder: weights_of(folder).unlink(),
    "weights cut": lambda folder: weights_of(folder).write_bytes(weights_of(folder).read_bytes()[:-1000]),
    "weights are html": lambda folder: weights_of(folder).write_text("<html>sign in</html>"),
    "tokenizer gone": lambda folder: [file.unlink() for file in folder.glob("tokenizer*")],
    "config not JSON": lambda folder: (folder / "config.json").write_text("{"),
    "unknown architecture": lambda folder: change_json(folder / "config.json", model_type="no-such-model"),
    "a tensor missing": lambda folder: change_tensors(
        weights_of(folder), lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight")
    ),
    "a tensor misshapen": lambda folder: change_tensors(
        weights_of(folder), lambda tensors: tensors.update({"model.norm.weight": torch.ones(7)})
    ),
    "code of its own": bring_code,
}


@pytest.mark.parametrize("action", BREAKING)
@pytest.mark.parametrize("quantisation", ["nf4", "none"])
def test_files_that_do_not_load_are_told_in_one_paragraph(copied, tmp_path, action, quantisation):
    folder, value = copied
    BREAKING[action](folder)
    with pytest.raises(
        ModelError, match="Materialise models/base for the partition tiny-llama again"
    ) as told:
        load_base(value, spec=ModelSpec(tiny="llama", quantisation=quantisation), warehouse=tmp_path)
    assert "\n" not in str(told.value)
    assert str(folder) in str(told.value)
