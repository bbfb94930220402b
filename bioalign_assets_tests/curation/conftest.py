"""Fixtures of the curation tests."""

import pytest

from bioalign_assets_tests.curation.helpers import read_release, synthetic


@pytest.fixture(scope="session")
def release(real_data):
    """The real release that the paper used."""
    return read_release(real_data)


@pytest.fixture(scope="session")
def small():
    """600 made-up associations of 60 genes and 40 diseases."""
    return synthetic(n_genes=60, n_diseases=40, rows=600)
