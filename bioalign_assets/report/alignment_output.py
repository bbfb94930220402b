"""Graph alignment on a terminal: each contestant beside chance, and what tuning did."""

import duckdb
from rich import box
from rich.table import Table

from bioalign_assets.report.alignment import ALIGNMENT_TABLES, HEADLINE, Alignment, Row, contestant, of
from bioalign_assets.report.numbers import interval, p_value, real

__all__ = ["alignment_table", "catalogued_alignment"]

# a variant that the study file no longer names has no place in the ranking, but its rows may still be there
_OF_VARIANTS = """
FROM {table} WHERE measure = $measure AND (model, experiment) IN (SELECT (model, experiment) FROM report.leaderboard)
ORDER BY ALL
"""
_OF_BASELINES = "FROM {table} WHERE measure = $measure ORDER BY ALL"


def catalogued_alignment(connection: duckdb.DuckDBPyConnection) -> Alignment:
    """Return the rows of the headline measure, of the contestants of the ranking; none where none was measured.

    :param connection: on a warehouse's catalogue
    """
    figures, baselines, changes, layers, _ = ALIGNMENT_TABLES

    def rows(table: str, *, query: str) -> list[Row]:
        asked = connection.sql(query.format(table=table), params={"measure": HEADLINE})
        return list(asked.to_arrow_table().to_pylist())

    return Alignment(
        figures=rows(figures, query=_OF_VARIANTS),
        baselines=rows(baselines, query=_OF_BASELINES),
        changes=rows(changes, query=_OF_VARIANTS),
        layers=rows(layers, query=_OF_VARIANTS),
    )


def alignment_table(alignment: Alignment) -> Table | None:
    """Return a row a contestant, the highest first; nothing where nothing was measured."""
    rows = of([*alignment.figures, *alignment.beside])
    if not rows:
        return None
    changes = {contestant(row): row for row in of(alignment.changes)}
    table = Table(
        title="Does the geometry agree with the graph? (of diseases; 0 = chance, 1 = best possible)",
        title_justify="left", box=box.SIMPLE_HEAD,
    )  # fmt: skip
    table.add_column("contestant", no_wrap=True)
    for name in (r"calibrated \[95%]", "p", "untuned -> tuned", "p of no change", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: -row["calibrated"]):
        change = changes.get(contestant(row))
        scale = interval(row["calibrated"], row["calibrated_ci_low"], row["calibrated_ci_high"])
        moved = ("", "")
        if change is not None:
            before, after = (real(change[f"{when}_calibrated"]) for when in ("untuned", "tuned"))
            moved = (f"{before} -> {after}", p_value(change["p_value"]))
        table.add_row(
            contestant(row), scale.replace("[", r"\["), p_value(row["p_value"]), *moved, f"{row['n']:,}"
        )
    return table
