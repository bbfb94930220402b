"""What all rooms' tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real CTD release, the published test split and the real tokenizers."""
    named = os.environ.get("BIOALIGN_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real CTD data is not here ({folder}): set BIOALIGN_TEST_DATA to its folder")
    return folder
