"""p_true without answers: the same as with them, whatever the batch, the padding and the template."""

import numpy as np
import pytest
import torch

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import ModelError
from bioalign_assets.inference.answers import ask
from bioalign_assets.inference.scoring import p_true
from bioalign_assets.training.adapters import with_adapter
from bioalign_assets.training.qlora import train_adapter
from bioalign_assets_tests import tiny_models

TEXTS = [*tiny_models.statements(13), "A", " and ".join(tiny_models.DISEASES * 2)]
TEMPLATE = "{{ bos_token }}{% for m in messages %}User: {{ m['content'] }}\n{% endfor %}{{ 'Model:\n' }}"


@pytest.fixture(params=PROMPTS.values(), ids=PROMPTS)
def prompt(request):
    return request.param


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_it_is_the_p_true_of_asking(loaded, prompt, batch_size):
    asked = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=batch_size).p_true
    scored = p_true(TEXTS, prompt=prompt, loaded=loaded, batch_size=batch_size)
    assert scored.dtype == np.float64
    assert scored.shape == (len(TEXTS),)
    assert np.abs(scored - asked).max() < 1e-6
    assert np.ptp(scored) > 1e-3  # else order could not be told


def test_order_and_company_change_nothing(loaded, prompt):
    straight = p_true(TEXTS, prompt=prompt, loaded=loaded, batch_size=5)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = p_true([TEXTS[i] for i in order], prompt=prompt, loaded=loaded, batch_size=5)
    assert np.abs(straight[order] - shuffled).max() < 1e-6
    alone = [p_true([text], prompt=prompt, loaded=loaded, batch_size=5)[0] for text in TEXTS]
    assert np.abs(straight - alone).max() < 1e-4  # another length of padding sums in another order


def test_one_statement_and_none(loaded, prompt):
    assert p_true(TEXTS[:1], prompt=prompt, loaded=loaded, batch_size=8).shape == (1,)
    assert p_true([], prompt=prompt, loaded=loaded, batch_size=8).shape == (0,)


def test_inside_a_chat_template(architecture, prompt):
    loaded = tiny_models.load(architecture)
    loaded.tokenizer.chat_template = TEMPLATE
    asked = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=4, is_chat=True).p_true
    scored = p_true(TEXTS, prompt=prompt, loaded=loaded, batch_size=4, is_chat=True)
    assert np.abs(scored - asked).max() < 1e-6
    assert np.abs(scored - p_true(TEXTS, prompt=prompt, loaded=loaded, batch_size=4)).max() > 1e-3


def test_a_tuned_model_is_scored_through_its_adapter(tmp_path, architecture):
    base = tiny_models.load(architecture)
    training = train_adapter(
        tiny_models.training_rows(16), loaded=tiny_models.load(architecture), spec=tiny_models.experiment(),
        adapters=tmp_path, name="x",
    )  # fmt: skip
    prompt = PROMPTS["unseen"]
    before = p_true(TEXTS, prompt=prompt, loaded=base, batch_size=4)
    tuned = with_adapter(base, folder=training.folder)
    scored = p_true(TEXTS, prompt=prompt, loaded=tuned, batch_size=4)
    assert np.abs(scored - ask(TEXTS, prompt=prompt, loaded=tuned, batch_size=4).p_true).max() < 1e-6
    assert np.abs(scored - before).max() > 1e-3


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_no_number_is_told(architecture, prompt, value):
    loaded = tiny_models.load(architecture)
    with torch.no_grad():
        loaded.model.model.norm.weight[3] = value
    with pytest.raises(ModelError, match=f"{len(TEXTS)} probabilities that are not numbers.*bfloat16"):
        p_true(TEXTS, prompt=prompt, loaded=loaded, batch_size=8)
