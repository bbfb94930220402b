"""Loss curves show what was logged."""

import numpy as np
import pyarrow as pa
import pytest

from bioalign_assets.training.figures import MOST_CURVES, loss_curve, loss_curves
from bioalign_assets.warehouse.schemas import TABLES


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


def log(*variants, steps=30):
    rows = [
        {
            "variant": name,
            "step": step,
            "loss": 1.0 / step,
            "learning_rate": 0.1,
            "grad_norm": None,
            "tokens_per_s": 1.0,
        }
        for name in variants
        for step in range(1, steps + 1)
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["training.log"].arrow)


def test_losses_of_a_model_are_drawn_together_and_those_of_others_not():
    (drawn,) = loss_curves(log("llama@paper", "llama@rank-8", "phi@paper"), model="llama")
    lines = drawn.axes[0].lines
    assert [line.get_label() for line in lines] == ["paper", "rank-8"]
    assert list(lines[0].get_ydata())[:2] == pytest.approx([1.0, 0.5])
    assert loss_curves(log("phi@paper"), model="llama") == []


def test_long_logs_are_thinned_and_many_experiments_divided():
    (drawn,) = loss_curves(log("llama@paper", steps=2000), model="llama")
    assert len(drawn.axes[0].lines[0].get_xdata()) == 200
    assert drawn.axes[0].lines[0].get_xdata().mean() == pytest.approx(1000.5)
    several = loss_curves(log(*(f"llama@e{n:02}" for n in range(MOST_CURVES + 1)), steps=3), model="llama")
    assert [len(each.axes[0].lines) for each in several] == [MOST_CURVES, 1]
    styles = {(line.get_color(), line.get_linestyle()) for line in several[0].axes[0].lines}
    assert len(styles) == MOST_CURVES
