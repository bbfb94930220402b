"""What the tests cost: wall and processor seconds of each room, and the tests that take the most.

A pytest plugin (``addopts`` names it). Processor seconds are those of the process that runs a test and of the processes
that it started and waited for: unlike wall seconds, other work on the machine moves them little.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

_SLOWEST = 20
_COST = "processor_seconds"
_Cost = tuple[float, float]


def _processor_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _room(nodeid: str) -> str:
    parts = nodeid.split("::", maxsplit=1)[0].split("/")[1:]
    return parts[0] if len(parts) > 1 else "(above the rooms)"


class Costs:
    """Adds up what tests cost, in whichever of the workers they ran."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.mark = _processor_seconds()
        self.tests: dict[str, _Cost] = defaultdict(lambda: (0.0, 0.0))
        self.workers = 0.0

    def pytest_runtest_logstart(self) -> None:
        self.mark = _processor_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        """Write the processor seconds of a phase of a test into its report, which finds its way to the controller."""
        report = yield
        now = _processor_seconds()
        report.user_properties = [(_COST, now - self.mark)]
        self.mark = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        wall, processor = self.tests[report.nodeid]
        spent = sum(value for name, value in report.user_properties if name == _COST)
        self.tests[report.nodeid] = (wall + report.duration, processor + spent)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker spent in all, collecting and importing too."""
        self.workers += getattr(node, "workeroutput", {}).get(_COST, 0.0)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_COST] = _processor_seconds()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        rooms: dict[str, list[_Cost]] = defaultdict(list)
        for nodeid, cost in self.tests.items():
            rooms[_room(nodeid)].append(cost)
        write = terminalreporter.write_line
        terminalreporter.section("what the tests cost")
        write(f"{'room':28}{'tests':>7}{'wall s':>10}{'processor s':>13}")
        for room, costs in sorted(rooms.items(), key=lambda found: -sum(cost[1] for cost in found[1])):
            wall, processor = (sum(column) for column in zip(*costs, strict=True))
            write(f"{room:28}{len(costs):7}{wall:10.1f}{processor:13.1f}")
        processor = sum(cost[1] for cost in self.tests.values())
        own = os.times()  # of workers that have ended the system counts the time as this process's too
        whole = own.user + own.system + self.workers if self.workers else _processor_seconds()
        write(f"{'starting and collecting':28}{'':7}{'':10}{whole - processor:13.1f}")
        wall = time.perf_counter() - self.began
        write(f"{'all, from beginning to end':28}{len(self.tests):7}{wall:10.1f}{whole:13.1f}")
        write("")
        write(f"the {_SLOWEST} slowest tests       wall s  processor s")
        slowest = sorted(self.tests.items(), key=lambda found: -max(found[1]))[:_SLOWEST]
        for nodeid, (wall, processor) in slowest:
            write(f"{wall:30.1f}{processor:13.1f}  {nodeid}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Costs(), "costs")
