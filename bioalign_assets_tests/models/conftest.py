"""Fixtures of the models room."""

from pathlib import Path

import pytest

from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets_tests import tiny_models


@pytest.fixture(scope="session", params=tiny_models.ARCHITECTURES)
def architecture(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def resolved(architecture) -> ResolvedModel:
    return tiny_models.resolved(architecture)


@pytest.fixture(scope="session")
def warehouse() -> Path:
    return tiny_models.warehouse()
