"""What all rooms' tests share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bioalign_assets_tests import dagster_databases

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: the workers, who take a file each, end at the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)  # stable: within a file nothing moves


@pytest.fixture(scope="session", autouse=True)
def _databases_kept_open() -> Iterator[None]:
    with dagster_databases.kept_open():
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real CTD release, the published test split and the real tokenizers."""
    named = os.environ.get("BIOALIGN_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real CTD data is not here ({folder}): set BIOALIGN_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def cases(real_data) -> Path:
    """The folder with small inputs as people had them."""
    folder = real_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"the inputs from the field are not here ({folder})")
    return folder


# Here, because a process can have one Playwright at a time. Of the module: while it is there, its event loop runs, and
# no test after it could start one of its own, as Dagster's automation does.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        told = "chromium is not here: apt-get install -y chromium"
        if os.environ.get("BIOALIGN_TEST_BROWSER") == "required":
            pytest.fail(told)
        pytest.skip(told)
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def shots(tmp_path_factory) -> Path:
    """The folder of the screenshots; BIOALIGN_TEST_SHOTS names one to look at them."""
    named = os.environ.get("BIOALIGN_TEST_SHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("shots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
