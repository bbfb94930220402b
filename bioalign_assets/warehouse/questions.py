"""Questions to the warehouse in SQL, from a terminal: some, or a conversation. They only read."""

import contextlib
import csv
import io
from collections.abc import Iterator

import click
import duckdb

from bioalign_assets.errors import BioAlignError
from bioalign_assets.warehouse.statements import statements_that_read

__all__ = ["answers", "converse"]

_MOST_ROWS = 100
_BLOCK = 10_000
_PROMPT, _GOES_ON = "bioalign> ", "     ...> "


def answers(connection: duckdb.DuckDBPyConnection, text: str, *, as_csv: bool = False) -> Iterator[str]:
    """Give what each statement of a text says, as a table (at most 100 rows of it) or as CSV (all).

    :param connection: of ``open_catalogue``
    :raises WarehouseError: if one of the statements does not only read; none has run then
    :raises duckdb.Error: what DuckDB says against one
    """
    for statement in statements_that_read(text, connection=connection):
        yield _as_csv(connection.execute(statement)) if as_csv else _drawn(connection.sql(statement))


def _drawn(relation: duckdb.DuckDBPyRelation) -> str:
    drawn = io.StringIO()
    with contextlib.redirect_stdout(drawn):  # DuckDB draws on Python's standard output
        relation.show(max_rows=_MOST_ROWS)
    return drawn.getvalue().rstrip("\n")


def _as_csv(result: duckdb.DuckDBPyConnection) -> str:
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
                for answer in answers(connection, statement, as_csv=as_csv):
                    click.echo(answer)
            except (BioAlignError, duckdb.Error) as error:
                click.secho(str(error), fg="red", err=True)
            statement = ""
