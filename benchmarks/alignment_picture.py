"""Draw the picture of docs/alignment.md: what partial and plain RSA compare, and against which chance.

A made-up graph of eight diseases in two families, and made-up vectors that know part of it. What is drawn is computed:
similarities, ranks, and the rewirings with the room's own code. Run ``python -m benchmarks.alignment_picture``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import rankdata, spearmanr

from bioalign_assets.alignment.graph import Graph, graph_of_pairs
from bioalign_assets.alignment.nulls import Agreement
from bioalign_assets.alignment.rewiring import rewire
from bioalign_assets.plotting import ROLE_COLOURS, figure_style

__all__ = ["alignment_picture", "main"]

_PICTURE = Path(__file__).parents[1] / "docs" / "alignment.svg"
_DISEASES, _GENES, _REWIRINGS = 8, 14, 200
_ANGLES = (228, 5, 172, 62, 150, 340, 198, 308)  # degrees; A and every other disease is of the first family
_FAMILIES = (ROLE_COLOURS["tuned"], "#E08E45")
_GREY = ROLE_COLOURS["baseline"]

Doubles = npt.NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture into a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alignment_picture", description=__doc__)
    parser.add_argument("--to", type=Path, default=_PICTURE)
    to = parser.parse_args(arguments).to
    with figure_style(), mpl.rc_context({"svg.hashsalt": "bioalign"}):
        alignment_picture().savefig(to, format="svg", metadata={"Date": None, "Creator": None})
    print(to)


def alignment_picture() -> Figure:
    """Return the picture: graph and names to the left, their similarities, the ranks, and chance to the right."""
    graph, vectors = _made_up()
    profiles, embedded = _cosines(_incidence(graph, diseases=graph.disease)), _cosines(vectors)
    null = [
        _correlation(_cosines(_incidence(graph, diseases=each)), embedded)
        for each in rewire(graph, count=_REWIRINGS, rng=np.random.default_rng(1)).diseases
    ]
    found = Agreement(value=_correlation(profiles, embedded), null=np.array(null))
    with figure_style():
        # by fixed margins: the solver of constrained layouts goes by addresses, and gives one of two pictures
        figure = Figure(figsize=(10.4, 4.4))
        figure.set_layout_engine("none")
        places: dict[str, Axes] = figure.subplot_mosaic(
            [["graph", "profiles", "ranks", "null"], ["space", "cosines", "ranks", "null"]],
            width_ratios=[1.0, 0.8, 1.25, 1.25],
            gridspec_kw={
                "left": 0.01,
                "right": 0.985,
                "top": 0.9,
                "bottom": 0.13,
                "wspace": 0.34,
                "hspace": 0.32,
            },
        )
        _graph(places["graph"], graph)
        _space(places["space"], vectors)
        _matrix(places["profiles"], profiles, title="2. Who shares genes?")
        _matrix(places["cosines"], embedded, title="Who lies close together?")
        _ranks(places["ranks"], profiles, embedded, value=found.value)
        _null(places["null"], found)
        figure.legend(*places["null"].get_legend_handles_labels(), loc="lower right", ncols=2)
    return figure


def _made_up() -> tuple[Graph, Doubles]:
    """Return a graph of two families of diseases, and vectors that know the families and little else."""
    rng = np.random.default_rng(7)
    own = np.arange(_DISEASES) % 2
    links = {
        (gene, disease)
        for disease in range(_DISEASES)
        for gene in range(_GENES)
        if rng.random() < (0.62 if gene % 2 == own[disease] else 0.12)
    }
    genes, diseases = zip(*sorted(links), strict=True)
    graph = graph_of_pairs(
        pa.array([f"{gene:02}" for gene in genes]), diseases=pa.array([_name(each) for each in diseases])
    )
    angles = np.radians(_ANGLES)
    return graph, np.c_[np.cos(angles), np.sin(angles)]


def _name(disease: int) -> str:
    return "ABCDEFGH"[disease]


def _incidence(graph: Graph, *, diseases: npt.NDArray[Any]) -> Doubles:
    found = np.zeros((_DISEASES, _GENES))
    found[diseases, graph.gene] = 1.0
    return found


def _cosines(rows: Doubles) -> Doubles:
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units @ units.T


def _pairs(matrix: Doubles) -> Doubles:
    return matrix[np.triu_indices(_DISEASES, k=1)]


def _correlation(one: Doubles, other: Doubles) -> float:
    return float(spearmanr(_pairs(one), _pairs(other)).statistic)


def _family(disease: int) -> str:
    return _FAMILIES[disease % 2]


def _graph(axes: Axes, graph: Graph) -> None:
    heights = {"gene": np.linspace(1, 0, _GENES), "disease": np.linspace(1, 0, _DISEASES)}
    for gene, disease in zip(graph.gene, graph.disease, strict=True):
        axes.plot(
            [0, 1],
            [heights["gene"][gene], heights["disease"][disease]],
            color=_GREY,
            linewidth=0.6,
            alpha=0.7,
            zorder=1,
        )
    axes.scatter(np.zeros(_GENES), heights["gene"], s=16, color=_GREY, zorder=2)
    axes.scatter(
        np.ones(_DISEASES),
        heights["disease"],
        s=30,
        color=[_family(each) for each in range(_DISEASES)],
        zorder=2,
    )
    for disease, height in enumerate(heights["disease"]):
        axes.text(1.08, height, _name(disease), va="center", fontsize=8)
    axes.text(0, -0.12, "genes", ha="center", fontsize=8)
    axes.text(1, -0.12, "diseases", ha="center", fontsize=8)
    axes.set_xlim(-0.25, 1.3)
    axes.set_axis_off()
    axes.set_title("1. The graph")


def _space(axes: Axes, units: Doubles) -> None:
    for disease, (x, y) in enumerate(units):
        axes.annotate(
            "",
            xy=(x, y),
            xytext=(0, 0),
            arrowprops={"arrowstyle": "-|>", "color": _family(disease), "shrinkB": 0},
        )
        axes.text(1.17 * x, 1.17 * y, _name(disease), ha="center", va="center", fontsize=8)
    axes.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal")
    axes.set_axis_off()
    axes.set_title("The model's vectors")


def _matrix(axes: Axes, matrix: Doubles, *, title: str) -> None:
    order = [*range(0, _DISEASES, 2), *range(1, _DISEASES, 2)]
    shown = matrix[np.ix_(order, order)].copy()
    np.fill_diagonal(shown, np.nan)
    axes.imshow(shown, cmap="Blues")
    names = [_name(each) for each in order]
    axes.set_xticks(range(_DISEASES), names, fontsize=7)
    axes.set_yticks(range(_DISEASES), names, fontsize=7)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(title)


def _ranks(axes: Axes, profiles: Doubles, embedded: Doubles, *, value: float) -> None:
    one, other = rankdata(_pairs(profiles)), rankdata(_pairs(embedded))
    first, second = np.triu_indices(_DISEASES, k=1)
    colours = [_family(int(a)) if a % 2 == b % 2 else _GREY for a, b in zip(first, second, strict=True)]
    axes.scatter(one, other, s=26, c=colours)
    axes.set(xlabel="rank of the pair in the graph", ylabel="rank of the pair in the model", box_aspect=1)
    axes.set_title(f"3. Are they ranked alike?\na dot a pair of diseases, RSA = {value:.2f}")


def _null(axes: Axes, found: Agreement) -> None:
    axes.hist(found.null, bins=20, color="#D9D9D9", label=f"{len(found.null)} rewired graphs")
    axes.axvline(found.null_mean, color="black", linewidth=1.2, label="their mean: calibrated 0")
    axes.axvline(found.value, color=ROLE_COLOURS["tuned"], linewidth=2, label="the graph itself")
    axes.axvline(
        1.0,
        color=ROLE_COLOURS["benchmark"],
        linewidth=1.2,
        linestyle="--",
        label="best possible: calibrated 1",
    )
    axes.set(xlabel="RSA", yticks=[], box_aspect=1)
    axes.set_title(
        f"4. Is that more than chance?\ncalibrated {found.calibrated:.2f}, p = {found.p_value:.3f}"
    )


if __name__ == "__main__":
    main()
