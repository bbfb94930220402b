"""How much memory a device has, and whether a model has room in it, told before it is loaded.

What a model needs is estimated in ``needs.py``. torch is imported when it is asked: a check-up of the machine is not to
wait for it.
"""

import gc
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bioalign_assets.models.architecture import Architecture
from bioalign_assets.models.needs import refuse_too_little, scoring_bytes
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec

if TYPE_CHECKING:
    import torch

__all__ = [
    "free_memory", "has_room", "living_tensor_bytes", "peak_process_memory", "refuse_small_device", "refuse_to_score",
    "total_memory",
]  # fmt: skip


def free_memory(device: "torch.device") -> int:
    """Return the bytes that can still be had on a device.

    On a card that is what the driver calls free and what torch holds in reserve without using it; on a CPU, what the
    system can give without swapping (``MemAvailable`` on Linux).
    """
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


def total_memory(device: "torch.device") -> int:
    """Return the bytes that a device has in all."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def peak_process_memory() -> int:
    """Return the most bytes of memory that this process had in use at once so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS tells bytes, Linux kibibytes


def has_room(device: "torch.device", needed: int, *, share: float) -> bool:
    """Return whether something takes at most a share of the free memory."""
    return needed <= share * free_memory(device)


def living_tensor_bytes() -> int:
    """Return the size of all tensors of this process, each storage once; what nobody can reach is collected first."""
    import torch

    gc.collect()
    storages: dict[int, int] = {}
    for each in gc.get_objects():
        # type() and not isinstance(): the latter wakes lazy objects of other libraries
        if issubclass(type(each), torch.Tensor) and each.device.type != "meta":
            storage = each.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def refuse_small_device(
    resolved: ResolvedModel,
    *,
    spec: ModelSpec,
    warehouse: Path,
    what: str,
    needed: Callable[[Architecture, int, bool], int],
) -> None:
    """Raise if the device has less free memory than something needs; a shape that is not known passes.

    :param what: the model, and what is to be done with it
    :param needed: bytes, from the model's shape, the bytes of a number, and whether the device is a card
    :raises ModelError: if it has less, or the model's files are gone
    """
    import torch

    from bioalign_assets.models.loading import compute_dtype, default_device

    folder = resolved.folder(warehouse=warehouse)
    shape = Architecture.from_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    if shape is None:
        return
    device = default_device()
    on_card = device.type == "cuda"
    if on_card:  # the model before may be held by a cycle of references, and its memory by torch
        gc.collect()
        torch.cuda.empty_cache()
    refuse_too_little(
        what,
        needed=needed(shape, compute_dtype(spec, device=device).itemsize, on_card),
        there=free_memory(device),
        place="the CUDA card, free now" if on_card else "this machine, free now",
    )


def refuse_to_score(resolved: ResolvedModel, *, spec: ModelSpec, warehouse: Path) -> None:
    """Raise if the device has too little free memory for answers and embeddings."""
    refuse_small_device(
        resolved, spec=spec, warehouse=warehouse, what=f"Asking {resolved.model}",
        needed=lambda shape, width, on_card: scoring_bytes(
            shape, is_nf4=resolved.quantisation == "nf4", width=width, on_card=on_card
        ),
    )  # fmt: skip
