"""Figures that set models side by side: scores and the benchmark's line (9), ranking (10), what tuning changed (12)."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bioalign_assets.errors import WarehouseError
from bioalign_assets.evaluation.metrics import METRICS
from bioalign_assets.plotting import ROLE_COLOURS, figure_style
from bioalign_assets.study import UNTUNED

__all__ = ["COMPARED", "by_model", "improvement_bars", "leaderboard_figure"]

COMPARED = ("accuracy", "kg_separation")
"""What figure 9 shows of each model."""
_HEIGHT_OF_A_ROW = 0.27
_DASHES = ((0, (5, 3)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 1)))  # one for each baseline


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
        key=lambda row: (row["model"], row["experiment"] != UNTUNED, row["experiment"]),
        reverse=True,  # the first at the top
    )
    for place, row in enumerate(models):
        role = "untuned" if row["experiment"] == UNTUNED else "tuned"
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


def leaderboard_figure(leaderboard: pa.Table, *, test_set: str, prompt: str | None) -> Figure:
    """Draw one ranking: AUROC and its interval by model, the baselines as dashed lines.

    :param leaderboard: schema ``report.leaderboard``
    :param test_set: which ranking
    :param prompt: which ranking; None for the one of baselines alone
    :raises WarehouseError: if there is no such ranking
    """
    rows = [row for row in leaderboard.to_pylist() if (row["test_set"], row["prompt"]) == (test_set, prompt)]
    if not rows:
        raise _nothing("report.leaderboard", f"no rows for test set {test_set} and prompt {prompt}")
    rows.sort(key=lambda row: (row["auroc"], row["model"], row["experiment"]))  # the best at the top
    models = [row for row in rows if row["role"] != "baseline"]
    baselines = [row for row in reversed(rows) if row["role"] == "baseline"]
    with figure_style():
        figure = Figure(figsize=(7.2, 2.4 + 0.34 * max(len(models), 2)))
        axes = figure.subplots()
        handles = [
            axes.axvline(
                row["auroc"], color=ROLE_COLOURS["baseline"], linestyle=dash, linewidth=1.6,
                label=f"baseline: {row['model']} ({row['auroc']:.3f})",
            )
            for row, dash in zip(baselines, cycle(_DASHES), strict=False)
        ]  # fmt: skip
        for place, row in enumerate(models):
            axes.errorbar(
                row["auroc"], place, xerr=_arms(row["auroc"], row["auroc_ci_low"], row["auroc_ci_high"]),
                fmt="o", markersize=6, capsize=3, linewidth=1.6, color=ROLE_COLOURS[row["role"]],
            )  # fmt: skip
        if not models:
            axes.text(
                0.5, 0.5, "no model has been asked yet", transform=axes.transAxes, ha="center", va="center"
            )
        axes.set_yticks(range(len(models)), [_contestant(row) for row in models])
        axes.set_ylim(-0.6, max(len(models), 1) - 0.4)
        lowest = min([row["auroc_ci_low"] for row in models] + [row["auroc"] for row in baselines])
        axes.set_xlim(min(0.45, lowest - 0.02), 1.0)
        axes.axvline(0.5, color="black", linewidth=0.8)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("AUROC of p_true, 95% interval (0.5 = chance)")
        figure.suptitle(_title(rows, test_set=test_set, prompt=prompt), fontsize=11)
        roles = [role for role in ROLE_COLOURS if any(row["role"] == role for row in models)]
        handles += [
            Line2D([], [], color=ROLE_COLOURS[role], marker="o", linewidth=1.6, label=role) for role in roles
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _contestant(row: dict[str, Any]) -> str:
    name = f"{row['rank']}.  {row['model']}@{row['experiment']}"
    return f"{name} (tiny)" if row["is_tiny"] else name


def _title(rows: list[dict[str, Any]], *, test_set: str, prompt: str | None) -> str:
    sizes = sorted({row["n"] for row in rows})
    n = f"n = {sizes[0]:,}" if len(sizes) == 1 else f"n = {sizes[0]:,} to {sizes[-1]:,}"
    asked = f"{prompt} prompt, {n}" if prompt else n
    return f"Who tells true from false on {test_set}?\n{asked}"


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
