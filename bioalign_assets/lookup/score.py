"""What a variant says of given pairs, beside what CTD knows of them: ``bioalign score``."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioalign_assets.curation.identity import pair_ids
from bioalign_assets.errors import BioAlignError
from bioalign_assets.inference.vectors import embedding_matrix, unit_vectors
from bioalign_assets.lookup.asking import AskedVariant, trained_label
from bioalign_assets.lookup.vocabulary import Association, Entity

__all__ = ["Neighbour", "ScoredPair", "read_pairs", "score_pairs"]

_GENE_COLUMNS = ("gene", "gene_symbol", "genesymbol")
_DISEASE_COLUMNS = ("disease", "disease_name", "diseasename")


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A curated pair whose statement lies near."""

    gene_symbol: str
    disease_name: str
    cosine: float
    """Cosine similarity of the two statements' embeddings, -1 to 1"""


@dataclass(frozen=True, kw_only=True)
class ScoredPair:
    """One pair: what the variant says, and what CTD knows."""

    gene: Entity
    disease: Entity
    p_true: float
    """Probability of the answer true, given that it is true or false; 0 to 1"""
    association: Association | None
    """What CTD has curated; None where it has not, which does not make it false"""
    trained_as: int | None
    """Label that the variant was trained with on this very pair; None where it was not"""
    nearest: tuple[Neighbour, ...]
    """Nearest first"""


def score_pairs(
    pairs: Sequence[tuple[str, str]], *, asked: AskedVariant, nearest: int = 3
) -> list[ScoredPair]:
    """Return what a variant says of pairs, in their order.

    A gene or disease that the release does not have is asked about as it was typed.

    :param pairs: gene (symbol or NCBI Gene identifier) and disease (name or identifier)
    :param nearest: how many near curated pairs to find among those of the variant's test sets; 0 for none
    :raises BioAlignError: if a name is empty or suits several of the release
    """
    found = [(asked.vocabulary.gene(gene), asked.vocabulary.disease(disease)) for gene, disease in pairs]
    names = [(gene.name, disease.name) for gene, disease in found]
    if not names:
        return []
    chances = asked.p_true(names)
    neighbours = _nearest(names, asked=asked, count=nearest) if nearest else [()] * len(names)
    return [
        ScoredPair(
            gene=gene,
            disease=disease,
            p_true=float(chance),
            association=asked.vocabulary.associations.get((gene.name, disease.name)),
            trained_as=trained_label(asked, gene=gene.name, disease=disease.name),
            nearest=near,
        )
        for (gene, disease), chance, near in zip(found, chances, neighbours, strict=True)
    ]


def _nearest(
    names: Sequence[tuple[str, str]], *, asked: AskedVariant, count: int
) -> list[tuple[Neighbour, ...]]:
    known = asked.known_embeddings()
    if not len(known):
        return [()] * len(names)
    subject = f"inference.embeddings of {asked.variant.key}"
    stored: npt.NDArray[np.float64] = unit_vectors(embedding_matrix(known["embedding"], subject=subject))
    ids = np.array(known["pair_id"].to_pylist())
    genes, diseases = (known[name].to_pylist() for name in ("gene_symbol", "disease_name"))
    own_ids = pair_ids([gene for gene, _ in names], [disease for _, disease in names])
    found = []
    for vector, own in zip(unit_vectors(asked.embed(names)), own_ids, strict=True):
        cosines = stored @ vector
        cosines[ids == own] = -np.inf  # a pair is no neighbour of itself
        places = np.lexsort((ids, -cosines))[:count]
        found.append(
            tuple(
                Neighbour(gene_symbol=genes[i], disease_name=diseases[i], cosine=float(cosines[i]))
                for i in places.tolist()
                if np.isfinite(cosines[i])
            )
        )
    return found


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of a CSV file with the columns gene and disease (or as CTD names them), in any order.

    :raises BioAlignError: if the file can't be read, lacks a column, or has a row without gene or disease
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = list(reader.fieldnames or ())
            gene, disease = (_column(header, names, path=path) for names in (_GENE_COLUMNS, _DISEASE_COLUMNS))
            rows = [((row[gene] or "").strip(), (row[disease] or "").strip()) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BioAlignError(
            str(path), found=str(error), expected="a CSV file in UTF-8",
            remedy="Name a file with the columns gene and disease.",
        ) from error  # fmt: skip
    for number, pair in enumerate(rows, start=1):
        if not all(pair):
            raise BioAlignError(
                f"{path}, row {number} below the header", found=f"gene {pair[0]!r}, disease {pair[1]!r}",
                expected="both", remedy="Fill in what is missing, or take the row out.",
            )  # fmt: skip
    return rows


def _column(header: list[str], names: tuple[str, ...], *, path: Path) -> str:
    for column in header:
        if column.strip().lower() in names:
            return column
    raise BioAlignError(
        str(path), found=f"the columns {', '.join(header) or '(none)'}", expected=f"one of {', '.join(names)}",
        remedy="The first line must name the columns gene and disease.",
    )  # fmt: skip
