"""QLoRA: a LoRA adapter on a base model held in 4 bits, trained by TRL's SFTTrainer.

Settings and their defaults are the paper's (``ExperimentSpec``). The adapter directory is PEFT's own form and
loads back with ``PeftModel.from_pretrained``.
"""

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from peft import LoraConfig, PeftModel
from transformers import (
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    set_seed,
)
from trl import SFTConfig, SFTTrainer

from bioalign_assets.errors import ModelError
from bioalign_assets.models.backends.base import Backend
from bioalign_assets.models.backends.transformers_backend import TransformersBackend
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.training.callbacks import ProgressBar, StopOnNaN
from bioalign_assets.training.checkpoints import Checkpoints
from bioalign_assets.training.failures import broken, disk_told, is_finite, memory_told
from bioalign_assets.training.log import log_table, resumed_after
from bioalign_assets.training.packing import (
    MOST_SAMPLES_IN_A_ROW,
    SharedPrefixCollator,
    attention_window,
    can_pack,
    takes_places,
)
from bioalign_assets.training.resuming import Session, bytes_needed, train_on
from bioalign_assets.training.samples import sample_prompts, tokenise_samples
from bioalign_assets.training.spec import ExperimentSpec
from bioalign_assets.training.trainer import PackedTrainer
from bioalign_assets.warehouse.atomic import publish_directory
from bioalign_assets.warehouse.hashing import files_sha256

__all__ = ["Training", "lora_targets", "train_adapter"]

_FUSED = {
    "q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj",
    "gate_proj": "gate_up_proj", "up_proj": "gate_up_proj",
}  # fmt: skip
# transformers' "constant" would leave out the warm-up that the settings ask for
_SCHEDULES = {"constant": "constant_with_warmup"}
_LOGGED_POINTS = 100
"""A loss curve has at most about this many points."""


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
    :raises ModelError: if the loss or a weight is not a number, a sample is too long, or the memory or the disk is
        too small
    :raises ValueError: if the model bears an adapter already
    """
    backend = backend or TransformersBackend()
    packs = backend.can_pack and _packs(spec, model=loaded.model)
    at_once, _ = _batches(spec, packs=packs)
    with memory_told(name, spec=spec, at_once=at_once, packs=packs):
        return _train(
            rows, loaded=loaded, spec=spec, adapters=adapters, name=name, checkpoints=checkpoints,
            callbacks=callbacks, backend=backend, packs=packs,
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
) -> Training:
    session = Session(device=loaded.device, resumed=checkpoints.newest() if checkpoints else None)
    if hasattr(loaded.model, "peft_config"):
        raise ValueError("the model bears an adapter already: load the base model anew for each training")
    set_seed(spec.seed)
    samples = tokenise_samples(
        rows["text"].to_pylist(),
        labels=rows["label"].to_pylist(),
        prompts=sample_prompts(rows["pair_id"].to_pylist(), prompts=spec.prompts, seed=spec.seed),
        tokenizer=loaded.tokenizer,
        loss=spec.loss,
        max_tokens=spec.max_tokens,
    )
    lora = LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        bias="none",
        target_modules=lora_targets(loaded.model, wanted=spec.targets),
        task_type="CAUSAL_LM",
    )
    model = backend.with_lora(
        loaded.model, lora=lora, is_checkpointed=spec.gradient_checkpointing, seed=spec.seed
    )
    if loaded.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory(prefix="bioalign-training-") as scratch:
        place = checkpoints.folder if checkpoints else Path(scratch)
        trainer = _trainer(
            samples,
            model=model,
            loaded=loaded,
            spec=spec,
            packs=packs,
            scratch=place,
            name=name,
        )
        for callback in callbacks:
            trainer.add_callback(callback)
        trained: PeftModel = trainer.model
        needed = bytes_needed(trained, eight_bit=spec.optimiser == "adamw_8bit", checkpoints=checkpoints)
        with disk_told(adapters, needed=needed, name=name):
            train_on(trainer, session=session, checkpoints=checkpoints)
            trained.eval()
            _refuse_broken(trained, name=name)
            sha256 = ""

            def save(folder: Path) -> str:
                nonlocal sha256
                sha256 = _save(trained, folder=folder)
                return sha256

            folder = publish_directory(adapters, save)
        return Training(
            folder=folder,
            sha256=sha256,
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


def _trainer(
    samples: list[dict[str, Any]],
    *,
    model: PreTrainedModel,
    loaded: LoadedModel,
    spec: ExperimentSpec,
    packs: bool,
    scratch: Path,
    name: str,
) -> SFTTrainer:
    steps_planned = spec.steps or int(
        (spec.epochs or 0) * len(samples) / (spec.batch_size * spec.accumulation)
    )
    on_card = loaded.device.type == "cuda"
    batch_size, accumulation = _batches(spec, packs=packs)
    disable_progress_bar()  # the trainer's own bar is the one to look at
    config = SFTConfig(
        output_dir=str(scratch),
        max_steps=spec.steps or -1,
        num_train_epochs=spec.epochs or 1.0,
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        learning_rate=spec.learning_rate,
        lr_scheduler_type=_SCHEDULES.get(spec.schedule, spec.schedule),
        warmup_steps=spec.warmup_steps,
        weight_decay=spec.weight_decay,
        optim=spec.optimiser,
        bf16=on_card and loaded.dtype == torch.bfloat16,
        fp16=on_card and loaded.dtype == torch.float16,
        use_cpu=not on_card,
        gradient_checkpointing=spec.gradient_checkpointing,
        max_length=None,  # samples are never cut: tokenise_samples refuses a long one
        packing=False,
        loss_type="nll" if packs else None,  # packed rows have the model's own loss, padded batches TRL's
        logging_steps=max(1, steps_planned // _LOGGED_POINTS),
        logging_nan_inf_filter=False,  # the filter logs a loss that is no number as 0
        include_num_input_tokens_seen="all",
        save_strategy="no",
        report_to="none",
        seed=spec.seed,
        data_seed=spec.seed,
        dataloader_pin_memory=on_card,
        dataset_kwargs={"skip_prepare_dataset": True},
        disable_tqdm=True,
    )
    if config.n_gpu > 1:  # the trainer would split the model over all cards and multiply the batch by them
        config._n_gpu = 1  # noqa: SLF001 - as transformers does itself; there is no setting for it
    trainer = (PackedTrainer if packs else SFTTrainer)(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(samples),
        processing_class=loaded.tokenizer,
        data_collator=SharedPrefixCollator(
            window=attention_window(model.config), dtype=loaded.dtype, multiple=16 if on_card else 1
        )
        if packs
        else DataCollatorForSeq2Seq(loaded.tokenizer, padding=True, label_pad_token_id=-100),
        callbacks=[StopOnNaN(), ProgressBar(name)],
    )
    trainer.remove_callback(PrinterCallback)  # it prints every logged step; the log is a table here
    # TRL casts the adapter of a 4-bit model to bfloat16. There an update below 1/256 of a weight is lost, and a
    # card without bfloat16 can't scale its gradients. PEFT's form, which the paper trained in, is float32.
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return trainer


def _packs(spec: ExperimentSpec, *, model: PreTrainedModel) -> bool:
    """Whether samples are packed: only where that gives the padded batch's gradients, in a row of bounded length."""
    is_exact = (
        spec.loss == "answer" and spec.dropout == 0
    )  # one dropout of the prefix would serve all samples
    fits = can_pack(model.config) and takes_places(model)
    return spec.packing and is_exact and fits and spec.batch_size <= MOST_SAMPLES_IN_A_ROW


def _batches(spec: ExperimentSpec, *, packs: bool) -> tuple[int, int]:
    """Return samples in a forward pass and passes in an optimiser step; their product is the experiment's.

    Packed samples take so few tokens that several passes become one. Its gradient is the same: the loss is the mean
    over all answer tokens of the optimiser step either way.
    """
    merged = 1
    if packs:
        merged = max(
            (
                divisor
                for divisor in range(1, spec.accumulation + 1)
                if spec.accumulation % divisor == 0 and spec.batch_size * divisor <= MOST_SAMPLES_IN_A_ROW
            ),
            default=1,
        )
    return spec.batch_size * merged, spec.accumulation // merged


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
    # The base model's folder on this machine says nothing elsewhere and would make equal adapters differ
    config_file = folder / "adapter_config.json"
    config = json.loads(config_file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = None
    config["target_modules"] = sorted(config["target_modules"])  # written from a set, in any order
    config_file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "README.md").unlink(missing_ok=True)  # a template about the base model's path
    return files_sha256([p for p in folder.rglob("*") if p.is_file()], root=folder)
