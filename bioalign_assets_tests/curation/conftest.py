"""Fixtures of the curation tests."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets_tests.curation.helpers import build, read_release, synthetic


@pytest.fixture(scope="session")
def release(real_data):
    """The real release that the paper used."""
    return read_release(real_data)


@pytest.fixture(scope="session")
def of_release(release) -> Callable[[DatasetSpec], pa.Table]:
    """Gives the dataset of a specification on the real release, built once."""
    found = {}

    def give(spec: DatasetSpec) -> pa.Table:
        if spec not in found:
            found[spec] = build(release, spec=spec)
        return found[spec]

    return give


@pytest.fixture(scope="session")
def small():
    """600 made-up associations of 60 genes and 40 diseases."""
    return synthetic(n_genes=60, n_diseases=40, rows=600)
