"""Which SQL statements only read: those that a person may send to the warehouse.

A read-only session with the doors shut is not enough. It must open the tables' files to read them, and where DuckDB
may read a file it may write one too: with COPY, with EXPLAIN ANALYZE of it, and, of type SELECT, with a COPY inside
WITH. So the type of a statement is looked at, and the tree that DuckDB makes of it.
"""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from bioalign_assets.errors import WarehouseError

__all__ = ["statements_that_read"]

_THAT_READ = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
"""The parts of a tree that are queries; DuckDB has others for what writes inside WITH."""
_RUN_A_TEXT = {"query", "json_execute_serialized_sql"}
"""Functions that run a text, which stands in no tree."""
_BEGIN_A_QUERY = {"from", "pivot", "select", "with"}


def statements_that_read(text: str, *, connection: duckdb.DuckDBPyConnection) -> list[duckdb.Statement]:
    """Return the statements of a text, if all of them only read.

    :param connection: makes the trees; nothing of the text is run
    :raises WarehouseError: if one of them does anything else
    :raises duckdb.Error: if the text is no SQL
    """
    statements = duckdb.extract_statements(text)
    for number, statement in enumerate(statements, start=1):
        refused = _refused(statement, connection=connection)
        if refused is not None:
            raise WarehouseError(
                f"SQL statement {number} of {len(statements)}", found=refused,
                expected="one that only reads: SELECT, FROM, WITH, VALUES, PIVOT, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN "
                "of one",
                remedy="No statement was run. For anything else open bioalign.duckdb, or a file of `bioalign export`, "
                "in a DuckDB session of your own.",
            )  # fmt: skip
    return statements


def _refused(statement: duckdb.Statement, *, connection: duckdb.DuckDBPyConnection) -> str | None:
    """Return what a statement is, or holds, that does more than read; None for one that only reads."""
    text = statement.query
    words = _words(text)
    first = words[0][0].upper() if words else "a statement without words"
    if first == "EXPLAIN":
        return _refused_explained(text, words=words, connection=connection)
    try:
        kind = statement.type.name
    except (ValueError, duckdb.Error):  # newer than what Python knows
        return first
    if kind == "MULTI" and words[0][0] in _BEGIN_A_QUERY:
        # a PIVOT without IN asks for the values first; DuckDB gives no tree of it, so its words must do
        named = {"copy", *_RUN_A_TEXT} & {word for word, _ in words}
        return f"a {first} that names {named.pop()}" if named else None
    return _refused_in_tree(text, connection=connection) if kind == "SELECT" else first


def _refused_explained(
    text: str, *, words: list[tuple[str, int]], connection: duckdb.DuckDBPyConnection
) -> str | None:
    """Return what is refused of the statement that an EXPLAIN explains; EXPLAIN ANALYZE runs it."""
    skipped = 2 if "analyze" in (word for word, _ in words[1:2]) else 1
    rest = text.encode()[words[skipped][1] :] if words[skipped:] else b""
    try:
        (explained,) = duckdb.extract_statements(rest.decode())
    except (ValueError, duckdb.Error):
        return "EXPLAIN with options, or of no query"
    return _refused(explained, connection=connection)


def _refused_in_tree(text: str, *, connection: duckdb.DuckDBPyConnection) -> str | None:
    (told,) = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()[0]
    tree = json.loads(told)
    if tree["error"]:
        return f"a SELECT that can't be looked into ({tree['error_message']})"
    for part in _parts(tree):
        kind, function = str(part.get("type", "")), str(part.get("function_name", "")).lower()
        if kind.endswith("_NODE") and kind not in _THAT_READ:
            return f"{kind.partition('_')[0]} inside WITH"
        if function in _RUN_A_TEXT:
            return f"the function {function}, which runs a text"
    return None


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from _parts(part)


def _words(text: str) -> list[tuple[str, int]]:
    """Return names and keywords of a statement, in lower case and without quotes, with their places in its bytes."""
    raw = text.encode()
    tokens = duckdb.tokenize(text)
    ends = [start for start, _ in tokens[1:]] + [len(raw)]
    return [
        (raw[start:end].decode().strip().strip('"').lower(), start)
        for (start, kind), end in zip(tokens, ends, strict=True)
        if kind not in (duckdb.token_type.comment, duckdb.token_type.string_const)
    ]
