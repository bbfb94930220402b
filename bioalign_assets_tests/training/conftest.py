"""Fixtures of the training room."""

from pathlib import Path
from types import SimpleNamespace

import accelerate.utils.memory
import pytest

from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.training.qlora import Training, train_adapter
from bioalign_assets_tests import tiny_models


@pytest.fixture(scope="session", autouse=True)
def _no_collection_of_garbage():
    """Spare the full collection in which each training ends: the libraries keep a lot that would be searched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accelerate.utils.memory, "gc", SimpleNamespace(collect=lambda: 0))
        yield


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
