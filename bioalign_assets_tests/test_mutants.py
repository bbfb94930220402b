"""The benchmark of mutants: faults are what they say, the same for a seed, and good tests notice them."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults import mutants_of, sample

ROOT = Path(__file__).parents[1]
SOURCE = '''"""Text of 1 == 1."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["grown"]
LIMIT: Literal[3] | None = 2


def grown(sizes: "list[int]", *, by: int | float = 1.5, deep: bool = False) -> int | None:
    """Return 1 + 1."""
    if not sizes or len(sizes) > LIMIT:
        raise ValueError(f"{len(sizes) + 1} sizes, not {LIMIT}", 3)
    total = sum(
        (size + "é" * 2 if deep else size * by)  # a comment
        for size in sizes
        if size is not None
    )
    total -= 1
    print("told", total + 1)
    return total
'''


def faults(source):
    return {(mutant.line, mutant.original, mutant.mutated) for mutant in mutants_of(source, file="a.py")}


def test_faults_are_in_code_and_in_nothing_that_is_only_told():
    assert faults(SOURCE) == {
        (9, "2", "3"),
        (12, "1.5", "2.5"),
        (12, "False", "True"),
        (14, "if not sizes or len(sizes) > LIMIT", "if not (not sizes or len(sizes) > LIMIT)"),
        (14, "not sizes or len(sizes) > LIMIT", "not sizes and len(sizes) > LIMIT"),
        (14, "not sizes", "sizes"),
        (14, "len(sizes) > LIMIT", "len(sizes) >= LIMIT"),
        (14, "len(sizes) > LIMIT", "len(sizes) <= LIMIT"),
        (17, "if deep", "if not (deep)"),
        (17, "2", "3"),
        (17, "size * by", "size / by"),
        (19, "if size is not None", "if not (size is not None)"),
        (19, "size is not None", "size is None"),
        (21, "total -= 1", "total += 1"),
        (21, "1", "0"),
        (23, "return total", "return None"),
    }


@pytest.mark.parametrize(
    ("code", "mutated"),
    [
        ("x = a + b * c", {"a - b * c", "b / c"}),
        ("x = (a - b) * c", {"(a - b) / c", "a + b"}),
        ("x = a < b <= c", {"a <= b <= c", "a >= b <= c", "a < b < c", "a < b > c"}),
        ("x = 'ä', -1, 0", {"0", "1"}),
        ("x = folder / 'name' / other", set()),
        ("x = int | Path", set()),
        ("@dataclass(frozen=True)\nclass A:\n    x: int = 5", {"6"}),
    ],
)
def test_a_fault_changes_one_thing(code, mutated):
    found = mutants_of(code, file="a.py")
    assert {mutant.mutated for mutant in found} == mutated
    for mutant in found:
        changed = ast.unparse(ast.parse(mutant.applied(code.encode())))
        assert changed == ast.unparse(ast.parse(code)).replace(mutant.original, mutant.mutated, 1)


def test_faults_of_the_package_can_be_put_in():
    sources = {str(path): path.read_text("utf-8") for path in (ROOT / "bioalign_assets").rglob("*.py")}
    mutants = [mutant for file, source in sources.items() for mutant in mutants_of(source, file=file)]
    drawn = sample(mutants, count=100, seed=1)
    assert len(drawn) == 100
    for mutant in drawn:
        source = sources[mutant.file]
        changed = ast.parse(mutant.applied(source.encode()))
        assert ast.dump(changed) != ast.dump(ast.parse(source)), mutant


def test_the_draw_is_that_of_its_seed_and_stays_where_other_code_changes():
    mutants = mutants_of(SOURCE, file="a.py")
    drawn = sample(mutants, count=5, seed=1)
    assert drawn == sample(mutants, count=5, seed=1) != sample(mutants, count=5, seed=2)
    assert len({mutant.line for mutant in drawn}) == 5
    moved = sample(mutants_of("LOWEST = 7\n" + SOURCE, file="b.py"), count=5, seed=1)
    assert len({mutant.fault for mutant in drawn} & {mutant.fault for mutant in moved}) >= 4
    small = mutants_of("x = 1\ny = 2\nz = 3", file="small.py")
    shares = [mutant.file for mutant in sample([*mutants, *small], count=6, seed=1)]
    assert shares.count("small.py") <= 1


CODE = """
from functools import cache

WIDTH = 4

@cache
def area(height):
    return WIDTH * height

def is_large(height):
    return area(height) > 20

def unseen(height):
    return height + 1
"""
WEAK = """
import subprocess, sys
from bioalign_assets.warehouse.sizes import area, is_large

def test_area():
    assert area(5) > 0

def test_in_a_process_of_its_own():
    code = "from bioalign_assets.warehouse.sizes import is_large; assert is_large(9)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
"""
GOOD = """
from bioalign_assets.warehouse.sizes import area, is_large

def test_exact():
    assert area(5) == 20
    assert is_large(5.25)

def test_broken():
    assert area(5) == 0
"""


def measured(tree, *more, **tests):
    for folder, files in {
        "bioalign_assets": {"sizes.py": CODE},
        "bioalign_assets_tests": {f"test_{name}.py": text for name, text in tests.items()},
    }.items():
        room = tree / folder / "warehouse"
        room.mkdir(parents=True)
        for package in (tree / folder, room):
            (package / "__init__.py").touch()
        for name, text in files.items():
            (room / name).write_text(text)
    (tree / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    command = [sys.executable, "-m", "benchmarks.mutants", "--tree", tree, "--rooms", "warehouse", "--warm"]
    run = subprocess.run(
        [*command, "--json", tree.with_suffix(".json"), *more],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.loads(tree.with_suffix(".json").read_text())
    return {mutant["mutated"]: mutant["verdict"] for mutant in found}, run.stdout


def test_a_good_test_kills_mutants_that_a_weak_one_lets_live(tmp_path):
    good, told = measured(tmp_path / "good", weak=WEAK, good=GOOD)
    assert good == {"5": "killed", "return None": "killed", "21": "killed", "0": "not run"}
    assert "| warehouse | 4 | 3 | 1 | 0 | 75% |" in told
    assert "sizes.py:14: 1 -> 0 (no test executes it)" in told
    assert "fails without a fault: bioalign_assets_tests/warehouse/test_good.py::test_broken" in told
    weak, told = measured(tmp_path / "weak", "--before", tmp_path / "good.json", weak=WEAK)
    assert weak == good | {"5": "survived", "21": "survived"}
    assert "sizes.py:11: 20 -> 21 (killed before)" in told
    assert (tmp_path / "weak" / "bioalign_assets" / "warehouse" / "sizes.py").read_text() == CODE
