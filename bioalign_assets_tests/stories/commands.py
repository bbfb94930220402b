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


def until(is_so: Callable[[], object], *, what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + LONGEST_S
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return all processes below one."""
    return psutil.Process(process.pid).children(recursive=True)


def are_gone(processes: list[psutil.Process]) -> bool:
    """Whether processes have ended, after the time that a busy machine may take."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    return not alive


class Terminal:
    """A command in a person's terminal, on which the progress bars are.

    :param in_background: as a script starts it: such a process, and what it starts, does not hear of SIGINT
    """

    def __init__(self, micro: Micro, *arguments: str, in_background: bool = False) -> None:
        seen, ours = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._drawn = bytearray()
        self._reader = threading.Thread(target=self._read, args=(seen,), daemon=True)
        self._reader.start()
        # what starts the tests may itself be in the background
        hears = signal.SIG_IGN if in_background else signal.default_int_handler
        before = signal.signal(signal.SIGINT, hears)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bioalign_assets.cli", *arguments],
                env=environment(micro), stdout=subprocess.PIPE, stderr=ours, text=True, start_new_session=True,
                restore_signals=False,
            )  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, before)
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
