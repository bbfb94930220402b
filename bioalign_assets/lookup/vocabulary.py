"""The genes and diseases of the release in force, found by the name or the identifier that a person types."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from bioalign_assets.ctd.record_page import record_page
from bioalign_assets.errors import BioAlignError

__all__ = ["Association", "Entity", "Vocabulary", "vocabulary_of"]


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A gene or disease.

    :param name: as CTD spells it, or as it was typed where CTD does not have it
    :param identifier: NCBI Gene identifier, or MESH:… or OMIM:…; None where the release does not have it
    :param close: names of the release that are spelled much alike, where it does not have this one
    """

    kind: str
    name: str
    identifier: str | None
    close: tuple[str, ...] = ()

    @property
    def link(self) -> str | None:
        """CTD's page about it, which CTD's terms ask to be linked."""
        if self.identifier is None:
            return None
        return record_page(self.kind, self.identifier)


@dataclass(frozen=True, kw_only=True)
class Association:
    """What CTD has curated about a pair."""

    direct_evidence: tuple[str, ...]
    pubmed_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Vocabulary:
    """All names of a release and what is curated about their pairs."""

    genes: Mapping[str, str]
    """Symbol to NCBI Gene identifier"""
    diseases: Mapping[str, str]
    """Name to MESH:… or OMIM:…"""
    associations: Mapping[tuple[str, str], Association]
    """By gene symbol and disease name"""
    popularity: Mapping[str, int]
    """Number of curated diseases of each gene"""

    def gene(self, typed: str) -> Entity:
        """Return the gene with this symbol (small or capital letters) or NCBI Gene identifier.

        :raises BioAlignError: if nothing was typed, or it suits several symbols that differ in capitals alone
        """
        return _find(typed, kind="gene", identifiers=self.genes)

    def disease(self, typed: str) -> Entity:
        """Return the disease with this name (small or capital letters) or identifier, with or without MESH:.

        :raises BioAlignError: if nothing was typed, or it suits several names that differ in capitals alone
        """
        return _find(typed, kind="disease", identifiers=self.diseases)


def vocabulary_of(associations: pa.Table) -> Vocabulary:
    """Return the vocabulary of a release.

    :param associations: ``ctd.associations``
    :raises BioAlignError: if there are none
    """
    if not len(associations):
        raise BioAlignError(
            "ctd.associations", found="no rows", expected="the associations of a release",
            remedy="Run `bioalign demo`, or materialise ctd/release and ctd/associations.",
        )  # fmt: skip
    found: dict[tuple[str, str], Association] = {}
    for row in associations.select(
        ["gene_symbol", "disease_name", "direct_evidence", "pubmed_ids"]
    ).to_pylist():
        key = (row["gene_symbol"], row["disease_name"])
        before = found.get(key, Association(direct_evidence=(), pubmed_ids=()))
        found[key] = Association(
            direct_evidence=_joined(before.direct_evidence, row["direct_evidence"]),
            pubmed_ids=_joined(before.pubmed_ids, row["pubmed_ids"]),
        )
    columns = {name: associations[name].to_pylist() for name in ("gene_symbol", "disease_name", "disease_id")}
    gene_ids = map(str, associations["gene_id"].to_pylist())
    return Vocabulary(
        genes=dict(zip(columns["gene_symbol"], gene_ids, strict=True)),
        diseases=dict(zip(columns["disease_name"], columns["disease_id"], strict=True)),
        associations=found,
        popularity=Counter(gene for gene, _ in found),
    )


def _joined(before: tuple[str, ...], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*before, *more)))


def _find(typed: str, *, kind: str, identifiers: Mapping[str, str]) -> Entity:
    name = typed.strip()
    if not name:
        raise BioAlignError(
            f"The name of a {kind}", found="nothing", expected="a name or an identifier of CTD",
            remedy="Write it down; a name of several words goes in quotes.",
        )  # fmt: skip
    if name in identifiers:
        return Entity(kind=kind, name=name, identifier=identifiers[name])
    alike = [each for each in identifiers if each.casefold() == name.casefold()]
    by_identifier = {name.upper(), f"MESH:{name.upper()}", f"OMIM:{name.upper()}"}
    alike = alike or [each for each, identifier in identifiers.items() if identifier.upper() in by_identifier]
    if len(alike) > 1:
        raise BioAlignError(
            f"The {kind} {name!r}", found=f"several in the release: {', '.join(sorted(alike))}", expected="one",
            remedy="Write it exactly as one of them.",
        )  # fmt: skip
    if alike:
        return Entity(kind=kind, name=alike[0], identifier=identifiers[alike[0]])
    folded = {each.casefold(): each for each in identifiers}
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.8)
    return Entity(kind=kind, name=name, identifier=None, close=tuple(folded[each] for each in close))
