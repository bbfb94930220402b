"""Names and identifiers of the demo release: plainly synthetic, yet of CTD's form.

A gene's family can be read from its symbol (SYNDEK12 is the twelfth of the family DEK) and a disease's class
from its name (Synthetic Boreal disorder 7), so that a language model of a few million parameters, with a BPE
tokenizer trained on this very text, sees family and class as tokens. Numbers run within a family or class in
an order that has nothing to do with how often the name occurs. No identifier is one that NCBI, MeSH, OMIM or
PubMed gives out.
"""

import numpy as np

__all__ = [
    "CLASS_WORDS",
    "FAMILY_SYLLABLES",
    "FIRST_GENE_ID",
    "FIRST_OMIM_ID",
    "FIRST_PUBMED_ID",
    "class_id",
    "class_name",
    "disease_ids",
    "disease_names",
    "gene_symbols",
    "numbers_within",
]

# No two begin alike, so that a tokenizer has no reason to merge across them.
FAMILY_SYLLABLES = (
    "BAV", "DEK", "FIM", "GOZ", "HUP", "JYL", "KAX", "LOW",
    "MEB", "NIR", "POQ", "RUD", "SAJ", "TEV", "VIK", "WYF",
)  # fmt: skip
CLASS_WORDS = (
    "Amberic", "Boreal", "Cobaltic", "Dunal", "Emberic", "Fjordal", "Granitic", "Halcyonic",
    "Indigoid", "Jasperic", "Kelpoid", "Lunaric", "Nimbic", "Ochreic", "Pelagic", "Quartzic",
)  # fmt: skip
# NCBI Gene identifiers have 9 digits and PubMed's 8; OMIM's have 6.
FIRST_GENE_ID = 9_000_000_001
FIRST_PUBMED_ID = 9_000_000_001
FIRST_OMIM_ID = 9_000_001


def numbers_within(groups: np.ndarray) -> np.ndarray:
    """Return the running number, from 1, of each member within its group.

    :param groups: group of each member, shape: (members,)
    :return: shape: (members,)
    """
    order = np.argsort(groups, kind="stable")
    grouped = groups[order]
    numbers = np.empty(len(groups), dtype=np.int64)
    numbers[order] = np.arange(len(groups)) - np.searchsorted(grouped, grouped) + 1
    return numbers


def gene_symbols(families: np.ndarray) -> list[str]:
    """Return the symbol of each gene.

    :param families: family of each gene, shape: (genes,)
    """
    numbered = zip(families.tolist(), numbers_within(families).tolist(), strict=True)
    return [f"SYN{FAMILY_SYLLABLES[family]}{number}" for family, number in numbered]


def disease_names(classes: np.ndarray) -> list[str]:
    """Return the name of each disease; the first three of each class hold what readers stumble over.

    :param classes: class of each disease, shape: (diseases,)
    """
    numbered = zip(classes.tolist(), numbers_within(classes).tolist(), strict=True)
    return [_disease_name(CLASS_WORDS[class_], number) for class_, number in numbered]


def _disease_name(word: str, number: int) -> str:
    nasty = {
        1: f"Synthetic {word} disorder 1, early form",
        2: f'Synthetic {word} disorder 2 "so-called"',
        3: f"Synthetic {word} disorder #3",
    }
    return nasty.get(number, f"Synthetic {word} disorder {number}")


def disease_ids(count: int) -> list[str]:
    """Return identifiers of CTD's form ``MESH:…`` that MeSH does not give out."""
    return [f"MESH:SYN{number:06d}" for number in range(1, count + 1)]


def class_id(class_: int) -> str:
    """Return the identifier of the class's own row in the vocabulary."""
    return f"MESH:SYNC{class_ + 1:02d}"


def class_name(class_: int) -> str:
    """Return the name of a disease class, as SlimMappings has it."""
    return f"Synthetic {CLASS_WORDS[class_]} disorder"
