"""Tiny models: real architectures, of the size that is promised, the same for the same seed."""

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM, MistralForCausalLM, Phi3ForCausalLM

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import ModelError
from bioalign_assets.models.base import resolve_model
from bioalign_assets.models.pretraining import pretraining_texts
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.models.tiny import TINY_LONGEST_TEXT, build_tiny_model
from bioalign_assets.models.tokenizers import train_tokenizer
from bioalign_assets.training.samples import tokenise_samples
from bioalign_assets.warehouse.hashing import files_sha256
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests import tiny_models

CLASSES = {"llama": LlamaForCausalLM, "mistral": MistralForCausalLM, "phi3": Phi3ForCausalLM}


def build(architecture, folder, *, table=None, **more):
    return resolve_model(
        tiny_models.spec_of(architecture, **more),
        name="any",
        associations=tiny_models.associations() if table is None else table,
        warehouse=folder,
    )


def test_is_the_real_architecture_in_the_promised_size(architecture, resolved):
    model = tiny_models.load(architecture, quantisation="none").model
    assert type(model) is CLASSES[architecture]
    assert resolved.architecture == CLASSES[architecture].__name__
    assert 1_000_000 <= resolved.parameters <= 3_000_000
    assert resolved.parameters == model.num_parameters()
    assert (resolved.hidden_size, resolved.layers, resolved.vocabulary) == (
        model.config.hidden_size, len(model.model.layers), model.get_input_embeddings().num_embeddings,
    )  # fmt: skip


def test_a_release_of_three_names_still_gives_a_model_of_the_promised_size(architecture, tmp_path):
    table = tiny_models.associations(genes=("A", "B"), diseases=("C",))
    assert (
        1_000_000 <= build(architecture, tmp_path, table=table, pretraining_steps=0).parameters <= 3_000_000
    )


def test_queries_share_keys_and_values(architecture):
    model = tiny_models.load(architecture, quantisation="none").model
    heads, shared = model.config.num_attention_heads, model.config.num_key_value_heads
    assert 1 < shared < heads
    attention = model.model.layers[0].self_attn
    width = model.config.hidden_size // heads
    out = attention.qkv_proj.out_features if architecture == "phi3" else attention.k_proj.out_features
    assert out == (width * (heads + 2 * shared) if architecture == "phi3" else width * shared)


def test_mistral_window_is_shorter_than_a_training_sample_and_counts():
    loaded = tiny_models.load("mistral", quantisation="none")
    samples = tokenise_samples(
        tiny_models.statements(3),
        labels=[1, 0, 1],
        prompts=[PROMPTS["training"]] * 3,
        tokenizer=loaded.tokenizer,
        loss="answer",
        max_tokens=512,
    )
    window = loaded.model.config.sliding_window
    assert all(len(sample["input_ids"]) > window for sample in samples)
    # a token further back than all layers' windows reach changes nothing; one within the window does
    ids = torch.arange(4, 4 + TINY_LONGEST_TEXT // 2 + 100).remainder(200).unsqueeze(0) + 4
    far, near = ids.clone(), ids.clone()
    far[0, 0] += 1
    near[0, -2] += 1
    with torch.inference_mode():
        last, last_far, last_near = (loaded.model(input_ids=i).logits[0, -1] for i in (ids, far, near))
    assert ids.shape[1] > loaded.model.config.num_hidden_layers * window
    assert torch.equal(last, last_far)
    assert not torch.allclose(last, last_near)


def test_only_phi3_has_fused_layers(architecture):
    model = tiny_models.load(architecture, quantisation="none").model
    names = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    fused, apart = {"qkv_proj", "gate_up_proj"}, {"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"}
    present, absent = (fused, apart) if architecture == "phi3" else (apart, fused)
    assert present <= names
    assert not absent & names


def test_the_same_seed_and_names_give_the_same_model_in_any_process(architecture, resolved, tmp_path):
    """Neither the order of a release nor its pairs reach the model; the other one was built by an earlier process."""
    table = tiny_models.associations()
    rng = np.random.default_rng(0)
    genes = np.array(table["gene_symbol"].to_pylist())[rng.permutation(len(table))]
    diseases = np.array(table["disease_name"].to_pylist())[rng.permutation(len(table))]
    repaired = tiny_models.pa.table(
        {"gene_symbol": [*genes, *genes[:5]], "disease_name": [*diseases, *diseases[3:8]]}
    )
    again = build(architecture, tmp_path, table=repaired)
    assert again.weights_sha256 == resolved.weights_sha256
    assert again.path == resolved.path  # below its own warehouse


def test_another_seed_or_name_gives_another_model(tmp_path):
    other_name = tiny_models.associations(genes=(*tiny_models.GENES[:-1], "NEW1"))
    built = [
        build("llama", tmp_path, pretraining_steps=0, **more)
        for more in ({}, {"seed": 7}, {"table": other_name})
    ]
    assert len({each.weights_sha256 for each in built}) == 3


def test_building_leaves_the_global_random_state_alone():
    tokenizer = tiny_models.load("llama").tokenizer
    before = torch.get_rng_state()
    weights = build_tiny_model("llama", tokenizer=tokenizer, seed=3).lm_head.weight
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(build_tiny_model("llama", tokenizer=tokenizer, seed=3).lm_head.weight, weights)


def test_the_row_is_one_of_models_base(resolved, warehouse):
    table = resolved.to_table()
    assert table.schema == TABLES["models.base"].arrow
    assert ResolvedModel.from_table(table, model=resolved.model) == resolved
    assert (resolved.source, resolved.repo_id, resolved.revision) == ("tiny", None, None)
    folder = resolved.folder(warehouse=warehouse)
    assert resolved.bytes == sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert resolved.weights_sha256 == files_sha256([p for p in folder.rglob("*") if p.is_file()], root=folder)
    assert str(warehouse) not in "".join(path.read_text() for path in folder.glob("*.json"))


def test_a_model_that_the_table_lacks_is_told(resolved):
    with pytest.raises(ModelError, match=r"0 rows of it in models.base.*partition gone"):
        ResolvedModel.from_table(resolved.to_table(), model="gone")


def test_a_release_without_names_is_told(tmp_path):
    with pytest.raises(ModelError, match="no association"):
        build("llama", tmp_path, table=tiny_models.associations().slice(0, 0))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_tokenizer_and_model_of_one_family_agree():
    texts = pretraining_texts(tiny_models.associations(), rng=np.random.default_rng(1))
    tokenizer = train_tokenizer([next(texts) for _ in range(300)], architecture="phi3")
    model = build_tiny_model("phi3", tokenizer=tokenizer, seed=1)
    assert model.config.vocab_size == len(tokenizer)
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (
        tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id,
    )  # fmt: skip
    assert model.dtype == torch.float32
