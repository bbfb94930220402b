"""A tiny model runs in one thread, so that its figures don't depend on how many cores there are."""

import pytest
import torch

from bioalign_assets.models.threads import reproducible_threads
from bioalign_assets.study.models import ModelSpec


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("spec", "inside"), [(ModelSpec(tiny="llama"), 1), (ModelSpec(repo_id="a/b"), 3)])
def test_one_thread_for_a_tiny_model_alone(spec, inside):
    with reproducible_threads(spec):
        assert torch.get_num_threads() == inside
    assert torch.get_num_threads() == 3


def test_threads_come_back_after_an_error():
    with pytest.raises(RuntimeError, match="x"), reproducible_threads(ModelSpec(tiny="phi3")):
        raise RuntimeError("x")
    assert torch.get_num_threads() == 3
