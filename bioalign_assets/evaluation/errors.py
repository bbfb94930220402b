"""The error of this room: rows that can't be evaluated."""

from bioalign_assets.errors import BioAlignError

__all__ = ["EvaluationError"]


class EvaluationError(BioAlignError):
    """Embeddings, answers or pairs from which the asked figure can't be computed."""
