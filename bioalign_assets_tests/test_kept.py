"""What is kept between runs: made once, made anew when what made it changed, whole or not there."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bioalign_assets_tests.kept import kept


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bioalign-tests"


class Builds:
    """A slow build that counts how often it ran."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, folder: Path) -> None:
        assert not list(folder.iterdir())
        self.count += 1
        time.sleep(0.05)
        (folder / "made.txt").write_text(f"{self.count}")


def test_it_is_built_once_for_all_who_ask_at_the_same_time_and_later():
    build = Builds()
    with ThreadPoolExecutor(8) as threads:
        at_once = list(threads.map(lambda _: kept("model", made_from=["a"], build=build), range(8)))
    assert {*at_once, kept("model", made_from=["a"], build=build)} == {at_once[0]}
    assert (at_once[0] / "made.txt").read_text() == "1"
    assert build.count == 1


def test_another_name_text_file_or_file_of_a_folder_is_another_build(tmp_path):
    code = tmp_path / "code"
    (code / "__pycache__").mkdir(parents=True)
    (code / "module.py").write_text("1")
    build = Builds()

    def folder(name: str = "model", text: str = "a") -> Path:
        return kept(name, made_from=[text, "b", code, code / "module.py"], build=build)

    folders = [folder(), folder(name="study"), folder(text="ab")]
    (code / "module.py").write_text("2")
    folders.append(folder())
    (code / "module.py").rename(code / "named.py")
    (code / "module.py").write_text("2")
    folders.append(folder())
    assert len(set(folders)) == build.count == 5
    (code / "__pycache__" / "module.pyc").write_text("3")
    assert folder() == folders[-1]


def test_the_pieces_do_not_run_into_each_other():
    build = Builds()
    kept("model", made_from=["ab", "c"], build=build)
    kept("model", made_from=["a", "bc"], build=build)
    assert build.count == 2


def test_a_build_that_fails_leaves_nothing_and_is_tried_again(cache):
    def fail(folder: Path) -> None:
        (folder / "half.txt").touch()
        raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        kept("model", made_from=["a"], build=fail)
    assert not list((cache / "model").iterdir())
    folder = kept("model", made_from=["a"], build=Builds())
    assert [file.name for file in folder.iterdir()] == ["made.txt"]


def test_what_a_killed_build_left_is_no_part_of_the_next():
    folder = kept("model", made_from=["a"], build=Builds())
    folder.rename(folder.with_suffix(".unfinished"))
    assert (kept("model", made_from=["a"], build=Builds()) / "made.txt").read_text() == "1"


def test_a_new_build_removes_what_nobody_used_for_two_weeks(cache):
    build = Builds()
    long_ago = time.time() - 15 * 24 * 3600
    used, unused = (kept("model", made_from=[text], build=build) for text in ("used", "unused"))
    of_another_name = kept("study", made_from=["unused"], build=build)
    for found in [*(cache / "model").iterdir(), of_another_name]:
        os.utime(found, (long_ago, long_ago))
    assert kept("model", made_from=["used"], build=build) == used
    new = kept("model", made_from=["new"], build=build)
    assert set((cache / "model").iterdir()) == {used, new}
    assert not unused.exists()
    assert of_another_name.is_dir()
    assert build.count == 4
