"""Figures that compare models with each other and with the baselines."""

from typing import Any

import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bioalign_assets.errors import WarehouseError
from bioalign_assets.plotting import ROLE_COLOURS, figure_style

__all__ = ["leaderboard_figure"]

_DASHES = ((0, (5, 3)), (0, (2, 2)), (0, (6, 2, 1, 2)), (0, (1, 1)))  # one for each baseline


def leaderboard_figure(leaderboard: pa.Table, *, test_set: str, prompt: str | None) -> Figure:
    """Draw one ranking: AUROC and its interval by model, the baselines as dashed lines.

    :param leaderboard: schema ``report.leaderboard``
    :param test_set: which ranking
    :param prompt: which ranking; None for the one of baselines alone
    :raises WarehouseError: if there is no such ranking
    """
    rows = [row for row in leaderboard.to_pylist() if (row["test_set"], row["prompt"]) == (test_set, prompt)]
    if not rows:
        raise WarehouseError(
            "report.leaderboard",
            found=f"no rows for test set {test_set} and prompt {prompt}",
            expected="a ranking",
            remedy="Materialise report.leaderboard, or draw a ranking that it holds.",
        )
    rows.sort(key=lambda row: (row["auroc"], row["model"], row["experiment"]))  # the best at the top
    models = [row for row in rows if row["role"] != "baseline"]
    baselines = [row for row in reversed(rows) if row["role"] == "baseline"]
    with figure_style():
        figure = Figure(figsize=(7.2, 2.4 + 0.34 * max(len(models), 2)))
        axes = figure.subplots()
        handles = [
            _line(axes, row, dash) for row, dash in zip(baselines, _cycle(len(baselines)), strict=True)
        ]
        for place, row in enumerate(models):
            axes.errorbar(
                row["auroc"],
                place,
                xerr=[[row["auroc"] - row["auroc_ci_low"]], [row["auroc_ci_high"] - row["auroc"]]],
                fmt="o",
                markersize=6,
                capsize=3,
                linewidth=1.6,
                color=ROLE_COLOURS[row["role"]],
            )
        if not models:
            axes.text(
                0.5, 0.5, "no model has been asked yet", transform=axes.transAxes, ha="center", va="center"
            )
        axes.set_yticks(range(len(models)), [_name(row) for row in models])
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


def _line(axes: Any, row: dict[str, Any], dash: Any) -> Line2D:
    label = f"baseline: {row['model']} ({row['auroc']:.3f})"
    line: Line2D = axes.axvline(
        row["auroc"], color=ROLE_COLOURS["baseline"], linestyle=dash, linewidth=1.6, label=label
    )
    return line


def _cycle(count: int) -> list[Any]:
    return [_DASHES[place % len(_DASHES)] for place in range(count)]


def _name(row: dict[str, Any]) -> str:
    name = f"{row['rank']}.  {row['model']}@{row['experiment']}"
    return f"{name} (tiny)" if row["is_tiny"] else name


def _title(rows: list[dict[str, Any]], *, test_set: str, prompt: str | None) -> str:
    sizes = sorted({row["n"] for row in rows})
    n = f"n = {sizes[0]:,}" if len(sizes) == 1 else f"n = {sizes[0]:,} to {sizes[-1]:,}"
    asked = f"{prompt} prompt, {n}" if prompt else n
    return f"Who tells true from false on {test_set}?\n{asked}"
