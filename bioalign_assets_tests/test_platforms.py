"""Linux and macOS; elsewhere a paragraph says so, before anything is imported that is not there."""

import subprocess
import sys

import pytest

from bioalign_assets import cli

_LACKING_ON_WINDOWS = ("fcntl", "resource", "termios", "pwd", "grp")


@pytest.mark.parametrize("arguments", [["status"], ["demo"], ["doctor"], []])
def test_windows_is_refused_in_words_whatever_is_asked(monkeypatch, capsys, arguments):
    monkeypatch.setattr("platform.system", lambda: "Windows")
    monkeypatch.setattr(sys, "argv", ["bioalign", *arguments])
    assert cli._run() == 1
    told = capsys.readouterr().err
    assert "found Windows, expected Linux or macOS" in told
    assert "Subsystem for Linux" in told
    assert "Traceback" not in told


def test_the_command_line_starts_without_what_windows_lacks():
    code = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        f"sys.modules.update(dict.fromkeys({_LACKING_ON_WINDOWS}))\n"
        "import bioalign_assets.cli"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
