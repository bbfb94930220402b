"""Models as they lie in folders, to be stood for."""

import json

import pytest

from bioalign_assets.rehearsal.originals import Original
from bioalign_assets_tests import tiny_models


@pytest.fixture(params=tiny_models.ARCHITECTURES)
def architecture(request):
    return request.param


@pytest.fixture
def original():
    """Return what is known of a tiny model, as if it were a published one."""

    def of(architecture="llama", **more):
        folder = tiny_models.resolved(architecture).folder(warehouse=tiny_models.warehouse())
        known = {"is_nf4": True, "is_pickled": False, "fetched_bytes": 10**9} | more
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return Original(config=config, tokenizer=folder, **known)

    return of
