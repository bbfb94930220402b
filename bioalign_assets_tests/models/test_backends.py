"""Backends: which one trains, what each demands, and that what one trained is the other's to run."""

import json
import sys
import textwrap

import pytest
import torch

from bioalign_assets.errors import ModelError
from bioalign_assets.models import memory
from bioalign_assets.models.backends import choose
from bioalign_assets.models.backends.choose import backend_of, refuse_absent_unsloth
from bioalign_assets.models.backends.transformers_backend import TransformersBackend
from bioalign_assets.models.backends.unsloth_backend import UnslothBackend
from bioalign_assets.models.loading import load_base
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.training.adapters import with_adapter
from bioalign_assets.training.lengths import TYPICAL
from bioalign_assets.training.on_base import train_on_base, training_load
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets_tests import tiny_models

STAND_IN = '''
"""The part of Unsloth's interface that is used (names as in 2026.10.9), over transformers: runs without a card."""
import json, pathlib, sys

EARLIER = [name for name in ("transformers", "trl", "peft") if name in sys.modules]
CALLS = pathlib.Path(__file__).with_name("calls.json")


def note(**call):
    calls = json.loads(CALLS.read_text()) if CALLS.exists() else []
    CALLS.write_text(json.dumps([*calls, call]))


class FastLanguageModel:
    @staticmethod
    def from_pretrained(
        model_name, max_seq_length=2048, dtype=None, load_in_4bit=True, load_in_16bit=False,
        trust_remote_code=False, use_exact_model_name=False, *, local_files_only=False,
    ):
        from transformers import AutoModelForCausalLM, BitsAndBytesConfig

        note(earlier=EARLIER, longest=max_seq_length, exact=use_exact_model_name, local=local_files_only)
        packed = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        model = AutoModelForCausalLM.from_pretrained(
            model_name, dtype=dtype, quantization_config=packed if load_in_4bit else None, device_map={"": "cpu"}
        )
        for layer in model.modules():
            layer.support_avx512bf16_for_cpu = False
        return model.eval(), "a tokenizer of its own"

    @staticmethod
    def get_peft_model(
        model, r=16, target_modules=(), lora_alpha=16, lora_dropout=0.0, bias="none",
        use_gradient_checkpointing="unsloth", random_state=3407,
    ):
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

        note(rank=r, seed=random_state, checkpoints=use_gradient_checkpointing)
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        return get_peft_model(model, LoraConfig(
            r=r, lora_alpha=lora_alpha, lora_dropout=lora_dropout, bias=bias, target_modules=target_modules,
            task_type="CAUSAL_LM",
        ))
'''


@pytest.fixture
def unsloth(tmp_path, monkeypatch):
    """A stand-in for Unsloth on a machine that would have a card; the file that tells what was asked of it."""
    package = tmp_path / "site" / "unsloth"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(textwrap.dedent(STAND_IN))
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(choose, "unsloth_lacks", lambda: "")
    yield package / "calls.json"
    assert "unsloth" not in sys.modules


def train(folder, *, backend="auto", spec=None):
    return train_on_base(
        tiny_models.training_rows(18),
        resolved=tiny_models.resolved("llama"),
        model_spec=tiny_models.spec_of("llama", backend=backend),
        spec=spec or tiny_models.experiment(steps=2, packing=False),
        warehouse=tiny_models.warehouse(),
        adapters=folder / "adapters",
        name="toy",
    )


def test_auto_is_transformers_on_every_machine(monkeypatch):
    for has_card in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_card=has_card: has_card)
        assert isinstance(backend_of(ModelSpec(tiny="llama")), TransformersBackend)
        assert isinstance(backend_of(ModelSpec(tiny="llama", backend="unsloth")), UnslothBackend)


def test_unsloth_trains_in_a_process_where_it_is_imported_first(tmp_path, unsloth):
    trained = train(tmp_path, backend="unsloth")
    loading, adapting = json.loads(unsloth.read_text())
    assert loading == {"earlier": [], "longest": 128, "exact": True, "local": True}
    assert adapting == {"rank": 4, "seed": 42, "checkpoints": False}
    # the stand-in computes what transformers computes: the way through the process changes nothing but roundings
    plain = train(tmp_path / "plain", backend="transformers")
    assert trained.log["loss"].to_pylist() == pytest.approx(plain.log["loss"].to_pylist(), abs=1e-5)
    assert len(trained.log) == 2
    unsloth.unlink()
    spec = tiny_models.spec_of("llama", backend="unsloth")
    base = backend_of(spec).for_inference(
        tiny_models.resolved("llama"), spec=spec, warehouse=tiny_models.warehouse()
    )
    assert with_adapter(base, folder=trained.folder).model.peft_config["default"].r == 4
    assert not unsloth.exists()  # transformers runs what it trained


def test_unsloth_that_can_not_train_here_is_told(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match=r"no package unsloth.*models.x.backend to \"transformers\""):
        refuse_absent_unsloth("x")
    monkeypatch.setattr(choose.importlib.util, "find_spec", lambda _: object())
    with pytest.raises(ModelError, match=r"no CUDA card that torch can use"):
        train(tmp_path, backend="unsloth")


def test_too_little_memory_is_told_before_the_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda _: 10**6)
    monkeypatch.setattr("bioalign_assets.models.backends.transformers_backend.load_base", None)
    with pytest.raises(ModelError, match=r"Training tiny-llama.*1\.0 MB of memory on this machine, free now"):
        train(tmp_path)
    spec = tiny_models.spec_of("llama")
    with pytest.raises(ModelError, match=r"Asking tiny-llama.*1\.0 MB of memory on this machine, free now"):
        backend_of(spec).for_inference(
            tiny_models.resolved("llama"), spec=spec, warehouse=tiny_models.warehouse()
        )


def test_the_backend_of_a_training_is_the_default_of_train_adapter(tmp_path):
    spec = tiny_models.experiment(steps=1)
    direct = train_adapter(
        tiny_models.training_rows(18),
        loaded=tiny_models.load("llama"),
        spec=spec,
        adapters=tmp_path,
        name="x",
    )
    assert train(tmp_path, spec=spec).sha256 == direct.sha256


@pytest.mark.parametrize(
    ("settings", "experiment", "samples"),
    [
        ({}, {}, 8),
        ({"backend": "unsloth"}, {}, 2),
        ({"attention": "flash_attention_2"}, {}, 2),
        ({}, {"loss": "full"}, 2),
        ({}, {"packing": False}, 2),
        ({}, {"dropout": 0.1}, 2),
        ({}, {"accumulation": 100}, 32),
    ],
)
def test_the_load_of_a_training_is_that_of_its_forward_pass(settings, experiment, samples):
    spec = tiny_models.experiment(**{"batch_size": 2, "accumulation": 4} | experiment)
    load = training_load(spec, model_spec=ModelSpec(tiny="llama", **settings))
    assert load.tokens == TYPICAL.tokens(samples, packs=samples != 2)


# --- attention ---


def load(**settings):
    return load_base(
        tiny_models.resolved("llama"),
        spec=tiny_models.spec_of("llama", **settings),
        warehouse=tiny_models.warehouse(),
    )


def test_attention_is_the_one_that_was_asked_for():
    found = {
        name: load(attention=name).model.config._attn_implementation for name in ("auto", "sdpa", "eager")
    }
    assert found == {"auto": "sdpa", "sdpa": "sdpa", "eager": "eager"}


def test_flash_attention_that_can_not_run_here_is_told(monkeypatch):
    with pytest.raises(ModelError, match=r"no package flash_attn.*attention to \"auto\""):
        load(attention="flash_attention_2")
    monkeypatch.setitem(sys.modules, "flash_attn", sys)
    monkeypatch.setattr("bioalign_assets.models.loading.importlib.util.find_spec", lambda _: object())
    with pytest.raises(ModelError, match="no CUDA card"):
        load(attention="flash_attention_2")
