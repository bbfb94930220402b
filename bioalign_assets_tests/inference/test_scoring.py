"""p_true without answers: the same as with them, whatever the batch and the order (test_answers has the rest)."""

import numpy as np
import pytest

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.inference.answers import ask
from bioalign_assets.inference.scoring import p_true
from bioalign_assets_tests import tiny_models

TEXTS = [*tiny_models.statements(13), "A", " and ".join(tiny_models.DISEASES * 2)]


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_it_is_the_p_true_of_asking_whatever_the_order_and_the_company(loaded, prompt):
    asked = ask(TEXTS, prompt=prompt, loaded=loaded, batch_size=4).p_true
    scored = p_true(TEXTS, prompt=prompt, loaded=loaded, batch_size=4)
    assert scored.dtype == np.float64
    assert scored.shape == (len(TEXTS),)
    assert np.abs(scored - asked).max() < 1e-6
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = p_true([TEXTS[i] for i in order], prompt=prompt, loaded=loaded, batch_size=4)
    assert np.abs(scored[order] - shuffled).max() < 1e-6
    alone = [p_true([text], prompt=prompt, loaded=loaded)[0] for text in TEXTS[::5]]
    assert np.abs(scored[::5] - alone).max() < 1e-4  # another length of padding sums in another order
