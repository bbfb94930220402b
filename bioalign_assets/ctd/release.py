"""A CTD release of gene-disease associations, parsed and checked: what the rest of the platform works on.

Works on files that are already here; ``source`` fetches them.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.ctd.columns import FieldForm, require_form, split_lists
from bioalign_assets.ctd.quality import curated_rows_exist
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.table_file import TableFile
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
    FieldForm(column="GeneSymbol", pattern=r"(?s).+", expected="a gene symbol"),
    FieldForm(
        column="GeneSymbol",
        pattern=r"[0-9]{1,2}-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
        expected="a gene symbol, not a date",
        remedy=_SPREADSHEET,
        is_refused=True,
    ),
    FieldForm(
        column="GeneID",
        pattern=r"[1-9][0-9]{0,17}",
        expected="an NCBI Gene identifier, a positive whole number",
        remedy=_SPREADSHEET,
    ),
    FieldForm(column="DiseaseName", pattern=r"(?s).+", expected="a disease name"),
    FieldForm(
        column="DiseaseID", pattern=r"(?:MESH|OMIM):[^\s|]+", expected="an identifier MESH:… or OMIM:…"
    ),
    FieldForm(
        column="PubMedIDs",
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
    table = TableFile(Path(path), kind=ASSOCIATIONS)
    is_full_report = bool(INFERENCE_COLUMNS & set(table.header.columns))
    chunks: list[pa.Table] = []
    kept = read = 0
    for batch in table.batches(show_progress=True):
        fields, rows = batch, np.arange(read, read + len(batch))
        if is_full_report:
            is_curated = pc.not_equal(batch["DirectEvidence"], "")
            fields, rows = batch.filter(is_curated), rows[is_curated.to_numpy(zero_copy_only=False)]
        chunks.append(_typed(fields, first_row=kept, rows=rows, table=table))
        kept += len(rows)
        read += len(batch)
    skipped = read - kept
    if not kept:
        raise ReleaseError(
            str(path),
            found=f"{skipped} inferred rows and no curated one",
            expected="rows with a DirectEvidence",
            remedy=f"This is a part of the full report. {ASSOCIATIONS.by_hand}",
        )
    associations = pa.concat_tables(chunks).combine_chunks()
    return Release(
        associations=associations,
        report_created=table.header.report_created,
        report_created_problem=table.header.report_created_problem,
        content_sha256=content_hash(associations, schema=_SCHEMA),
        inferred_rows_skipped=skipped,
    )


def _typed(
    fields: pa.RecordBatch, *, first_row: int, rows: npt.NDArray[np.int64], table: TableFile
) -> pa.Table:
    """Return the associations in some rows.

    :param first_row: number of the first association, as ``row_number`` counts them
    :param rows: shape: (rows,), the number of each row among all rows of the file
    """
    for form in _FORMS:
        require_form(fields[form.column], form=form, rows=rows, table=table)
    columns = {
        "row_number": pa.array(np.arange(first_row, first_row + len(fields))),
        "gene_id": fields["GeneID"].cast(pa.int64()),
        **{name: fields[source] for name, source in _TEXTS.items()},
        **{name: split_lists(fields[source]) for name, source in _LISTS.items()},
    }
    return pa.Table.from_arrays([columns[name] for name in _SCHEMA.arrow.names], schema=_SCHEMA.arrow)
