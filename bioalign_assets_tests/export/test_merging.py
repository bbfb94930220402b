"""Base and adapter as one plain model: the answers of the two, in the base's own type, with nothing of PEFT left."""

import dataclasses

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from bioalign_assets.errors import ModelError
from bioalign_assets.export import merging
from bioalign_assets.export.merging import base_dtype, merged_model, save
from bioalign_assets.models.folder import describe
from bioalign_assets.models.loading import load_base
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.training.adapters import with_adapter
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets_tests import tiny_models

TOKENS = torch.arange(5, 45).reshape(2, -1)


@pytest.fixture(scope="module", params=tiny_models.ARCHITECTURES)
def architecture(request):
    return request.param


@pytest.fixture(scope="module")
def adapter(architecture, tmp_path_factory):
    """An adapter that changes a lot."""
    return train_adapter(
        tiny_models.training_rows(8),
        loaded=tiny_models.load(architecture),
        spec=tiny_models.experiment(steps=8, batch_size=2, learning_rate=2e-2),
        adapters=tmp_path_factory.mktemp("trained"),
        name="toy",
    ).folder


def logits(model):
    with torch.inference_mode():
        return model.eval()(input_ids=TOKENS).logits.float()


def in_folder(folder, architecture, *, quantisation, dtype=None, in_4_bits=False):
    """The tiny model as somebody saved it: in a type, or in 4 bits."""
    loaded = tiny_models.load(architecture, quantisation="nf4" if in_4_bits else "none")
    if dtype is not None:
        loaded.model.to(dtype)
        loaded.model.config.dtype = dtype
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    spec = ModelSpec(path=str(folder), quantisation=quantisation)
    return describe(folder, spec=spec, name="m", what="m", source="folder"), spec


def merged(base, spec, *, adapter, folder):
    model = merged_model(base, spec=spec, adapter=adapter, warehouse=tiny_models.warehouse(), name="m@x")
    save(model, folder=folder)
    return AutoModelForCausalLM.from_pretrained(folder)


@pytest.mark.parametrize("quantisation", ["nf4", "none"])
def test_answers_are_those_of_the_adapter_on_the_base(architecture, adapter, quantisation, tmp_path):
    base = dataclasses.replace(tiny_models.resolved(architecture), quantisation=quantisation)
    spec = tiny_models.spec_of(architecture, quantisation=quantisation)
    untuned = tiny_models.load(architecture, quantisation=quantisation)
    before = logits(untuned.model)
    expected = logits(with_adapter(untuned, folder=adapter).model)
    assert (expected - before).abs().max() > 0.1
    found = merged(base, spec, adapter=adapter, folder=tmp_path)
    assert (logits(found) - expected).abs().max() < 1e-4
    assert found.dtype == torch.float32
    assert not hasattr(found.config, "quantization_config")
    weights = load_file(tmp_path / "model.safetensors")
    plain = AutoModelForCausalLM.from_pretrained(base.folder(warehouse=tiny_models.warehouse()))
    assert {name: w.shape for name, w in weights.items()} == {
        name: w.shape for name, w in plain.state_dict().items() if name in weights
    }
    assert not [name for name in weights if "lora" in name or "base_layer" in name]


@pytest.mark.parametrize("form", ["bfloat16", "bfloat16, unpacked", "4 bits"])
def test_the_type_is_the_bases_and_sums_are_rounded_once(architecture, adapter, form, tmp_path):
    quantisation = "none" if form == "bfloat16" else "nf4"
    base, spec = in_folder(
        tmp_path / "base", architecture, quantisation=quantisation,
        dtype=None if form == "4 bits" else torch.bfloat16, in_4_bits=form == "4 bits",
    )  # fmt: skip
    dtype = base_dtype(tmp_path / "base")
    assert dtype == (torch.float32 if form == "4 bits" else torch.bfloat16)
    found = merged(base, spec, adapter=adapter, folder=tmp_path / "merged")
    assert found.dtype == dtype
    # PEFT's own merging, all in float32
    in_full = spec.model_copy(update={"dtype": "float32"})
    full = load_base(base, spec=in_full, warehouse=tiny_models.warehouse()).model
    plain = full.dequantize() if quantisation == "nf4" else full
    expected = PeftModel.from_pretrained(plain, adapter).merge_and_unload().state_dict()
    # 4-bit weights are unpacked to the type that is computed in: rounded there, and in the sum
    most = {"bfloat16": 2**-8, "bfloat16, unpacked": 2**-7, "4 bits": 1e-6}[form]
    for weight_name, weight in found.state_dict().items():
        reference = expected[weight_name]
        assert (weight.float() - reference).abs().max() <= most * reference.abs().max(), weight_name
        if form == "bfloat16":
            assert torch.equal(weight, reference.to(dtype)), weight_name


def test_too_little_memory_is_told_before_anything_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(merging, "free_memory", lambda _: 1_000_000)
    monkeypatch.setattr(merging, "load_base", None)
    base = tiny_models.resolved("llama")
    with pytest.raises(ModelError, match=r"Merging m@x: found 1.0 MB of memory.*expected about 5"):
        merged(base, tiny_models.spec_of("llama"), adapter=tmp_path, folder=tmp_path)
