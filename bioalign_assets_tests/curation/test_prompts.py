import dataclasses
import re
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from tokenizers import Tokenizer

from bioalign_assets.curation.identity import pair_ids
from bioalign_assets.curation.prompts import (
    ANSWERS,
    PROMPTS,
    VARIED_PROMPTS,
    Prompt,
    varied_prompt,
)

TEXT = "TNF is associated with Asthma"
ALL = {**PROMPTS, **VARIED_PROMPTS}
EVERY = pytest.mark.parametrize("prompt", ALL.values(), ids=ALL)
VARIED = pytest.mark.parametrize("prompt", VARIED_PROMPTS.values(), ids=VARIED_PROMPTS)
IDS = pair_ids([f"G{n}" for n in range(4000)], ["Asthma"] * 4000)


def test_training_prompt_has_the_alpaca_form():
    preamble, instruction, given_text, response = PROMPTS["training"].render(TEXT).split("### ")
    assert preamble.startswith("Below is an instruction")
    assert preamble.endswith("\n\n")
    assert instruction == (
        "Instruction:\nDetermine if the following gene-disease association is true or false.\n\n"
    )
    assert given_text == f"Input:\n{TEXT}\n\n"
    assert response == "Response:\n"


def test_unseen_prompt():
    assert PROMPTS["unseen"].render(TEXT) == (
        "Is this statement true or false? Answer with one word.\nTNF is associated with Asthma\nAnswer:"
    )


def test_answers_follow_as_the_prompt_says():
    assert [PROMPTS["training"].answer(label) for label in (1, 0)] == ["true", "false"]
    assert [PROMPTS["unseen"].answer(label) for label in (1, 0)] == [" true", " false"]
    assert ANSWERS == {1: "true", 0: "false"}
    with pytest.raises(KeyError):
        PROMPTS["unseen"].answer(2)


@EVERY
@settings(deadline=None, max_examples=25)
@given(text=st.text(min_size=1).filter(str.strip))
def test_a_statement_stands_in_the_prompt_as_it_is(prompt, text):
    before, after = prompt.template.split("{text}")
    assert prompt.render(text) == before + text + after


@EVERY
@pytest.mark.parametrize("text", ["{text}", "{0}", "{", "100% {x!r}"])
def test_braces_in_a_statement_mean_nothing(prompt, text):
    rest = prompt.template.replace("{text}", "")
    assert prompt.render(text).count(text) == 1 + rest.count(text)


@EVERY
@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_blank_statements_are_refused(prompt, text):
    with pytest.raises(ValueError, match="blank"):
        prompt.render(text)


@EVERY
def test_prompts_are_frozen_and_stand_under_their_names(prompt):
    assert ALL[prompt.name] is prompt
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt.template = "{text}"


@pytest.mark.parametrize("template", ["", "no place", "{text} and {text}"])
def test_a_template_holds_the_statement_once(template):
    with pytest.raises(ValueError, match=r"must hold \{text\} once"):
        Prompt(name="a", template=template, answer_prefix="")


def test_an_answer_prefix_is_nothing_or_a_space():
    with pytest.raises(ValueError, match="answer prefix"):
        Prompt(name="a", template="{text}", answer_prefix="\n")


@pytest.fixture(scope="module", params=["mistral-7b-instruct-v0.3", "phi-3-mini-4k-instruct"])
def tokenizer(request, real_data):
    return Tokenizer.from_file(str(real_data / "tokenizers" / request.param / "tokenizer.json"))


@EVERY
def test_real_tokenizers_cut_between_prompt_and_answer(tokenizer, prompt):
    """The border must be a border of tokens, and the answers must differ in the first token after it."""
    asked = tokenizer.encode(prompt.render(TEXT)).ids
    first = set()
    for label in ANSWERS:
        ids = tokenizer.encode(prompt.render(TEXT) + prompt.answer(label)).ids
        assert ids[: len(asked)] == asked
        first.add(ids[len(asked)])
    assert len(first) == 2


def words(prompt, *, n):
    """The runs of n words in a template, but for the statement."""
    found = re.findall(r"[a-z]+|\{text\}", prompt.template.lower())
    return {tuple(found[start : start + n]) for start in range(len(found) - n + 1)}


def likeness(one, other):
    """Share of the words of the shorter template that the other has too, the task's own words apart."""
    sets = [
        {word for (word,) in words(prompt, n=1)} - {"true", "false", "or", "is", "the", "a", "{text}"}
        for prompt in (one, other)
    ]
    return len(sets[0] & sets[1]) / min(map(len, sets))


def test_there_are_six_to_ten_templates_named_apart_from_what_is_asked():
    assert 6 <= len(VARIED_PROMPTS) <= 10
    assert VARIED_PROMPTS.keys().isdisjoint(PROMPTS)
    assert len({prompt.template for prompt in VARIED_PROMPTS.values()}) == len(VARIED_PROMPTS)


@VARIED
@pytest.mark.parametrize("asked", PROMPTS.values(), ids=PROMPTS)
def test_no_varied_template_is_like_one_that_is_asked(prompt, asked):
    assert likeness(prompt, asked) <= 0.5
    # nor do they share a phrase, but for the words of the task
    shared = words(prompt, n=4) & words(asked, n=4)
    assert all({"true", "false"} <= set(phrase) for phrase in shared)


def test_varied_templates_are_unlike_each_other():
    for one, other in combinations(VARIED_PROMPTS.values(), 2):
        assert likeness(one, other) <= 0.5, (one.name, other.name)


def test_statement_and_question_come_first_last_and_between():
    before = [prompt.template.index("{text}") for prompt in VARIED_PROMPTS.values()]
    assert min(before) == 0
    assert max(before) > 60
    assert sum("?" in prompt.template for prompt in VARIED_PROMPTS.values()) >= 2
    assert sum("?" not in prompt.template for prompt in VARIED_PROMPTS.values()) >= 2


@VARIED
def test_varied_templates_name_both_answers_and_are_answered_with_the_same_words(prompt):
    assert {"true", "false"} <= {word for (word,) in words(prompt, n=1)}
    assert [prompt.answer(label) for label in (1, 0)] == [" true", " false"]
    assert prompt.template == prompt.template.rstrip()


def test_each_template_gets_its_share_of_the_pairs():
    counts = Counter(varied_prompt(pair_id, seed=42).name for pair_id in IDS)
    assert counts.keys() == VARIED_PROMPTS.keys()
    expected = len(IDS) / len(counts)
    statistic = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi2.sf(statistic, len(counts) - 1) > 0.001


def test_a_pair_keeps_its_template_and_another_seed_deals_anew():
    dealt = [[varied_prompt(pair_id, seed=seed).name for pair_id in IDS] for seed in (1, 1, 2)]
    assert dealt[0] == dealt[1]
    same = sum(one == other for one, other in zip(dealt[0], dealt[2], strict=True)) / len(IDS)
    assert abs(same - 1 / len(VARIED_PROMPTS)) < 0.03


def test_what_was_dealt_once_is_dealt_for_good():
    """Adapters that were trained on a prompt set are compared with those of later versions."""
    assert [varied_prompt(f"{number:016x}", seed=42).name for number in range(8)] == [
        "varied-claim", "varied-talk", "varied-talk", "varied-curator",
        "varied-assertion", "varied-assertion", "varied-claim", "varied-assertion",
    ]  # fmt: skip


def test_a_template_less_moves_only_its_own_pairs(monkeypatch):
    before = [varied_prompt(pair_id, seed=1).name for pair_id in IDS]
    gone, *kept = VARIED_PROMPTS
    monkeypatch.setattr(
        "bioalign_assets.curation.prompts.VARIED_PROMPTS", {name: VARIED_PROMPTS[name] for name in kept}
    )
    after = [varied_prompt(pair_id, seed=1).name for pair_id in IDS]
    assert all(one == other for one, other in zip(before, after, strict=True) if one != gone)
    assert set(after) == set(kept)
