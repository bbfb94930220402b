"""The trainer of an adapter: TRL's SFTTrainer with an experiment's settings, for padded batches or packed rows.

transformers lets bitsandbytes' optimiser know each embedding, in a list of the whole process that is never emptied: a
model would stay in memory for as long as the process lives, and one more with each training (``AdapterTrainer``).

TRL's own loss works on all tokens of a row, in blocks that a packed row does not fill, and turns the head's weights to
float32 for each of them; it also measures entropy and accuracy over the vocabulary, waiting for the card each time. A
packed row says at which tokens to predict, so the model's own loss runs its head there alone.
"""

import math
from pathlib import Path
from typing import Any, Never

import torch
from bitsandbytes.optim import GlobalOptimManager
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from tqdm import tqdm
from transformers import DataCollatorForSeq2Seq, PreTrainedModel, PrinterCallback, Trainer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from bioalign_assets.models.backends.transformers_backend import CHECKPOINTING
from bioalign_assets.models.loading import LoadedModel
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.terminal import terminal
from bioalign_assets.training.failures import broken
from bioalign_assets.training.packing import (
    MOST_SAMPLES_IN_A_ROW,
    SharedPrefixCollator,
    attention_window,
    can_pack,
    takes_places,
)

__all__ = [
    "AdapterTrainer",
    "PackedTrainer",
    "ProgressBar",
    "StopOnNaN",
    "build_trainer",
    "is_packed",
    "passes_of",
]

# transformers' "constant" would leave out the warm-up that the settings ask for
_SCHEDULES = {"constant": "constant_with_warmup"}
_LOGGED_POINTS = 100
"""A loss curve has at most about this many points."""


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


class AdapterTrainer(SFTTrainer):
    """SFTTrainer without what outlives a training, and without what waits for a card in every step."""

    def create_optimizer(self, *arguments: Any, **more: Any) -> torch.optim.Optimizer:
        """Return the optimiser; take out of bitsandbytes' global list what transformers put there.

        These entries ask for 32-bit states of embeddings. No embedding is trained here, so they do nothing but keep
        the model alive.
        """
        overrides = GlobalOptimManager.get_instance().module_weight_config_triple
        before = len(overrides)
        optimiser = super().create_optimizer(*arguments, **more)
        del overrides[before:]
        return optimiser

    def _track_num_input_tokens(self, inputs: dict[str, Any]) -> None:
        """Count the tokens of one forward pass, padding too; transformers' own count waits for the card in every step.

        Where a release of transformers calls this otherwise, its own count stands in: the same number, more slowly.
        """
        self.state.num_input_tokens_seen += inputs["input_ids"].numel()

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:  # noqa: ARG002 - transformers' form
        """Return 0: the count walks over all parameters in every step, and nobody reads it."""
        return 0


class PackedTrainer(AdapterTrainer):
    """Trains on rows of :class:`~bioalign_assets.training.packing.SharedPrefixCollator`.

    It needs ``loss_type="nll"``, the model's own loss. The mean is over what counts in the whole optimiser step, as
    everywhere in transformers.
    """

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - transformers' form
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the model's own loss; TRL's measurements are left out, transformers' reduction is kept."""
        return Trainer.compute_loss(
            self,
            model,
            {**inputs, "use_cache": False},
            return_outputs=return_outputs,
            num_items_in_batch=num_items_in_batch,
        )


def build_trainer(
    samples: list[dict[str, Any]],
    *,
    model: PreTrainedModel,
    loaded: LoadedModel,
    spec: ExperimentSpec,
    packs: bool,
    is_checkpointed: bool,
    scratch: Path,
    name: str,
) -> SFTTrainer:
    """Return the trainer of an adapter, ready to train.

    :param samples: tokenised, as :func:`~bioalign_assets.training.samples.tokenise_samples` gives them
    :param model: the base with its new adapter; the adapter's weights become float32
    :param packs: whether samples stand packed in rows (:func:`is_packed`)
    :param is_checkpointed: whether activations are computed anew in the backward pass
    :param scratch: folder of what it saves
    :param name: what to call the training in its progress bar
    """
    steps_planned = spec.steps or int(
        (spec.epochs or 0) * len(samples) / (spec.batch_size * spec.accumulation)
    )
    on_card = loaded.device.type == "cuda"
    batch_size, accumulation = passes_of(spec, packs=packs)
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
        bf16=loaded.dtype == torch.bfloat16,
        fp16=on_card and loaded.dtype == torch.float16,
        use_cpu=not on_card,
        gradient_checkpointing=is_checkpointed,
        gradient_checkpointing_kwargs=CHECKPOINTING if is_checkpointed else None,
        max_length=None,  # samples are never cut: tokenise_samples refuses a long one
        packing=False,
        **(
            {"loss_type": "nll"} if packs else {}
        ),  # packed rows have the model's own loss, padded batches TRL's default
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
    trainer = (PackedTrainer if packs else AdapterTrainer)(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(samples),
        processing_class=loaded.tokenizer,
        data_collator=SharedPrefixCollator(
            window=attention_window(model.config),
            dtype=loaded.dtype,
            multiple=16 if on_card else 1,
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


def is_packed(spec: ExperimentSpec, *, model: PreTrainedModel) -> bool:
    """Whether samples are packed: only where that gives the padded batch's gradients, in a row of bounded length."""
    is_exact = (
        spec.loss == "answer" and spec.dropout == 0
    )  # one dropout of the prefix would serve all samples
    fits = can_pack(model.config) and takes_places(model)
    return spec.packing and is_exact and fits and spec.batch_size <= MOST_SAMPLES_IN_A_ROW


def passes_of(spec: ExperimentSpec, *, packs: bool) -> tuple[int, int]:
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
