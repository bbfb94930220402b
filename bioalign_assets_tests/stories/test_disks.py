"""A warehouse on a disk that is read-only or full, by the real commands: told in one paragraph, nothing lost.

The disks are mounted in a namespace of the command's own, which goes with it.
"""

import re
import shutil
import subprocess
import sys

import pytest

from bioalign_assets_tests.micro import Micro, whole_micro
from bioalign_assets_tests.stories.commands import LONGEST_S, bioalign, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
SMALL = 'mount -t tmpfs -o size={size}m tmpfs "$1" && shift && exec "$@"'


def on_disk(disk, micro, *arguments):
    """Run a command that has another disk in the place of the folder above the warehouse, or of the warehouse."""
    place = micro.root if disk == READ_ONLY else micro.root.parent
    command = [sys.executable, "-m", "bioalign_assets.cli"]
    if isinstance(arguments[0], str):
        run = [*command, *arguments]
    else:
        run = ["sh", "-c", "; ".join(" ".join((*command, *one)) for one in arguments)]
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", disk, "sh", str(place), *run],
        env=environment(micro), capture_output=True, text=True, timeout=LONGEST_S, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _disks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    command = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        SMALL.format(size=1),
        "sh",
        str(folder),
        "true",
    ]
    if (
        shutil.which("unshare") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("this system lets nobody mount a disk in a namespace of its own")


@pytest.fixture(scope="module")
def micro(tmp_path_factory):
    return whole_micro().copy(tmp_path_factory.mktemp("micro"))


def test_a_warehouse_that_can_only_be_read_is_read(micro):
    for command in (("status",), ("leaderboard",), ("report",), ("sql", "FROM catalogued")):
        writable, readable = bioalign(micro, *command), on_disk(READ_ONLY, micro, *command)
        assert (readable.returncode, readable.stdout, readable.stderr) == (0, writable.stdout, "")


def test_what_would_write_there_says_why_it_can_not(micro):
    for command in (
        ("refresh", "--no-training"),
        ("demo",),
        ("init",),
        ("vacuum", "--older-than-hours", "0"),
        ("dev",),
    ):
        told = on_disk(READ_ONLY, micro, *command)
        assert told.returncode == 1, command
        assert "Traceback" not in told.stderr
        assert re.search(
            rf"{micro.root}\S*: found what can't be read or written \(Read-only file system\)", told.stderr
        )
    told = on_disk(READ_ONLY, micro, "doctor")
    assert told.returncode == 1
    assert "can't be written (Read-only file system)" in " ".join(told.stdout.split())
    assert bioalign(micro, "run").stdout.endswith("Everything that was built is fresh.\n")


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_disk_that_fills_up_ends_the_study_in_one_paragraph(tmp_path, at_once):
    (tmp_path / "disk").mkdir()
    house = Micro(tmp_path / "disk")
    study = tmp_path / "study.toml"
    house.study_file.rename(study)  # the disk lies over its folder
    house.study_file = study
    told = on_disk(
        SMALL.format(size=8), house, ("doctor", "--json"), ("demo", "--at-once", str(at_once)), ("status",)
    )
    printed = " ".join(told.stdout.split())
    assert re.search(r"\d MB free in \S+; the study needs about 0\.\d GB more", printed)
    assert '"can_run": false' in printed
    assert told.stderr.count("found a full disk") == 1
    assert "Traceback" not in told.stdout + told.stderr
    assert "made" in printed  # some of it
    assert re.search(r"\d+ fresh, \d+ stale, \d+ missing", printed)
    assert told.returncode == 0  # of status
