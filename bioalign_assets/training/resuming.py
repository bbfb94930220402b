"""The trainer's side of a training that survives being killed: what it saves, and how it goes on.

transformers' own checkpoints hold the adapter, the optimiser, the scheduler, the state of the random numbers, the
loss scaler and the position in the data. Three things would still differ from an uninterrupted training:

- The loss since the last logged step is kept nowhere. So a checkpoint is only written at a logged step.
- A checkpoint of the last step is not known to be the end: the trainer would take one more step from it.
- The clock that throughput is taken from starts anew; the log says where (``log_table``).
"""

import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftModel
from transformers import Trainer, TrainerCallback, TrainerState

from bioalign_assets.models.memory import peak_process_memory
from bioalign_assets.training.checkpoints import Checkpoint, Checkpoints
from bioalign_assets.training.failures import broken, is_finite
from bioalign_assets.training.log import RESUMED

__all__ = ["Checkpointing", "Session", "bytes_needed", "train_on"]

_STATE = "trainer_state.json"
_SMALLEST_IN_8_BITS = 4096
"""Elements; bitsandbytes keeps both moments of a smaller tensor in 32 bits."""
_MORE_IN_A_CHECKPOINT = 32_000_000
"""Bytes for the tokenizer, the log and the rest: a tokenizer of 128,000 words has some 17 MB."""
_AT_ONCE = 3
"""Checkpoints that lie there at once: two, and the one that is being written."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """The part of a training that this process does."""

    device: torch.device
    resumed: Checkpoint | None = None
    """Where it goes on; None at the beginning"""
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Wall time of the training so far, with that of the processes before up to their last checkpoint."""
        before = self.resumed.seconds if self.resumed else 0.0
        return before + time.perf_counter() - self.started

    @property
    def peak_memory_bytes(self) -> int:
        """Most memory in use so far, of the card or of the process on a CPU; the processes before count too."""
        on_card = self.device.type == "cuda"
        now = int(torch.cuda.max_memory_allocated()) if on_card else peak_process_memory()
        return max(now, self.resumed.peak_memory_bytes if self.resumed else 0)


class Checkpointing(TrainerCallback):
    """Lets the trainer save at an interval and at the end, and seals what it saved."""

    def __init__(self, checkpoints: Checkpoints, *, session: Session) -> None:
        self._checkpoints = checkpoints
        self._session = session

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - transformers' form
        """Note in the log where a training goes on: its clock begins at 0 there."""
        if state.global_step:
            state.log_history.append({RESUMED: True, "step": state.global_step})

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - transformers' form
        """Ask for a checkpoint at the first logged step of each interval, and after the last step."""
        interval = math.ceil(self._checkpoints.every / state.logging_steps) * state.logging_steps
        if state.global_step % interval == 0 or state.global_step >= state.max_steps:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **parts: Any) -> None:  # noqa: ARG002 - transformers' form
        """Seal the checkpoint that was just written, if it is one to go on from.

        :raises ModelError: if a weight or the optimiser's state is no number: the next steps could only be so too
        """
        subject = f"Training {self._checkpoints.name} at step {state.global_step}"
        weights = (p for p in parts["model"].parameters() if p.requires_grad)
        moments = (value for of_one in parts["optimizer"].state.values() for value in of_one.values())
        if not is_finite(weights):
            raise broken(subject, found="adapter weights that are not numbers", expected="finite weights")
        if not is_finite(moments):
            raise broken(subject, found="an optimiser state that is not numbers", expected="finite moments")
        self._checkpoints.seal(
            state.global_step,
            seconds=self._session.seconds,
            peak_memory_bytes=self._session.peak_memory_bytes,
        )


def train_on(trainer: Trainer, *, session: Session, checkpoints: Checkpoints | None) -> None:
    """Train to the end, from where the session goes on or from the beginning.

    :param trainer: ready to train, with a fresh adapter on its model
    :param checkpoints: where it saves; none at all without
    """
    if checkpoints is not None:
        trainer.add_callback(Checkpointing(checkpoints, session=session))
    try:
        _train(trainer, resumed=session.resumed)
    except BaseException:
        if checkpoints is not None:
            checkpoints.discard_torn()
        raise


def _train(trainer: Trainer, *, resumed: Checkpoint | None) -> None:
    if resumed is None:
        trainer.train()
        return
    state = TrainerState.load_from_json(str(resumed.folder / _STATE))
    if state.global_step < state.max_steps:
        trainer.train(resume_from_checkpoint=str(resumed.folder))
        return
    # killed after the last step: the trainer would find the epoch unfinished and take another one
    model: PeftModel = trainer.model
    model.load_adapter(str(resumed.folder), model.active_adapters[0], is_trainable=True)
    state.log_history.append({RESUMED: True, "step": state.global_step})
    trainer.state = state


def bytes_needed(model: PeftModel, *, eight_bit: bool, checkpoints: Checkpoints | None) -> int:
    """Return how much more space a training may take on the disk at one time, in bytes.

    :param eight_bit: whether the optimiser holds its two moments in 8 bits
    :param checkpoints: what it writes there, if anything; those that lie there already don't count
    """
    sizes = [p.numel() for p in model.parameters() if p.requires_grad]
    adapter = 4 * sum(sizes)
    if checkpoints is None:
        return adapter
    moments = sum(2 * size * (1 if eight_bit and size >= _SMALLEST_IN_8_BITS else 4) for size in sizes)
    whole = _AT_ONCE * (adapter + moments + _MORE_IN_A_CHECKPOINT)
    return adapter + max(0, whole - checkpoints.bytes)
