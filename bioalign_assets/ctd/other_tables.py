"""Tables that are plainly something else than the report asked for: told as what they are, with the way out."""

import csv
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from bioalign_assets.ctd.report_kind import ASSOCIATIONS, DISEASES, ReportKind
from bioalign_assets.errors import ReleaseError

__all__ = ["told_as_it_is"]

# By the columns that tell a report from all others; the first that fits counts.
_REPORTS: Mapping[str, AbstractSet[str]] = {
    "CTD's chemical-gene interactions (CTD_chem_gene_ixns)": {"ChemicalName", "GeneSymbol", "Interaction"},
    "CTD's chemical-disease associations (CTD_chemicals_diseases)": {"ChemicalName", "DiseaseName"},
    "CTD's chemical-pathway associations (CTD_chem_pathways_enriched)": {"ChemicalName", "PathwayName"},
    "CTD's chemicals (CTD_chemicals)": {"ChemicalName", "ChemicalID"},
    "CTD's disease-pathway associations (CTD_diseases_pathways)": {"DiseaseName", "PathwayName"},
    "CTD's gene-pathway associations (CTD_genes_pathways)": {"GeneSymbol", "PathwayName"},
    "CTD's pathways (CTD_pathways)": {"PathwayName", "PathwayID"},
    "CTD's exposure data": {"ExposureStressorName"},
    "CTD's phenotype data": {"PhenotypeName"},
    ASSOCIATIONS.title: {*ASSOCIATIONS.columns},
    DISEASES.title: {*DISEASES.columns},
    "CTD's genes (CTD_genes)": {"GeneSymbol", "GeneName", "GeneID"},
}
_DELIMITERS = {
    ";": "semicolons",
    "|": "vertical bars",
    " ": "blanks",
    ":": "colons",
    "\x01": "control characters",
}
_IDENTIFIER = re.compile(r"(?:^|[^A-Za-z])(?:MESH|OMIM):[A-Z]?[0-9]+")


def told_as_it_is(
    names: str, *, columns: tuple[str, ...], line: int, subject: str, kind: ReportKind
) -> ReleaseError | None:
    """Return the error about a table that lacks columns, if it is plainly something else; None if it is not.

    :param names: the line on which the names of the columns should stand
    :param columns: what stands there, split at commas or tabs
    :param line: its number
    :param kind: which report it should be
    """
    expected = f"{kind.title}, with the columns {', '.join(kind.columns)}"
    for delimiter, told in _DELIMITERS.items():
        fields = {field.strip() for field in next(csv.reader([names.strip()], delimiter=delimiter), [])}
        if set(kind.columns) <= fields:
            return ReleaseError(
                f"{subject}, line {line}", found=f"columns that are separated by {told}",
                expected="commas or tabs between them",
                remedy=f"Save it with commas or tabs, or take the original. {kind.by_hand}",
            )  # fmt: skip
    for title, some in _REPORTS.items():
        if some <= set(columns):
            return ReleaseError(subject, found=title, expected=expected, remedy=kind.by_hand)
    if _IDENTIFIER.search(names):
        return ReleaseError(
            f"{subject}, line {line}", found="a row where the names of the columns should stand",
            expected="a line with their names above the rows",
            remedy=f"That line was lost. Where the columns are in CTD's order, put this one on top: "
            f"{','.join(kind.columns)} (with tabs in a file with tabs). Or take the original. {kind.by_hand}",
        )  # fmt: skip
    return None
