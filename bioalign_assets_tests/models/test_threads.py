"""One thread for the numerical libraries and for tiny models, for as long as is asked and no longer."""

import contextlib
import sys
from types import ModuleType

import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from bioalign_assets.models import threads as threads_module
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
        for _ in range(2):
            with one_thread():
                assert threads() == {1}
            assert threads() == before


def test_libraries_are_looked_for_again_where_something_was_imported(monkeypatch):
    looks = []

    class Looks(ThreadpoolController):
        def __init__(self):
            looks.append(1)
            super().__init__()

    monkeypatch.setattr(threads_module, "ThreadpoolController", Looks)
    monkeypatch.setattr(threads_module, "_found", {})
    for _ in range(3):
        with one_thread():
            pass
    assert len(looks) == 1
    monkeypatch.setitem(sys.modules, "made_up", ModuleType("made_up"))
    with one_thread():
        pass
    assert len(looks) == 2
