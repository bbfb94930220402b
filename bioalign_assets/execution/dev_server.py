"""``bioalign dev``: Dagster's UI, daemon and code server as one family of processes, which ends when it is told to."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import dagster as dg

from bioalign_assets.execution.killed_runs import mend_killed_runs
from bioalign_assets.settings import PROJECT_ROOT

__all__ = ["serve", "workspace_file"]

_WORKSPACE = """\
load_from:
  - python_module:
      module_name: bioalign_assets.definitions
      location_name: bioalign
"""

_TO_END_S = 4.0
"""How long the family may take to end by itself; containers give ten seconds in all."""
_TO_RECORD_S = 2.0
"""How long runs under way may take to record their end."""


@contextmanager
def workspace_file() -> Iterator[Path]:
    """Give the file that tells Dagster where our definitions are: the checkout's, which its owner may have changed.

    An installed package has none beside it; then one is written that says the same, and goes at the end of the block.
    """
    own = PROJECT_ROOT / "workspace.yaml"
    if own.is_file():
        yield own
        return
    with tempfile.TemporaryDirectory(prefix="bioalign-workspace-") as folder:
        made = Path(folder) / own.name
        made.write_text(_WORKSPACE, encoding="utf-8")
        yield made


def serve(arguments: Sequence[str], *, environment: Mapping[str, str], instance: dg.DagsterInstance) -> int:
    """Run ``dagster dev`` until it ends or this process is told to (SIGTERM, SIGINT); return the exit status.

    Everything that it started ends with it, and runs that were under way are recorded as ended.

    :param arguments: of ``dagster dev``
    :param environment: of its processes
    """
    told: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        told.append(number)

    # a handler also where a script started this in the background and had SIGINT ignored: what this process starts
    # inherits that, and would hear of no end
    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        command = [sys.executable, "-m", "dagster", "dev", *arguments]
        process = subprocess.Popen(command, env=dict(environment), start_new_session=True)
        while process.poll() is None and not told:
            time.sleep(0.1)
        if not told:
            return process.returncode or 0
        _end(process)
        mend_killed_runs(instance)
        return 128 + told[0]
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group: first as a person would, then by force."""
    group = process.pid  # it leads a session of its own
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)  # run workers and steps record how they ended
    for number, patience in (
        (signal.SIGINT, _TO_RECORD_S),
        (signal.SIGTERM, _TO_END_S),
        (signal.SIGKILL, 0.0),
    ):
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
        with suppress(ProcessLookupError):
            os.killpg(group, number)
    process.wait()
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
