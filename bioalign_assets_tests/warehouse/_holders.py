"""Processes that hold a run; this module imports little, so that they start fast."""

import multiprocessing
import time

from bioalign_assets.warehouse import at_work

SPAWN = multiprocessing.get_context("spawn")


def _hold_and_wait(folder, run, part, told):
    at_work.hold(folder, run, part=part)
    told.set()
    time.sleep(600)


def start_holder(folder, run, part):
    """Return a process that holds a run until it is killed."""
    told = SPAWN.Event()
    process = SPAWN.Process(target=_hold_and_wait, args=(folder, run, part, told))
    process.start()
    assert told.wait(60)
    return process


def kill(process):
    process.kill()
    process.join()
