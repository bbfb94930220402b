"""The picture of what changed between two releases: how much, and which diseases or genes most."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from bioalign_assets.plotting import figure_style

__all__ = ["change_summary"]

# of Okabe and Ito's palette, as in ``plotting``
_COLOURS: Mapping[str, str] = {"added": "#009E73", "removed": "#D55E00", "changed": "#0072B2"}
_MOST = 10
_LONGEST_NAME = 36


def change_summary(
    changes: pa.Table,
    *,
    before: datetime | None = None,
    after: datetime | None = None,
    is_first: bool = False,
) -> Figure:
    """Return the changes between two releases as bars: how many, and the diseases and genes with most of them.

    :param changes: ``ctd.changes``
    :param before: when CTD made the release before, for the title
    :param after: when CTD made the release in force
    :param is_first: there is no release before, so there is nothing to compare with
    """
    counts = Counter(changes["change"].to_pylist())
    title = "What changed in CTD" if is_first else f"What changed {_span(before, after)}"
    with figure_style():
        if not counts:
            return _nothing(title, is_first=is_first)
        figure = Figure(figsize=(10.5, 4.4))
        figure.suptitle(title, fontsize=11)
        total, diseases, genes = figure.subplots(1, 3, width_ratios=(1, 1.4, 1))
        _totals(total, counts)
        _most_affected(diseases, changes, column="disease_name", what="diseases")
        _most_affected(genes, changes, column="gene_symbol", what="genes")
    return figure


def _span(before: datetime | None, after: datetime | None) -> str:
    if before is None and after is None:
        return "since the release before"
    now = f"the release of {after:%Y-%m-%d}" if after else "this release (without a date)"
    then = f"that of {before:%Y-%m-%d}" if before else "the one before (without a date)"
    return f"in {now} against {then}"


def _nothing(title: str, *, is_first: bool) -> Figure:
    figure = Figure(figsize=(7, 1.2))
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots()
    axes.set_axis_off()
    told = (
        "This is the first release here: there is none before it to compare with."
        if is_first
        else "No association was added, removed or changed."
    )
    axes.text(0.5, 0.5, told, ha="center", va="center", transform=axes.transAxes)
    return figure


def _totals(axes: Axes, counts: Mapping[str, int]) -> None:
    kinds = list(_COLOURS)
    bars = axes.bar(kinds, [counts.get(kind, 0) for kind in kinds], color=list(_COLOURS.values()), width=0.7)
    axes.bar_label(bars, labels=[f"{counts.get(kind, 0):,}" for kind in kinds], padding=2)
    axes.margins(y=0.12)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title("Associations")
    axes.set_ylabel("associations")
    _count_axis(axes, which="y")


def _most_affected(axes: Axes, changes: pa.Table, *, column: str, what: str) -> None:
    """Draw a bar for each of the names with most changes, divided by what happened."""
    pairs = Counter(zip(changes[column].to_pylist(), changes["change"].to_pylist(), strict=True))
    totals: Counter[str] = Counter()
    for (name, _), count in pairs.items():
        totals[name] += count
    chosen = sorted(totals, key=lambda name: (-totals[name], name))[:_MOST]
    left = [0] * len(chosen)
    for kind, colour in _COLOURS.items():
        widths = [pairs[name, kind] for name in chosen]
        axes.barh(range(len(chosen)), widths, left=left, color=colour, height=0.75)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(chosen)), [_short(name) for name in chosen], fontsize=8)
    axes.set_ylim(max(len(chosen), 4) - 0.4, -0.6)  # the first on top, and a lone bar stays a bar
    axes.margins(x=0.04)
    share = f"\n({len(chosen)} of {len(totals):,})" if len(totals) > len(chosen) else ""
    axes.set_title(f"Most affected {what}{share}")
    axes.set_xlabel("associations")
    _count_axis(axes, which="x")


def _count_axis(axes: Axes, *, which: Literal["x", "y"]) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis=which)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1].rstrip()}…"
