"""Loss curves: of one training, and of all trainings of a model (figure 14 of the paper)."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bioalign_assets.plotting import figure_style

__all__ = ["MOST_CURVES", "loss_curve", "loss_curves"]

MOST_CURVES = 8
"""More in one picture can't be told apart: as many colours as there are in the palette."""
_CURVE_POINTS = 200
# Okabe and Ito's palette but for its yellow, which is lost on white; then the same, dashed
_CURVES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_DASHES = ("-", (0, (5, 2)))
_SMOOTHED_OVER = 10


def loss_curve(log: pa.Table, *, variant: str) -> Figure:
    """Return the training loss by step: each logged step, and its running mean.

    :param log: rows of ``training.log`` of one variant, by step
    """
    with figure_style():
        figure = Figure(figsize=(6.4, 3.6))
        axes = figure.subplots()
        step, loss = log["step"].to_numpy(), log["loss"].to_numpy()
        axes.plot(step, loss, color="#9ecae1", linewidth=1, label="logged step")
        if len(loss) > _SMOOTHED_OVER:
            smooth = np.convolve(loss, np.ones(_SMOOTHED_OVER) / _SMOOTHED_OVER, mode="valid")
            axes.plot(
                step[_SMOOTHED_OVER - 1 :], smooth, color="#08519c", linewidth=2,
                label=f"mean of {_SMOOTHED_OVER} logged steps",
            )  # fmt: skip
        _dress(axes, title=f"Training loss of {variant}")
        axes.legend()
    return figure


def loss_curves(log: pa.Table, *, model: str) -> list[Figure]:
    """Draw the training losses of a model's experiments together, ``MOST_CURVES`` in a picture.

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
        _dress(axes, title=f"Training losses of {model}")
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


def _dress(axes: Axes, *, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("cross-entropy (nats per counted token)")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True)
