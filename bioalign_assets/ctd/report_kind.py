"""Which of CTD's reports a file should be: its name, the columns that we read, the setting that points to it.

CTD calls its downloadable tables reports. Readers and errors take what they need to know about one from here.
Not here: how such a file is read (``table_file``) or where it comes from (``source``).
"""

from dataclasses import dataclass

__all__ = ["ASSOCIATIONS", "DISEASES", "DOWNLOADS_PAGE", "ReportKind"]

DOWNLOADS_PAGE = "https://ctdbase.org/downloads/"


@dataclass(frozen=True, kw_only=True)
class ReportKind:
    """One of CTD's reports.

    :param title: what it holds, in words
    :param file_name: the official file's name
    :param setting: environment variable that names its source
    :param columns: columns that must be there, by CTD's names; further ones are accepted
    """

    title: str
    file_name: str
    setting: str
    columns: tuple[str, ...]

    @property
    def by_hand(self) -> str:
        """What a person does where a script can't get the file."""
        return (
            f"Open {DOWNLOADS_PAGE} in a browser, download {self.file_name} and set {self.setting} "
            "to the path of that file."
        )


ASSOCIATIONS = ReportKind(
    title="CTD's curated gene-disease associations",
    file_name="CTD_curated_genes_diseases.csv.gz",
    setting="BIOALIGN_CTD_SOURCE",
    columns=("GeneSymbol", "GeneID", "DiseaseName", "DiseaseID", "DirectEvidence", "OmimIDs", "PubMedIDs"),
)

DISEASES = ReportKind(
    title="CTD's disease vocabulary MEDIC",
    file_name="CTD_diseases.csv.gz",
    setting="BIOALIGN_CTD_DISEASES_SOURCE",
    columns=("DiseaseName", "DiseaseID", "AltDiseaseIDs", "ParentIDs", "TreeNumbers", "SlimMappings"),
)
