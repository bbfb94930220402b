"""Figures of one variant, or of one model before and after tuning: t-SNE maps and confusion matrices.

Figures that compare models with each other stand in ``report``.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import silhouette_score

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.rows import labels_of
from bioalign_assets.plotting import LABEL_COLOURS, figure_style

__all__ = ["confusion_matrix", "tsne_pair"]

_LABELS = {1: "true (curated)", 0: "false (generated)"}
_MARKERS = {1: "o", 0: "^"}  # a second sign beside the colour, for print in grey


def tsne_pair(map_rows_untuned: pa.Table, map_rows_tuned: pa.Table, *, model: str) -> Figure:
    """Draw the t-SNE maps of a model, untuned over tuned.

    :param map_rows_untuned: schema ``evaluation.cluster_map``, one variant on one test set
    :param map_rows_tuned: the same of a tuned variant, on the same test set
    :param model: name for the title
    :raises EvaluationError: if a table is empty, holds several maps, or the two are of different test sets
    """
    test_sets = {_only(rows, "test_set") for rows in (map_rows_untuned, map_rows_tuned)}
    if len(test_sets) != 1:
        raise EvaluationError(
            "t-SNE maps",
            found=f"test sets {' and '.join(sorted(test_sets))}",
            expected="maps of one test set",
            remedy="Choose the rows of one test set in both tables.",
        )
    with figure_style():
        figure = Figure(figsize=(5.2, 8.2))
        upper, lower = figure.subplots(2, 1)
        figure.suptitle(f"{model}: t-SNE maps of the test set {test_sets.pop()}", fontsize=11)
        _draw_map(upper, map_rows_untuned)
        _draw_map(lower, map_rows_tuned)
        handles, names = upper.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def confusion_matrix(answers: pa.Table) -> Figure:
    """Draw how often each label got each answer, as counts and as shares of the label.

    :param answers: schema ``inference.answers``, one variant on one test set with one prompt
    :raises EvaluationError: if the table is empty, holds several of these, or one label only
    """
    variant, test_set, prompt = (_only(answers, name) for name in ("variant", "test_set", "prompt"))
    labels = labels_of(answers, subject=f"answers of {variant} on {test_set}")
    predicted = answers["predicted"].to_numpy()
    # true first, on both axes
    counts = np.array([[np.count_nonzero((labels == a) & (predicted == b)) for b in (1, 0)] for a in (1, 0)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    with figure_style():
        figure = Figure(figsize=(4.6, 4.0))
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        for (row, column), share in np.ndenumerate(shares):
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}\n{share:.1%}",
                ha="center",
                va="center",
                fontsize=12,
                color="white" if share > 0.5 else "#111111",  # on its cell, whatever the page's ground
            )
        axes.set_xticks([0, 1], ["true", "false"])
        axes.set_yticks([0, 1], ["true", "false"])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("answer")
        axes.set_ylabel("label")
        axes.set_title(
            f"{variant}\n{test_set}, {prompt} prompt: accuracy {np.trace(counts) / counts.sum():.1%}, "
            f"n = {counts.sum():,}"
        )
        figure.colorbar(image, ax=axes, label="share of the label", shrink=0.85)
    return figure


def _draw_map(axes: Axes, rows: pa.Table) -> None:
    labels = labels_of(rows, subject="t-SNE map")
    points = np.column_stack([rows["x"].to_numpy(), rows["y"].to_numpy()])
    for label in (0, 1):
        chosen = points[labels == label]
        axes.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=14,
            c=LABEL_COLOURS[label],
            marker=_MARKERS[label],
            alpha=0.7,
            linewidths=0,
            label=f"{_LABELS[label]}, n = {len(chosen):,}",
        )
    axes.set_title(f"{_only(rows, 'experiment')}: silhouette {silhouette_score(points, labels):+.3f}")
    axes.set_xlabel("t-SNE 1 (no unit)")
    axes.set_ylabel("t-SNE 2 (no unit)")
    axes.set_aspect("equal", adjustable="datalim")


def _only(rows: pa.Table, column: str) -> str:
    """Return the one value of a column."""
    values = [str(value) for value in pc.unique(rows[column]).to_pylist()]
    if len(values) != 1:
        raise EvaluationError(
            f"rows of a figure, column {column}",
            found=f"{len(values)} values ({', '.join(values)})",
            expected="one",
            remedy=f"Choose the rows of one {column} before drawing.",
        )
    return values[0]
