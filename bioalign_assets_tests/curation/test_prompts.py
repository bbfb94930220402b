import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from bioalign_assets.curation.prompts import ANSWERS, PROMPTS, Prompt, training_prompt, unseen_prompt

TEXT = "TNF is associated with Asthma"
EVERY = pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)


def test_training_prompt_has_the_alpaca_form():
    preamble, instruction, given_text, response = training_prompt(TEXT).split("### ")
    assert preamble.startswith("Below is an instruction")
    assert preamble.endswith("\n\n")
    assert instruction == (
        "Instruction:\nDetermine if the following gene-disease association is true or false.\n\n"
    )
    assert given_text == f"Input:\n{TEXT}\n\n"
    assert response == "Response:\n"


def test_unseen_prompt():
    assert unseen_prompt(TEXT) == (
        "Is this statement true or false? Answer with one word.\nTNF is associated with Asthma\nAnswer:"
    )


def test_answers_follow_as_the_prompt_says():
    assert [PROMPTS["training"].answer(label) for label in (1, 0)] == ["true", "false"]
    assert [PROMPTS["unseen"].answer(label) for label in (1, 0)] == [" true", " false"]
    assert ANSWERS == {1: "true", 0: "false"}
    with pytest.raises(KeyError):
        PROMPTS["unseen"].answer(2)


@EVERY
@settings(deadline=None, max_examples=50)
@given(text=st.text(min_size=1).filter(str.strip))
def test_a_statement_stands_in_the_prompt_as_it_is(prompt, text):
    rendered = prompt.render(text)
    before, after = prompt.template.split("{text}")
    assert rendered == before + text + after
    assert rendered.startswith(prompt.shared_prefix)


@EVERY
@pytest.mark.parametrize("text", ["{text}", "{0}", "{", "100% {x!r}"])
def test_braces_in_a_statement_mean_nothing(prompt, text):
    assert prompt.render(text).count(text) == 1


@EVERY
@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_blank_statements_are_refused(prompt, text):
    with pytest.raises(ValueError, match="blank"):
        prompt.render(text)


@EVERY
def test_prompts_are_frozen_and_stand_under_their_names(prompt):
    assert PROMPTS[prompt.name] is prompt
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt.template = "{text}"


@pytest.mark.parametrize("template", ["", "no place", "{text} and {text}"])
def test_a_template_holds_the_statement_once(template):
    with pytest.raises(ValueError, match=r"must hold \{text\} once"):
        Prompt(name="a", template=template, answer_prefix="")


def test_an_answer_prefix_is_nothing_or_a_space():
    with pytest.raises(ValueError, match="answer prefix"):
        Prompt(name="a", template="{text}", answer_prefix="\n")


@EVERY
@pytest.mark.parametrize("model", ["mistral-7b-instruct-v0.3", "phi-3-mini-4k-instruct"])
def test_real_tokenizers_cut_between_prompt_and_answer(real_data, prompt, model):
    """The border must be a border of tokens, and the answers must differ in the first token after it."""
    tokenizer = Tokenizer.from_file(str(real_data / "tokenizers" / model / "tokenizer.json"))
    asked = tokenizer.encode(prompt.render(TEXT)).ids
    first = set()
    for label in ANSWERS:
        ids = tokenizer.encode(prompt.render(TEXT) + prompt.answer(label)).ids
        assert ids[: len(asked)] == asked
        first.add(ids[len(asked)])
    assert len(first) == 2
