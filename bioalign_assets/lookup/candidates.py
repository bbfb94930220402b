"""Genes that CTD has not curated for a disease, ranked by a variant: ``bioalign candidates``.

Unseen is not false, and a high rank is not evidence: each candidate stands beside its popularity, and the rank
correlation of the two tells how much of the ranking is that.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from bioalign_assets.errors import BioAlignError
from bioalign_assets.lookup.asking import AskedVariant, trained_label
from bioalign_assets.lookup.vocabulary import Entity

__all__ = ["Candidate", "Candidates", "rank_candidates"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One gene."""

    rank: int
    gene: Entity
    p_true: float
    """Probability of the answer true, given that it is true or false; 0 to 1"""
    popularity: int
    """Number of other diseases that CTD has curated for the gene"""
    popularity_rank: int
    """Place among all candidates by popularity, from 1; equals share the better place"""
    trained_as_false: bool
    """Whether the variant was told in training that this pair is false"""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The best candidates of a disease."""

    disease: Entity
    best: tuple[Candidate, ...]
    candidates: int
    """Genes of the release that are not curated for the disease"""
    curated: int
    """Genes that are, and so take no part"""
    correlation_with_popularity: float | None
    """Spearman's rank correlation of p_true and popularity over all candidates; None where one of them is constant"""


def rank_candidates(disease: str, *, asked: AskedVariant, top: int) -> Candidates:
    """Return the genes of the release that are not curated for a disease, the likeliest by the variant first.

    :param disease: name or identifier
    :param top: how many
    :raises BioAlignError: if the release does not have the disease, or all its genes are curated for it
    """
    vocabulary = asked.vocabulary
    found = vocabulary.disease(disease)
    if found.identifier is None:
        hint = f" (did you mean {', '.join(found.close)}?)" if found.close else ""
        raise BioAlignError(
            f"The disease {found.name!r}", found=f"no such disease in the release{hint}",
            expected="a name or identifier of the release",
            remedy="`bioalign sql \"SELECT DISTINCT disease_name FROM ctd.associations\"` lists them.",
        )  # fmt: skip
    genes = sorted(gene for gene in vocabulary.genes if (gene, found.name) not in vocabulary.associations)
    if not genes:
        raise BioAlignError(
            f"Candidates for {found.name}", found=f"all {len(vocabulary.genes):,} genes of the release curated for it",
            expected="genes that are not", remedy="Ask about another disease.",
        )  # fmt: skip
    chances = asked.p_true([(gene, found.name) for gene in genes])
    popularity = np.array([vocabulary.popularity[gene] for gene in genes])
    by_popularity = np.sort(popularity)[::-1]
    order = np.argsort(-chances, kind="stable")[:top]  # genes of one chance by name
    best = tuple(
        Candidate(
            rank=rank,
            gene=vocabulary.gene(genes[i]),
            p_true=float(chances[i]),
            popularity=int(popularity[i]),
            popularity_rank=1 + int(np.searchsorted(-by_popularity, -popularity[i], side="left")),
            trained_as_false=trained_label(asked, gene=genes[i], disease=found.name) == 0,
        )
        for rank, i in enumerate(order.tolist(), start=1)
    )
    return Candidates(
        disease=found,
        best=best,
        candidates=len(genes),
        curated=len(vocabulary.genes) - len(genes),
        correlation_with_popularity=_correlation(chances, popularity),
    )


def _correlation(chances: np.ndarray, popularity: np.ndarray) -> float | None:
    if len(chances) < 2 or np.ptp(chances) == 0 or np.ptp(popularity) == 0:
        return None
    return float(spearmanr(chances, popularity).statistic)
