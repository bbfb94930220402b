"""Functions for another process to run."""

import os
import signal
import sys
import time
from pathlib import Path

from bioalign_assets.errors import StudyError
from bioalign_assets.models.backends.own_process import run_in_own_process


def add(*, a, b):
    return a + b, os.getpid(), [name for name in ("transformers", "torch") if name in sys.modules]


def refuse():
    raise StudyError("A key", found="this", expected="that", remedy="Mend it.")


def stumble():
    raise ZeroDivisionError("by zero")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def linger(*, sign):
    Path(sign).write_text(str(os.getpid()))
    while True:
        time.sleep(60)


if __name__ == "__main__":  # a parent that a test kills
    run_in_own_process(
        "bioalign_assets_tests.models.elsewhere:linger",
        first="json",
        arguments={"sign": sys.argv[1]},
        what="x",
    )
