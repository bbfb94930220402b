"""What ends a training early, told so that a person can act: no memory, no disk, no number."""

import shutil
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from bioalign_assets.errors import ModelError
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.warehouse.disk import is_disk_full

__all__ = ["broken", "disk_told", "is_finite", "memory_told"]

_NO_MEMORY_TEXTS = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't allocate memory",
)
_GIB = 2**30


def broken(subject: str, *, found: str, expected: str) -> ModelError:
    """Return the error of a training whose figures are no numbers any more."""
    return ModelError(
        subject,
        found=found,
        expected=expected,
        remedy="Lower the learning rate, add warm-up steps, or set dtype to bfloat16 or float32.",
    )


def is_finite(tensors: Iterable[Any]) -> bool:
    """Return whether all floating-point tensors hold finite numbers only; anything else among them counts as fine."""
    return all(
        bool(each.isfinite().all())
        for each in tensors
        if isinstance(each, torch.Tensor) and each.is_floating_point()
    )


@contextmanager
def memory_told(name: str, *, spec: ExperimentSpec, at_once: int, packs: bool) -> Iterator[None]:
    """Tell of too little memory in the block by the settings that need less.

    :param name: of the training
    :param at_once: samples in one forward pass
    :param packs: whether samples are packed into one row
    :raises ModelError: instead of the library's error
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        # what failed half-way is still held by the frames that the error leads to
        traceback.clear_frames(error.__traceback__)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise ModelError(
            f"Training {name}",
            found=f"too little memory ({_first_sentence(error)}){_of_card()}",
            expected=(
                f"room for the model and {at_once} samples at once "
                f"({'packed into one row' if packs else 'batch_size'})"
            ),
            remedy=(
                f"{_smaller(spec, packs=packs)} Or end what else uses the memory and run it again: with the same "
                "settings it goes on from its last checkpoint."
            ),
        ) from error


def _smaller(spec: ExperimentSpec, *, packs: bool) -> str:
    """Return what to change in the experiment, what costs least first."""
    ways = []
    together = spec.batch_size * spec.accumulation
    if spec.gradient_checkpointing is not True:
        ways.append("gradient_checkpointing = true")
    if packs and together > 1:
        ways.append(
            f"packing = false with batch_size = 1 and accumulation = {together} (the same optimiser step)"
        )
    elif spec.batch_size > 1:
        fewer = max(d for d in range(1, spec.batch_size) if spec.batch_size % d == 0)
        ways.append(f"batch_size = {fewer} and accumulation = {together // fewer} (the same optimiser step)")
    ways.append(f"a smaller max_tokens than {spec.max_tokens}, with a dataset without such long samples")
    ways.append(f"fewer targets, or a smaller rank than {spec.rank}")
    return f"Set in the experiment: {'; or '.join(ways)}."


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        text in str(error) for text in _NO_MEMORY_TEXTS
    )


def _first_sentence(error: BaseException) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return ". ".join(lines[0].split(". ")[:2]).rstrip(".")


def _of_card() -> str:
    if not torch.cuda.is_available():
        return ""
    free, total = torch.cuda.mem_get_info()
    peak = torch.cuda.max_memory_allocated()
    return (
        f"; this training took up to {peak / _GIB:.1f} GiB, the card has {total / _GIB:.1f} GiB "
        f"and now {free / _GIB:.1f} GiB free"
    )


@contextmanager
def disk_told(folder: Path, *, needed: int, name: str) -> Iterator[None]:
    """Tell of a full disk in the block by the space that is needed, and where; before it too: hours are at stake.

    :param folder: on the disk that is written to
    :param needed: bytes that the training may yet write
    :raises ModelError: if the space is not there now, or instead of the library's error in the block
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _too_full(folder, needed=needed, name=name, found=f"{free / 1e6:,.1f} MB free")
    try:
        yield
    except Exception as error:
        if not is_disk_full(error, folder=folder, needed=needed):
            raise
        free = shutil.disk_usage(folder).free
        raise _too_full(
            folder, needed=needed, name=name, found=f"a full disk ({free / 1e6:,.1f} MB free)"
        ) from error


def _too_full(folder: Path, *, needed: int, name: str, found: str) -> ModelError:
    return ModelError(
        f"Training {name}, writing below {folder}",
        found=found,
        expected=f"{needed / 1e6:,.1f} MB for its checkpoints and the adapter",
        remedy=(
            "Free as much there (bioalign vacuum removes what nothing needs any more) and run it "
            "again: it goes on from its last checkpoint."
        ),
    )
