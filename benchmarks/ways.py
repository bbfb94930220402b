"""Ways to train an adapter that benchmarks compare: TRL as it comes, Unsloth on top of it, and ours.

All train on the same tokens in the same order, with the same settings and effective batch, through TRL's SFTTrainer,
and are timed by the same clock: from the end of the last warm-up step to the end of the last step, so that loading,
tokenising and set-up are not in it.
"""

import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import pyarrow as pa
import torch
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from peft import LoraConfig
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    set_seed,
)
from trl import SFTConfig, SFTTrainer

from bioalign_assets.models.loading import LoadedModel, compute_dtype, default_device, load_tokenizer
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.training.log import log_table
from bioalign_assets.training.qlora import lora_targets, train_adapter
from bioalign_assets.training.samples import sample_prompts, tokenise_samples

__all__ = ["StepClock", "Timed", "compile_layers", "load_stock", "train_ours", "train_stock", "train_unsloth"]


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A training that was timed."""

    steps: int
    """Optimiser steps in the times below"""
    seconds: float
    """Of these steps, on the clock"""
    processor_seconds: float
    """Of these steps, of this process: what a machine that does other things too does not lengthen"""
    whole_seconds: float
    """Of the whole training, from texts to an adapter; without loading the base model"""
    tokens: int
    """Run in these steps, padding counted; 0 where the trainer does not say"""
    peak_bytes: int
    """Most memory of the card in the whole training; 0 without one"""
    losses: list[float]
    """As logged, from the first step on"""


class StepClock(TrainerCallback):
    """Times the steps after the warm-up, and nothing else. Waits for the card at both ends."""

    def __init__(self, *, warm_up: int) -> None:
        self._warm_up = warm_up
        self._marks: list[tuple[int, float, float, int]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - transformers' form
        """Forget the memory that loading took."""
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - transformers' form
        """Note the time after the last warm-up step and after the last step."""
        if state.global_step in {self._warm_up, state.max_steps}:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self._marks.append(
                (state.global_step, perf_counter(), process_time(), state.num_input_tokens_seen)
            )

    def timed(self, *, whole_seconds: float, losses: list[float]) -> Timed:
        """Return what was measured.

        :raises ValueError: if no step came after the warm-up
        """
        if len(self._marks) != 2:
            raise ValueError(f"no step after {self._warm_up} steps of warm-up was timed")
        first, last = self._marks
        steps, seconds, processor_seconds, tokens = (b - a for a, b in zip(first, last, strict=True))
        return Timed(
            steps=int(steps), seconds=seconds, processor_seconds=processor_seconds, whole_seconds=whole_seconds,
            tokens=int(tokens), losses=losses,
            peak_bytes=torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        )  # fmt: skip


def train_ours(rows: pa.Table, *, loaded: LoadedModel, spec: ExperimentSpec, warm_up: int) -> Timed:
    """Train with this project's code.

    :param spec: with ``steps``, warm-up steps counted
    """
    clock = StepClock(warm_up=warm_up)
    started = perf_counter()
    with tempfile.TemporaryDirectory(prefix="bioalign-benchmark-") as scratch:
        training = train_adapter(
            rows, loaded=loaded, spec=spec, adapters=Path(scratch), name="benchmark", callbacks=[clock]
        )
    return clock.timed(whole_seconds=perf_counter() - started, losses=training.log["loss"].to_pylist())


def compile_layers(model: PreTrainedModel, *, backend: str = "inductor") -> None:
    """Let torch compile each decoder layer at its first pass, with whatever adapter is on it by then.

    :param backend: of ``torch.compile``; ``inductor`` makes kernels of what stands between the products
    """
    for layer in model.get_decoder().layers:
        layer.compile(dynamic=True, backend=backend)  # rows have many lengths


def load_stock(resolved: ResolvedModel, *, spec: ModelSpec, warehouse: Path) -> LoadedModel:
    """Return a base model as transformers and bitsandbytes load it by their defaults: NF4, PyTorch's own attention."""
    folder = resolved.folder(warehouse=warehouse)
    device = default_device()
    dtype = compute_dtype(spec, device=device)
    quantisation = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, quantization_config=quantisation, device_map={"": device}
    )
    return LoadedModel(model=model, tokenizer=load_tokenizer(folder), device=device, dtype=dtype)


def train_stock(
    rows: pa.Table,
    *,
    loaded: LoadedModel,
    spec: ExperimentSpec,
    warm_up: int,
    in_float32: bool = False,
) -> Timed:
    """Train with TRL as it comes: its collator, its padding, its loss (``chunked_nll``), its set-up of the adapter.

    :param spec: with ``steps``, warm-up steps counted
    :param in_float32: hold the adapter in float32 as we do, and not in bfloat16 as TRL does: the loss curves of both
        are the same then
    """
    lora = _lora(loaded.model, spec=spec)

    def trainer(**arguments: Any) -> SFTTrainer:
        made = SFTTrainer(model=loaded.model, peft_config=lora, **arguments)
        for parameter in made.model.parameters():
            if in_float32 and parameter.requires_grad:
                parameter.data = parameter.data.float()
        return made

    return _train(rows, trainer=trainer, loaded=loaded, spec=spec, warm_up=warm_up)


def train_unsloth(rows: pa.Table, *, folder: Path, spec: ExperimentSpec, warm_up: int) -> Timed:
    """Train with Unsloth as its documentation does; in a process that imported it before everything else.

    :param folder: of the base model
    :param spec: with ``steps``, warm-up steps counted
    """
    fast = importlib.import_module("unsloth").FastLanguageModel
    model, tokenizer = fast.from_pretrained(
        str(folder), max_seq_length=spec.max_tokens, load_in_4bit=True, use_exact_model_name=True,
        local_files_only=True,
    )  # fmt: skip
    set_seed(spec.seed)
    model = fast.get_peft_model(
        model, r=spec.rank, lora_alpha=spec.alpha, lora_dropout=0, bias="none",
        target_modules=lora_targets(model, wanted=spec.targets),
        use_gradient_checkpointing="unsloth" if spec.gradient_checkpointing else False, random_state=spec.seed,
    )  # fmt: skip
    loaded = LoadedModel(model=model, tokenizer=tokenizer, device=model.device, dtype=model.dtype)
    return _train(
        rows,
        trainer=lambda **more: SFTTrainer(model=model, **more),
        loaded=loaded,
        spec=spec,
        warm_up=warm_up,
    )


def _lora(model: Any, *, spec: ExperimentSpec) -> LoraConfig:
    return LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, lora_dropout=spec.dropout, bias="none", task_type="CAUSAL_LM",
        target_modules=lora_targets(model, wanted=spec.targets),
    )  # fmt: skip


def _train(
    rows: pa.Table, *, trainer: Callable[..., SFTTrainer], loaded: LoadedModel, spec: ExperimentSpec, warm_up: int
) -> Timed:  # fmt: skip
    """Train by TRL's defaults but for the experiment's settings."""
    clock = StepClock(warm_up=warm_up)
    started = perf_counter()
    set_seed(spec.seed)
    disable_progress_bar()
    samples = tokenise_samples(
        rows["text"].to_pylist(), labels=rows["label"].to_pylist(),
        prompts=sample_prompts(rows["pair_id"].to_pylist(), prompts=spec.prompts, seed=spec.seed),
        tokenizer=loaded.tokenizer, loss=spec.loss, max_tokens=spec.max_tokens,
    )  # fmt: skip
    on_card = loaded.device.type == "cuda"
    with tempfile.TemporaryDirectory(prefix="bioalign-benchmark-") as scratch:
        made = trainer(
            args=SFTConfig(
                output_dir=scratch, max_steps=spec.steps or -1, per_device_train_batch_size=spec.batch_size,
                gradient_accumulation_steps=spec.accumulation, learning_rate=spec.learning_rate,
                lr_scheduler_type=spec.schedule, warmup_steps=spec.warmup_steps, weight_decay=spec.weight_decay,
                optim=spec.optimiser, gradient_checkpointing=spec.gradient_checkpointing,
                bf16=loaded.dtype == torch.bfloat16, fp16=on_card and loaded.dtype == torch.float16,
                use_cpu=not on_card, max_length=spec.max_tokens, seed=spec.seed, data_seed=spec.seed,
                dataloader_pin_memory=on_card, logging_steps=1, include_num_input_tokens_seen="all",
                save_strategy="no", report_to="none", disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(samples), processing_class=loaded.tokenizer, callbacks=[clock],
        )  # fmt: skip
        made.remove_callback(PrinterCallback)
        made.train()
        losses = log_table(made.state.log_history, name="benchmark")["loss"].to_pylist()
    return clock.timed(whole_seconds=perf_counter() - started, losses=losses)
