"""TRL's SFTTrainer for packed rows: the loss that the row asks for, and nothing beside it.

TRL's own loss works on all tokens of a row, in blocks that a packed row does not fill, and turns the head's weights to
float32 for each of them; it also measures entropy and accuracy over the vocabulary, waiting for the card each time. A
packed row says at which tokens to predict, so the model's own loss runs its head there alone.
"""

from typing import Any

import torch
from transformers import Trainer
from trl import SFTTrainer

__all__ = ["PackedTrainer"]


class PackedTrainer(SFTTrainer):
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

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:  # noqa: ARG002 - transformers' form
        """Return 0: the count walks over all parameters in every step, and nobody reads it."""
        return 0
