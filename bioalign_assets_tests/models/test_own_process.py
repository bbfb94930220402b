"""A process of its own: what it returns, what it raises, and that it ends with its parent."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from bioalign_assets.errors import ModelError, StudyError
from bioalign_assets.models.backends.own_process import run_in_own_process

HERE = "bioalign_assets_tests.models.elsewhere"


def run(name, **arguments):
    return run_in_own_process(f"{HERE}:{name}", first="json", arguments=arguments, what="The work")


def test_returns_what_the_function_returns_and_imports_nothing_before_the_first():
    total, pid, loaded = run("add", a=[1], b=[2])
    assert total == [1, 2]
    assert pid != os.getpid()
    assert loaded == []


def test_errors_of_ours_come_through_and_others_are_told(capfd):
    with pytest.raises(StudyError, match="A key: found this, expected that. Mend it."):
        run("refuse")
    with pytest.raises(
        ModelError, match="The work: found an error in the process that json ran in: ZeroDivisionError"
    ):
        run("stumble")
    assert "Traceback" in capfd.readouterr().err
    with pytest.raises(ModelError, match="ended with status -9"):
        run("die")
    with pytest.raises(ModelError, match="No module named 'no_such_library'"):
        run_in_own_process(f"{HERE}:add", first="no_such_library", arguments={}, what="x")


def test_ends_with_its_parent(tmp_path):
    sign = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-m", HERE, str(sign)])
    while not (sign.exists() and sign.read_text()):
        assert parent.poll() is None
        time.sleep(0.02)
    pid = int(sign.read_text())
    parent.kill()
    parent.wait()
    while is_running(pid):
        time.sleep(0.02)


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
