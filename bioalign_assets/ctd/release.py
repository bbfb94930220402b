"""A CTD release of gene-disease associations, parsed and checked: what the rest of the platform works on.

Works on files that are already here; ``source`` fetches them.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from bioalign_assets.ctd.columns import FieldForm, require_form, split_lists
from bioalign_assets.ctd.quality import curated_rows_exist
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.table_file import Batch, open_table
from bioalign_assets.errors import ReleaseError
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["INFERENCE_COLUMNS", "Release", "read_associations", "read_usable_release"]

_SCHEMA = TABLES["ctd.associations"]
# the full report has these beside the curated one's; a row in it without direct evidence was inferred through
# them
INFERENCE_COLUMNS = {"InferenceChemicalName", "InferenceScore"}
_SPREADSHEET = "Spreadsheets rewrite numbers and names such as MARCH1 when they save."
_FORMS = (
    FieldForm("GeneSymbol", pattern=r"(?s).+", expected="a gene symbol"),
    FieldForm(
        "GeneSymbol",
        pattern=r"[0-9]{1,2}-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
        expected="a gene symbol, not a date",
        remedy=_SPREADSHEET,
        is_refused=True,
    ),
    FieldForm(
        "GeneID",
        pattern=r"[1-9][0-9]{0,17}",
        expected="an NCBI Gene identifier, a positive whole number",
        remedy=_SPREADSHEET,
    ),
    FieldForm("DiseaseName", pattern=r"(?s).+", expected="a disease name"),
    FieldForm("DiseaseID", pattern=r"(?:MESH|OMIM):[^\s|]+", expected="an identifier MESH:… or OMIM:…"),
    FieldForm(
        "PubMedIDs",
        pattern=r"[0-9|]*",
        expected="PubMed identifiers, whole numbers separated by '|', or nothing",
        remedy=_SPREADSHEET,
    ),
)
_TEXTS = {"gene_symbol": "GeneSymbol", "disease_name": "DiseaseName", "disease_id": "DiseaseID"}
_LISTS = {"direct_evidence": "DirectEvidence", "omim_ids": "OmimIDs", "pubmed_ids": "PubMedIDs"}


@dataclass(frozen=True, kw_only=True)
class Release:
    """A parsed release.

    :param associations: curated associations in file order, schema ``ctd.associations``
    :param report_created: when CTD made the file, in UTC; None where the file doesn't say
    :param report_created_problem: why a date that stands there could not be read; else empty
    :param content_sha256: content hash of the associations: the same for the same rows, whatever the header,
        compression, delimiter or line ends, and for the curated and the full report of one release
    :param inferred_rows_skipped: rows of the full report that are inferred only
    """

    associations: pa.Table
    report_created: datetime | None
    report_created_problem: str
    content_sha256: str
    inferred_rows_skipped: int


def read_usable_release(path: Path) -> Release:
    """Parse a file of associations and see that something can be curated from it.

    What goes into force is read by this: a release without direct evidence is refused before it is kept.

    :raises ReleaseError: also if no row has direct evidence
    """
    release = read_associations(path)
    curated = curated_rows_exist(release.associations)
    if not curated.passed:
        raise ReleaseError(
            str(path),
            found=f"no curated row: {curated.summary}",
            expected="rows whose DirectEvidence is marker/mechanism or therapeutic",
            remedy=f"Nothing can be curated from this file. {ASSOCIATIONS.by_hand}",
        )
    return release


def read_associations(path: Path) -> Release:
    """Parse and check a file of gene-disease associations.

    The full report (curated and inferred, 3.2 GB gzipped) is accepted as well: it is streamed, and rows that
    are inferred only are counted and dropped as they pass.

    :param path: .csv or .tsv, gzipped or plain
    :raises ReleaseError: if it is no such table or a row is wrong; line numbers count from 1
    :raises SourceError: if it can't be read, is a web page, empty, or a damaged gzip
    """
    path = Path(path)
    skipped = rows = 0
    chunks: list[pa.Table] = []
    with open_table(path, kind=ASSOCIATIONS, show_progress=True) as table:
        header = table.header
        is_full_report = bool(INFERENCE_COLUMNS & set(header.columns))
        evidence = header.columns.index("DirectEvidence")

        def is_inferred(row: list[str]) -> bool:
            nonlocal skipped
            if row[evidence]:
                return False
            skipped += 1
            return True

        for batch in table.batches(skip=is_inferred if is_full_report else None):
            chunks.append(_typed(batch, first_row=rows, subject=str(path)))
            rows += len(batch.lines)
    if not rows:
        raise ReleaseError(
            str(path),
            found=f"{skipped} inferred rows and no curated one",
            expected="rows with a DirectEvidence",
            remedy=f"This is a part of the full report. {ASSOCIATIONS.by_hand}",
        )
    associations = pa.concat_tables(chunks).combine_chunks()
    return Release(
        associations=associations,
        report_created=header.report_created,
        report_created_problem=header.report_created_problem,
        content_sha256=content_hash(associations, schema=_SCHEMA),
        inferred_rows_skipped=skipped,
    )


def _typed(batch: Batch, *, first_row: int, subject: str) -> pa.Table:
    fields = {name: pa.array(texts, type=pa.string()) for name, texts in batch.columns.items()}
    for form in _FORMS:
        require_form(fields[form.column], form=form, lines=batch.lines, subject=subject, kind=ASSOCIATIONS)
    columns = {
        "row_number": pa.array(range(first_row, first_row + len(batch.lines)), type=pa.int64()),
        "gene_id": fields["GeneID"].cast(pa.int64()),
        **{name: fields[source] for name, source in _TEXTS.items()},
        **{name: split_lists(fields[source]) for name, source in _LISTS.items()},
    }
    return pa.Table.from_arrays([columns[name] for name in _SCHEMA.arrow.names], schema=_SCHEMA.arrow)
