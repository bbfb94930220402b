"""What a study file says about an experiment: what to train on, how, and what to evaluate on."""

from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["LINEAR_LAYERS", "MOST_SAMPLES_IN_A_ROW", "NOT_IN_TRAINING", "ExperimentSpec"]

Target = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LINEAR_LAYERS: tuple[Target, ...] = get_args(Target)

MOST_SAMPLES_IN_A_ROW = 32
"""The mask grows with the square of a row; from about this many samples on, longer rows save next to nothing."""
NOT_IN_TRAINING = ("evaluate_on", "models", "in_demo", "checkpoint_every")
"""Settings of an experiment that no adapter depends on."""


class ExperimentSpec(BaseModel):
    """One entry of ``[experiments.<name>]``. The defaults are the paper's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_on: str | None = None
    """Dataset whose training split is learned; none leaves the model untuned."""
    evaluate_on: tuple[str, ...] = Field(min_length=1)
    """Datasets whose test splits are asked."""
    models: tuple[str, ...] | None = None
    """Tuned models that take part; all of them by default."""
    in_demo: bool = True
    """Whether ``bioalign demo`` runs it; otherwise it is there to be materialised when somebody wants it."""
    rank: int = Field(default=16, ge=1, le=1024)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[Target, ...] = Field(default=LINEAR_LAYERS, min_length=1)
    """Linear layers that get an adapter."""
    steps: int | None = Field(default=None, ge=1)
    """Optimiser steps; give this or ``epochs``."""
    epochs: float | None = Field(default=None, gt=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    warmup_steps: int = Field(default=10, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    optimiser: Literal["adamw_8bit", "adamw_torch"] = "adamw_8bit"
    batch_size: int = Field(default=2, ge=1)
    """Samples in one forward pass."""
    accumulation: int = Field(default=4, ge=1)
    """Forward passes in one optimiser step."""
    max_tokens: int = Field(default=128, ge=16)
    """Longest sample; a longer one is an error, never cut."""
    prompts: Literal["training", "varied"] = "training"
    """Templates of the samples: the paper's one, or several that no model is ever asked with."""
    loss: Literal["answer", "full"] = "answer"
    """Tokens that count: the answer and the end of text, or the whole sample as in the notebooks."""
    packing: bool = True
    """Shared-prefix packing: the same gradients from fewer tokens, where the loss is on the answer."""
    gradient_checkpointing: bool = True
    checkpoint_every: int = Field(default=100, ge=1)
    """Optimiser steps from which on an interrupted training goes on; it changes no figure."""
    seed: int = Field(default=42, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _length_of_training(self) -> Self:
        given = [name for name in ("steps", "epochs") if getattr(self, name) is not None]
        if self.train_on is None and given:
            raise ValueError(f"{given[0]} needs train_on: an experiment without it leaves the models untuned")
        if self.train_on is not None and len(given) != 1:
            raise ValueError("give exactly one of steps and epochs")
        return self

    @property
    def is_untuned(self) -> bool:
        """Whether the experiment runs the models as they are."""
        return self.train_on is None
