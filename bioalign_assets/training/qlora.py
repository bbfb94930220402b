"""QLoRA: a LoRA adapter on a base model held in 4 bits, trained by TRL's SFTTrainer.

Settings and their defaults are the paper's (``ExperimentSpec``). The adapter directory is PEFT's own form and
loads back with ``PeftModel.from_pretrained``.
"""

import json
import math
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from peft import LoraConfig, PeftModel
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    set_seed,
)

from bioalign_assets.errors import ModelError
from bioalign_assets.models.backends.base import Backend
from bioalign_assets.models.backends.transformers_backend import TransformersBackend
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.models.products import joined_products
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.training.adapters import adapter_sha256
from bioalign_assets.training.checkpoints import Checkpoints
from bioalign_assets.training.failures import broken, disk_told, is_finite, memory_told
from bioalign_assets.training.home import CARD, CONFIG, config_bytes
from bioalign_assets.training.lengths import lengths_of
from bioalign_assets.training.log import log_table, resumed_after
from bioalign_assets.training.memory import training_memory
from bioalign_assets.training.resuming import Session, bytes_needed, train_on
from bioalign_assets.training.samples import experiment_samples
from bioalign_assets.training.trainer import build_trainer, is_packed, passes_of
from bioalign_assets.warehouse.atomic import publish_directory

__all__ = ["Training", "lora_targets", "train_adapter"]

_FUSED = {
    "q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj",
    "gate_proj": "gate_up_proj", "up_proj": "gate_up_proj",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Training:
    """A finished training."""

    folder: Path
    """The adapter directory, named by its content hash"""
    sha256: str
    trainable_parameters: int
    steps: int
    samples: int
    """Training samples seen, repeats counted"""
    peak_memory_bytes: int
    seconds: float
    log: pa.Table
    """Schema of ``training.log`` without its variant column"""
    resumed_after: tuple[int, ...]
    """Steps of the checkpoints from which it went on after having been interrupted"""


def lora_targets(model: PreTrainedModel, *, wanted: tuple[str, ...]) -> list[str]:
    """Return the names of the linear layers that get an adapter, as this architecture calls them.

    Phi-3 keeps query, key and value in one layer (``qkv_proj``), gate and up in another (``gate_up_proj``).

    :raises ModelError: if the model has none of the layers for a wanted name
    """
    present = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    targets = []
    for name in wanted:
        target = name if name in present else _FUSED.get(name, name)
        if target not in present:
            raise ModelError(
                f"Architecture {type(model).__name__}",
                found=f"no layer {name}",
                expected=f"the adapter targets {', '.join(wanted)}",
                remedy="Name other targets in the experiment, or add the architecture's name of the layer here.",
            )
        targets.append(target)
    return list(dict.fromkeys(targets))


def train_adapter(
    rows: pa.Table,
    *,
    loaded: LoadedModel,
    spec: ExperimentSpec,
    adapters: Path,
    name: str,
    checkpoints: Checkpoints | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    backend: Backend | None = None,
    samples: list[dict[str, Any]] | None = None,
) -> Training:
    """Train an adapter and publish it as ``<adapters>/<content hash>/``.

    The same rows, base, settings and machine give the same adapter, bit for bit on a CPU, also where it was
    interrupted and goes on from a checkpoint.

    :param rows: training rows with ``pair_id``, ``text`` and ``label``, in the order in which the seed shuffles them
    :param adapters: folder of all adapters; an interrupted training leaves nothing there that looks finished
    :param loaded: freshly loaded; its model is used up, it bears the adapter afterwards
    :param name: what to call the training in progress bars
    :param checkpoints: where to save now and then, and to go on from. They stay there at the end: the caller knows
        when the adapter is on record. Without them an interrupted training begins anew
    :param callbacks: what else watches it, in transformers' form
    :param backend: what loaded the model; transformers by default
    :param samples: the same rows by the model's tokenizer, where the caller has them already
    :raises ModelError: if the loss or a weight is not a number, a sample is too long, or the memory or the disk is
        too small
    :raises ValueError: if the model bears an adapter already
    """
    if hasattr(loaded.model, "peft_config"):
        raise ValueError("the model bears an adapter already: load the base model anew for each training")
    backend = backend or TransformersBackend()
    packs = not backend.own_kernels and is_packed(spec, model=loaded.model)
    at_once, _ = passes_of(spec, packs=packs)
    with memory_told(name, spec=spec, at_once=at_once, packs=packs):
        return _train(
            rows, loaded=loaded, spec=spec, adapters=adapters, name=name, checkpoints=checkpoints,
            callbacks=callbacks, backend=backend, packs=packs, samples=samples,
        )  # fmt: skip


def _train(
    rows: pa.Table,
    *,
    loaded: LoadedModel,
    spec: ExperimentSpec,
    adapters: Path,
    name: str,
    checkpoints: Checkpoints | None,
    callbacks: Sequence[TrainerCallback],
    backend: Backend,
    packs: bool,
    samples: list[dict[str, Any]] | None,
) -> Training:
    session = Session(device=loaded.device, resumed=checkpoints.newest() if checkpoints else None)
    set_seed(spec.seed)
    samples = samples or experiment_samples(rows, spec=spec, tokenizer=loaded.tokenizer, model=name)
    lora = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        bias="none",
        target_modules=lora_targets(loaded.model, wanted=spec.targets),
        task_type="CAUSAL_LM",
    )
    lengths = lengths_of(samples)
    at_once, _ = passes_of(spec, packs=packs)
    memory = training_memory(loaded, spec=spec, tokens=lengths.tokens(at_once, packs=packs))
    model = backend.with_lora(loaded.model, lora=lora, is_checkpointed=memory.is_checkpointed, seed=spec.seed)
    if loaded.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="bioalign-training-"))
        place = checkpoints.folder if checkpoints else Path(scratch)
        trainer = build_trainer(
            samples,
            model=model,
            loaded=loaded,
            spec=spec,
            packs=packs,
            is_checkpointed=memory.is_checkpointed,
            scratch=place,
            name=name,
        )
        for callback in callbacks:
            trainer.add_callback(callback)
        trained: PeftModel = trainer.model
        if not backend.own_kernels:
            joined = joined_products(trained, dtype=loaded.dtype, holds=memory.holds_weights)
            stack.enter_context(joined)
        needed = bytes_needed(trained, eight_bit=spec.optimiser == "adamw_8bit", checkpoints=checkpoints)
        with disk_told(adapters, needed=needed, name=name):
            train_on(trainer, session=session, checkpoints=checkpoints)
            trained.eval()
            _refuse_broken(trained, name=name)
            folder = publish_directory(adapters, lambda folder: _save(trained, folder=folder))
        return Training(
            folder=folder,
            sha256=folder.name,
            trainable_parameters=sum(p.numel() for p in trained.parameters() if p.requires_grad),
            steps=trainer.state.global_step,
            samples=_samples_seen(
                trainer.state.global_step, of=len(samples), per_step=spec.batch_size * spec.accumulation
            ),
            peak_memory_bytes=session.peak_memory_bytes,
            seconds=session.seconds,
            log=log_table(trainer.state.log_history, name=name),
            resumed_after=resumed_after(trainer.state.log_history),
        )


def _samples_seen(steps: int, *, of: int, per_step: int) -> int:
    """Return the samples in a number of optimiser steps; the last step of each epoch holds what is left."""
    epochs, rest = divmod(steps, math.ceil(of / per_step))
    return epochs * of + min(rest * per_step, of)


def _refuse_broken(model: PeftModel, *, name: str) -> None:
    """Raise if a trained weight is no number: the last step's update comes after the last loss."""
    if not is_finite(p for p in model.parameters() if p.requires_grad):
        raise broken(
            f"Training {name}", found="adapter weights that are not numbers", expected="finite weights"
        )


def _save(model: PeftModel, *, folder: Path) -> str:
    model.save_pretrained(folder)
    (folder / CARD).unlink(missing_ok=True)  # a template about the base model's path
    config_file = folder / CONFIG
    config = json.loads(config_file.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])  # written from a set, in any order
    # the base's folder on this machine says nothing elsewhere, and would make equal adapters differ
    config_file.write_bytes(config_bytes(config, base=None, revision=None))
    return adapter_sha256(folder)
