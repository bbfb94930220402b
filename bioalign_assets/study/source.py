"""Where releases come from, what follows by itself, and what the synthetic release is drawn from."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from bioalign_assets.study.spec import Spec, not_read

__all__ = ["MOST_GROUPS", "AutomationSpec", "DemoRelease", "SourceSpec"]

MOST_GROUPS = 16
"""Families of genes, and classes of diseases, that the synthetic release has names for."""
_WATCHED = not_read("the source is watched for releases; what it gives is in ctd.release")
_WHEN = not_read("when something runs changes no figure")
_DRAWN = not_read("another draw is another release, which is noticed at the source")


class SourceSpec(Spec):
    """Where releases come from, unless the environment names another place."""

    ctd: Annotated[str, _WATCHED] = Field(default="demo", min_length=1)
    """``demo``, a URL, a file or a folder (``BIOALIGN_CTD_SOURCE`` has the last word)."""
    ctd_diseases: Annotated[str | None, _WATCHED] = None
    """The disease vocabulary MEDIC, in the same forms (``BIOALIGN_CTD_DISEASES_SOURCE`` has the last word)."""
    check_every_minutes: Annotated[float, _WHEN] = Field(default=1440, ge=0.05)
    """How often a running daemon looks for a new release, in minutes; daily by default."""


class AutomationSpec(Spec):
    """What follows by itself where the Dagster daemon runs, and with ``bioalign refresh``."""

    check_stale_every_seconds: Annotated[int, _WHEN] = Field(default=30, ge=1, le=86_400)
    """How often a running daemon looks for what is stale, and for changes of the study file."""
    training: Annotated[bool, _WHEN] = False
    """Whether what loads a language model (base models, training, inference) follows too; the rest always does."""


class DemoRelease(Spec):
    """What the demo release is drawn from. Two equal specifications give the same bytes.

    :param genes: genes to draw from; one that gets no association is in no file, as in CTD
    :param diseases: diseases to draw from, and rows for diseases in the demo vocabulary
    :param associations: distinct associations, exactly
    :param gene_families: families of genes, readable from the symbols
    :param disease_classes: classes of diseases, readable from the names
    :param strength: probability that an association is drawn from compatible pairs; else from all
    :param gene_tail: exponent of the genes' degrees, 0 for equal expectations
    :param disease_tail: exponent of the diseases' degrees
    :param therapeutic_share: share of associations with therapeutic evidence
    :param seed: of everything
    :param report_created: date in the file's header, kept to the second
    """

    genes: Annotated[int, _DRAWN] = Field(default=1200, ge=1, le=999_999)
    diseases: Annotated[int, _DRAWN] = Field(default=500, ge=1, le=999_999)
    associations: Annotated[int, _DRAWN] = Field(default=6000, ge=1)
    gene_families: Annotated[int, _DRAWN] = Field(default=8, ge=1, le=MOST_GROUPS)
    disease_classes: Annotated[int, _DRAWN] = Field(default=8, ge=1, le=MOST_GROUPS)
    strength: Annotated[float, _DRAWN] = Field(default=0.95, ge=0, le=1)
    gene_tail: Annotated[float, _DRAWN] = Field(default=1.0, ge=0, le=4)
    disease_tail: Annotated[float, _DRAWN] = Field(default=1.0, ge=0, le=4)
    therapeutic_share: Annotated[float, _DRAWN] = Field(default=0.065, ge=0, le=1)
    seed: Annotated[int, _DRAWN] = Field(default=42, ge=0)
    report_created: Annotated[AwareDatetime, _DRAWN] = datetime(2000, 1, 1, 12, tzinfo=UTC)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.gene_families > self.genes or self.disease_classes > self.diseases:
            raise ValueError(
                "each family needs a gene and each class a disease: fewer groups, or more members"
            )
        if self.associations > self.genes * self.diseases:
            raise ValueError(
                f"associations can't be more than the {self.genes * self.diseases} possible pairs"
            )
        return self
