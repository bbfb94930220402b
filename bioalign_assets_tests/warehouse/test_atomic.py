"""Files and directories that are whole or not there."""

import os
import time
from pathlib import Path

import pytest

from bioalign_assets.warehouse import atomic
from bioalign_assets.warehouse.atomic import (
    LEFTOVER_AGE_S,
    PARTIAL_SUFFIX,
    publish_directory,
    remove_leftovers,
    written_aside,
)

from ._make import in_processes


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "f.txt"
    with written_aside(target) as aside:
        aside.write_text("whole")
        assert not target.exists()
        assert aside.parent == target.parent
        assert PARTIAL_SUFFIX in aside.name
    assert target.read_text() == "whole"
    assert _names(target.parent) == ["f.txt"]


def test_a_file_is_replaced_and_who_has_the_old_one_open_keeps_reading_it(tmp_path):
    target = tmp_path / "f.txt"
    target.write_text("old")
    with target.open() as reader:
        with written_aside(target) as aside:
            aside.write_text("new")
            assert target.read_text() == "old"
        assert reader.read() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_target_as_it_was_and_nothing_beside_it(error, tmp_path):
    target = tmp_path / "f.txt"
    target.write_text("old")
    with pytest.raises(error), written_aside(target) as aside:  # noqa: PT012 - the block is what is tested
        aside.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert _names(tmp_path) == ["f.txt"]


def test_a_first_file_that_fails_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="no"), written_aside(tmp_path / "f") as aside:  # noqa: PT012 - see above
        aside.write_text("half")
        raise ValueError("no")
    assert _names(tmp_path) == []


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    target = tmp_path / "f"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), written_aside(target):
        pass
    assert target.read_text() == "old"


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    target = tmp_path / "f"
    with written_aside(target) as first:
        first.write_text("first")
        with written_aside(target) as second:
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"
    assert _names(tmp_path) == ["f"]


def _fill(name, content="x"):
    def build(folder: Path) -> str:
        (folder / "sub").mkdir()
        (folder / "sub" / "f").write_text(content)
        return name

    return build


def test_a_directory_is_published_under_the_name_that_it_gives_itself(tmp_path):
    published = publish_directory(tmp_path / "all", _fill("abc"))
    assert published == tmp_path / "all" / "abc"
    assert (published / "sub" / "f").read_text() == "x"
    assert _names(tmp_path / "all") == ["abc"]


def test_a_directory_of_the_same_name_is_kept(tmp_path):
    publish_directory(tmp_path, _fill("abc", "first"))
    inode = (tmp_path / "abc").stat().st_ino
    assert publish_directory(tmp_path, _fill("abc", "second")) == tmp_path / "abc"
    assert (tmp_path / "abc" / "sub" / "f").read_text() == "first"
    assert (tmp_path / "abc").stat().st_ino == inode
    assert _names(tmp_path) == ["abc"]


def test_a_directory_that_another_publishes_meanwhile_is_kept(tmp_path):
    def build(folder):
        _fill("abc", "mine")(folder)
        publish_directory(tmp_path, _fill("abc", "theirs"))
        return "abc"

    assert publish_directory(tmp_path, build) == tmp_path / "abc"
    assert (tmp_path / "abc" / "sub" / "f").read_text() == "theirs"
    assert _names(tmp_path) == ["abc"]


def test_a_directory_that_appears_right_before_the_renaming_is_kept(tmp_path, monkeypatch):
    target = tmp_path / "abc"
    replace = Path.replace

    def raced(self, other):
        target.mkdir()
        (target / "theirs").write_text("x")
        return replace(self, other)

    monkeypatch.setattr(Path, "replace", raced)
    assert publish_directory(tmp_path, _fill("abc")) == target
    assert _names(target) == ["theirs"]
    assert _names(tmp_path) == ["abc"]


def test_a_renaming_that_fails_otherwise_is_an_error(tmp_path, monkeypatch):
    def refuse(_self, _other):
        raise PermissionError("no")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        publish_directory(tmp_path, _fill("abc"))
    assert _names(tmp_path) == []


def test_a_directory_whose_building_fails_is_not_there(tmp_path):
    def build(folder):
        (folder / "half").write_text("x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        publish_directory(tmp_path, build)
    assert _names(tmp_path) == []


def _publish(parent: Path, times: int) -> list[str]:
    return [str(publish_directory(parent, _fill(f"n{i}", "same"))) for i in range(times)]


def test_processes_publish_the_same_content_at_once(tmp_path):
    told = in_processes([(_publish, (tmp_path / "all", 40))] * 3)
    assert told == [[str(tmp_path / "all" / f"n{i}") for i in range(40)]] * 3
    assert _names(tmp_path / "all") == sorted(f"n{i}" for i in range(40))
    assert all((folder / "sub" / "f").read_text() == "same" for folder in (tmp_path / "all").iterdir())


def _leftover(path, *, age_s):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_old_leftovers_go_and_young_ones_and_everything_else_stay(tmp_path):
    old = _leftover(tmp_path / f"f.1234{PARTIAL_SUFFIX}", age_s=LEFTOVER_AGE_S + 60)
    log = _leftover(tmp_path / f"f.1234{PARTIAL_SUFFIX}.wal", age_s=LEFTOVER_AGE_S + 60)
    _leftover(tmp_path / f"g.1234{PARTIAL_SUFFIX}", age_s=60)
    _leftover(tmp_path / "real.txt", age_s=LEFTOVER_AGE_S + 60)
    _leftover(tmp_path / "below" / f"f.1234{PARTIAL_SUFFIX}", age_s=LEFTOVER_AGE_S + 60)
    folder = tmp_path / f"dir{PARTIAL_SUFFIX}"
    _leftover(folder / "f", age_s=LEFTOVER_AGE_S + 60)
    os.utime(folder, (time.time() - LEFTOVER_AGE_S - 60,) * 2)
    assert sorted(remove_leftovers(tmp_path)) == sorted([old, log, folder])
    assert _names(tmp_path) == ["below", f"g.1234{PARTIAL_SUFFIX}", "real.txt"]
    assert _names(tmp_path / "below") == [f"f.1234{PARTIAL_SUFFIX}"]


def test_leftovers_of_one_name_go(tmp_path):
    mine = _leftover(tmp_path / f"a.duckdb.1{PARTIAL_SUFFIX}", age_s=5)
    other = _leftover(tmp_path / f"b.duckdb.1{PARTIAL_SUFFIX}", age_s=5)
    assert remove_leftovers(tmp_path, start="a.duckdb.", older_than_s=0) == [mine]
    assert other.exists()


def test_the_start_of_a_name_is_no_pattern(tmp_path):
    _leftover(tmp_path / f"abc.1{PARTIAL_SUFFIX}", age_s=5)
    assert remove_leftovers(tmp_path, start="a*", older_than_s=0) == []


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path):
    assert remove_leftovers(tmp_path / "nothing") == []


def test_a_leftover_whose_owner_ends_just_now_is_passed_over(tmp_path, monkeypatch):
    gone = tmp_path / f"f{PARTIAL_SUFFIX}"
    stale = _leftover(tmp_path / f"g{PARTIAL_SUFFIX}", age_s=5)
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter([gone, stale]))
    assert remove_leftovers(tmp_path, older_than_s=0) == [stale]


def test_a_link_is_removed_and_not_what_it_points_to(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "f").write_text("x")
    link = tmp_path / f"link{PARTIAL_SUFFIX}"
    link.symlink_to("real")
    atomic._remove(link)
    assert _names(tmp_path) == ["real"]
    assert (tmp_path / "real" / "f").exists()
