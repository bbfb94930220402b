"""Which backend trains a model, and whether it can here. Imports neither torch nor transformers until asked."""

import importlib.util
from typing import TYPE_CHECKING

from bioalign_assets.errors import ModelError
from bioalign_assets.study.models import ModelSpec

if TYPE_CHECKING:
    from bioalign_assets.models.backends.base import Backend

__all__ = ["backend_of", "refuse_absent_unsloth", "unsloth_lacks"]


def backend_of(spec: ModelSpec) -> "Backend":
    """Return the backend that trains a model."""
    if spec.trained_by == "unsloth":
        from bioalign_assets.models.backends.unsloth_backend import UnslothBackend

        return UnslothBackend()
    from bioalign_assets.models.backends.transformers_backend import TransformersBackend

    return TransformersBackend()


def unsloth_lacks() -> str:
    """Return what keeps Unsloth from training on this machine; an empty text if nothing does."""
    if importlib.util.find_spec("unsloth") is None:
        return "no package unsloth"
    import torch

    return "" if torch.cuda.is_available() else "no CUDA card that torch can use"


def refuse_absent_unsloth(name: str) -> None:
    """Raise if a model of the study asks for Unsloth and it can't train here.

    :param name: of the model in the study file
    :raises ModelError: with what is lacking
    """
    lacking = unsloth_lacks()
    if lacking:
        raise ModelError(
            f'Model {name} with backend = "unsloth"', found=lacking,
            expected="Linux, a CUDA card and the extra gpu",
            remedy=(
                "Install it with pip install '.[gpu]' on a machine with a card (bioalign doctor tells), or "
                f'set models.{name}.backend to "transformers": it runs everywhere.'
            ),
        )  # fmt: skip
