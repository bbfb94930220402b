"""What a model needs, from its shape alone: counted against the real architectures, and against what is allocated."""

import dataclasses
import json
from types import SimpleNamespace

import psutil
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

from bioalign_assets.errors import ModelError
from bioalign_assets.models import memory
from bioalign_assets.models.architecture import PUBLISHED, TINY, Architecture
from bioalign_assets.models.memory import free_memory, peak_process_memory, total_memory
from bioalign_assets.models.needs import (
    TrainingLoad,
    activation_bytes,
    gigabytes,
    refuse_too_little,
    scoring_bytes,
    training_bytes,
)
from bioalign_assets.models.products import joined_products
from bioalign_assets.study import BUILT_IN_STUDIES, load_study
from bioalign_assets.study.experiments import LINEAR_LAYERS
from bioalign_assets.training.on_base import training_load
from bioalign_assets.training.qlora import lora_targets
from bioalign_assets_tests import tiny_models

_MISTRAL = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8,
}  # fmt: skip
CONFIGURATIONS = {
    "unsloth/llama-3-8b-bnb-4bit": LlamaConfig(**_MISTRAL, vocab_size=128_256),
    "unsloth/mistral-7b-instruct-v0.3-bnb-4bit": MistralConfig(**_MISTRAL, vocab_size=32_768),
    "unsloth/phi-3-mini-4k-instruct-bnb-4bit": MistralConfig(
        hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=32, vocab_size=32_064, pad_token_id=32_000,
    ),
    "BioMistral/BioMistral-7B": MistralConfig(**_MISTRAL, vocab_size=32_000),
    "HuggingFaceTB/SmolLM2-135M-Instruct": LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, vocab_size=49_152, tie_word_embeddings=True,
    ),
}  # fmt: skip
LOAD = TrainingLoad(
    rank=16, targets=LINEAR_LAYERS, tokens=400, predicted=64, optimiser_bytes=2, is_checkpointed=True
)


@pytest.mark.parametrize("repo_id", PUBLISHED)
def test_parameters_are_those_of_the_architecture_in_transformers(repo_id):
    config = CONFIGURATIONS[repo_id]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert PUBLISHED[repo_id].architecture.parameters == model.num_parameters()
    assert Architecture.from_config(config.to_dict()) == PUBLISHED[repo_id].architecture


def test_every_published_model_of_the_built_in_studies_is_known():
    named = {spec.repo_id for name in BUILT_IN_STUDIES for spec in load_study(name).models.values()}
    assert named - {None} == set(PUBLISHED)


def test_phi_3_is_the_one_that_the_papers_authors_took():
    """REFERENCE: their notebooks print 29,884,416 trainable parameters at rank 16; with fused layers it is fewer."""
    known = PUBLISHED["unsloth/phi-3-mini-4k-instruct-bnb-4bit"]
    assert known.architecture.lora_parameters(rank=16, targets=LINEAR_LAYERS) == 29_884_416
    assert known.file_bytes == pytest.approx(2.26e9, rel=0.01)


def test_shapes_are_read_from_the_configuration_on_disk(resolved, warehouse):
    config = json.loads((resolved.folder(warehouse=warehouse) / "config.json").read_text())
    found = Architecture.from_config(config)
    assert found.parameters == resolved.parameters
    assert dataclasses.replace(TINY, vocabulary=found.vocabulary) == found
    assert TINY.vocabulary >= found.vocabulary
    tied = Architecture.from_config(config | {"tie_word_embeddings": True})
    assert found.parameters - tied.parameters == found.vocabulary * found.hidden


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "gpt2", "n_embd": 3},
        {"model_type": "llama"},
        {"model_type": "llama", "hidden_size": None},
    ],
)
def test_other_shapes_are_not_guessed_at(config):
    assert Architecture.from_config(config) is None


def test_nf4_weights_take_the_bytes_that_are_counted(architecture, warehouse):
    loaded = tiny_models.load(architecture)
    folder = tiny_models.resolved(architecture).folder(warehouse=warehouse)
    shape = Architecture.from_config(json.loads((folder / "config.json").read_text()))
    held = 0
    for parameter in loaded.model.parameters():
        held += parameter.numel() * parameter.element_size()
        state = getattr(parameter, "quant_state", None)
        if state is not None:
            held += state.absmax.numel() * state.absmax.element_size()
            held += state.state2.absmax.numel() * state.state2.absmax.element_size()
    counted = shape.weight_bytes(is_nf4=True, width=4)
    assert counted == pytest.approx(held, rel=0.01)


def test_lora_parameters_are_those_of_the_adapter():
    from peft import LoraConfig, get_peft_model

    model = tiny_models.load("llama").model
    shape = Architecture.from_config(model.config.to_dict())
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=lora_targets(model, wanted=LINEAR_LAYERS)))
    trained, _ = adapted.get_nb_trainable_parameters()
    assert shape.lora_parameters(rank=4, targets=LINEAR_LAYERS) == trained
    assert shape.lora_parameters(rank=4, targets=("q_proj",)) < trained


@pytest.mark.parametrize(
    "more",
    [
        {"rank": 64}, {"tokens": 800}, {"predicted": 400}, {"optimiser_bytes": 8}, {"is_checkpointed": False},
    ],
)  # fmt: skip
def test_training_needs_more_of_everything_that_is_more(more):
    shape = PUBLISHED["unsloth/llama-3-8b-bnb-4bit"].architecture
    how = {"is_nf4": True, "width": 2, "on_card": True}
    small = training_bytes(shape, load=LOAD, **how)
    assert training_bytes(shape, load=dataclasses.replace(LOAD, **more), **how) > small
    assert training_bytes(shape, load=LOAD, **how | {"is_nf4": False}) > small
    assert small > scoring_bytes(shape, **how) > shape.weight_bytes(is_nf4=True, width=2)


def test_the_papers_models_fit_the_papers_card_in_4_bits():
    """They were trained on a T4 with 16 GB (the paper's section on training): an estimate above that is wrong."""
    study = load_study("paper")
    for spec in study.models.values():
        shape = PUBLISHED[spec.repo_id].architecture
        load = training_load(study.experiments["paper"], model_spec=spec)
        needed = training_bytes(shape, load=load, is_nf4=True, width=2, on_card=True)
        assert shape.weight_bytes(is_nf4=True, width=2) < needed < 15.0e9
        assert training_bytes(shape, load=load, is_nf4=False, width=4, on_card=True) > 15.0e9


def test_llama_3_needs_no_more_than_a_card_of_16_gb_has_without_checkpointing():
    """Some 13 GB are needed (REFERENCE.md, section 7); an estimate of 32 would send people for a larger card."""
    study = load_study("paper")
    spec = study.models["llama-3-8b"]
    load = training_load(study.experiments["paper"], model_spec=spec)
    load = dataclasses.replace(load, is_checkpointed=False)
    shape = PUBLISHED[spec.repo_id].architecture
    assert 10e9 < training_bytes(shape, load=load, is_nf4=True, width=2, on_card=True) < 16e9


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_are_estimated_from_what_autograd_keeps(architecture, dtype):
    from peft import LoraConfig, get_peft_model

    loaded = tiny_models.load(architecture, dtype=dtype, quantisation="none")
    model = get_peft_model(loaded.model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage, storage.nbytes())
        return tensor

    ids = torch.arange(3, 243)[None]
    with (
        joined_products(model.train(), dtype=loaded.dtype, holds=True),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        loaded.computing(),
    ):
        model(input_ids=ids, use_cache=False, logits_to_keep=1)
    shape = Architecture.from_config(loaded.model.config.to_dict())
    estimate = activation_bytes(shape, tokens=240, width=loaded.dtype.itemsize, is_checkpointed=False)
    assert 0.9 < estimate / sum(size for _, size in kept.values()) < 1.5


def test_too_little_memory_is_told_with_both_figures():
    refuse_too_little("Model x", needed=None, there=0, place="a card")
    refuse_too_little("Model x", needed=10, there=10, place="a card")
    with pytest.raises(
        ModelError, match=r"found 2\.0 GB of memory on a card, expected about 11\.0 GB \(an estimate\)"
    ):
        refuse_too_little("Model x", needed=11 * 10**9, there=2 * 10**9, place="a card")
    assert gigabytes(5_700_000) == "5.7 MB"


def test_memory_of_this_machine():
    cpu = torch.device("cpu")
    assert 0 < free_memory(cpu) <= total_memory(cpu)


def test_the_peak_of_a_process_is_in_bytes_on_every_system(monkeypatch):
    """Linux tells kibibytes, macOS bytes."""
    peak = peak_process_memory()
    assert psutil.Process().memory_info().rss * 0.5 < peak < total_memory(torch.device("cpu"))
    told = SimpleNamespace(getrusage=lambda _: SimpleNamespace(ru_maxrss=300_000_000), RUSAGE_SELF=0)
    monkeypatch.setattr(memory, "resource", told)
    for system, expected in (("linux", 300_000_000 * 1024), ("darwin", 300_000_000)):
        monkeypatch.setattr(memory, "sys", SimpleNamespace(platform=system))
        assert peak_process_memory() == expected


def test_memory_of_a_card_counts_what_torch_holds_unused(monkeypatch):
    for name, value in {"mem_get_info": (10, 100), "memory_reserved": 7, "memory_allocated": 4}.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    assert free_memory(torch.device("cuda")) == 13
