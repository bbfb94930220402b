"""What a dataset is made of: the settings that a researcher varies, validated.

Only settings belong here. How negatives are drawn is in ``negatives.py``, how rows are divided in
``splits.py``.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["DatasetSpec", "NegativeStrategy", "SamplerName", "SplitName"]

NegativeStrategy = Literal["uniform", "degree-matched", "same-class"]
SamplerName = Literal["published", "stable"]
SplitName = Literal["pair", "entity"]


class DatasetSpec(BaseModel):
    """One dataset of the study.

    ``sampler="published"`` repeats the paper's procedure, draw for draw (with seed 42 and the paper's release
    it gives the paper's files); ``sampler="stable"`` keys every draw and the split on hashes, so that a
    release that changes few associations changes few rows. ``negatives``: ``uniform``, over all pairs of names;
    ``degree-matched``, each gene and each disease as often as among the positives of the split;
    ``same-class``, of a disease that shares a MEDIC class with a true disease of the gene.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name of the dataset, also its partition key"
    )
    negatives: NegativeStrategy = Field(default="uniform", description="How false statements are drawn")
    sampler: SamplerName = Field(description="The paper's stream of random numbers, or hashes of the pairs")
    split: SplitName = Field(description="Divide the pairs, or hold out whole genes and diseases")
    # pandas and scikit-learn take seeds of 32 bits
    seed: int = Field(default=42, ge=0, le=2**32 - 1, description="Seed of every draw and of the split")
    test_share: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the pairs in test (split = pair)"
    )
    held_out_share: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of the genes, and of the diseases, held out (split = entity)",
    )

    in_demo: bool = Field(
        default=True,
        description="Whether `bioalign demo` makes it; otherwise it waits until somebody wants it",
    )

    @model_validator(mode="after")
    def _is_available(self) -> Self:
        if self.sampler == "published" and self.negatives != "uniform":
            raise ValueError(
                f'negatives = "{self.negatives}" needs sampler = "stable": '
                'sampler = "published" repeats the paper, which drew uniformly'
            )
        return self

    @property
    def needs_classes(self) -> bool:
        """Whether the dataset needs the classes of diseases, from CTD's vocabulary MEDIC."""
        return self.negatives == "same-class"
