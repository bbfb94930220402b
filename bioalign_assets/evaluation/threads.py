"""One thread for the numerical libraries, where bytes must repeat.

Sums over several threads can end in another order on another machine, and the figures' bytes are their data
version. It also saves time: Dagster runs several processes on a machine, and OpenMP's threads spin while they
wait for a busy core (measured on 2 cores beside two busy processes: gradient boosting of 2,400 rows took 0.9
to 5 s with two threads, 0.15 s with one).
"""

import sys
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

__all__ = ["one_thread"]

_found: dict[int, ThreadpoolController] = {}
"""The libraries with threads that are loaded, by the number of modules then: another one comes by an import."""


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which OpenMP and BLAS use one thread, in this process."""
    # to look for them takes 10 ms, and a baseline that ranks candidates asks a thousand times
    if len(sys.modules) not in _found:
        _found.clear()
        _found[len(sys.modules)] = ThreadpoolController()
    return _found[len(sys.modules)].limit(limits=1)
