"""The first figure of a study: how far each contestant's geometry agrees with the graph, before tuning and after."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bioalign_assets.errors import WarehouseError
from bioalign_assets.plotting import ROLE_COLOURS, figure_style
from bioalign_assets.report.alignment import Alignment, Row, contestant, is_tuned, of

__all__ = ["alignment_figure"]

_HEIGHT_OF_A_ROW = 0.3
_GAP = 0.8  # rows, between models and what is no model
_ABOVE = 0.3  # rows that an arrow lies above its interval
_BAND = "#d9d9d9"
_WITHIN = 1.96  # standard deviations of the null that hold 95% of it
_ARROW = "black"


def alignment_figure(alignment: Alignment, *, roles: Mapping[str, str]) -> Figure:
    """Draw the calibrated partial RSA of each contestant with its interval, of diseases and, beside them, of genes.

    Chance is a line at 0, with a band a contestant that holds 95% of the rewired graphs. An arrow leads from each model
    untuned to it tuned, once for each experiment. Models stand by their best figure, their experiments below the
    untuned one; representations that no language model made stand apart, below.

    :param roles: ``tuned`` or ``benchmark`` by model
    :raises WarehouseError: if there is no figure to draw
    """
    panels = {
        title: of(alignment.figures, kind=kind) + of(alignment.beside, kind=kind)
        for kind, title in (("disease", "Diseases"), ("gene", "Genes"))
    }
    panels = {title: rows for title, rows in panels.items() if rows}
    if not panels:
        raise WarehouseError(
            "evaluation.graph_alignment",
            found="no partial RSA over all edges",
            expected="figures to draw",
            remedy="Materialise the graph alignment of a variant first.",
        )
    named = {contestant(row): row for rows in reversed(panels.values()) for row in rows}
    places = _places(list(named.values()))
    with figure_style():
        height = 1.8 + _HEIGHT_OF_A_ROW * (max(places.values()) + 1)
        figure = Figure(figsize=(1.6 + 2.5 * len(panels), height))
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, rows) in zip(drawn, panels.items(), strict=True):
            _panel(axes, rows, places=places, roles=roles)
            axes.set_title(title)
        drawn[0].set_yticks(list(places.values()), list(places))
        drawn[0].set_ylim(max(places.values()) + 0.6, -0.6)  # the first at the top
        title = "Does the geometry agree with the graph?\ncalibrated partial RSA, 95% interval"
        figure.suptitle(title, fontsize=11)
        shown = {_role(row, roles=roles) for rows in panels.values() for row in rows}
        figure.legend(handles=_legend(shown), loc="outside lower center", ncols=4)
    return figure


def _places(rows: Sequence[Row]) -> Mapping[str, float]:
    """Return how far below the top each contestant stands, in rows."""
    best: dict[str, float] = {}
    for row in rows:
        best[row["model"]] = max(row["calibrated"], best.get(row["model"], row["calibrated"]))
    ordered = sorted(
        rows,
        key=lambda row: (
            "experiment" not in row, -best[row["model"]], row["model"],
            is_tuned(row), -row["calibrated"], contestant(row),
        ),
    )  # fmt: skip
    models = sum("experiment" in row for row in ordered)
    shift = _GAP if 0 < models < len(ordered) else 0.0
    return {contestant(row): place + (shift if place >= models else 0.0) for place, row in enumerate(ordered)}


def _panel(axes: Axes, rows: Sequence[Row], *, places: Mapping[str, float], roles: Mapping[str, str]) -> None:
    untuned = {row["model"]: row for row in rows if "experiment" in row and not is_tuned(row)}
    lowest: dict[str, float] = {}
    for row in rows:
        place = places[contestant(row)]
        half = _WITHIN * row["null_sd"] / (1 - row["null_mean"])
        axes.barh(place, 2 * half, left=-half, height=0.72, color=_BAND, zorder=0.5)
        _dot(axes, row, place=place, colour=ROLE_COLOURS[_role(row, roles=roles)])
        before = untuned.get(row["model"]) if is_tuned(row) else None
        if before is not None:
            lowest[row["model"]] = max(place, lowest.get(row["model"], place))
            axes.annotate(
                "", xy=(row["calibrated"], place - _ABOVE), xytext=(before["calibrated"], place - _ABOVE),
                arrowprops={"arrowstyle": "-|>", "color": _ARROW, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0,
                            "mutation_scale": 8},
            ).set_in_layout(False)  # fmt: skip
    for model, place in lowest.items():  # what its arrows start from
        before = untuned[model]
        axes.plot(
            [before["calibrated"]] * 2, [places[contestant(before)], place - _ABOVE],
            color=ROLE_COLOURS["untuned"], linewidth=0.9, linestyle=":", zorder=1,
        )  # fmt: skip
    axes.axvline(0, color="black", linewidth=1.0, zorder=1)
    axes.set_xlabel("0 = chance, 1 = best possible")
    axes.margins(x=0.06)
    axes.use_sticky_edges = False  # the bands would else end at the frame
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _dot(axes: Axes, row: Row, *, place: float, colour: str) -> ErrorbarContainer:
    low, high = row["calibrated_ci_low"], row["calibrated_ci_high"]
    value = row["calibrated"]
    arms = None if low is None or high is None else [[max(value - low, 0.0)], [max(high - value, 0.0)]]
    return axes.errorbar(
        value, place, xerr=arms, fmt="o", markersize=5, capsize=2.5, linewidth=1.5, color=colour, zorder=2
    )


def _role(row: Row, *, roles: Mapping[str, str]) -> str:
    if "experiment" not in row:
        return "baseline"
    if is_tuned(row):
        return "tuned"
    return "benchmark" if roles.get(row["model"]) == "benchmark" else "untuned"


def _legend(shown: set[str]) -> list[Line2D | Patch]:
    names = {
        "untuned": "untuned", "tuned": "tuned", "benchmark": "benchmark, never tuned", "baseline": "no language model",
    }  # fmt: skip
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=ROLE_COLOURS[role], marker="o", linewidth=1.6, label=name)
        for role, name in names.items()
        if role in shown
    ]
    if "tuned" in shown:
        handles.append(
            Line2D([], [], color=_ARROW, marker=">", markersize=5, linewidth=1.2, label="what tuning did")
        )
    handles.append(Line2D([], [], color="black", linewidth=1.0, label="chance"))
    handles.append(Patch(color=_BAND, label="95% of rewired graphs"))
    return handles
