"""A micro study, run once for all tests that only look at it, and commands over it."""

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from bioalign_assets import cli
from bioalign_assets_tests.micro import Micro, whole_micro


class Told(NamedTuple):
    """What a command told."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def micro() -> Micro:
    """A micro study that has run whole. Tests don't change it: they ``copy`` it."""
    return whole_micro()


@pytest.fixture
def bioalign(micro, monkeypatch, capsys) -> Callable[..., Told]:
    """Return what runs a command over the micro study in this process: to start another takes longer than most do."""

    def run(*arguments: str, typed: str = "") -> Told:
        monkeypatch.setenv("BIOALIGN_STUDY", str(micro.study_file))
        monkeypatch.setenv("BIOALIGN_WAREHOUSE", str(micro.root))
        monkeypatch.setattr(sys, "argv", ["bioalign", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        status = cli._run()
        return Told(status, *capsys.readouterr())

    return run
