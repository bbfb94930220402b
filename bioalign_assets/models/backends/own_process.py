"""Run a function in a new Python process in which one library is imported before everything else.

The process ends with this one: it reads a pipe that closes when this process is gone, however it went. Its output goes
where this one's goes.
"""

import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

from bioalign_assets.errors import BioAlignError, ModelError

__all__ = ["run_in_own_process"]

_MODULE = "bioalign_assets.models.backends.own_process"


def run_in_own_process(function: str, *, first: str, arguments: dict[str, Any], what: str) -> Any:
    """Return what a function returns in a process of its own.

    :param function: ``module:name``; the module is imported there
    :param first: the library to import first
    :param arguments: keyword arguments; they and the result must be picklable
    :param what: what is done, for error messages
    :raises BioAlignError: what the function raised
    :raises ModelError: if it raised something else, or its process died
    """
    with tempfile.TemporaryDirectory(prefix="bioalign-process-") as scratch:
        given, made = Path(scratch) / "arguments", Path(scratch) / "result"
        given.write_bytes(pickle.dumps(arguments))
        command = [sys.executable, "-m", _MODULE, first, function, str(given), str(made)]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            # Unsloth writes code there that it compiles; by default below the working directory
            "UNSLOTH_COMPILE_LOCATION": str(Path(scratch) / "compiled"),
        }
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
            try:
                status = process.wait()
            finally:
                process.kill()  # nothing if it has ended; otherwise this process was interrupted
        # written by the process that was just started here, into a folder that only this user can read
        outcome, value = pickle.loads(made.read_bytes()) if status == 0 else ("died", status)  # noqa: S301
    if outcome == "result":
        return value
    if outcome == "error" and isinstance(value, BioAlignError):
        raise value
    raise ModelError(
        what,
        found=f"a process that ended with status {value} and said nothing" if outcome == "died"
        else f"an error in the process that {first} ran in: {value}",
        expected="a process that ends with a result",
        remedy="Look at what it printed above; a negative status is a signal (-9: killed, often for want of memory).",
    )  # fmt: skip


def _main(first: str, function: str, given: Path, made: Path) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        importlib.import_module(first)
        module, _, name = function.partition(":")
        call = getattr(importlib.import_module(module), name)
        value = ("result", call(**pickle.loads(given.read_bytes())))  # noqa: S301 - our parent's own arguments
    except BioAlignError as error:
        value = ("error", error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent tells it
        traceback.print_exc()
        value = ("error", f"{type(error).__name__}: {' '.join(str(error).split())}")
    made.write_bytes(pickle.dumps(value))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()  # until the parent's end of the pipe closes
    os._exit(1)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # as the command line: libraries are torn down in an order that prints pages
