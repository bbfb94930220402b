"""Whether memory comes back: what is alive after one training more, in one process."""

import tempfile
from pathlib import Path

import pyarrow as pa

from bioalign_assets.models.memory import living_tensor_bytes
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.training.on_base import train_on_base

__all__ = ["TRAININGS", "living_after_trainings"]

TRAININGS = 3


def living_after_trainings(
    rows: pa.Table, *, resolved: ResolvedModel, model_spec: ModelSpec, spec: ExperimentSpec, warehouse: Path
) -> list[int]:
    """Return the bytes of all tensors that are alive after each of some trainings, one after the other.

    What libraries keep of themselves is there after the first; what is more after the last is kept of each.

    :param rows: few training rows
    """
    found = []
    for _ in range(TRAININGS):
        with tempfile.TemporaryDirectory(prefix="bioalign-rehearsal-") as scratch:
            train_on_base(
                rows, resolved=resolved, model_spec=model_spec, spec=spec, warehouse=warehouse,
                adapters=Path(scratch), name="rehearsal",
            )  # fmt: skip
        found.append(living_tensor_bytes())
    return found
