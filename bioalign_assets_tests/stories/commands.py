"""Real commands in processes of their own, and what a person sees of them."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from bioalign_assets_tests.micro import Micro

LONGEST_S = 600
"""How long anything is waited for: the machine may have other work."""


def environment(micro: Micro, **more: str) -> dict[str, str]:
    named = {
        "BIOALIGN_STUDY": str(micro.study_file),
        "BIOALIGN_WAREHOUSE": str(micro.root),
        "OMP_NUM_THREADS": "1",
    }
    if micro.settings.ctd_source:
        named["BIOALIGN_CTD_SOURCE"] = micro.settings.ctd_source
    kept = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    return kept | named | more


def bioalign(micro: Micro, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "bioalign_assets.cli", *arguments],
        env=environment(micro, **more), capture_output=True, text=True, timeout=LONGEST_S, check=False,
    )  # fmt: skip


def start(micro: Micro, *arguments: str, hears_interrupt: bool, **streams: Any) -> subprocess.Popen[str]:
    """Start a command in a session of its own.

    :param hears_interrupt: SIGINT, as in a terminal; not where a script starts it in the background. What starts the
        tests may itself be there, so that it must be said both ways
    """
    hears = signal.default_int_handler if hears_interrupt else signal.SIG_IGN
    before = signal.signal(signal.SIGINT, hears)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "bioalign_assets.cli", *arguments],
            env=environment(micro), start_new_session=True, restore_signals=False, text=True, **streams,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)


def is_soon(is_so: Callable[[], object], *, within_s: float = LONGEST_S, every_s: float = 0.05) -> bool:
    """Wait until something is so; return whether it came to be."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def until(is_so: Callable[[], object], *, what: str) -> None:
    """Wait until something is so."""
    assert is_soon(is_so), f"waited in vain for {what}"


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return all processes below one."""
    return psutil.Process(process.pid).children(recursive=True)


def are_gone(processes: list[psutil.Process]) -> bool:
    """Whether processes have ended, after the time that a busy machine may take."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    return not alive


class Terminal:
    """A command in a person's terminal, on which the progress bars are."""

    def __init__(self, micro: Micro, *arguments: str) -> None:
        seen, ours = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._drawn = bytearray()
        self._reader = threading.Thread(target=self._read, args=(seen,), daemon=True)
        self._reader.start()
        self.process = start(micro, *arguments, hears_interrupt=True, stdout=subprocess.PIPE, stderr=ours)
        os.close(ours)

    def _read(self, descriptor: int) -> None:
        with suppress(OSError):  # the other end of a pseudo-terminal was closed
            while block := os.read(descriptor, 4096):
                self._drawn.extend(block)

    def lines_until(self, text: str) -> None:
        """Read what it prints up to a line with some text."""
        for line in self.process.stdout:
            if text in line:
                return
        raise AssertionError(f"it ended without {text!r}: {self.drawn()[-2000:]}")

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit status, the rest of what it printed, and what it drew on the terminal."""
        printed, _ = self.process.communicate(timeout=LONGEST_S)
        return self.process.returncode, printed, self.drawn()

    def drawn(self) -> str:
        self._reader.join(timeout=5)
        return bytes(self._drawn).decode()


@contextmanager
def ending(terminal: Terminal) -> Iterator[Terminal]:
    """Give a command, and kill what is left of it at the end."""
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            for process in [*family(terminal.process), psutil.Process(terminal.process.pid)]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            terminal.process.wait()
