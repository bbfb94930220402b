"""Fixtures of the inference room."""

import pytest

from bioalign_assets.models.loading import LoadedModel
from bioalign_assets_tests import tiny_models

# the real datasets, for the tests of the sample
from bioalign_assets_tests.evaluation.conftest import associations, published, stable

__all__ = ["architecture", "associations", "loaded", "published", "stable"]


@pytest.fixture(scope="session", params=tiny_models.ARCHITECTURES)
def architecture(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def loaded(architecture) -> LoadedModel:
    """A tiny model in memory; no test changes it."""
    return tiny_models.load(architecture)
