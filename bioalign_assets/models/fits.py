"""Whether a model has room on the device that it would run on, told before it is loaded."""

import gc
import json
from collections.abc import Callable
from pathlib import Path

from bioalign_assets.models.architecture import Architecture
from bioalign_assets.models.needs import refuse_too_little, scoring_bytes
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.models import ModelSpec

__all__ = ["refuse_small_device", "refuse_to_score"]


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

    from bioalign_assets.models import memory
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
        there=memory.free_memory(device),
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
