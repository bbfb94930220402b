"""Times two ways of doing the same work side by side, so that a benchmark says by how much ours is faster.

Every benchmark of this folder ends with the line that ``side_by_side`` prints last: ``ratio <number>``, the
median time of the other way over the median time of ours; above 1 ours is faster.
"""

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

__all__ = ["machine", "ratio_of", "side_by_side"]


def machine() -> str:
    """Return one line on what this runs on: processor, cores, operating system, Python."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = models[0].partition(":")[2].strip() if models else processor
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def side_by_side(
    ours: Callable[[], object],
    other: Callable[[], object],
    *,
    names: tuple[str, str] = ("ours", "other"),
    repeats: int = 5,
) -> float:
    """Time both alternately, print a table of min, median and max in milliseconds, then ``ratio <number>``.

    Alternating lets a slow spell of the machine hit both. One call of each goes before and is not counted.

    :param repeats: timed calls of each
    :param names: what the table calls ours and the other
    :return: median of the other over median of ours
    :raises ValueError: if nothing is to be timed
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for call, times in zip((ours, other), seconds, strict=True):
            start = perf_counter()
            call()
            elapsed = perf_counter() - start
            if turn:
                times.append(elapsed)
    ratio = ratio_of(*seconds, names=names)
    print(f"ratio {ratio:.3f}")
    return ratio


def ratio_of(ours: Sequence[float], other: Sequence[float], *, names: tuple[str, str]) -> float:
    """Print a table of min, median and max in milliseconds; return the median of the other over that of ours.

    :param ours: seconds of n turns
    :param other: of the other, in the same turns
    """
    width = max(len(name) for name in names)
    print(f"{'':{width}}  {'min ms':>12}  {'median ms':>12}  {'max ms':>12}  ({len(ours)} each)")
    for name, times in zip(names, (ours, other), strict=True):
        figures = "  ".join(f"{1000 * value:12.3f}" for value in (min(times), median(times), max(times)))
        print(f"{name:{width}}  {figures}")
    return median(other) / median(ours)
