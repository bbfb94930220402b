"""What a dataset is made of: the settings that a researcher varies, validated.

Only settings belong here. How negatives are drawn is in ``curation/negatives.py``, how rows are divided in
``curation/splits.py``.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bioalign_assets.study.spec import ReadBy, Reader, Spec, not_read

__all__ = ["DatasetSpec", "NegativeStrategy", "SamplerName", "SplitName"]

NegativeStrategy = Literal["uniform", "degree-matched", "same-class"]
SamplerName = Literal["published", "stable"]
SplitName = Literal["pair", "entity"]


_DRAWS = ReadBy(Reader.DATASETS)


class DatasetSpec(Spec):
    """One dataset of the study.

    ``sampler="published"`` repeats the paper's procedure, draw for draw (with seed 42 and the paper's release
    it gives the paper's files); ``sampler="stable"`` keys every draw and the split on hashes, so that a
    release that changes few associations changes few rows. ``negatives``: ``uniform``, over all pairs of names;
    ``degree-matched``, each gene and each disease as often as among the positives of the split;
    ``same-class``, of a disease that shares a MEDIC class with a true disease of the gene.
    """

    name: Annotated[str, _DRAWS] = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name of the dataset, also its partition key"
    )
    negatives: Annotated[NegativeStrategy, _DRAWS] = Field(
        default="uniform", description="How false statements are drawn"
    )
    sampler: Annotated[SamplerName, _DRAWS] = Field(
        description="The paper's stream of random numbers, or hashes of the pairs"
    )
    split: Annotated[SplitName, _DRAWS] = Field(
        description="Divide the pairs, or hold out whole genes and diseases"
    )
    # pandas and scikit-learn take seeds of 32 bits
    seed: Annotated[int, _DRAWS] = Field(
        default=42, ge=0, le=2**32 - 1, description="Seed of every draw and of the split"
    )
    test_share: Annotated[float, _DRAWS] = Field(
        default=0.2, gt=0, lt=1, description="Share of the pairs in test (split = pair)"
    )
    held_out_share: Annotated[float, _DRAWS] = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of the genes, and of the diseases, held out (split = entity)",
    )

    in_demo: Annotated[bool, not_read("what the demo leaves out is not drawn otherwise")] = Field(
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
