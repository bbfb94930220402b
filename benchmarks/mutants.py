"""How many small faults in the code its tests notice: a share of mutants killed for each room.

A mutant is the code with one fault put in: a comparison turned or its bound shifted, arithmetic swapped, ``and`` for
``or``, ``not`` dropped, a number or a truth value changed (defaults of arguments too), a condition negated, a result
left out. Text, annotations, error messages, logging and what only a type checker reads stay as they are. Of all the
places in a room the same ones are drawn for a seed, spread over its files by their number; unchanged code gives the
same mutants in another tree, so that two trees can be compared mutant by mutant (``--before``).

First the room's tests run once, file by file, under coverage, in their processes too; then each mutant meets the
tests that execute its lines (all tests of a file that imports it, where the line runs at import), and is killed by the
first that fails, or by taking far longer than without it. A mutant whose lines no test executes survives unseen. Tests
marked slow are left out, but for the walker's, whose promises are about processes.

What it doesn't measure: faults that take more than one change, tests of other rooms, and how right a test is that
fails for the wrong reason. Some mutants are no faults (a progress bar's width), so that 100% is no aim: the survivors
are there to be read. Run ``python -m benchmarks.mutants``; the tree itself is copied, never written to.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import coverage
import psutil
import pytest

from benchmarks.faults import Mutant, mutants_of, sample
from benchmarks.side_by_side import machine

__all__ = ["main"]

ROOMS = ("evaluation", "curation", "training", "inference", "warehouse", "walker")
CODE, TESTS = "bioalign_assets", "bioalign_assets_tests"
WALKER = (
    [f"{CODE}/execution", f"{CODE}/freshness"],
    [f"{TESTS}/execution", f"{TESTS}/freshness"],
)
WALKER_BEFORE = (
    [f"{CODE}/demo.py", f"{CODE}/at_once.py", f"{CODE}/running.py", f"{CODE}/automation/refresh.py"],
    [f"{TESTS}/test_plan.py", f"{TESTS}/test_at_once.py", f"{TESTS}/automation/test_refresh.py"],
)
"""Where the walker and its tests were in trees that don't have these rooms yet."""
WARM = (
    "torch", "transformers.trainer", "transformers.models.llama.modeling_llama",
    "transformers.models.mistral.modeling_mistral", "transformers.models.phi3.modeling_phi3",
    "transformers.integrations.bitsandbytes", "peft.tuners.lora.bnb", "trl.trainer.sft_trainer", "datasets",
    "sklearn.linear_model", "sklearn.manifold", "sklearn.ensemble", "scipy.stats", "pandas", "matplotlib.pyplot",
    "duckdb", "deltalake", "pyarrow.parquet", "pyarrow.compute", "dagster", "httpx", "jinja2", "rich", "hypothesis",
)  # fmt: skip
"""What the tests import that is not under test: once, before the processes of the mutants fork off."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """Code, and the tests that answer for it: files from the root of the tree."""

    name: str
    code: list[str]
    tests: list[str]
    slow: bool

    @classmethod
    def of(cls, name: str, *, tree: Path, slow: bool) -> "Room":
        """Find a room in a tree."""
        code, tests = [f"{CODE}/{name}"], [f"{TESTS}/{name}"]
        if name == "walker":
            slow = True
            code, tests = WALKER if (tree / WALKER[0][0]).is_dir() else WALKER_BEFORE
        code, tests = _files(code, tree=tree, pattern="*.py"), _files(tests, tree=tree, pattern="test_*.py")
        return cls(name=name, slow=slow, code=code, tests=tests)


def _files(places: Iterable[str], *, tree: Path, pattern: str) -> list[str]:
    found: list[Path] = []
    for place in places:
        found += sorted((tree / place).rglob(pattern)) if (tree / place).is_dir() else [tree / place]
    return [str(path.relative_to(tree)) for path in found]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What one file of tests did without a fault."""

    file: str
    wall_s: float
    seconds: dict[str, float]
    """Of each test that passed; the cases of a parametrised one together"""
    executed: dict[str, dict[int, set[str]]]
    """By file of the code and line: the tests that execute it; an empty name where none can be told"""

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Return the tests that execute a mutant, of which any may notice it."""
        first, last = mutant.lines
        by_line = self.executed.get(mutant.file, {})
        names = set[str]().union(*(by_line.get(line, set()) for line in range(first, last + 1)))
        # code of an import is executed in whatever test imports first
        if "" in names or (names and mutant.at_import):
            return list(self.seconds)
        return [name for name in self.seconds if name in names]


def _test(nodeid: str) -> str:
    """Return the name of a test without its case: a fault may change the names of cases."""
    return nodeid.partition("[")[0]


class _Watch:
    """Pytest plugin: tells coverage which test is running, and notes how long it took."""

    def __init__(self, cover: coverage.Coverage) -> None:
        self.cover = cover
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()
        self.fixtures: dict[str, set[str]] = {}
        self._context = ""

    @contextmanager
    def _within(self, context: str) -> Iterator[None]:
        outer, self._context = self._context, context
        self.cover.switch_context(context)
        yield
        self._context = outer
        self.cover.switch_context(outer)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            self.fixtures.setdefault(_test(item.nodeid), set()).update(getattr(item, "fixturenames", ()))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        with self._within(_test(item.nodeid)):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        with self._within(f"fixture {fixturedef.argname}"):  # for all tests that use it, not only the first
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[_test(report.nodeid)] += report.duration
        if report.failed:
            self.failed.add(_test(report.nodeid))

    def executed(self, root: Path, *, others: Iterable[Path]) -> dict[str, dict[int, list[str]]]:
        """Return the tests that executed each line of each file; ``others`` are the data of other processes."""
        users: dict[str, list[str]] = defaultdict(list)
        for test, names in self.fixtures.items():
            for name in names:
                users[f"fixture {name}"].append(test)
        found: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        data = self.cover.get_data()
        for file in data.measured_files():
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    found[str(Path(file).relative_to(root))][line] += users.get(context, [context])
        for other in others:
            data = coverage.CoverageData(basename=str(other))
            data.read()
            for file in data.measured_files():
                for line in data.lines(file) or ():
                    found[str(Path(file).relative_to(root))][line].append("")
        return found


class _Only:
    """Pytest plugin: leaves only some tests, in the order given, and says until when each may take."""

    def __init__(self, limits_s: Mapping[str, float], *, deadline: Any) -> None:
        self._limits_s = limits_s
        self._places = {test: place for place, test in enumerate(limits_s)}
        self._deadline = deadline

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        wanted = [item for item in items if _test(item.nodeid) in self._places]
        items[:] = sorted(wanted, key=lambda item: self._places[_test(item.nodeid)])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._deadline.value = perf_counter() + self._limits_s[_test(nodeid)]


class Workshop:
    """A copy of a tree in which the tests run, each time in a process forked off this one."""

    def __init__(self, tree: Path, *, folder: Path) -> None:
        self.root = folder / "tree"
        self._folder = folder
        self._log = folder / "log"
        self._deadline = multiprocessing.RawValue("d")  # on the clock of perf_counter, which processes share
        made = (".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "data_warehouse")
        shutil.copytree(tree, self.root, ignore=shutil.ignore_patterns(*made))
        if (tree.parent / "shared").is_dir():  # real data, which tests look for beside the tree
            (folder / "shared").symlink_to(tree.parent / "shared")

    def _in_child(self, call: Callable[[], int], *, limit_s: float) -> tuple[int | None, float]:
        """Return the exit status and seconds of a call in a process of its own; None if it took too long."""
        (self._folder / "tmp").mkdir()
        started = perf_counter()
        self._deadline.value = started + limit_s
        child = multiprocessing.get_context("fork").Process(target=self._child, args=(call,))
        child.start()
        try:
            while child.is_alive() and perf_counter() < self._deadline.value:
                child.join(0.5)
            status = child.exitcode
        finally:
            child.kill()
            child.join()
            self._end_left_over()
            shutil.rmtree(self._folder / "tmp", ignore_errors=True)
        return status, perf_counter() - started

    def _child(self, call: Callable[[], int]) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with self._log.open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        own = {CODE, TESTS, "benchmarks"}
        for name in [name for name in sys.modules if name.partition(".")[0] in own]:
            del sys.modules[name]
        sys.modules["__main__"] = ModuleType("__main__")  # for processes that tests start: not this one
        sys.path[:] = [str(self.root), *(place for place in sys.path if place not in {"", str(Path.cwd())})]
        os.chdir(self.root)
        tempfile.tempdir = None
        os.environ |= {
            "PYTHONPATH": str(self.root), "MUTANTS_OF": str(self._folder),
            "TMPDIR": str(self._folder / "tmp"), "XDG_CACHE_HOME": str(self._folder / "cache"),
        }  # fmt: skip
        os._exit(call())

    def _end_left_over(self) -> None:
        """End the processes that a test has started and left, which a killed one always does."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("MUTANTS_OF") == str(self._folder):
                    process.kill()

    def _pytest(self, files: Iterable[str], *, room: Room, plugin: object, more: Sequence[str] = ()) -> int:
        arguments = [*files, *more, "-q", "-o", "addopts=", "-p", "no:xdist"]
        arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning", "--rootdir", str(self.root)]
        return int(pytest.main(arguments + ([] if room.slow else ["-m", "not slow"]), plugins=[plugin]))

    def watch(self, file: str, *, room: Room) -> Watched | None:
        """Run a file of tests without a fault, under coverage; None if it has no test to run."""
        folder, told = self._folder / "coverage", self._folder / "watched.json"
        folder.mkdir()
        settings = folder / "settings"  # of coverage in the processes that tests start
        settings.write_text(
            f"[run]\nparallel = true\ndata_file = {folder / 'data'}\nsource = {self.root / CODE}\n"
            "patch = _exit, fork\ndisable_warnings = no-data-collected, module-not-imported\n"
        )

        def run() -> int:
            sys.dont_write_bytecode = False
            os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
            os.environ["COVERAGE_PROCESS_START"] = str(settings)
            cover = coverage.Coverage(data_file=None, source=[str(self.root / CODE)], config_file=False)
            watch = _Watch(cover)
            cover.start()
            status = self._pytest([file], room=room, plugin=watch)
            cover.stop()
            executed = watch.executed(self.root, others=folder.glob("data.*"))
            seconds = {test: s for test, s in watch.seconds.items() if test not in watch.failed}
            told.write_text(json.dumps({"executed": executed, "seconds": seconds, "failed": [*watch.failed]}))
            return status

        status, wall_s = self._in_child(run, limit_s=1800)
        shutil.rmtree(folder)
        if status == pytest.ExitCode.NO_TESTS_COLLECTED:
            return None
        if status not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
            raise SystemExit(f"{file} can't be run without a fault:\n{self._log.read_text()}")
        found = json.loads(told.read_text())
        for test in found["failed"]:
            print(f"left out, fails without a fault: {test}", flush=True)
        executed = {
            code: {int(line): set(tests) for line, tests in lines.items()}
            for code, lines in found["executed"].items()
        }
        return Watched(file=file, wall_s=wall_s, seconds=found["seconds"], executed=executed)

    def _meet(self, limits_s: Mapping[str, float], *, room: Room) -> tuple[int | None, float]:
        """Run some tests up to the first that fails; return as ``_in_child``."""

        def run() -> int:
            sys.dont_write_bytecode = True
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
            files = dict.fromkeys(test.partition("::")[0] for test in limits_s)
            only = _Only(limits_s, deadline=self._deadline)
            return self._pytest(files, room=room, plugin=only, more=["-x"])

        return self._in_child(run, limit_s=120)  # until the first test starts

    def control(self, watched: Sequence[Watched], *, room: Room) -> None:
        """Run all tests as mutants will meet them, but without a fault.

        :raises SystemExit: if one fails, as it would for any mutant
        """
        status, _ = self._meet(_limits_s(watched), room=room)
        if status != pytest.ExitCode.OK:
            raise SystemExit(f"{room.name}: its tests fail without a fault:\n{self._log.read_text()}")

    def verdict(self, mutant: Mutant, *, room: Room, watched: Sequence[Watched]) -> tuple[str, float]:
        """Return what became of a mutant (killed, survived, timed out, not run), and the seconds it took."""
        limits_s = _limits_s(watched, mutant=mutant)
        if not limits_s:
            return "not run", 0.0
        path = self.root / mutant.file
        source, times = path.read_bytes(), path.stat()
        path.write_bytes(mutant.applied(source))
        # not the time that the compiled file notes, or that would still be taken for it
        os.utime(path, (times.st_atime, times.st_mtime + 60))
        status, seconds = self._meet(limits_s, room=room)
        path.write_bytes(source)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        if status is None:
            return "timed out", seconds
        has_survived = status in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
        return "survived" if has_survived else "killed", seconds


def _limits_s(watched: Sequence[Watched], *, mutant: Mutant | None = None) -> dict[str, float]:
    """Return the tests that a mutant has to meet, all without one, and how long each may take; quick files first."""
    limits_s: dict[str, float] = {}
    for of in sorted(watched, key=lambda of: of.wall_s):
        # the first of a file that runs makes what others made; a busy machine may take some times as long
        limit_s = 30 + 3 * max(of.seconds.values(), default=0)
        limits_s |= dict.fromkeys(of.seconds if mutant is None else of.tests_of(mutant), limit_s)
    return limits_s


def measure(room: Room, *, workshop: Workshop, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Give the mutants of a room that were drawn, each with its verdict and seconds; print one a line."""
    started = perf_counter()
    watched = [found for file in room.tests if (found := workshop.watch(file, room=room)) is not None]
    workshop.control(watched, room=room)
    tests = sum(len(of.seconds) for of in watched)
    print(f"{room.name}: {tests} tests, {perf_counter() - started:.0f} s", flush=True)
    mutants = [
        mutant
        for file in room.code
        for mutant in mutants_of((workshop.root / file).read_text("utf-8"), file=file)
    ]
    for mutant in sample(mutants, count=count, seed=seed):
        verdict, seconds = workshop.verdict(mutant, room=room, watched=watched)
        print(f"  {verdict:9} {seconds:6.1f} s  {_said(asdict(mutant))}", flush=True)
        yield asdict(mutant) | {"room": room.name, "verdict": verdict, "seconds": round(seconds, 1)}


def _said(mutant: Mapping[str, Any]) -> str:
    texts = (mutant["original"], mutant["mutated"])
    short = [text if len(text) <= 100 else f"{text[:97]}..." for text in texts]
    return f"{mutant['file']}:{mutant['line']}: {' -> '.join(short)}"


def report(found: Sequence[Mapping[str, Any]], *, before: Sequence[Mapping[str, Any]] = ()) -> None:
    """Print a table by room, the survivors, and which of them an earlier measurement killed."""
    print("\n| room | mutants | killed | survived | timed out | share killed | seconds |")
    print("|---|---|---|---|---|---|---|")
    rooms = list(dict.fromkeys(mutant["room"] for mutant in found))
    for name in [*rooms, "all"]:
        of_room = [mutant for mutant in found if name in {"all", mutant["room"]}]
        verdicts = Counter(mutant["verdict"] for mutant in of_room)
        lost = verdicts["survived"] + verdicts["not run"]
        print(
            f"| {name} | {len(of_room)} | {verdicts['killed']} | {lost} | {verdicts['timed out']} "
            f"| {1 - lost / len(of_room):.0%} | {sum(mutant['seconds'] for mutant in of_room):.0f} |"
        )
    killed = {_fault(mutant) for mutant in before if mutant["verdict"] in {"killed", "timed out"}}
    print("\nsurvivors:")
    for mutant in found:
        if mutant["verdict"] in {"survived", "not run"}:
            notes = ["no test executes it"] * (mutant["verdict"] == "not run")
            notes += ["killed before"] * (_fault(mutant) in killed)
            print(f"  {_said(mutant)}", *[f"({note})" for note in notes])


def _fault(mutant: Mapping[str, Any]) -> tuple[str, str, str]:
    return mutant["scope"], mutant["original"], mutant["mutated"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_it_is)
    parser.add_argument("--tree", type=Path, default=Path(), help="root of the tree; this one by default")
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=ROOMS)
    parser.add_argument("--per-room", type=int, default=27, help="mutants of each room")
    parser.add_argument("--seed", type=int, default=42, help="of the draw")
    parser.add_argument("--slow", action="store_true", help="with the tests that are marked slow")
    parser.add_argument("--json", type=Path, help="file for the mutants and their verdicts so far")
    parser.add_argument("--before", type=Path, help="such a file: says which survivors were killed then")
    parser.add_argument("--warm", nargs="*", default=WARM, help="modules to import beforehand")
    options = parser.parse_args(arguments)
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[threads] = "1"
    for name in options.warm:
        with suppress(ImportError):
            importlib.import_module(name)
    print(f"{machine()}; {options.tree.resolve()}, seed {options.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copy and what runs in it go, too
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        workshop = Workshop(options.tree.resolve(), folder=Path(folder).resolve())
        for name in options.rooms:
            room = Room.of(name, tree=workshop.root, slow=options.slow)
            for mutant in measure(room, workshop=workshop, count=options.per_room, seed=options.seed):
                found.append(mutant)
                if options.json is not None:
                    options.json.write_text(json.dumps(found, indent=1))
    report(found, before=json.loads(options.before.read_text()) if options.before else ())


if __name__ == "__main__":
    main()
