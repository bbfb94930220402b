"""Embeddings: the mean over a statement's own tokens, whatever stands beside it in the batch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.errors import ModelError
from bioalign_assets.inference.embeddings import NOTEBOOK_BATCH_SIZE, embed, embed_layers
from bioalign_assets_tests import tiny_models

# from one word to more than the tiny Mistral's window, not sorted by length
TEXTS = [
    *tiny_models.statements(21),
    "A",
    " and ".join(tiny_models.DISEASES * 2),
    "TNF is associated with Asthma",
]


def naive(texts, loaded):
    """One statement at a time, through the whole model, no padding: the definition."""
    vectors = []
    for text in texts:
        ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            hidden = loaded.model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        vectors.append(hidden[0].mean(dim=0).numpy())
    return np.array(vectors)


@pytest.fixture(scope="module")
def expected(loaded):
    return naive(TEXTS, loaded)


def test_lengths_differ_and_go_beyond_the_window(loaded):
    lengths = [len(ids) for ids in loaded.tokenizer(TEXTS)["input_ids"]]
    assert min(lengths) < 5
    assert max(lengths) > 2 * (getattr(loaded.model.config, "sliding_window", None) or 32)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_is_the_mean_over_its_own_tokens_at_any_batch_size(loaded, expected, batch_size):
    found = embed(TEXTS, loaded=loaded, batch_size=batch_size)
    assert found.dtype == np.float32
    assert found.shape == (len(TEXTS), loaded.model.config.hidden_size)
    assert np.abs(found - expected).max() < 1e-5


def test_every_layer_comes_from_one_pass(loaded, expected):
    kept = np.array([0, 3, len(TEXTS) - 1])
    last, found = embed_layers(TEXTS, kept=kept, loaded=loaded, batch_size=7)
    assert found.shape == (loaded.model.config.num_hidden_layers + 1, 3, expected.shape[1])
    assert np.abs(last - expected).max() < 1e-5
    assert np.abs(found[-1] - expected[kept]).max() < 1e-5
    ids = loaded.tokenizer(TEXTS[3], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        states = loaded.model(input_ids=ids, output_hidden_states=True).hidden_states
        words = loaded.model.get_input_embeddings()(ids)[0].mean(dim=0).numpy()
    assert np.abs(found[0, 1] - words).max() < 1e-6
    for layer, state in enumerate(states):
        assert np.abs(found[layer, 1] - state[0].mean(dim=0).numpy()).max() < 1e-5
    assert [len(each) for each in embed_layers([], kept=kept[:0], loaded=loaded)] == [0, len(states)]


@settings(deadline=None, max_examples=3)
@given(order=st.permutations(range(len(TEXTS))), batch_size=st.integers(1, 30))
def test_order_is_restored(loaded, expected, order, batch_size):
    found = embed([TEXTS[i] for i in order], loaded=loaded, batch_size=batch_size)
    assert np.abs(found - expected[order]).max() < 1e-5


def test_one_statement_and_none(loaded, expected):
    assert np.abs(embed(TEXTS[:1], loaded=loaded, batch_size=8) - expected[:1]).max() < 1e-5
    assert embed([], loaded=loaded, batch_size=8).shape == (0, loaded.model.config.hidden_size)


def test_equal_statements_have_equal_vectors(loaded):
    found = embed([TEXTS[0], TEXTS[22], TEXTS[0]], loaded=loaded, batch_size=2)
    assert np.abs(found[0] - found[2]).max() < 1e-5


def notebook(texts, loaded):
    """As the published notebooks: batches of 32 in the order given, right padding, padding averaged in."""
    vectors = []
    for start in range(0, len(texts), 32):
        batch = loaded.tokenizer(texts[start : start + 32], padding=True, return_tensors="pt")
        with torch.inference_mode():
            hidden = loaded.model(**batch, output_hidden_states=True).hidden_states[-1]
        vectors.append(hidden.mean(dim=1).numpy())
    return np.concatenate(vectors)


@pytest.mark.parametrize("batch_size", [5, "auto"])
def test_padded_mean_is_the_notebooks(batch_size, loaded):
    texts = [*TEXTS, *TEXTS[:10]]  # two batches, the second one short
    assert NOTEBOOK_BATCH_SIZE == 32 < len(texts)
    found = embed(texts, loaded=loaded, batch_size=batch_size, pooling="padded-mean")
    assert np.abs(found - notebook(texts, loaded)).max() < 1e-5


def test_padded_mean_depends_on_the_neighbours_and_mean_does_not(loaded, expected):
    padded = embed(TEXTS, loaded=loaded, batch_size=8, pooling="padded-mean")
    lengths = np.array([len(ids) for ids in loaded.tokenizer(TEXTS)["input_ids"]])
    difference = np.abs(padded - expected).max(axis=1)
    assert difference[lengths.argmax()] < 1e-5  # nothing to pad
    assert (difference[lengths < lengths.max()] > 1e-3).all()
    alone = embed(TEXTS[:1], loaded=loaded, batch_size=8, pooling="padded-mean")
    assert np.abs(alone - expected[:1]).max() < 1e-5


def test_padding_on_the_left_by_default_changes_nothing(architecture, expected):
    loaded = tiny_models.load(architecture)
    loaded.tokenizer.padding_side = "left"
    assert np.abs(embed(TEXTS, loaded=loaded, batch_size=9) - expected).max() < 1e-5


@pytest.mark.parametrize("pooling", ["mean", "padded-mean"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_no_number_is_told(pooling, value):
    loaded = tiny_models.load("llama")
    with torch.no_grad():
        loaded.model.model.norm.weight[3] = value
    with pytest.raises(ModelError, match=f"{len(TEXTS)} vectors with values that are not numbers.*bfloat16"):
        embed(TEXTS, loaded=loaded, batch_size=8, pooling=pooling)


def test_float16_overflow_is_told():
    loaded = tiny_models.load("llama", dtype="float16", quantisation="none")
    assert np.isfinite(embed(TEXTS, loaded=loaded, batch_size=8)).all()
    with torch.no_grad():
        loaded.model.model.layers[0].mlp.down_proj.weight.fill_(6e4)
    with pytest.raises(ModelError, match="float16 overflows"):
        embed(TEXTS, loaded=loaded, batch_size=8)


def test_values_over_padding_do_not_count(loaded, monkeypatch):
    """Rows of attention with nothing to see are nan in some kernels: they stand over padding only."""
    body = loaded.model.get_decoder()

    def spoilt(*, input_ids, attention_mask, **more):
        hidden = body(input_ids=input_ids, attention_mask=attention_mask, **more).last_hidden_state
        return SimpleNamespace(
            last_hidden_state=hidden.masked_fill(attention_mask.unsqueeze(-1) == 0, torch.nan)
        )

    expected = embed(TEXTS, loaded=loaded, batch_size=8)
    monkeypatch.setattr(loaded.model, "get_decoder", lambda: spoilt)
    assert (embed(TEXTS, loaded=loaded, batch_size=8) == expected).all()
