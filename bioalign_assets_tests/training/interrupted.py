"""Trainings that are interrupted at a step of the test's choice: helpers of the tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bioalign_assets.training import resuming
from bioalign_assets.training.checkpoints import Checkpoints, held_checkpoints
from bioalign_assets.training.qlora import Training, train_adapter
from bioalign_assets_tests import tiny_models

EVERY = 2


class Interrupted(Exception):  # noqa: N818 - no error, an event
    """Stands for whatever ends a training early."""


def hold(folder: Path, *, every: int = EVERY, key: str = "k") -> Any:
    return held_checkpoints(folder / "checkpoints", key=key, name="toy", every=every, wait_s=0)


def train(
    folder: Path,
    *,
    checkpoints: Checkpoints | None,
    architecture: str = "llama",
    rows: int = 18,
    at: Callable[..., None] | None = None,
    **more: object,
) -> Training:
    """Train; ``at(step, **parts)`` is called after each optimiser step, before it is logged and saved."""
    original = resuming.Checkpointing.on_step_end

    def on_step_end(self, args, state, control, **parts):
        original(self, args, state, control, **parts)
        if at is not None:
            at(state.global_step, **parts)

    resuming.Checkpointing.on_step_end = on_step_end
    try:
        return train_adapter(
            tiny_models.training_rows(rows),
            loaded=tiny_models.load(architecture),
            spec=tiny_models.experiment(**more),
            adapters=folder / "adapters",
            name="toy",
            checkpoints=checkpoints,
        )
    finally:
        resuming.Checkpointing.on_step_end = original


def stop(step: int) -> Callable[..., None]:
    """Interrupt after a step."""

    def at(now: int, **_: object) -> None:
        if now == step:
            raise Interrupted

    return at


def assert_same(one: Training, other: Training) -> None:
    """The same adapter, bit for bit, by the same way."""
    assert one.sha256 == other.sha256
    assert one.log.drop(["tokens_per_s"]).equals(other.log.drop(["tokens_per_s"]))
    assert (one.steps, one.samples) == (other.steps, other.samples)
    assert one.trainable_parameters == other.trainable_parameters


def published(folder: Path) -> list[str]:
    return [path.name for path in (folder / "adapters").glob("*")]
