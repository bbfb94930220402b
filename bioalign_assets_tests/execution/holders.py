"""What holds a run: a process that can be killed, or a lock that stands for one."""

import fcntl
import multiprocessing
import os
import time
import uuid

from bioalign_assets.execution import marks

SPAWN = multiprocessing.get_context("spawn")


def _hold_and_wait(folder, run, part, told):
    marks.hold(folder, run, part=part)
    told.set()
    time.sleep(600)


def start_holder(folder, run, part):
    """Return a process that holds a run until it is killed."""
    told = SPAWN.Event()
    process = SPAWN.Process(target=_hold_and_wait, args=(folder, run, part, told))
    process.start()
    assert told.wait(120)
    return process


def kill(process):
    process.kill()
    process.join()


class Holder:
    """Stands for a process that holds a run: the kernel takes a file opened twice for two holders.

    That a lock ends with its process, however it ends, is held by ``test_marks.py``.
    """

    def __init__(self, folder, run, part):
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / f"{run}.{part}.1-{uuid.uuid4().hex[:8]}", os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.is_alive = True

    def kill(self):
        if self.is_alive:
            self.is_alive = False
            os.close(self._lock)
