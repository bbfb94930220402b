"""Dagster's private names: all there, each with its reason, and nowhere else in the code."""

import ast
import importlib
import re
from pathlib import Path

import dagster as dg

import bioalign_assets
from bioalign_assets import dagster_private

SOURCE = Path(dagster_private.__file__)
PACKAGE = Path(bioalign_assets.__file__).parent


def private_imports(path):
    """The private names of Dagster that a file imports, each with the comment above it."""
    lines = path.read_text("utf-8").splitlines()
    for node in ast.walk(ast.parse("\n".join(lines))):
        module = getattr(node, "module", None) or ""
        if isinstance(node, ast.ImportFrom) and re.match(r"dagster\._|dagster_shared", module):
            above = lines[node.lineno - 2] if node.lineno > 1 else ""
            for alias in node.names:
                yield module, alias.name, above


def test_every_private_name_is_there():
    """A new minor of Dagster that breaks some is told with all of them at once."""
    broken = []
    for module, name, _ in private_imports(SOURCE):
        try:
            getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            broken.append(f"{module}.{name}: {error}")
    with dg.DagsterInstance.ephemeral() as instance:
        for storage, methods in dagster_private.STORAGE_METHODS.items():
            broken += [
                f"{storage}.{name}"
                for name in methods
                if not callable(getattr(getattr(instance, storage), name, None))
            ]
    assert broken == []


def test_each_has_its_reason_and_the_public_thing_to_change_to():
    found = list(private_imports(SOURCE))
    assert len(found) > 5
    reasons = [above for _, _, above in found]
    reasons += [reason for methods in dagster_private.STORAGE_METHODS.values() for reason in methods.values()]
    assert all(re.search(r"\w+.*Instead: \w+", reason) for reason in reasons), reasons


def test_no_other_file_imports_one_or_calls_a_storage():
    others = [path for path in PACKAGE.rglob("*.py") if path != SOURCE]
    assert {str(path): list(private_imports(path)) for path in others if list(private_imports(path))} == {}
    calling = [
        path for path in others if re.search(r"\b(event_log_storage|run_storage)\b", path.read_text("utf-8"))
    ]
    assert calling == []


def test_every_storage_method_that_is_called_is_listed():
    called = set(re.findall(r"(?:event_log_storage|run_storage|storage)\.(\w+)\(", SOURCE.read_text("utf-8")))
    assert called == {name for methods in dagster_private.STORAGE_METHODS.values() for name in methods}
