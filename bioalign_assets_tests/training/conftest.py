"""Fixtures of the training room."""

import gc
from pathlib import Path

import pytest

from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.training.qlora import Training, train_adapter
from bioalign_assets_tests import tiny_models

# each training ends in a full collection of garbage: what the libraries keep for good need not be searched
gc.collect()
gc.freeze()


@pytest.fixture(scope="session", params=tiny_models.ARCHITECTURES)
def architecture(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def adapters(tmp_path_factory) -> Path:
    """The folder of the trainings below."""
    return tmp_path_factory.mktemp("warehouse") / "adapters"


@pytest.fixture(scope="session")
def trained(architecture, adapters) -> tuple[Training, LoadedModel]:
    """A short training of each architecture, and the model in memory that bears its adapter."""
    loaded = tiny_models.load(architecture)
    training = train_adapter(
        tiny_models.training_rows(18),
        loaded=loaded,
        spec=tiny_models.experiment(),
        adapters=adapters,
        name="toy",
    )
    return training, loaded
