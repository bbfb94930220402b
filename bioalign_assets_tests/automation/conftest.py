"""A small study, run once, and copies of it to automate."""

from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from bioalign_assets.demo import plan

from bioalign_assets import plotting
from bioalign_assets.report import blocks
from bioalign_assets_tests.automation.automated import Automated
from bioalign_assets_tests.automation.releases import first_release
from bioalign_assets_tests.micro import STUDY, Micro, build_once

SMALLEST = {
    '[datasets.published-entity-held-out]\nsampler = "published"\nsplit = "entity"\n': "",
    "pretraining_steps = 2": "pretraining_steps = 0",
    "steps = 3": "steps = 1",
    "sample_size = 80": "sample_size = 50",
    "map_size = 40": "map_size = 20",
}


ONE_DATASET = ("[datasets.stable]\n", "[datasets.stable]\nseed = 7\n")
"""A change of the study file that few partitions follow: no variant reads this dataset."""
UNBUILT = "tiny-benchmark@untuned"
"""The variant that nobody has asked for."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)  # two spinning threads on busy cores are slower than one


@contextmanager
def _without_pictures():
    """Spare the drawing, the longest part of these runs: nothing here looks at a picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plotting, "png", lambda *_, **__: b"")
        patch.setattr(blocks, "svg", lambda *_, **__: "<svg></svg>")
        yield


@pytest.fixture(autouse=True)
def _no_pictures():
    with _without_pictures():
        yield


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Micro:
    """The smallest study, run whole but for one variant, which nobody has asked for."""
    return _smallest(build_once(tmp_path_factory, name="automated", build=_run))


def _smallest(folder: Path) -> Micro:
    text = STUDY
    for old, new in SMALLEST.items():
        text = text.replace(old, new)
    return Micro(folder, text=text)


def _run(folder: Path) -> None:
    made = _smallest(folder)
    source = folder / "releases"
    source.mkdir()
    (source / "CTD_curated_genes_diseases.csv").write_text(first_release(folder), encoding="utf-8")
    unwanted = f"variant {UNBUILT}"
    with _without_pictures():
        made.run(ctd_source=str(source), without=[unwanted])
    assert unwanted in {part.title for part in plan(made.study, settings=made.settings)}


@pytest.fixture
def automated(built, tmp_path) -> Automated:
    """A copy of the study under automation, with its release at the source."""
    made = Automated(built, tmp_path / "copy")
    made.publish(first_release(tmp_path))
    return made


@pytest.fixture
def release(tmp_path) -> str:
    """The text of the release that is in force."""
    return first_release(tmp_path)
