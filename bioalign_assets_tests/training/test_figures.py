"""The loss curve shows what was logged."""

import numpy as np
import pyarrow as pa
import pytest

from bioalign_assets.training.figures import loss_curve


def log_of(steps):
    step = np.arange(1, steps + 1)
    return pa.table({"step": step, "loss": 1 / step + 0.1 * (step % 2)})


@pytest.mark.parametrize("steps", [1, 2, 10, 11, 100])
def test_shows_every_step_and_the_running_mean(steps):
    axes = loss_curve(log_of(steps), variant="m@x").axes[0]
    raw, *smooth = axes.get_lines()
    loss = log_of(steps)["loss"].to_numpy()
    assert np.array_equal(raw.get_ydata(), loss)
    assert len(smooth) == (steps > 10)
    for line in smooth:
        expected = [loss[i - 9 : i + 1].mean() for i in range(9, steps)]
        assert line.get_ydata() == pytest.approx(expected)
        assert line.get_xdata().tolist() == list(range(10, steps + 1))
    assert "m@x" in axes.get_title()
    assert axes.get_xlabel() == "optimiser step"
    assert "nats" in axes.get_ylabel()
    assert axes.get_ylim()[0] == 0
    assert axes.get_legend() is not None
