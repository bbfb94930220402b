"""One thread for the numerical libraries and for tiny models, for as long as is asked and no longer."""

import contextlib

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from bioalign_assets.models.threads import one_thread, one_torch_thread, reproducible_threads
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


def test_torchs_threads_come_back_after_an_error():
    with contextlib.suppress(RuntimeError), one_torch_thread():
        raise RuntimeError
    assert torch.get_num_threads() == 3


def test_the_numerical_libraries_have_one_thread_inside_and_theirs_again_after_it():
    def threads():
        return {library["num_threads"] for library in threadpool_info()}

    with threadpool_limits(limits=3):
        before = threads()
        with one_thread():
            assert threads() == {1}
        assert threads() == before
