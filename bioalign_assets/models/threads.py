"""How many CPU threads a model may use."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bioalign_assets.study.models import ModelSpec

__all__ = ["reproducible_threads"]


@contextmanager
def reproducible_threads(spec: ModelSpec) -> Iterator[None]:
    """Run a tiny model in one thread, a published one in as many as torch takes.

    Sums over several threads depend on how many there are. In one thread a tiny model has the same weights and
    figures on two cores as on sixty-four, and two runs side by side don't slow each other down.
    """
    before = torch.get_num_threads()
    if spec.tiny is not None:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
