"""The loss curve (figure 14 of the paper)."""

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from bioalign_assets.plotting import figure_style

__all__ = ["loss_curve"]

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
        axes.set_title(f"Training loss of {variant}")
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("cross-entropy (nats per counted token)")
        axes.set_ylim(bottom=0)
        axes.legend()
        axes.grid(visible=True)
    return figure
