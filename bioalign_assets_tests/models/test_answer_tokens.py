"""Answer tokens: those that stand after a prompt, in the real tokenizers and in the tiny ones."""

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from bioalign_assets.curation.prompts import PROMPTS, Prompt
from bioalign_assets.errors import ModelError
from bioalign_assets.models.answer_tokens import AnswerTokens, answer_tokens, encode_answers, encode_prompts
from bioalign_assets_tests import tiny_models

MISTRAL, PHI3 = "mistral-7b-instruct-v0.3", "phi-3-mini-4k-instruct"
EXPECTED = {  # (true, false): after the newline of the training prompt, after the space of the unseen one
    (MISTRAL, "training"): (4075, 4720), (MISTRAL, "unseen"): (1900, 2109),
    (PHI3, "training"): (3009, 4541), (PHI3, "unseen"): (1565, 2089),
}  # fmt: skip
# in the form of the two models' own chat templates
CHAT = {
    MISTRAL: "{{ bos_token }}{% for m in messages %}[INST] {{ m['content'] }}[/INST]{% endfor %}",
    PHI3: "{% for m in messages %}{{ '<|user|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}{{ '<|assistant|>\n' }}",
}


@pytest.fixture(scope="module", params=[MISTRAL, PHI3])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def real(name, real_data):
    return AutoTokenizer.from_pretrained(real_data / "tokenizers" / name)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_real_tokens_are_those_in_context(real, name, prompt):
    found = answer_tokens(prompt, tokenizer=real)
    assert (found.true_id, found.false_id) == EXPECTED[name, prompt.name]
    alone = real("true", add_special_tokens=False)["input_ids"]
    assert (alone[0] == found.true_id) == (
        prompt.name == "unseen"
    )  # the trap: alone it is the one after a space


@pytest.fixture(scope="module")
def published_texts(real_data):
    with (real_data / "published" / "test_pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    column = next(key for key, value in rows[0].items() if " is associated with " in value)
    return [row[column] for row in rows[::40]]


def encoded(texts, label, prompt, tokenizer):
    count = len(texts)
    return encode_answers(texts, labels=[label] * count, prompts=[prompt] * count, tokenizer=tokenizer)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_real_border_stands_for_every_published_statement(real, prompt, published_texts):
    ids = answer_tokens(prompt, tokenizer=real)
    assert len(published_texts) > 300
    befores = encode_prompts(published_texts, prompt=prompt, tokenizer=real)
    for label, expected in ((1, ids.true_id), (0, ids.false_id)):
        for before, (whole, border) in zip(
            befores, encoded(published_texts, label, prompt, real), strict=True
        ):
            assert whole[:border] == before
            assert whole[border:] == [expected]  # each answer is one token


def test_what_is_loaded_cuts_the_statements_as_the_published_file(real, name, real_data, published_texts):
    """AutoTokenizer, as models are loaded, rebuilds the tokenizer by its class; the other reads it as it stands."""
    as_it_stands = PreTrainedTokenizerFast.from_pretrained(real_data / "tokenizers" / name)
    prompts = [prompt.render(published_texts[0]) for prompt in PROMPTS.values()]
    texts = [*prompts, *published_texts[:150]]
    assert real(texts)["input_ids"] == as_it_stands(texts)["input_ids"]


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_real_chat_form(real, name, prompt):
    real.chat_template = CHAT[name]
    try:
        (ids,) = encode_prompts(
            ["TNF is associated with Asthma"], prompt=prompt, tokenizer=real, is_chat=True
        )
        rendered = real.decode(ids)
        found = answer_tokens(prompt, tokenizer=real, is_chat=True)
    finally:
        real.chat_template = None
    assert prompt.render("TNF is associated with Asthma") in rendered
    assert ids.count(real.bos_token_id) == (
        1 if name == MISTRAL else 0
    )  # the template's own, not a second one
    assert rendered.rstrip().endswith("[/INST]" if name == MISTRAL else "<|assistant|>")
    assert real.decode([found.true_id]).strip() == "true"
    assert real.decode([found.false_id]).strip() == "false"


@pytest.fixture(scope="module", params=tiny_models.ARCHITECTURES)
def tiny(request):
    return tiny_models.load(request.param).tokenizer


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_tiny_tokens_are_those_in_context(tiny, prompt):
    found = answer_tokens(prompt, tokenizer=tiny)
    for label, token in ((1, found.true_id), (0, found.false_id)):
        whole = tiny(prompt.render("A is associated with B") + prompt.answer(label))["input_ids"]
        before = tiny(prompt.render("A is associated with B"))["input_ids"]
        assert whole[len(before)] == token
    other = answer_tokens(next(p for p in PROMPTS.values() if p is not prompt), tokenizer=tiny)
    assert {found.true_id, found.false_id}.isdisjoint({other.true_id, other.false_id})


@settings(deadline=None, max_examples=25)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50).filter(str.strip))
def test_tiny_border_stands_for_any_statement(tiny, text):
    for prompt in PROMPTS.values():
        ids = answer_tokens(prompt, tokenizer=tiny)
        for label, expected in ((1, ids.true_id), (0, ids.false_id)):
            ((whole, border),) = encoded([text], label, prompt, tiny)
            assert whole[border] == expected
            assert whole[0] == tiny.bos_token_id
            assert tiny.decode(whole[border:]).strip() == ("true" if label else "false")


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_tiny_chat_form(tiny, prompt):
    tiny.chat_template = (
        "{{ bos_token }}{% for m in messages %}User: {{ m['content'] }}\n{% endfor %}{{ 'Model:\n' }}"
    )
    try:
        (ids,) = encode_prompts(["A is associated with B"], prompt=prompt, tokenizer=tiny, is_chat=True)
        chat = answer_tokens(prompt, tokenizer=tiny, is_chat=True)
    finally:
        tiny.chat_template = None
    assert ids.count(tiny.bos_token_id) == 1
    text = tiny.decode(ids, skip_special_tokens=True)
    assert text == f"User: {prompt.render('A is associated with B')}\nModel:\n"
    # after the template's newline the answer has no space, whatever the plain prompt ends in
    assert chat == answer_tokens(PROMPTS["training"], tokenizer=tiny)


def test_chat_without_a_template_is_told(tiny):
    with pytest.raises(ModelError, match='no chat template.*prompt = "plain"'):
        answer_tokens(PROMPTS["unseen"], tokenizer=tiny, is_chat=True)


def test_answers_that_begin_alike_are_told():
    """A tokenizer that keeps the space apart begins both answers with it."""
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, " ": 1, "true": 2, "false": 3}, unk_token="[UNK]"))  # noqa: S106 - a token of a vocabulary
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")  # noqa: S106 - a token of a vocabulary
    with pytest.raises(
        ModelError, match=r"same first token \(1\) for both answers after the prompt 'unseen'"
    ):
        answer_tokens(PROMPTS["unseen"], tokenizer=fast)
    # without that space they differ
    colon = Prompt(name="colon", template="{text} = ", answer_prefix="")
    assert answer_tokens(colon, tokenizer=fast) == AnswerTokens(true_id=2, false_id=3)


def test_a_border_that_melts_is_told():
    """A merge across it makes other tokens of the prompt's end once the answer follows."""
    alphabet = sorted(
        {c for p in PROMPTS.values() for c in p.render("A is associated with B") + " truefalse"}
    )
    vocabulary = {c: i for i, c in enumerate(alphabet)} | {": ": len(alphabet)}
    tokenizer = Tokenizer(BPE(vocabulary, merges=[(":", " ")]))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    with pytest.raises(ModelError, match="ends in other tokens once ' true' follows it"):
        answer_tokens(PROMPTS["unseen"], tokenizer=fast)
    assert answer_tokens(PROMPTS["training"], tokenizer=fast).true_id == vocabulary["t"]
