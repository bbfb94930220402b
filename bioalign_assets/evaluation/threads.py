"""One thread for the numerical libraries, where bytes must repeat.

Sums over several threads can end in another order on another machine, and the figures' bytes are their data
version. It also saves time: Dagster runs several processes on a machine, and OpenMP's threads spin while they
wait for a busy core (measured on 2 cores beside two busy processes: gradient boosting of 2,400 rows took 0.9
to 5 s with two threads, 0.15 s with one).
"""

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which OpenMP and BLAS use one thread, in this process."""
    return threadpool_limits(limits=1)
