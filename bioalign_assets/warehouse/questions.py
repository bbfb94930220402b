"""Questions to the warehouse in SQL, from a terminal: one, or a conversation."""

import contextlib
import csv
import io

import click
import duckdb

__all__ = ["answer", "converse"]

_MOST_ROWS = 100
_BLOCK = 10_000
_PROMPT, _GOES_ON = "bioalign> ", "     ...> "


def answer(connection: duckdb.DuckDBPyConnection, query: str, *, as_csv: bool = False) -> str:
    """Return what a query gives, as a table (at most 100 rows of it) or as CSV (all).

    :raises duckdb.Error: what DuckDB says against the query
    """
    if as_csv:
        return _as_csv(connection.execute(query))
    relation = connection.sql(query)
    if relation is None:  # an empty statement
        return ""
    drawn = io.StringIO()
    with contextlib.redirect_stdout(drawn):  # DuckDB draws on Python's standard output
        relation.show(max_rows=_MOST_ROWS)
    return drawn.getvalue().rstrip("\n")


def _as_csv(result: duckdb.DuckDBPyConnection) -> str:
    if result.description is None:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column[0] for column in result.description])
    while rows := result.fetchmany(_BLOCK):
        writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def converse(connection: duckdb.DuckDBPyConnection, *, as_csv: bool) -> None:
    """Read statements from a person and print what they give, until the input ends."""
    click.echo("The warehouse, read-only. `FROM catalogued;` lists the tables; Ctrl-D ends.")
    statement = ""
    while True:
        try:
            statement += input(_GOES_ON if statement else _PROMPT) + "\n"
        except (EOFError, KeyboardInterrupt):
            click.echo()
            return
        if not statement.strip():
            statement = ""
        elif statement.rstrip().endswith(";"):
            try:
                click.echo(answer(connection, statement, as_csv=as_csv))
            except duckdb.Error as error:
                click.secho(str(error), fg="red", err=True)
            statement = ""
