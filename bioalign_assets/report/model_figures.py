"""Figures that set models side by side: scores with the benchmark's line (9), what tuning changed (12), losses (14).

The ranking (10) is in ``figures.py``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bioalign_assets.errors import WarehouseError
from bioalign_assets.evaluation.metric import METRICS
from bioalign_assets.plotting import ROLE_COLOURS, figure_style

__all__ = ["COMPARED", "MOST_CURVES", "by_model", "improvement_bars", "loss_curves"]

COMPARED = ("accuracy", "kg_separation")
"""What figure 9 shows of each model."""
MOST_CURVES = 8
"""More in one picture can't be told apart: as many colours as there are in the palette."""
_CURVE_POINTS = 200
# Okabe and Ito's palette but for its yellow, which is lost on white; then the same, dashed
_CURVES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_DASHES = ("-", (0, (5, 2)))
_HEIGHT_OF_A_ROW = 0.27


def by_model(figures: pa.Table, *, test_set: str, prompt: str | None, roles: Mapping[str, str]) -> Figure:
    """Draw zero-shot accuracy and KG separation of each variant on one test set; the benchmark is a line (figure 9).

    :param figures: rows as of the metric tables, of the evaluation sample
    :param test_set: which test set
    :param prompt: which prompt the accuracy is of
    :param roles: ``tuned`` or ``benchmark`` by model
    :raises WarehouseError: if no model has such a figure
    """
    panels = {
        metric: [
            row for row in figures.to_pylist()
            if (row["metric"], row["test_set"], row["scope"]) == (metric, test_set, "sample")
            and row["prompt"] in {prompt, None}
        ]
        for metric in COMPARED
    }  # fmt: skip
    panels = {metric: rows for metric, rows in panels.items() if rows}
    if not panels:
        raise _nothing("evaluation.zero_shot", f"no {' or '.join(COMPARED)} on {test_set}")
    most = max(len(rows) for rows in panels.values())
    with figure_style():
        figure = Figure(figsize=(6.4, 1.0 + len(panels) * (0.9 + _HEIGHT_OF_A_ROW * most)))
        drawn = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, (metric, rows) in zip(drawn, panels.items(), strict=True):
            _panel(axes, rows, metric=metric, roles=roles)
        figure.suptitle(f"Models on {test_set}" + (f", {prompt} prompt" if prompt else ""), fontsize=11)
        marks = [
            Line2D([], [], color=ROLE_COLOURS[role], marker="o", linewidth=1.6, label=role)
            for role in ("untuned", "tuned")
        ]
        if any(roles.get(row["model"]) == "benchmark" for rows in panels.values() for row in rows):
            label = "benchmark, never tuned"
            marks.append(
                Line2D([], [], color=ROLE_COLOURS["benchmark"], linestyle="--", linewidth=1.6, label=label)
            )
        figure.legend(handles=marks, loc="outside lower center", ncols=3)
    return figure


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], *, metric: str, roles: Mapping[str, str]) -> None:
    benchmarks = [row for row in rows if roles.get(row["model"]) == "benchmark"]
    models = sorted(
        (row for row in rows if roles.get(row["model"]) != "benchmark"),
        key=lambda row: (row["model"], row["experiment"] != "untuned", row["experiment"]),
        reverse=True,  # the first at the top
    )
    for place, row in enumerate(models):
        role = "untuned" if row["experiment"] == "untuned" else "tuned"
        axes.errorbar(
            row["value"], place, xerr=_arms(row["value"], row["ci_low"], row["ci_high"]),
            fmt="o", markersize=5, capsize=2.5, linewidth=1.5, color=ROLE_COLOURS[role],
        )  # fmt: skip
    for row in benchmarks:
        axes.axvline(row["value"], color=ROLE_COLOURS["benchmark"], linestyle="--", linewidth=1.6)
    axes.set_yticks(range(len(models)), [f"{row['model']}@{row['experiment']}" for row in models])
    axes.xaxis.set_major_locator(MaxNLocator(5))  # more ticks run into each other where figures are small
    axes.set_ylim(-0.6, max(len(models), 1) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    named = ", ".join(sorted(row["model"] for row in benchmarks))
    axes.set_title(METRICS[metric].title + (f" (line: {named})" if named else ""))
    axes.set_xlabel("figure, with its 95% interval")


def improvement_bars(improvements: pa.Table, *, test_set: str, metrics: Sequence[str]) -> Figure:
    """Draw what tuning changed, by metric and variant, with the interval of the change where there is one (figure 12).

    :param improvements: schema ``report.improvements``
    :param test_set: which test set
    :param metrics: which metrics, a panel each; those without rows are left out
    :raises WarehouseError: if there is no change to draw
    """
    rows = [row for row in improvements.to_pylist() if row["test_set"] == test_set]
    panels = {metric: [row for row in rows if row["metric"] == metric] for metric in metrics}
    panels = {metric: found for metric, found in panels.items() if found}
    if not panels:
        raise _nothing("report.improvements", f"no change of {', '.join(metrics)} on {test_set}")
    heights = [1.0 + _HEIGHT_OF_A_ROW * len(found) for found in panels.values()]
    with figure_style():
        figure = Figure(figsize=(6.4, 0.6 + sum(heights)))
        drawn = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (metric, found) in zip(drawn, panels.items(), strict=True):
            ordered = list(reversed(found))
            for place, row in enumerate(ordered):
                axes.barh(
                    place, row["change"], height=0.62, color=ROLE_COLOURS["tuned"],
                    xerr=_arms(row["change"], row.get("change_ci_low"), row.get("change_ci_high")),
                    error_kw={"capsize": 2.5, "linewidth": 1.2, "ecolor": "#595959"},
                )  # fmt: skip
            axes.set_yticks(range(len(ordered)), [_variant(row) for row in ordered])
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.set_ylim(-0.6, len(ordered) - 0.4)
            axes.axvline(0, color="black", linewidth=0.8)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x")
            axes.set_title(METRICS[metric].title)
        drawn[-1].set_xlabel("tuned minus untuned")
        figure.suptitle(f"What tuning changed, {test_set}", fontsize=11)
    return figure


def loss_curves(log: pa.Table, *, model: str) -> list[Figure]:
    """Draw the training losses of a model's experiments together, ``MOST_CURVES`` in a picture (figure 14).

    A curve has at most 200 points: each is the mean loss of the logged steps that fall together.

    :param log: rows of ``training.log``
    :param model: whose variants
    """
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for row in log.to_pylist():
        of_model, _, experiment = row["variant"].partition("@")
        if of_model == model:
            steps, losses = curves.setdefault(experiment, ([], []))
            steps.append(row["step"])
            losses.append(row["loss"])
    names = sorted(curves)
    return [
        _curves({name: curves[name] for name in names[start : start + MOST_CURVES]}, model=model)
        for start in range(0, len(names), MOST_CURVES)
    ]


def _curves(curves: Mapping[str, tuple[list[int], list[float]]], *, model: str) -> Figure:
    with figure_style():
        figure = Figure(figsize=(6.4, 3.8))
        axes = figure.subplots()
        for place, (name, (steps, losses)) in enumerate(curves.items()):
            step, loss = _thinned(np.array(steps), np.array(losses))
            axes.plot(
                step, loss, label=name, linewidth=1.6,
                color=_CURVES[place % len(_CURVES)], linestyle=_DASHES[place // len(_CURVES)],
            )  # fmt: skip
        axes.set_title(f"Training losses of {model}")
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("cross-entropy (nats per counted token)")
        axes.set_ylim(bottom=0)
        axes.grid()
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _thinned(
    steps: npt.NDArray[np.int64], losses: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean step and mean loss of at most ``_CURVE_POINTS`` parts of even size, in order of the steps."""
    order = np.argsort(steps, kind="stable")
    parts = min(_CURVE_POINTS, len(steps))
    means = [
        np.array([part.mean() for part in np.array_split(values[order], parts)]) for values in (steps, losses)
    ]
    return means[0], means[1]


def _arms(value: float, low: float | None, high: float | None) -> list[list[float]] | None:
    """Return the lengths of an error bar's arms; None where there is no interval. An end beyond counts as 0."""
    if low is None or high is None:
        return None
    return [[max(value - low, 0.0)], [max(high - value, 0.0)]]


def _variant(row: Mapping[str, Any]) -> str:
    name = f"{row['model']}@{row['experiment']}"
    return f"{name} ({row['prompt']})" if row["prompt"] else name


def _nothing(table: str, found: str) -> WarehouseError:
    return WarehouseError(
        table,
        found=found,
        expected="figures to draw",
        remedy="Materialise the evaluation of a variant first.",
    )
