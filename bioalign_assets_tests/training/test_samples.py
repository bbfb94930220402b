"""Training samples: what is learned is the answer and the end of text, and nothing is ever cut."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.curation.prompts import PROMPTS, VARIED_PROMPTS, varied_prompt
from bioalign_assets.errors import CurationError, ModelError
from bioalign_assets.models.answer_tokens import answer_tokens, encode_prompts
from bioalign_assets.training.samples import sample_prompts, tokenise_samples, training_rows
from bioalign_assets_tests import tiny_models

TEXTS = tiny_models.statements(9)
LABELS = [1, 0, 1, 1, 0, 0, 1, 0, 1]


@pytest.fixture(scope="module")
def tokenizer(architecture):
    return tiny_models.load(architecture).tokenizer


def samples_of(tokenizer, *, loss="answer", texts=TEXTS, labels=LABELS, prompts=None, max_tokens=512):
    prompts = [PROMPTS["training"]] * len(texts) if prompts is None else prompts
    return tokenise_samples(
        texts, labels=labels, prompts=prompts, tokenizer=tokenizer, loss=loss, max_tokens=max_tokens
    )


def test_only_the_answer_and_the_end_count(tokenizer):
    ids = answer_tokens(PROMPTS["training"], tokenizer=tokenizer)
    asked = encode_prompts(TEXTS, prompt=PROMPTS["training"], tokenizer=tokenizer)
    for prompt, label, sample in zip(asked, LABELS, samples_of(tokenizer), strict=True):
        assert sample["input_ids"][: len(prompt)] == prompt
        assert sample["labels"][: len(prompt)] == [-100] * len(prompt)
        counted = sample["labels"][len(prompt) :]
        assert counted == sample["input_ids"][len(prompt) :]
        assert counted[0] == (ids.true_id if label else ids.false_id)
        assert counted[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(counted, skip_special_tokens=True) == ("true" if label else "false")


def test_a_sample_is_what_the_tokenizer_makes_of_the_whole_text(tokenizer):
    for text, label, sample in zip(TEXTS, LABELS, samples_of(tokenizer), strict=True):
        whole = PROMPTS["training"].render(text) + PROMPTS["training"].answer(label)
        assert sample["input_ids"] == [*tokenizer(whole)["input_ids"], tokenizer.eos_token_id]
        assert tokenizer.decode(sample["input_ids"], skip_special_tokens=True) == whole


def test_full_loss_counts_every_token(tokenizer):
    answer, full = samples_of(tokenizer), samples_of(tokenizer, loss="full")
    for one, other in zip(answer, full, strict=True):
        assert one["input_ids"] == other["input_ids"] == other["labels"]


def test_a_sample_that_is_too_long_is_refused_never_cut(tokenizer):
    longest = max(len(sample["input_ids"]) for sample in samples_of(tokenizer))
    assert len(samples_of(tokenizer, max_tokens=longest)) == len(TEXTS)
    with pytest.raises(
        ModelError,
        match=f"1 of {len(TEXTS)} with more tokens than max_tokens = {longest - 1}, the longest with {longest}: "
        f".*Set max_tokens to {longest} or more.*loses its answer",
    ):
        samples_of(tokenizer, max_tokens=longest - 1)


def test_texts_and_labels_must_be_as_many(tokenizer):
    with pytest.raises(ValueError, match="shorter"):
        samples_of(tokenizer, labels=LABELS[:-1])
    with pytest.raises(KeyError):
        samples_of(tokenizer, texts=TEXTS[:1], labels=[2])


@settings(deadline=None, max_examples=20)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip))
def test_any_statement_has_the_same_answer_tokens(tokenizer, text):
    ids = answer_tokens(PROMPTS["training"], tokenizer=tokenizer)
    for label, expected in ((1, ids.true_id), (0, ids.false_id)):
        (sample,) = samples_of(tokenizer, texts=[text], labels=[label])
        assert next(i for i in sample["labels"] if i != -100) == expected


PAIRS = pa.table(
    {
        "dataset": ["a", "a", "b", "a", "a"], "split": ["train", "test", "train", "train", "train"],
        "row_number": [7, 1, 2, 0, 3], "pair_id": list("gefdh"), "text": ["seven", "one", "two", "zero", "three"], "label": [1, 0, 1, 0, 1],
        "pubmed_ids": [[], [], ["1"], [], []],
    }
)  # fmt: skip


def test_training_rows_are_one_datasets_training_split_in_row_order():
    rows = training_rows(PAIRS, dataset="a")
    assert rows["text"].to_pylist() == ["zero", "three", "seven"]
    assert rows["label"].to_pylist() == [0, 1, 1]
    assert training_rows(PAIRS.take([4, 3, 2, 1, 0]), dataset="a").equals(rows)


@pytest.mark.parametrize("table", [PAIRS, PAIRS.slice(0, 0)])
def test_no_training_row_is_told(table):
    with pytest.raises(CurationError, match="Dataset gone: found no training row"):
        training_rows(table, dataset="gone")


PAIR_IDS = [f"{number:016x}" for number in range(400)]


def test_the_papers_template_is_that_of_every_sample():
    assert sample_prompts(PAIR_IDS, prompts="training", seed=1) == [PROMPTS["training"]] * len(PAIR_IDS)


def test_varied_samples_have_several_templates_none_of_which_is_asked():
    prompts = sample_prompts(PAIR_IDS, prompts="varied", seed=1)
    assert set(prompts) == set(VARIED_PROMPTS.values())
    assert not {prompt.template for prompt in prompts} & {prompt.template for prompt in PROMPTS.values()}
    assert prompts == [varied_prompt(pair_id, seed=1) for pair_id in PAIR_IDS]
    assert prompts != sample_prompts(PAIR_IDS, prompts="varied", seed=2)


def test_varied_samples_learn_the_answer_after_each_template(tokenizer):
    prompts = [*VARIED_PROMPTS.values(), next(iter(VARIED_PROMPTS.values()))]
    for label, sample, prompt, text in zip(
        LABELS, samples_of(tokenizer, prompts=prompts), prompts, TEXTS, strict=True
    ):
        counted = [i for i in sample["labels"] if i != -100]
        assert tokenizer.decode(counted, skip_special_tokens=True).strip() == ("true" if label else "false")
        assert prompt.template.partition("{text}")[0].split("\n")[0] in tokenizer.decode(sample["input_ids"])
        assert text in tokenizer.decode(sample["input_ids"])


def test_templates_must_be_as_many_as_statements(tokenizer):
    with pytest.raises(ValueError, match="shorter"):
        samples_of(tokenizer, prompts=[PROMPTS["training"]])
