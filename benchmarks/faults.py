"""Small faults that can be put into code, for ``benchmarks.mutants``: where they can be, and which are drawn.

Text, annotations, error messages, logging and what only a type checker reads stay as they are.
"""

import ast
import copy
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Mutant", "mutants_of", "sample"]

SWAPPED: Mapping[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.And: (ast.Or,), ast.Or: (ast.And,),
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Mult,), ast.Pow: (ast.Mult,),
    ast.BitOr: (ast.BitAnd,), ast.BitAnd: (ast.BitOr,),
}  # fmt: skip
"""Operators, and what each becomes."""
_TYPE = re.compile(r"None|str|int|float|bool|bytes|[A-Z]\w*[a-z]\w*|\w+\[.*\]")
_TOLD = {"debug", "info", "warning", "error", "exception", "warn", "print", "echo"}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One fault in one place."""

    file: str
    """Of the code, from the root of the tree"""
    line: int
    scope: str
    """The function or class it is in"""
    original: str
    mutated: str
    start: int
    """First of the bytes that ``text`` takes the place of"""
    end: int
    text: str
    lines: tuple[int, int]
    """First and last line of which a test must execute one"""
    at_import: bool
    """Whether these lines are executed when the file is imported"""

    @property
    def fault(self) -> tuple[str, str, str]:
        """What stays the same when the code around it moves."""
        return self.scope, self.original, self.mutated

    def applied(self, source: bytes) -> bytes:
        """Return the source with the fault."""
        return source[: self.start] + self.text.encode() + source[self.end :]


class _Finder(ast.NodeVisitor):
    """Walks a file and notes its mutants."""

    def __init__(self, source: str, *, file: str) -> None:
        self.file = file
        self.source = source.encode()
        self.found: list[Mutant] = []
        self._begins = [0]  # of each line, in bytes, as ast counts columns
        for line in self.source.splitlines(keepends=True):
            self._begins.append(self._begins[-1] + len(line))
        self._scope: list[str] = []
        self._lines = (1, 1)
        self._at_import = True

    def _note(self, node: Any, text: str, *, original: str | None = None, mutated: str | None = None) -> None:
        start = self._begins[node.lineno - 1] + node.col_offset
        end = self._begins[node.end_lineno - 1] + node.end_col_offset
        self.found.append(
            Mutant(
                file=self.file, line=node.lineno, scope=".".join(self._scope), start=start, end=end, text=text,
                original=original or ast.unparse(node), mutated=mutated or text, lines=self._lines,
                at_import=self._at_import,
            )
        )  # fmt: skip

    def _swap(self, node: Any, field: str, *, place: int | None = None) -> None:
        """Note the node with another operator."""
        operator = getattr(node, field)
        for other in SWAPPED.get(type(operator if place is None else operator[place]), ()):
            changed = copy.copy(node)
            new = other() if place is None else [*operator[:place], other(), *operator[place + 1 :]]
            setattr(changed, field, new)
            text = ast.unparse(changed)
            self._note(node, text if isinstance(node, ast.stmt) else f"({text})", mutated=text)

    def _negate(self, test: ast.expr) -> None:
        start = self._begins[test.lineno - 1] + test.col_offset
        end = self._begins[(test.end_lineno or test.lineno) - 1] + (test.end_col_offset or 0)
        text = self.source[start:end].decode()
        said = ast.unparse(test)
        self._note(test, f"(not ({text}))", original=f"if {said}", mutated=f"if not ({said})")

    def visit(self, node: ast.AST) -> None:
        """Look at a node, but for what is only told or typed."""
        if _is_told(node):
            return
        outer = self._lines
        if isinstance(node, ast.stmt):
            self._lines = _lines_of(node)
        super().visit(node)
        self._lines = outer

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Look at defaults and body; not at annotations."""
        outer = self._at_import, self._lines
        self._scope.append(node.name)
        for decorator in node.decorator_list:
            self._lines = decorator.lineno, node.lineno
            self.visit(decorator)
        # a default shows where the body is executed
        self._at_import, self._lines = False, (node.body[0].lineno, node.end_lineno or node.lineno)
        for part in (*node.args.defaults, *node.args.kw_defaults, *node.body):
            if part is not None:
                self.visit(part)
        self._scope.pop()
        self._at_import, self._lines = outer

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's form

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Look at the body; whether a dataclass is frozen no run shows."""
        self._scope.append(node.name)
        for part in node.body:
            self.visit(part)
        self._scope.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Look at the value; not at the annotation."""
        if node.value is not None:
            self.visit(node.value)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """Note that each condition can be the other way round."""
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        """Note what can go wrong at a node, then look at its parts."""
        match node:
            case ast.Compare():
                for place in range(len(node.ops)):
                    self._swap(node, "ops", place=place)
            case ast.BoolOp() | ast.BinOp() | ast.AugAssign() if not _is_text_or_type(node):
                self._swap(node, "op")
            case ast.UnaryOp(op=ast.Not()):
                operand = ast.unparse(node.operand)
                self._note(node, f"({operand})", mutated=operand)
            case ast.Constant(value=int() | float()):
                self._note(node, _other(node.value))
            case ast.If(test=test) | ast.IfExp(test=test):
                self._negate(test)
            case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
                self._note(value, "None", original=f"return {ast.unparse(value)}", mutated="return None")
        super().generic_visit(node)


def _other(value: Any) -> str:
    """Return another truth value or number."""
    if isinstance(value, bool):
        return str(not value)
    return repr({0: 1, 1: 0}.get(value, value + 1))


def _is_told(node: ast.AST) -> bool:
    """Whether a node is an error, a log message, or for type checkers and command lines alone."""
    match node:
        case ast.Raise() | ast.Assert() | ast.JoinedStr():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Compare(left=ast.Name(id="__name__"))):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name))):
            return name in _TOLD
        case ast.keyword(arg="strict"):  # of zip: says what holds anyhow
            return True
    return False


def _is_text_or_type(node: ast.AST) -> bool:
    """Whether an operator joins text or paths, or two types."""
    match node:
        case ast.JoinedStr() | ast.Constant(value=str()):
            return True
        case ast.BinOp(left=left, op=op, right=right):
            is_type = isinstance(op, ast.BitOr) and any(
                _TYPE.fullmatch(ast.unparse(side)) for side in (left, right)
            )
            return is_type or _is_text_or_type(left) or _is_text_or_type(right)
    return False


def _lines_of(node: ast.stmt) -> tuple[int, int]:
    """Return the lines that are executed with a statement: of one with a body only its head."""
    body = getattr(node, "body", None)
    last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
    return node.lineno, last


def mutants_of(source: str, *, file: str) -> list[Mutant]:
    """Return all mutants of a file, in its order."""
    finder = _Finder(source, file=file)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda mutant: (mutant.start, mutant.end, mutant.text))


def sample(mutants: Sequence[Mutant], *, count: int, seed: int) -> list[Mutant]:
    """Return some of the mutants, in their order: of a line one, of a file no more than its share, rounded up.

    Which ones follows from the seed and from the faults themselves: the same ones where other code changes.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    ranks = {}
    for mutant in mutants:
        said = json.dumps([seed, *mutant.fault, seen[mutant.fault]])
        ranks[mutant] = hashlib.sha256(said.encode()).digest()
        seen[mutant.fault] += 1
    of_file = Counter(mutant.file for mutant in mutants)
    left = {file: math.ceil(count * points / len(mutants)) for file, points in of_file.items()}
    drawn: dict[tuple[str, int], Mutant] = {}
    for mutant in sorted(mutants, key=ranks.__getitem__):
        if len(drawn) < count and left[mutant.file] and (mutant.file, mutant.line) not in drawn:
            drawn[mutant.file, mutant.line] = mutant
            left[mutant.file] -= 1
    return [mutant for mutant in mutants if drawn.get((mutant.file, mutant.line)) == mutant]
