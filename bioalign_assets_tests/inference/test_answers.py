"""Answers: the same as one prompt at a time, whatever the batch; p_true from the tokens in context."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import ModelError
from bioalign_assets.inference import prompting
from bioalign_assets.inference.answers import ANSWER_LENGTH, ask, predicted_label
from bioalign_assets.inference.embeddings import embed
from bioalign_assets.inference.scoring import p_true
from bioalign_assets.models.answer_tokens import answer_tokens
from bioalign_assets.training.adapters import with_adapter
from bioalign_assets_tests import tiny_models

TEXTS = [*tiny_models.statements(13), "A", " and ".join(tiny_models.DISEASES * 2)]
TEMPLATE = "{{ bos_token }}{% for m in messages %}User: {{ m['content'] }}\n{% endfor %}{{ 'Model:\n' }}"


@pytest.fixture(params=PROMPTS.values(), ids=PROMPTS)
def prompt(request):
    return request.param


def one_alone(text, loaded, ids):
    """The definition: greedy, token by token, without padding or cache.

    Return p_true, the answer, and by how much its tokens lead over the second best.
    """
    tokens = loaded.tokenizer(text)["input_ids"]
    new, lead, p_true = [], np.inf, None
    for _ in range(ANSWER_LENGTH):
        with torch.inference_mode():
            logits = loaded.model(input_ids=torch.tensor([tokens + new])).logits[0, -1]
        if p_true is None:
            p_true = float(torch.softmax(logits[[ids.false_id, ids.true_id]].double(), dim=0)[1])
        best = logits.topk(2).values
        lead = min(lead, float(best[0] - best[1]))
        new.append(int(logits.argmax()))
        if new[-1] == loaded.tokenizer.eos_token_id:
            break
    return p_true, loaded.tokenizer.decode(new, skip_special_tokens=True), lead


def test_answers_and_p_true_are_those_of_one_prompt_alone(loaded, prompt):
    found = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=6)
    ids = answer_tokens(prompt, tokenizer=loaded.tokenizer)
    alone = [one_alone(prompt.render(text), loaded, ids) for text in TEXTS]
    expected, answers, leads = zip(*alone, strict=True)
    assert found.p_true.dtype == np.float64
    assert np.abs(found.p_true - expected).max() < 1e-4
    assert np.ptp(expected) > 1e-3  # else order could not be told
    surely = np.array(leads) > 1e-4  # but for ties
    assert surely.sum() > len(TEXTS) / 2
    assert (np.array(found.answer) == answers)[surely].all()
    assert found.predicted.dtype == np.int8
    assert found.predicted.tolist() == [predicted_label(answer) for answer in found.answer]


def test_order_is_restored(loaded, prompt):
    order = np.random.default_rng(0).permutation(len(TEXTS))
    straight = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=5)
    shuffled = ask([TEXTS[i] for i in order], prompt=prompt, loaded=loaded, batch_size=5)
    assert np.abs(straight.p_true[order] - shuffled.p_true).max() < 1e-6


def test_one_statement_and_none(loaded, prompt):
    one = ask(TEXTS[:1], prompt=prompt, loaded=loaded, batch_size=8)
    assert (len(one.answer), one.predicted.shape, one.p_true.shape) == (1, (1,), (1,))
    none = ask([], prompt=prompt, loaded=loaded, batch_size=8)
    assert (none.answer, none.predicted.shape, none.p_true.shape) == ([], (0,), (0,))
    assert p_true([], prompt=prompt, loaded=loaded, batch_size=8).shape == (0,)


@pytest.mark.parametrize(
    ("answer", "label"),
    [("true", 1), (" True.", 1), ("TRUE", 1), ("It is true", 1), ("\ntrue</s>", 1), ("untrue", 1),
     ("false", 0), ("", 0), ("tru e", 0), ("yes", 0), ("not sure", 0)],
)  # fmt: skip
def test_the_papers_rule(answer, label):
    assert predicted_label(answer) == label


@given(before=st.text(max_size=9), after=st.text(max_size=9))
def test_true_counts_wherever_it_stands(before, after):
    assert predicted_label(f"{before}true{after}") == 1


# --- what a model brings with it does not matter ---

UNSEEN = PROMPTS["unseen"]


@pytest.fixture(scope="module")
def plain():
    return ask(TEXTS, prompt=UNSEEN, loaded=tiny_models.load("llama"), batch_size=4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_tokenizers_own_padding_side_does_not_matter(plain, side):
    loaded = tiny_models.load("llama")
    loaded.tokenizer.padding_side = side
    found = ask(TEXTS, prompt=UNSEEN, loaded=loaded, batch_size=4)
    assert found.answer == plain.answer
    assert (found.p_true == plain.p_true).all()
    assert loaded.tokenizer.padding_side == side


def test_padding_with_the_end_of_text_changes_nothing(plain):
    loaded = tiny_models.load("llama")
    loaded.tokenizer.pad_token = loaded.tokenizer.eos_token
    found = ask(TEXTS, prompt=UNSEEN, loaded=loaded, batch_size=4)
    assert np.abs(found.p_true - plain.p_true).max() < 1e-6


@pytest.mark.parametrize("way", ["shared", "whole"])
def test_a_published_generation_config_does_not_reach_the_answers(monkeypatch, plain, way):
    """Published models often ask for sampling, penalties or other lengths: answers stay greedy, p_true raw."""
    monkeypatch.setattr(prompting, "way_to_ask", lambda *_, **__: way)
    loaded = tiny_models.load("llama")
    loaded.model.generation_config.update(do_sample=True, temperature=5.0, top_p=0.5, max_length=20)
    found = ask(TEXTS, prompt=UNSEEN, loaded=loaded, batch_size=4)
    assert found.answer == plain.answer
    assert np.abs(found.p_true - plain.p_true).max() < 1e-6


def test_chat_prompt_is_asked_inside_the_template(architecture):
    loaded = tiny_models.load(architecture)
    loaded.tokenizer.chat_template = TEMPLATE
    found = ask(TEXTS, prompt=UNSEEN, loaded=loaded, batch_size=4, is_chat=True)
    # the tokenizer itself puts the start token that the template spells out
    chats = [f"User: {UNSEEN.render(text)}\nModel:\n" for text in TEXTS]
    ids = answer_tokens(UNSEEN, tokenizer=loaded.tokenizer, is_chat=True)
    expected = [one_alone(chat, loaded, ids)[0] for chat in chats]
    assert np.abs(found.p_true - expected).max() < 1e-4
    plain = ask(TEXTS, prompt=UNSEEN, loaded=loaded, batch_size=4)
    assert np.abs(found.p_true - plain.p_true).max() > 1e-3
    scored = p_true(TEXTS, prompt=UNSEEN, loaded=loaded, batch_size=4, is_chat=True)
    assert np.abs(scored - found.p_true).max() < 1e-6


@pytest.mark.parametrize("ask_", [ask, p_true])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_no_number_is_told(value, ask_):
    loaded = tiny_models.load("llama")
    with torch.no_grad():
        loaded.model.model.norm.weight[3] = value
    with pytest.raises(ModelError, match=f"{len(TEXTS)} probabilities that are not numbers.*bfloat16"):
        ask_(TEXTS, prompt=UNSEEN, loaded=loaded, batch_size=8)


def test_answers_scores_and_embeddings_go_through_the_adapter(tmp_path, architecture):
    loaded = tiny_models.load(architecture)
    settings = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(tiny_models.load(architecture).model, settings).save_pretrained(tmp_path)
    before = ask(TEXTS, prompt=UNSEEN, loaded=loaded, batch_size=4).p_true
    vectors = embed(TEXTS, loaded=loaded, batch_size=4)
    tuned = with_adapter(loaded, folder=tmp_path)
    after = ask(TEXTS, prompt=UNSEEN, loaded=tuned, batch_size=4).p_true
    assert np.abs(after - before).max() > 1e-3
    assert np.abs(p_true(TEXTS, prompt=UNSEEN, loaded=tuned, batch_size=4) - after).max() < 1e-6
    assert np.abs(embed(TEXTS, loaded=tuned, batch_size=4) - vectors).max() > 1e-3
