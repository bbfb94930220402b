"""Pictures of how fair a dataset's negatives are: frequencies, what is unseen in test, classes of diseases.

The pictures of the paper are in ``figures.py``.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from bioalign_assets.curation.classes import class_matrix
from bioalign_assets.curation.parts import UNSEEN
from bioalign_assets.curation.promises import NAMES, unmatched
from bioalign_assets.plotting import LABEL_COLOURS

__all__ = ["frequencies", "rows_by_class", "unseen_parts"]

Integers = npt.NDArray[np.int64]

_LABELS = {1: "positive (curated by CTD)", 0: "negative (generated)"}
_THOUSANDS = StrMethodFormatter("{x:,.0f}")
_MOST_CLASSES = 40


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
        )
    return figure


def unseen_parts(pairs: pa.Table) -> Figure:
    """Return how many test rows name an unseen gene, disease or both, by label.

    :param pairs: ``curation.pairs`` of one dataset with an entity split
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for shift, label in ((-0.2, 1), (0.2, 0)):
        of_label = pairs["unseen"].filter(pc.equal(pairs["label"], label))
        counts = [pc.sum(pc.equal(of_label, kind), min_count=0).as_py() for kind in UNSEEN]
        bars = axes.bar(
            np.arange(3) + shift, counts, width=0.38, color=LABEL_COLOURS[label], label=_LABELS[label]
        )
        axes.bar_label(bars, labels=[f"{count:,}" for count in counts], padding=2)
    axes.set_xticks(range(3), ["gene", "disease", "both (strict part)"])
    axes.margins(y=0.12)
    axes.legend(frameon=False)
    test = pc.sum(pc.equal(pairs["split"], "test"), min_count=0).as_py()
    _dress(
        axes,
        title=f"Test rows of {_name(pairs)}\n({test:,} of {len(pairs):,} rows, {test / len(pairs):.1%})",
        x="what stands in no training row",
        y="test rows",
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
    )
    axes.xaxis.set_major_formatter(_THOUSANDS)
    return figure


def _frequency_places(rows: pa.Table, *, column: str) -> tuple[Integers, Integers]:
    """Return the distinct (positives, negatives) that names have, shape (n, 2), and how many names; shape (n,)."""
    counts = rows.group_by(column).aggregate([("label", "sum"), ("label", "count")])
    positives, total = (counts[name].to_numpy() for name in ("label_sum", "label_count"))
    places, names = np.unique(np.stack([positives, total - positives], axis=1), axis=0, return_counts=True)
    return places, names


def _negatives(rows: pa.Table) -> int:
    return int(pc.sum(pc.equal(rows["label"], 0), min_count=0).as_py())


def _dress(axes: Axes, *, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)


def _name(pairs: pa.Table) -> str:
    names = ", ".join(sorted(pc.unique(pairs["dataset"]).to_pylist()))
    return f'dataset "{names}"'
