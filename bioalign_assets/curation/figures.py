"""Pictures of a dataset, drawn from its rows: figures 2 to 5 of the paper, and how fair its negatives are.

Each function takes ``curation.pairs`` of one dataset and returns a matplotlib figure; saving and showing is
the caller's. The numbers are those of ``profile.py``.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, StrMethodFormatter

from bioalign_assets.curation.classes import class_matrix
from bioalign_assets.curation.profile import evidence_counts, most_frequent, text_lengths
from bioalign_assets.curation.promises import NAMES, unmatched
from bioalign_assets.curation.splits import UNSEEN
from bioalign_assets.plotting import LABEL_COLOURS

__all__ = [
    "class_balance",
    "evidence_per_positive",
    "frequencies",
    "most_frequent_entities",
    "rows_by_class",
    "text_lengths_by_label",
    "unseen_parts",
]

Integers = npt.NDArray[np.int64]

# of the paper's figures; told apart by colour-blind readers and in grey
_COLOURS = {1: "#1b6ca8", 0: "#e08e45"}
_LABELS = {1: "positive (curated by CTD)", 0: "negative (generated)"}
_THOUSANDS = StrMethodFormatter("{x:,.0f}")
_BIN = 4
_LONGEST_LABEL = 46
_MOST_CLASSES = 40


def class_balance(pairs: pa.Table) -> Figure:
    """Return the number of positives and negatives in train and test, as bars (figure 2).

    :param pairs: ``curation.pairs`` of one dataset
    """
    figure, axes = _bars_by_label(pairs, column="split", values=("train", "test"), colours=_COLOURS)
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
        name = _LABELS[label] + middle
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
        axes.barh(places, positives, color=_COLOURS[1], label=_LABELS[1])
        bars = axes.barh(places, totals - positives, left=positives, color=_COLOURS[0], label=_LABELS[0])
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


def frequencies(pairs: pa.Table, *, stacked: bool = False) -> Figure:
    """Return in how many positives and in how many negatives each gene and each disease of training stands.

    On the diagonal a name says nothing about the label; how many names share a place is told by the area.

    :param pairs: ``curation.pairs`` of one dataset
    :param stacked: genes over diseases, for a narrow page, instead of side by side
    """
    figure = Figure(figsize=(5.6, 8.6) if stacked else (9, 4.4), layout="constrained")
    train = pairs.filter(pc.equal(pairs["split"], "train"))
    between = "\n" if stacked else " "
    figure.suptitle(f"Frequency in training: positives against negatives{between}of {_name(pairs)}")
    panels = figure.subplots(2, 1) if stacked else figure.subplots(1, 2)
    for axes, (kinds, column) in zip(panels, NAMES.items(), strict=True):
        places, weights = _frequency_places(train, column=column)
        largest = int(places.max(initial=1))
        axes.plot([0, largest], [0, largest], color="#595959", linewidth=1, label="equally often")
        axes.scatter(
            *places.T,
            s=8 + 10 * np.log2(weights),
            color=LABEL_COLOURS[1],
            alpha=0.55,
            linewidth=0,
            label=f"1 (small) to {weights.max(initial=1):,} {kinds}",
        )
        for scale in (axes.set_xscale, axes.set_yscale):
            scale("symlog", linthresh=1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(_THOUSANDS)
        axes.set_xlim(-0.4, largest * 1.4)
        axes.set_ylim(-0.4, largest * 1.4)
        axes.legend(frameon=False, loc="upper left", fontsize=9)
        _dress(
            axes,
            title=f"{kinds}: {unmatched(train, column=column):,} of {_negatives(train):,} negatives unmatched",
            x=f"positives of the {kinds[:-1]} (rows)",
            y=f"negatives of the {kinds[:-1]} (rows)",
            grid="both",
        )
    return figure


def unseen_parts(pairs: pa.Table) -> Figure:
    """Return how many test rows name an unseen gene, disease or both, by label.

    :param pairs: ``curation.pairs`` of one dataset with an entity split
    """
    figure, axes = _bars_by_label(pairs, column="unseen", values=UNSEEN, colours=LABEL_COLOURS)
    axes.set_xticks(range(3), ["gene", "disease", "both (strict part)"])
    test = pc.sum(pc.equal(pairs["split"], "test"), min_count=0).as_py()
    _dress(
        axes,
        title=f"Test rows of {_name(pairs)}\n({test:,} of {len(pairs):,} rows, {test / len(pairs):.1%})",
        x="what stands in no training row",
        y="test rows",
        grid="both",
    )
    axes.yaxis.set_major_formatter(_THOUSANDS)
    return figure


def rows_by_class(pairs: pa.Table, *, classes: pa.Table) -> Figure:
    """Return how many positives and negatives are of a disease of each class, the largest classes first.

    :param pairs: ``curation.pairs`` of one dataset
    :param classes: ``curation.disease_classes`` of it
    """
    flags = class_matrix(classes, disease_ids=pairs["disease_id"])
    labels = pairs["label"].to_numpy()
    names = [*sorted(pc.unique(classes["disease_class"]).to_pylist()), "(no class)"]
    flags = np.column_stack([flags, ~flags.any(axis=1)])
    order = np.argsort(-flags.sum(axis=0), kind="stable")[:_MOST_CLASSES]
    figure = Figure(figsize=(8, 1.5 + 0.24 * len(order)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(order))
    for shift, label in ((-0.2, 1), (0.2, 0)):
        counts = flags[labels == label].sum(axis=0)[order]
        axes.barh(places + shift, counts, height=0.38, color=LABEL_COLOURS[label], label=_LABELS[label])
    axes.set_yticks(places, [names[at].replace("$", r"\$") for at in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.legend(frameon=False, loc="lower right")
    _dress(
        axes,
        title=f"Rows by class of the disease, {_name(pairs)}",
        x="rows (a disease with several classes counts in each)",
        y="class (MEDIC-Slim)",
        grid="both",
    )
    axes.xaxis.set_major_formatter(_THOUSANDS)
    return figure


def _bars_by_label(
    pairs: pa.Table, *, column: str, values: Sequence[str], colours: Mapping[int, str]
) -> tuple[Figure, Axes]:
    """Return bars of how many rows of each label have each value in a column."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for shift, label in ((-0.2, 1), (0.2, 0)):
        of_label = pairs[column].filter(pc.equal(pairs["label"], label))
        counts = [pc.sum(pc.equal(of_label, value), min_count=0).as_py() for value in values]
        bars = axes.bar(
            np.arange(len(values)) + shift, counts, width=0.38, color=colours[label], label=_LABELS[label]
        )
        axes.bar_label(bars, labels=[f"{count:,}" for count in counts], padding=2)
    axes.set_xticks(range(len(values)), values)
    axes.margins(y=0.12)
    axes.legend(frameon=False)
    return figure, axes


def _frequency_places(rows: pa.Table, *, column: str) -> tuple[Integers, Integers]:
    """Return the distinct (positives, negatives) that names have, shape (n, 2), and how many names; shape (n,)."""
    counts = rows.group_by(column).aggregate([("label", "sum"), ("label", "count")])
    positives, total = (counts[name].to_numpy() for name in ("label_sum", "label_count"))
    places, names = np.unique(np.stack([positives, total - positives], axis=1), axis=0, return_counts=True)
    return places, names


def _negatives(rows: pa.Table) -> int:
    return int(pc.sum(pc.equal(rows["label"], 0), min_count=0).as_py())


def _dress(axes: Axes, *, title: str, x: str, y: str, grid: Literal["x", "y", "both"] = "y") -> None:
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
