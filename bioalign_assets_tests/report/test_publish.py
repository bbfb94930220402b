"""The page on disk, and the command that tells where it lies."""

import hashlib

import pytest
from click.testing import CliRunner

from bioalign_assets import cli
from bioalign_assets.errors import BioAlignError
from bioalign_assets.report.publish import newest_page, publish


def test_a_page_lies_under_its_hash_and_under_a_name_that_stays(tmp_path):
    done = publish("<p>é</p>", root=tmp_path)
    content = "<p>é</p>".encode()
    assert done.sha256 == hashlib.sha256(content).hexdigest()
    assert done.path == f"report/{done.sha256}/study.html"
    assert done.bytes == len(content)
    assert (tmp_path / done.path).read_bytes() == newest_page(tmp_path).read_bytes() == content


def test_another_page_takes_the_name_and_leaves_the_first(tmp_path):
    first, second = publish("one", root=tmp_path), publish("two", root=tmp_path)
    assert newest_page(tmp_path).read_text() == "two"
    assert (tmp_path / first.path).read_text() == "one"
    assert publish("one", root=tmp_path) == first
    assert newest_page(tmp_path).read_text() == "one"
    assert (tmp_path / second.path).is_file()


def test_a_write_that_fails_leaves_the_page_as_it_was(tmp_path, monkeypatch):
    publish("one", root=tmp_path)

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("bioalign_assets.report.publish.shutil.copyfile", fail)
    with pytest.raises(OSError, match="no space"):
        publish("two", root=tmp_path)
    assert newest_page(tmp_path).read_text() == "one"
    assert list((tmp_path / "report").glob("*.partial")) == []


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOALIGN_WAREHOUSE", str(tmp_path))
    return lambda *arguments: CliRunner().invoke(cli.cli, ["report", *arguments])


def test_the_command_prints_the_path_of_the_page(run, tmp_path):
    publish("one", root=tmp_path)
    done = run()
    assert (done.exit_code, done.output.strip()) == (0, str(tmp_path / "report" / "study.html"))


def test_without_a_page_the_command_says_what_to_do(run):
    done = run()
    assert isinstance(done.exception, BioAlignError)
    assert "bioalign demo" in str(done.exception)


@pytest.mark.parametrize("has_browser", [True, False])
def test_the_page_is_opened_where_there_is_a_browser(run, tmp_path, monkeypatch, has_browser):
    publish("one", root=tmp_path)
    opened = []
    monkeypatch.setattr(cli.webbrowser, "open", lambda url: opened.append(url) or has_browser)
    done = run("--open")
    assert opened == [newest_page(tmp_path).as_uri()]
    assert str(newest_page(tmp_path)) in done.output
    if not has_browser:
        assert isinstance(done.exception, BioAlignError)
        assert "no browser" in str(done.exception)
