"""One thread for the numerical libraries, for as long as is asked and no longer."""

import sys
from types import ModuleType

import pytest
import sklearn.ensemble  # noqa: F401 - it loads OpenMP
from threadpoolctl import threadpool_info, threadpool_limits

from bioalign_assets.evaluation import threads
from bioalign_assets.evaluation.threads import one_thread


def counts():
    return {library["num_threads"] for library in threadpool_info()}


def test_the_numerical_libraries_have_one_thread_inside_and_theirs_again_after_it():
    with threadpool_limits(limits=3):
        before = counts()
        for _ in range(2):
            with one_thread():
                assert counts() == {1}
            assert counts() == before
        with pytest.raises(RuntimeError), one_thread():
            raise RuntimeError
        assert counts() == before


def test_libraries_are_looked_for_again_where_something_was_imported(monkeypatch):
    looks = []

    class Looks(threads.ThreadpoolController):
        def __init__(self):
            looks.append(1)
            super().__init__()

    monkeypatch.setattr(threads, "ThreadpoolController", Looks)
    monkeypatch.setattr(threads, "_found", {})
    for _ in range(3):
        with one_thread():
            pass
    assert len(looks) == 1
    monkeypatch.setitem(sys.modules, "made_up", ModuleType("made_up"))
    with one_thread():
        assert counts() == {1}
    assert len(looks) == 2
