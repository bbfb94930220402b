"""What a study file says about an experiment: what to train on, how, and what to evaluate on."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from bioalign_assets.study.spec import ReadBy, Reader, Spec, not_read

__all__ = ["LINEAR_LAYERS", "ExperimentSpec"]

Target = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LINEAR_LAYERS: tuple[Target, ...] = get_args(Target)

_TRAINS = ReadBy(Reader.TRAINING)


class ExperimentSpec(Spec):
    """One entry of ``[experiments.<name>]``. The defaults are the paper's settings."""

    train_on: Annotated[str | None, _TRAINS] = None
    """Dataset whose training split is learned; none leaves the model untuned."""
    evaluate_on: Annotated[tuple[str, ...], ReadBy(Reader.INFERENCE)] = Field(min_length=1)
    """Datasets whose test splits are asked."""
    models: Annotated[
        tuple[str, ...] | None, not_read("a model more is a variant more; the others stay as they are")
    ] = None
    """Tuned models that take part; all of them by default."""
    in_demo: Annotated[bool, not_read("what the demo leaves out is not trained otherwise")] = True
    """Whether ``bioalign demo`` runs it; otherwise it is there to be materialised when somebody wants it."""
    rank: Annotated[int, _TRAINS] = Field(default=16, ge=1, le=1024)
    alpha: Annotated[int, _TRAINS] = Field(default=32, ge=1)
    dropout: Annotated[float, _TRAINS] = Field(default=0.0, ge=0, lt=1)
    targets: Annotated[tuple[Target, ...], _TRAINS] = Field(default=LINEAR_LAYERS, min_length=1)
    """Linear layers that get an adapter."""
    steps: Annotated[int | None, _TRAINS] = Field(default=None, ge=1)
    """Optimiser steps; give this or ``epochs``."""
    epochs: Annotated[float | None, _TRAINS] = Field(default=None, gt=0)
    rows: Annotated[int | None, _TRAINS] = Field(default=None, ge=1)
    """Training rows that are taken, from the first: for learning curves; all by default."""
    learning_rate: Annotated[float, _TRAINS] = Field(default=2e-4, gt=0)
    warmup_steps: Annotated[int, _TRAINS] = Field(default=10, ge=0)
    weight_decay: Annotated[float, _TRAINS] = Field(default=0.01, ge=0)
    schedule: Annotated[Literal["linear", "cosine", "constant"], _TRAINS] = "linear"
    optimiser: Annotated[Literal["adamw_8bit", "adamw_torch"], _TRAINS] = "adamw_8bit"
    batch_size: Annotated[int, _TRAINS] = Field(default=2, ge=1)
    """Samples in one forward pass."""
    accumulation: Annotated[int, _TRAINS] = Field(default=4, ge=1)
    """Forward passes in one optimiser step."""
    max_tokens: Annotated[int, _TRAINS] = Field(default=128, ge=16)
    """Longest sample; a longer one is an error, never cut."""
    prompts: Annotated[Literal["training", "varied"], _TRAINS] = "training"
    """Templates of the samples: the paper's one, or several that no model is ever asked with."""
    loss: Annotated[Literal["answer", "full"], _TRAINS] = "answer"
    """Tokens that count: the answer and the end of text, or the whole sample as in the notebooks."""
    packing: Annotated[bool, _TRAINS] = True
    """Shared-prefix packing: the same gradients from fewer tokens, where the loss is on the answer."""
    gradient_checkpointing: Annotated[bool | Literal["auto"], _TRAINS] = "auto"
    """Whether activations are computed anew in the backward pass; ``auto``: where memory has no room for them. It
    changes no figure."""
    checkpoint_every: Annotated[
        int, not_read("a training that goes on from a checkpoint ends with the same adapter")
    ] = Field(default=100, ge=1)
    """Optimiser steps from which on an interrupted training goes on; it changes no figure."""
    seed: Annotated[int, _TRAINS] = Field(default=42, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _length_of_training(self) -> Self:
        given = [name for name in ("steps", "epochs") if getattr(self, name) is not None]
        if self.train_on is None and given:
            raise ValueError(f"{given[0]} needs train_on: an experiment without it leaves the models untuned")
        if self.train_on is not None and len(given) != 1:
            raise ValueError("give exactly one of steps and epochs")
        return self

    def as_run(self) -> dict[str, Any]:
        """Return the settings as they work: what changes no figure reads as it was before there was a choice."""
        settings = super().as_run()
        settings["gradient_checkpointing"] = settings["gradient_checkpointing"] is not False
        if settings["rows"] is None:  # as it was before it could be said
            del settings["rows"]
        return settings

    @property
    def is_untuned(self) -> bool:
        """Whether the experiment runs the models as they are."""
        return self.train_on is None
