"""Batches of like length that fit into memory, and go on with fewer rows where they don't."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import ModelError
from bioalign_assets.inference import prompting
from bioalign_assets.inference.answers import ask
from bioalign_assets.inference.batches import TOKENS_AT_ONCE, in_batches, padded, tokens_at_once
from bioalign_assets.inference.embeddings import embed
from bioalign_assets.inference.prefix import PromptBatch
from bioalign_assets_tests import tiny_models

TEXTS = tiny_models.statements(11)
LLAMA_8B = SimpleNamespace(
    hidden_size=4096, num_attention_heads=32, num_key_value_heads=8, num_hidden_layers=32, intermediate_size=14336,
    vocab_size=128256,
)  # fmt: skip
GIB = 2**30


def batches(lengths, **more):
    found = []
    in_batches(
        np.array(lengths, dtype=np.int64), run=lambda places: found.append(places.tolist()), what="", **more
    )
    return found


@given(
    lengths=st.lists(st.integers(1, 50), max_size=40),
    tokens=st.integers(1, 200),
    batch_size=st.integers(1, 10) | st.just("auto"),
)
def test_each_row_once_in_batches_that_fit(lengths, tokens, batch_size):
    found = batches(lengths, tokens=tokens, batch_size=batch_size)
    assert sorted(itertools.chain.from_iterable(found)) == list(range(len(lengths)))
    in_order = [lengths[place] for batch in found for place in batch]
    assert in_order == sorted(lengths, reverse=True)
    for batch in found:
        assert len(batch) == 1 or len(batch) * lengths[batch[0]] <= tokens
        assert batch_size == "auto" or len(batch) <= batch_size


def test_out_of_memory_halves_the_batches_and_goes_on():
    done, tried = [], []

    def run(places):
        tried.append(len(places))
        if len(places) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.extend(places.tolist())

    in_batches(np.full(20, 5), run=run, tokens=80, what="")
    assert sorted(done) == list(range(20))
    assert tried == [16, 8, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]


def test_no_room_for_one_row_is_told():
    def run(_places):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(ModelError, match="no memory left for one statement of 7 tokens.*nvidia-smi"):
        in_batches(np.array([3, 7]), run=run, tokens=10, what="")


def test_answers_and_embeddings_are_the_same_after_running_out_of_memory(monkeypatch):
    loaded = tiny_models.load("llama")
    expected = ask(TEXTS, prompt=PROMPTS["unseen"], loaded=loaded)
    vectors = {pooling: embed(TEXTS, loaded=loaded, pooling=pooling) for pooling in ("mean", "padded-mean")}
    step, body, failed = PromptBatch.next_logits, loaded.model.get_decoder(), []

    def failing(self, tokens):
        # in the midst of a batch: what it had written is written anew
        if len(tokens) > 3 and tokens.shape[1] == 1:
            failed.append(len(tokens))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, tokens)

    def failing_body(*, input_ids, **more):
        if len(input_ids) > 3:
            failed.append(len(input_ids))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return body(input_ids=input_ids, **more)

    monkeypatch.setattr(PromptBatch, "next_logits", failing)
    monkeypatch.setattr(loaded.model, "get_decoder", lambda: failing_body)
    found = ask(TEXTS, prompt=PROMPTS["unseen"], loaded=loaded)
    assert found.answer == expected.answer
    assert np.abs(found.p_true - expected.p_true).max() < 1e-5
    for pooling, expected_vectors in vectors.items():
        assert np.abs(embed(TEXTS, loaded=loaded, pooling=pooling) - expected_vectors).max() < 1e-5
    assert len(failed) >= 6


def test_no_room_for_the_common_beginning_is_told(monkeypatch):
    loaded = tiny_models.load("llama")

    def failing(**_more):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loaded.model, "forward", failing)
    with pytest.raises(ModelError, match="no memory left for one statement of .* tokens.*nvidia-smi"):
        ask(TEXTS, prompt=PROMPTS["unseen"], loaded=loaded)


@pytest.mark.parametrize("free", [0, 10_000, 10**6, 10**8])
def test_answers_are_the_same_with_little_memory(monkeypatch, free):
    loaded = tiny_models.load("llama")
    expected = ask(TEXTS, prompt=PROMPTS["unseen"], loaded=loaded)
    monkeypatch.setattr(prompting, "free_memory", lambda _device: free)
    found = ask(TEXTS, prompt=PROMPTS["unseen"], loaded=loaded)
    assert found.answer == expected.answer
    assert np.abs(found.p_true - expected.p_true).max() < 1e-5


def test_figures_repeat_to_the_last_bit():
    loaded = tiny_models.load("llama")
    one, two = (ask(TEXTS, prompt=PROMPTS["unseen"], loaded=loaded).p_true for _ in range(2))
    assert (one == two).all()
    one, two = (embed(TEXTS, loaded=loaded) for _ in range(2))
    assert (one == two).all()


def room(free, **more):
    settings = {"shared": 48, "shortest": 12, "longest": 60} | more
    return tokens_at_once(free, config=LLAMA_8B, dtype=torch.bfloat16, device_type="cuda", **settings)


def test_a_large_card_is_not_the_limit_and_a_small_one_is():
    assert room(70 * GIB) == room(20 * GIB) == TOKENS_AT_ONCE["cuda"]
    assert room(0) == 1
    found = [room(free) for free in (GIB // 8, GIB // 4, GIB, 2 * GIB)]
    assert found == sorted(set(found))
    # what they take is at least keys, values and logits, and half of the memory at most
    for free, tokens in zip((GIB // 8, GIB // 4, GIB, 2 * GIB), found, strict=True):
        rows = tokens / 12
        kept = (tokens + rows * 48) * 2 * 8 * 128 * 32 * 2 + rows * 128256 * 2
        assert 0.1 * free < kept < free / 2


def test_embeddings_need_less():
    assert room(GIB, with_words=False) > room(GIB)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_stands_on_one_side(side):
    matrix, lengths = padded([[1, 2, 3], [], [4]], pad=0, side=side)
    assert lengths.tolist() == [3, 0, 1]
    assert matrix.tolist() == [[1, 2, 3], [0, 0, 0], [0, 0, 4] if side == "left" else [4, 0, 0]]
    assert padded([], pad=0, side=side)[0].shape == (0, 0)
