"""A micro study, run once for all tests that only look at it."""

import pytest
import torch

from bioalign_assets_tests.micro import Micro, build_once


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)  # two spinning threads on busy cores are slower than one


@pytest.fixture(scope="session")
def micro(tmp_path_factory) -> Micro:
    """A micro study that has run whole. Tests don't change it."""
    return Micro(build_once(tmp_path_factory, name="micro", build=lambda folder: Micro(folder).run()))
