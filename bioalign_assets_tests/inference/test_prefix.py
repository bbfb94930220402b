"""What prompts begin with goes through the model once, and nothing else changes: against the definition, one by one."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
)

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.inference import prompting
from bioalign_assets.inference.answers import ANSWER_LENGTH, ask
from bioalign_assets.inference.prefix import common_length, way_to_ask
from bioalign_assets.inference.scoring import p_true
from bioalign_assets.models.answer_tokens import answer_tokens
from bioalign_assets_tests import tiny_models

TEXTS = [*tiny_models.statements(9), "A", " and ".join(tiny_models.DISEASES * 2)]
PROMPT = PROMPTS["training"]
SHAPE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip
LONG_ROPE = {
    "rope_type": "longrope", "rope_theta": 10_000.0, "short_factor": [1.0] * 4, "long_factor": [3.0] * 4,
    "factor": 2.0,
}  # fmt: skip
MODELS = {
    "llama": lambda shape: LlamaForCausalLM(LlamaConfig(**shape)),
    "mistral": lambda shape: MistralForCausalLM(MistralConfig(**shape, sliding_window=None)),
    "mistral, window in the prefix": lambda shape: MistralForCausalLM(
        MistralConfig(**shape, sliding_window=20)
    ),
    "mistral, window in the statement": lambda shape: MistralForCausalLM(
        MistralConfig(**shape, sliding_window=8)
    ),
    "phi3": lambda shape: Phi3ForCausalLM(Phi3Config(**shape)),
    "phi3, window": lambda shape: Phi3ForCausalLM(Phi3Config(**shape, sliding_window=20)),
    "phi3, longrope": lambda shape: Phi3ForCausalLM(
        Phi3Config(**shape, original_max_position_embeddings=400, rope_parameters=LONG_ROPE)
    ),
    "phi3, longrope, longer than its first length": lambda shape: Phi3ForCausalLM(
        Phi3Config(**shape, original_max_position_embeddings=70, rope_parameters=LONG_ROPE)
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    """A model of random weights with a tiny model's tokenizer; wide enough apart in what it answers."""
    base = tiny_models.load("llama", quantisation="none")
    shape = SHAPE | {
        "vocab_size": len(base.tokenizer), "bos_token_id": base.tokenizer.bos_token_id,
        "eos_token_id": base.tokenizer.eos_token_id, "pad_token_id": base.tokenizer.pad_token_id,
        "initializer_range": 0.3,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return request.param, replace(base, model=MODELS[request.param](shape).float().eval())


def one_by_one(texts, loaded, *, prompt=PROMPT, end=None):
    """The definition: whole prompts, one at a time, through ``generate``."""
    answers, chances = [], []
    ids = answer_tokens(prompt, tokenizer=loaded.tokenizer)
    for text in texts:
        batch = loaded.tokenizer(prompt.render(text), return_tensors="pt")
        with torch.inference_mode():
            written = loaded.model.generate(
                **batch, max_new_tokens=ANSWER_LENGTH, do_sample=False, output_logits=True,
                return_dict_in_generate=True, pad_token_id=loaded.tokenizer.pad_token_id, eos_token_id=end,
            )  # fmt: skip
        new = written.sequences[0, batch["input_ids"].shape[1] :]
        answers.append(loaded.tokenizer.decode(new, skip_special_tokens=True))
        two = written.logits[0][0, [ids.false_id, ids.true_id]].double()
        chances.append(float(torch.softmax(two, dim=0)[1]))
    return answers, np.array(chances)


@pytest.fixture(scope="module")
def alone(model):
    _, loaded = model
    return one_by_one(TEXTS, loaded)


@pytest.mark.parametrize("batch_size", [4, "auto"])
def test_every_architecture_answers_as_one_by_one(model, alone, batch_size):
    name, loaded = model
    answers, chances = alone
    found = ask(TEXTS, prompt=PROMPT, loaded=loaded, batch_size=batch_size)
    assert found.answer == answers
    assert np.abs(found.p_true - chances).max() < 1e-4
    scored = p_true(TEXTS, prompt=PROMPT, loaded=loaded, batch_size=batch_size)
    assert np.abs(scored - chances).max() < 1e-4
    assert len(set(answers)) > 1
    assert np.ptp(chances) > 1e-2
    longest = max(len(loaded.tokenizer(PROMPT.render(text))["input_ids"]) for text in TEXTS)
    assert way_to_ask(loaded, longest=longest) == ("alone" if "longer" in name else "shared")


def test_only_what_follows_the_common_beginning_is_run_again(monkeypatch):
    loaded = tiny_models.load("llama")
    widths = []
    forward = loaded.model.forward

    def watched(*, input_ids, **more):
        widths.append(tuple(input_ids.shape))
        return forward(input_ids=input_ids, **more)

    monkeypatch.setattr(loaded.model, "forward", watched)
    ask(TEXTS, prompt=PROMPT, loaded=loaded, batch_size=len(TEXTS))
    (rows, prefix), *others = widths
    whole = [len(ids) for ids in loaded.tokenizer([PROMPT.render(text) for text in TEXTS])["input_ids"]]
    assert rows == 1
    assert prefix >= len(loaded.tokenizer(PROMPT.template.partition("{text}")[0])["input_ids"]) - 1
    # the prompts' own tokens in some batches, each followed by two steps of one token
    assert sum(rows for rows, width in others if width > 1) == len(TEXTS)
    assert max(width for _, width in others) == max(whole) - prefix


@pytest.mark.parametrize("why", ["flash attention", "layers of two kinds", "learned positions", "unsloth"])
def test_other_models_get_whole_prompts(monkeypatch, why):
    loaded = tiny_models.load("mistral")
    if why == "flash attention":
        monkeypatch.setattr(loaded.model.config, "_attn_implementation_internal", "flash_attention_2")
    elif why == "learned positions":
        monkeypatch.setattr(loaded.model.config, "rope_parameters", None)
    elif why == "unsloth":
        monkeypatch.setitem(sys.modules, "unsloth", None)
    else:
        monkeypatch.setattr(
            loaded.model.config, "layer_types", ["full_attention", "sliding_attention"], raising=False
        )
    assert way_to_ask(loaded, longest=100) == "whole"


def test_whole_prompts_are_answered_alike(monkeypatch, loaded):
    expected = ask(TEXTS, prompt=PROMPT, loaded=loaded)
    monkeypatch.setattr(prompting, "way_to_ask", lambda *_, **__: "whole")
    found = ask(TEXTS, prompt=PROMPT, loaded=loaded, batch_size=4)
    assert found.answer == expected.answer
    assert np.abs(found.p_true - expected.p_true).max() < 1e-5
    assert np.abs(p_true(TEXTS, prompt=PROMPT, loaded=loaded, batch_size=4) - expected.p_true).max() < 1e-5


def test_one_prompt_and_identical_prompts(loaded):
    (answer,), (chance,) = one_by_one(TEXTS[:1], loaded)
    for texts in (TEXTS[:1], TEXTS[:1] * 5):
        found = ask(texts, prompt=PROMPT, loaded=loaded, batch_size=2)
        assert found.answer == [answer] * len(texts)
        assert np.abs(found.p_true - chance).max() < 1e-5


def test_answers_end_where_generate_ends_them(loaded):
    """At the first token, at the second, at one of several, or never."""
    texts = TEXTS[:6]
    ids = [loaded.tokenizer(PROMPT.render(text))["input_ids"] for text in texts]
    with torch.inference_mode():
        written = [
            loaded.model.generate(
                input_ids=torch.tensor([row]), max_new_tokens=3, min_new_tokens=3, do_sample=False,
                pad_token_id=loaded.tokenizer.pad_token_id,
            )[0, len(row) :].tolist()
            for row in ids
        ]  # fmt: skip
    kept = loaded.model.generation_config.eos_token_id
    try:
        for end in (written[0][0], written[1][1], [written[0][1], written[2][0]], None):
            loaded.model.generation_config.eos_token_id = end
            found = ask(texts, prompt=PROMPT, loaded=loaded, batch_size=4)
            assert found.answer == one_by_one(texts, loaded, end=end)[0]
    finally:
        loaded.model.generation_config.eos_token_id = kept


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=6))
def test_common_beginning_leaves_a_token_to_each(prompts):
    length = common_length(prompts)
    assert 0 <= length < min(map(len, prompts))
    assert len({tuple(prompt[:length]) for prompt in prompts}) == 1
    if length + 1 < min(map(len, prompts)):
        assert len({tuple(prompt[: length + 1]) for prompt in prompts}) > 1


def test_no_prompts_have_nothing_in_common():
    assert common_length([]) == 0


@pytest.mark.parametrize(("longest", "way"), [(400, "shared"), (401, "alone")])
def test_positions_turn_anew_beyond_their_first_length_and_not_at_it(longest, way):
    base = tiny_models.load("llama", quantisation="none")
    model = MODELS["phi3, longrope"](SHAPE | {"vocab_size": len(base.tokenizer), "pad_token_id": 0})
    assert way_to_ask(replace(base, model=model), longest=longest) == way
