"""A training from its base model on: the backend, whether there is memory enough, then the training itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bioalign_assets.errors import ModelError
from bioalign_assets.models.backends.choose import backend_of, refuse_absent_unsloth
from bioalign_assets.models.backends.own_process import run_in_own_process
from bioalign_assets.models.memory import refuse_small_device
from bioalign_assets.models.needs import TrainingLoad, training_bytes
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.training.lengths import TYPICAL, SampleLengths, lengths_of
from bioalign_assets.training.packing import MOST_SAMPLES_IN_A_ROW

if TYPE_CHECKING:
    from bioalign_assets.training.qlora import Training

__all__ = ["train_on_base", "training_load"]

_ANSWER_TOKENS = 8
"""Tokens of an answer with its end of text, at the most: a packed row runs the head for these alone."""
_OPTIMISER_BYTES = {"adamw_8bit": 2 * (1 + 4 / 256), "adamw_torch": 8}
"""Two moments a weight: in 8 bits with a 32-bit scale for 256 of them (Dettmers et al. 2022,
https://arxiv.org/abs/2110.02861), or in 32 bits."""


def train_on_base(
    rows: pa.Table,
    *,
    resolved: ResolvedModel,
    model_spec: ModelSpec,
    spec: ExperimentSpec,
    warehouse: Path,
    **training: Any,
) -> "Training":
    """Load a base model by its backend, train an adapter on it and publish it; return the finished training.

    Unsloth trains in a process of its own, where it is imported before transformers, as it demands.

    :param rows: training rows (:func:`train_adapter`)
    :param warehouse: folder of the warehouse
    :param training: what else :func:`train_adapter` takes
    :raises ModelError: if the backend can't train here, the device has too little memory, or the training fails
    """
    arguments: dict[str, Any] = {
        "rows": rows,
        "resolved": resolved,
        "model_spec": model_spec,
        "spec": spec,
        "warehouse": warehouse,
        **training,
    }
    if model_spec.trained_by != "unsloth":
        return _train(**arguments)
    refuse_absent_unsloth(resolved.model)
    trained: Training = run_in_own_process(
        "bioalign_assets.training.on_base:_train",
        first="unsloth",
        arguments=arguments,
        what=f"Training {training.get('name', resolved.model)} with Unsloth",
    )
    return trained


def training_load(
    spec: ExperimentSpec, *, model_spec: ModelSpec, lengths: SampleLengths | None = None
) -> TrainingLoad:
    """Return what of an experiment decides how much memory its training takes, at the least that it would run with.

    :param lengths: of its samples; typical ones where they are not known yet
    """
    packs = (
        model_spec.trained_by == "transformers"
        and model_spec.attention in ("auto", "sdpa", "eager")
        and spec.batch_size <= MOST_SAMPLES_IN_A_ROW
        and spec.packing
        and spec.loss == "answer"
        and spec.dropout == 0
    )
    whole = spec.batch_size * spec.accumulation
    samples = max(spec.batch_size, min(whole, MOST_SAMPLES_IN_A_ROW)) if packs else spec.batch_size
    tokens = (lengths or TYPICAL).tokens(samples, packs=packs)
    return TrainingLoad(
        rank=spec.rank,
        targets=spec.targets,
        tokens=tokens,
        predicted=_ANSWER_TOKENS * samples if packs else tokens,
        optimiser_bytes=_OPTIMISER_BYTES[spec.optimiser],
        is_checkpointed=spec.gradient_checkpointing is not False,
    )


def _train(
    rows: pa.Table,
    *,
    resolved: ResolvedModel,
    model_spec: ModelSpec,
    spec: ExperimentSpec,
    warehouse: Path,
    **training: Any,
) -> "Training":
    from bioalign_assets.models.loading import default_device, load_tokenizer
    from bioalign_assets.models.threads import reproducible_threads
    from bioalign_assets.training.qlora import train_adapter
    from bioalign_assets.training.samples import experiment_samples

    # before any weight is loaded: what is too long is told in seconds, and true lengths tell what memory is needed
    tokenizer = load_tokenizer(resolved.folder(warehouse=warehouse))
    samples = experiment_samples(rows, spec=spec, tokenizer=tokenizer, model=resolved.model)
    load = training_load(spec, model_spec=model_spec, lengths=lengths_of(samples))
    backend = backend_of(model_spec)
    if model_spec.dtype == "float16" and default_device().type == "cpu":
        raise _float16_on_cpu(resolved.model)
    refuse_small_device(
        resolved, spec=model_spec, warehouse=warehouse,
        what=f"Training {resolved.model} (rank {spec.rank}, batch {spec.batch_size} x {spec.accumulation})",
        needed=lambda shape, width, on_card: training_bytes(
            shape, load=load, is_nf4=resolved.quantisation == "nf4",
            width=width, on_card=on_card,
        ),
    )  # fmt: skip
    with reproducible_threads(model_spec):
        loaded = backend.for_training(
            resolved, spec=model_spec, warehouse=warehouse, max_tokens=spec.max_tokens, tokenizer=tokenizer
        )
        return train_adapter(rows, loaded=loaded, spec=spec, backend=backend, samples=samples, **training)


def _float16_on_cpu(model: str) -> ModelError:
    """Losses would have to be scaled, which is done on a card alone."""
    return ModelError(
        f"Training {model}", found='dtype = "float16" on a CPU', expected="auto, bfloat16 or float32",
        remedy=f"Set models.{model}.dtype to auto, or train on a CUDA card.",
    )  # fmt: skip
