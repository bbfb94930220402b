"""Answers: the same as one prompt at a time, whatever the batch; p_true from the tokens in context."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import ModelError
from bioalign_assets.inference.answers import ANSWER_LENGTH, ask, predicted_label
from bioalign_assets.models.answer_tokens import answer_tokens
from bioalign_assets.training.adapters import with_adapter
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets_tests import tiny_models

TEXTS = [*tiny_models.statements(13), "A", " and ".join(tiny_models.DISEASES * 2)]
TEMPLATE = "{{ bos_token }}{% for m in messages %}User: {{ m['content'] }}\n{% endfor %}{{ 'Model:\n' }}"


@pytest.fixture(params=PROMPTS.values(), ids=PROMPTS)
def prompt(request):
    return request.param


def logits_of(text, loaded):
    """One forward pass over one text, as the tokenizer gives it: the definition."""
    batch = loaded.tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        return loaded.model(**batch).logits[0, -1].double()


def naive_p_true(text, loaded, ids):
    two = logits_of(text, loaded)[[ids.false_id, ids.true_id]]
    return float(torch.softmax(two, dim=0)[1])


def naive_answer(text, loaded):
    """Greedy, token by token, without a cache; and the smallest lead of the winner over the second."""
    ids = loaded.tokenizer(text)["input_ids"]
    new, lead = [], np.inf
    for _ in range(ANSWER_LENGTH):
        with torch.inference_mode():
            logits = loaded.model(input_ids=torch.tensor([ids + new])).logits[0, -1]
        best = logits.topk(2).values
        lead = min(lead, float(best[0] - best[1]))
        new.append(int(logits.argmax()))
        if new[-1] == loaded.tokenizer.eos_token_id:
            break
    return loaded.tokenizer.decode(new, skip_special_tokens=True), lead


def test_p_true_is_that_of_one_prompt_alone(loaded, prompt):
    ids = answer_tokens(prompt, tokenizer=loaded.tokenizer)
    expected = [naive_p_true(prompt.render(text), loaded, ids) for text in TEXTS]
    for batch_size in (1, 4, 100):
        found = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=batch_size)
        assert found.p_true.dtype == np.float64
        assert np.abs(found.p_true - expected).max() < 1e-4
    assert np.ptp(expected) > 1e-3  # else order could not be told


def test_answers_are_those_of_one_prompt_alone_but_for_ties(loaded, prompt):
    found = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=6)
    compared = 0
    for text, answer in zip(TEXTS, found.answer, strict=True):
        expected, lead = naive_answer(prompt.render(text), loaded)
        if lead > 1e-4:
            assert answer == expected
            compared += 1
    assert compared > len(TEXTS) / 2


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


def test_predicted_follows_the_answer(loaded, prompt):
    found = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=8)
    assert found.predicted.dtype == np.int8
    assert found.predicted.tolist() == [predicted_label(answer) for answer in found.answer]


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


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_tokenizers_own_padding_side_does_not_matter(architecture, loaded, prompt, side):
    other = tiny_models.load(architecture)
    other.tokenizer.padding_side = side
    expected = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=4)
    found = ask(TEXTS, prompt=prompt, loaded=other, batch_size=4)
    assert found.answer == expected.answer
    assert (found.p_true == expected.p_true).all()
    assert other.tokenizer.padding_side == side


def test_padding_with_the_end_of_text_changes_nothing(architecture, loaded, prompt):
    other = tiny_models.load(architecture)
    other.tokenizer.pad_token = other.tokenizer.eos_token
    expected = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=4)
    assert np.abs(ask(TEXTS, prompt=prompt, loaded=other, batch_size=4).p_true - expected.p_true).max() < 1e-6


def test_chat_prompt_is_asked_inside_the_template(architecture, prompt):
    loaded = tiny_models.load(architecture)
    loaded.tokenizer.chat_template = TEMPLATE
    found = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=4, is_chat=True)
    # the tokenizer itself puts the start token that the template spells out
    chats = [f"User: {prompt.render(text)}\nModel:\n" for text in TEXTS]
    ids = answer_tokens(prompt, tokenizer=loaded.tokenizer, is_chat=True)
    expected = [naive_p_true(chat, loaded, ids) for chat in chats]
    assert np.abs(found.p_true - expected).max() < 1e-4
    plain = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=4)
    assert np.abs(found.p_true - plain.p_true).max() > 1e-3


def test_a_published_generation_config_does_not_reach_the_answers(architecture, loaded, prompt):
    """Published models often ask for sampling, penalties or other lengths: answers stay greedy, p_true raw."""
    other = tiny_models.load(architecture)
    other.model.generation_config.update(do_sample=True, temperature=5.0, top_p=0.5, max_length=20)
    expected = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=4)
    found = ask(TEXTS, prompt=prompt, loaded=other, batch_size=4)
    assert found.answer == expected.answer
    assert (found.p_true == expected.p_true).all()


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_no_number_is_told(architecture, prompt, value):
    loaded = tiny_models.load(architecture)
    with torch.no_grad():
        loaded.model.model.norm.weight[3] = value
    with pytest.raises(ModelError, match=f"{len(TEXTS)} probabilities that are not numbers.*bfloat16"):
        ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=8)


def test_a_tuned_model_answers_through_its_adapter(tmp_path, architecture):
    """Both body and answers see the adapter: the training moves p_true and the embeddings of the same base."""
    from bioalign_assets.inference.embeddings import embed

    base = tiny_models.load(architecture)
    training = train_adapter(
        tiny_models.training_rows(16), loaded=tiny_models.load(architecture), spec=tiny_models.experiment(),
        adapters=tmp_path, name="x",
    )  # fmt: skip
    before = ask(TEXTS, prompt=PROMPTS["training"], loaded=base, batch_size=4).p_true
    vectors = embed(TEXTS, loaded=base, batch_size=4)
    tuned = with_adapter(base, folder=training.folder)
    after = ask(TEXTS, prompt=PROMPTS["training"], loaded=tuned, batch_size=4).p_true
    assert np.abs(after - before).max() > 1e-3
    assert np.abs(embed(TEXTS, loaded=tuned, batch_size=4) - vectors).max() > 1e-3
