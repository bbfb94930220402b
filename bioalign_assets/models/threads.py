"""How many CPU threads the numerical libraries and a model may use: one, where bytes must repeat.

Sums over several threads can end in another order on another machine, and the figures' bytes are their data
version. It also saves time: Dagster runs several processes on a machine, and OpenMP's threads spin while they
wait for a busy core (measured on 2 cores beside two busy processes: gradient boosting of 2,400 rows took 0.9
to 5 s with two threads, 0.15 s with one).
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

from bioalign_assets.study.models import ModelSpec

__all__ = ["cores", "in_threads", "one_thread", "one_torch_thread", "reproducible_threads"]

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

_found: dict[int, ThreadpoolController] = {}
"""The libraries with threads that are loaded, by the number of modules then: another one comes by an import."""


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which OpenMP and BLAS use one thread, in this process."""
    # to look for them takes 10 ms, and a baseline that ranks candidates asks a thousand times
    modules = len(sys.modules)
    controller = _found.get(modules)
    if controller is None:
        controller = ThreadpoolController()
        _found.clear()
        _found[modules] = controller
    return controller.limit(limits=1)


def cores() -> int:
    """Return how many cores this process may use."""
    # macOS does not say which these are
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(work: Callable[[_Item], _Made], items: Iterable[_Item]) -> list[_Made]:
    """Return what is made of each item, in order, with as many at once as this process has cores (8 at most).

    Each item is worked on by one thread, so the bytes are those of one core; what it calls must leave Python's lock
    for most of its time, as numpy and scipy do.
    """
    with ThreadPoolExecutor(min(cores(), 8)) as threads:
        return list(threads.map(work, items))


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread in this process, and as many as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def reproducible_threads(spec: ModelSpec) -> AbstractContextManager[None]:
    """Run a tiny model in one thread, a published one in as many as torch takes.

    In one thread a tiny model has the same weights and figures on two cores as on sixty-four, and two runs side by
    side don't slow each other down.
    """
    return nullcontext() if spec.tiny is None else one_torch_thread()
