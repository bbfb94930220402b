"""Pictures of a dataset, drawn from its rows: figures 2 to 5 of the paper.

Each function takes ``curation.pairs`` of one dataset and returns a matplotlib figure; saving and showing is
the caller's. The numbers are those of ``profile.py``.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, StrMethodFormatter

from bioalign_assets.curation.profile import evidence_counts, most_frequent, text_lengths

__all__ = [
    "FIGURES",
    "class_balance",
    "evidence_per_positive",
    "most_frequent_entities",
    "text_lengths_by_label",
]

# told apart by colour-blind readers and in grey
_COLOURS = {1: "#1b6ca8", 0: "#e08e45"}
_NAMES = {1: "positive (curated by CTD)", 0: "negative (generated)"}
_THOUSANDS = StrMethodFormatter("{x:,.0f}")
_BIN = 4
_LONGEST_LABEL = 46


def class_balance(pairs: pa.Table) -> Figure:
    """Return the number of positives and negatives in train and test, as bars (figure 2).

    :param pairs: ``curation.pairs`` of one dataset
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    splits = ("train", "test")
    for shift, label in ((-0.2, 1), (0.2, 0)):
        is_label = pc.equal(pairs["label"], label)
        counts = [pc.sum(pc.and_(is_label, pc.equal(pairs["split"], s)), min_count=0).as_py() for s in splits]
        bars = axes.bar(np.arange(2) + shift, counts, width=0.38, color=_COLOURS[label], label=_NAMES[label])
        axes.bar_label(bars, labels=[f"{count:,}" for count in counts], padding=2)
    axes.set_xticks(range(2), splits)
    axes.margins(y=0.12)
    axes.legend(frameon=False)
    _dress(axes, title=f"Class balance of {_name(pairs)}", x="split", y="rows")
    axes.yaxis.set_major_formatter(_THOUSANDS)
    return figure


def text_lengths_by_label(pairs: pa.Table) -> Figure:
    """Return a histogram of text lengths for each label, with the median of each (figure 3).

    :param pairs: ``curation.pairs`` of one dataset
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    lengths, labels = text_lengths(pairs), pairs["label"].to_numpy()
    edges = (np.arange(lengths.min() // _BIN, lengths.max() // _BIN + 2) * _BIN).tolist()
    for label in (1, 0):
        chosen = lengths[labels == label]
        middle = f", median {np.median(chosen):.0f}" if len(chosen) else ""
        name = _NAMES[label] + middle
        axes.hist(chosen, bins=edges, histtype="stepfilled", alpha=0.25, color=_COLOURS[label])
        axes.hist(chosen, bins=edges, histtype="step", linewidth=1.6, color=_COLOURS[label], label=name)
    figure.legend(frameon=False, loc="outside lower center")  # lengths leave no free corner
    _dress(
        axes,
        title=f"Text lengths of {_name(pairs)}",
        x="text length (characters)",
        y=f"rows per {_BIN} characters",
    )
    axes.yaxis.set_major_formatter(_THOUSANDS)
    return figure


def most_frequent_entities(pairs: pa.Table, *, stacked: bool = False) -> Figure:
    """Return the genes and the diseases that stand in most rows, as bars divided by label (figure 4).

    :param pairs: ``curation.pairs`` of one dataset
    :param stacked: genes over diseases, for a narrow page, instead of side by side
    """
    figure = Figure(figsize=(7, 9) if stacked else (12, 6), layout="constrained")
    between = "\n" if stacked else " "
    figure.suptitle(f"Most frequent genes and diseases{between}of {_name(pairs)}")
    for axes, column, title in zip(
        figure.subplots(2, 1) if stacked else figure.subplots(1, 2),
        ("gene_symbol", "disease_name"),
        ("genes", "diseases"),
        strict=True,
    ):
        names, totals = zip(*most_frequent(pairs, column=column), strict=True)
        rows = pairs.filter(pc.is_in(pairs[column], value_set=pa.array(names)))
        sums = rows.group_by(column).aggregate([("label", "sum")])
        positives_of = dict(zip(sums[column].to_pylist(), sums["label_sum"].to_pylist(), strict=True))
        positives = np.array([positives_of[name] for name in names])
        places = np.arange(len(names))
        axes.barh(places, positives, color=_COLOURS[1], label=_NAMES[1])
        bars = axes.barh(places, totals - positives, left=positives, color=_COLOURS[0], label=_NAMES[0])
        axes.bar_label(bars, labels=[f"{total:,}" for total in totals], padding=3, fontsize=8)
        axes.set_yticks(places, [_shorten(name) for name in names], fontsize=8)
        axes.invert_yaxis()
        axes.margins(x=0.1, y=0.01)
        _dress(axes, title=f"{len(names)} most frequent {title}", x="rows", y="", grid="x")
        axes.xaxis.set_major_formatter(_THOUSANDS)
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def evidence_per_positive(pairs: pa.Table) -> Figure:
    """Return how many positives have how many PubMed ids, both scales logarithmic (figure 5).

    Positives without a PubMed id have no place on the scale and are told in the title's second line.

    :param pairs: ``curation.pairs`` of one dataset
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    counts = evidence_counts(pairs)
    positives = np.bincount(counts)
    ids = np.flatnonzero(positives[1:]) + 1
    axes.vlines(ids, 0.5, positives[ids], color=_COLOURS[1], alpha=0.35, linewidth=2)
    axes.plot(ids, positives[ids], "o", color=_COLOURS[1], markersize=6)
    most = max(int(counts.max(initial=0)), 2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.8, most * 1.25)
    axes.set_ylim(0.5, max(2, int(positives[ids].max(initial=0))) * 2)
    axes.xaxis.set_major_locator(
        FixedLocator([t for t in (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000) if t <= most * 1.25])
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(_THOUSANDS)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else ""))
    _dress(
        axes,
        title=f"Evidence behind the positives of {_name(pairs)}\n"
        f"({int((counts == 0).sum()):,} of {len(counts):,} have no PubMed id)",
        x="PubMed ids per positive (log scale)",
        y="positives (log scale)",
    )
    return figure


def _dress(axes: Axes, *, title: str, x: str, y: str, grid: Literal["x", "y"] = "y") -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, alpha=0.3)
    axes.set_axisbelow(True)


def _name(pairs: pa.Table) -> str:
    names = ", ".join(sorted(pc.unique(pairs["dataset"]).to_pylist()))
    return f'dataset "{names}"'


def _shorten(name: str) -> str:
    # a dollar sign would start a formula
    short = name if len(name) <= _LONGEST_LABEL else name[: _LONGEST_LABEL - 1] + "…"
    return short.replace("$", r"\$")


FIGURES: Mapping[str, Callable[[pa.Table], Figure]] = {
    figure.__name__: figure
    for figure in (class_balance, text_lengths_by_label, most_frequent_entities, evidence_per_positive)
}
"""Every picture by name."""
