"""The tiny models' tokenizers: deterministic, lossless, and with the traps of the real ones."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from bioalign_assets.models.pretraining import pretraining_texts
from bioalign_assets.models.tokenizers import VOCABULARY, train_tokenizer
from bioalign_assets_tests import tiny_models


def trained(architecture, *, seed=0, count=400):
    texts = pretraining_texts(tiny_models.associations(), rng=np.random.default_rng(seed))
    return train_tokenizer([next(texts) for _ in range(count)], architecture=architecture)


@pytest.fixture(scope="module")
def tokenizer(architecture):
    return trained(architecture)


def test_the_same_texts_give_the_same_tokenizer_and_others_another(architecture, tokenizer):
    def content(t):
        return json.loads(t.backend_tokenizer.to_str())["model"]

    assert content(trained(architecture)) == content(tokenizer)
    assert content(trained(architecture, count=20)) != content(tokenizer)


@settings(deadline=None, max_examples=150)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁<"), max_size=60))
@example(text="Sjögren's Syndrome\nMénière\n\n 46,XY  疾患 🧬\t\r\n")
@example(text=" leading and trailing ")
@example(text="\n")
@example(text="true\ntrue")
def test_text_survives_the_round_trip(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.unk_token_id not in ids[1:] or tokenizer.unk_token_id is None


@pytest.mark.parametrize("literal", ["<0x41>", "a < b > c", "<|not_special|>"])
def test_text_that_looks_like_a_token_survives_too(tokenizer, literal):
    ids = tokenizer(literal)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == literal


def test_begins_with_the_start_token_and_has_no_end(tokenizer):
    ids = tokenizer("A is associated with B")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.eos_token_id not in ids
    assert tokenizer("x", add_special_tokens=False)["input_ids"][0] != tokenizer.bos_token_id


def test_pads_on_the_right_with_a_token_of_its_own(tokenizer):
    batch = tokenizer(["A", "A is associated with B"], padding=True)
    short, mask = batch["input_ids"][0], batch["attention_mask"][0]
    assert mask == sorted(mask, reverse=True)
    assert 0 in mask
    assert {i for i, m in zip(short, mask, strict=True) if not m} == {tokenizer.pad_token_id}
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id}) == 3


def test_stays_within_the_vocabulary(tokenizer):
    assert 256 < len(tokenizer) <= VOCABULARY
    assert max(tokenizer.get_vocab().values()) == len(tokenizer) - 1


def test_the_trap_of_sentencepiece_is_there(tokenizer):
    """After a newline a word is another token than after a space, and alone it is the one after a space."""

    def last(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"][-1]

    for word in ("true", "false"):
        assert last(f"Answer: {word}") != last(f"Response:\n{word}")
    assert tokenizer.decode([last("Response:\ntrue")]) == "true"


@pytest.mark.parametrize("architecture_", ["mistral", "phi3"])
def test_a_word_alone_has_the_token_that_stands_after_a_space(architecture_):
    tokenizer = trained(architecture_)
    alone = tokenizer("true", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(alone) == ["▁true"]
    assert tokenizer("a\ntrue", add_special_tokens=False)["input_ids"][-1] != alone[-1]


def test_loads_from_disk_as_it_was(architecture, resolved, warehouse):
    """AutoTokenizer rebuilds some classes by the model's type: what it gives must cut texts the same way."""
    folder = resolved.folder(warehouse=warehouse)
    loaded = AutoTokenizer.from_pretrained(folder)
    stored = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert json.loads(loaded.backend_tokenizer.to_str())["model"]["merges"] == stored["model"]["merges"]
    rng = np.random.default_rng(tiny_models.spec_of(architecture).seed).spawn(2)[0]
    texts = pretraining_texts(tiny_models.associations(), rng=rng)
    again = train_tokenizer([next(texts) for _ in range(6000)], architecture=architecture)
    for text in [*tiny_models.statements(20), "x\n true", "46,XY\n\nÄ"]:
        assert loaded(text)["input_ids"] == again(text)["input_ids"]
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id, loaded.padding_side) == (
        again.bos_token_id, again.eos_token_id, again.pad_token_id, "right",
    )  # fmt: skip
