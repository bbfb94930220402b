"""What watches a training while it runs: a progress bar, and a stop where the loss is no number."""

import math
from typing import Any, Never

from tqdm import tqdm
from transformers import TrainerCallback

from bioalign_assets.terminal import terminal
from bioalign_assets.training.failures import broken

__all__ = ["ProgressBar", "StopOnNaN"]


class ProgressBar(TrainerCallback):
    """One bar for the whole training with the newest loss, on a terminal; nothing elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm[Never] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - transformers' form
        """Begin at the step that is done, of those that the trainer plans."""
        self._bar = tqdm(
            desc=f"training {self._name}", unit="step", file=terminal(), disable=None, leave=False,
            initial=state.global_step, total=state.max_steps,
        )  # fmt: skip

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - transformers' form
        """Count one optimiser step."""
        if self._bar is not None:
            self._bar.update(1)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002 - transformers' form
        """Show the newest loss."""
        if self._bar is not None and logs and "loss" in logs:
            self._bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - transformers' form
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()


class StopOnNaN(TrainerCallback):
    """End a training whose loss is no number, instead of finishing a useless adapter.

    It needs ``logging_nan_inf_filter=False``: by default the trainer logs such a loss as 0.
    """

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002 - transformers' form
        """Look at the loss of the steps since the last log.

        :raises ModelError: if it is not finite
        """
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(float(loss)):
            raise broken(
                f"Training at step {state.global_step}", found=f"the loss {loss}", expected="a finite loss"
            )
