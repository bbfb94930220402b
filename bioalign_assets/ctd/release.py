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

from bioalign_assets.ctd.columns import (
    DISEASE_ID,
    INVISIBLE,
    FieldForm,
    Remarks,
    mended_names,
    name_forms,
    require_form,
    require_parts,
    split_lists,
    trimmed,
)
from bioalign_assets.ctd.quality import DIRECT_EVIDENCE, curated_rows_exist
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.spreadsheet import DATES, NUMBERS
from bioalign_assets.ctd.table_file import TableFile
from bioalign_assets.errors import ReleaseError
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["INFERENCE_COLUMNS", "Release", "read_associations", "read_usable_release"]

_SCHEMA = TABLES["ctd.associations"]
# the full report has these beside the curated one's; a row in it without direct evidence was inferred through
# them
INFERENCE_COLUMNS = {"InferenceChemicalName", "InferenceScore"}
_SPREADSHEET = "Spreadsheets rewrite numbers and names such as MARCH1 when they open a file or save it."
_AS_TEXT = f"{_SPREADSHEET} Import the columns as text there, and start from the original."
_FORMS = (
    *name_forms("GeneSymbol", what="a gene symbol"),
    FieldForm(
        column="GeneSymbol",
        pattern=DATES,
        expected="a gene symbol, not a date",
        remedy=_AS_TEXT,
        is_refused=True,
    ),
    FieldForm(
        column="GeneSymbol",
        pattern=NUMBERS,
        expected="a gene symbol, not a number",
        remedy=_AS_TEXT,
        is_refused=True,
    ),
    FieldForm(
        column="GeneID",
        pattern=r"[1-9][0-9]{0,17}",
        expected="an NCBI Gene identifier, a positive whole number",
        remedy=_SPREADSHEET,
    ),
    *name_forms("DiseaseName", what="a disease name"),
    DISEASE_ID,
)
_PARTS = (
    FieldForm(
        column="DirectEvidence",
        pattern=f"(?s).*{INVISIBLE}.*",
        is_refused=True,
        expected=f"{' or '.join(DIRECT_EVIDENCE)}, separated by '|'",
    ),
    FieldForm(
        column="OmimIDs",
        pattern="[1-9][0-9]{5,6}",  # the demo's have seven, so that none is a real one
        expected="OMIM numbers, of six digits, separated by '|', or nothing",
        remedy=_SPREADSHEET,
    ),
    FieldForm(
        column="PubMedIDs",
        pattern="[1-9][0-9]{0,9}",
        expected="PubMed identifiers, whole numbers of ten digits at most, separated by '|', or nothing",
        remedy=_SPREADSHEET,
    ),
)
_NAMES = ("GeneSymbol", "DiseaseName")
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
    :param remarks: what was mended in the fields or is odd and stays, a sentence each with count and first line
    """

    associations: pa.Table
    report_created: datetime | None
    report_created_problem: str
    content_sha256: str
    inferred_rows_skipped: int
    remarks: tuple[str, ...]


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
            expected=f"rows whose DirectEvidence is {' or '.join(DIRECT_EVIDENCE)}",
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
    remarks = Remarks()
    kept = read = 0
    for batch in table.batches(show_progress=True):
        fields, rows = batch, np.arange(read, read + len(batch))
        if is_full_report:
            is_curated = pc.not_equal(pc.utf8_trim_whitespace(batch["DirectEvidence"]), "")
            fields, rows = batch.filter(is_curated), rows[is_curated.to_numpy(zero_copy_only=False)]
        chunks.append(_typed(fields, first_row=kept, rows=rows, table=table, remarks=remarks))
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
        remarks=remarks.told(table),
    )


def _typed(
    fields: pa.RecordBatch,
    *,
    first_row: int,
    rows: npt.NDArray[np.int64],
    table: TableFile,
    remarks: Remarks,
) -> pa.Table:
    """Return the associations in some rows.

    :param first_row: number of the first association, as ``row_number`` counts them
    :param rows: shape: (rows,), the number of each row among all rows of the file
    """
    texts = {
        column: (mended_names if column in _NAMES else trimmed)(
            fields[column], column=column, rows=rows, remarks=remarks
        )
        for column in ("GeneID", *_TEXTS.values())
    }
    for form in _FORMS:
        require_form(texts[form.column], form=form, rows=rows, table=table)
    lists = {
        column: split_lists(fields[column], column=column, rows=rows, remarks=remarks)
        for column in _LISTS.values()
    }
    for form in _PARTS:
        require_parts(lists[form.column], form=form, rows=rows, table=table)
    _note_unknown_evidence(lists["DirectEvidence"], rows=rows, remarks=remarks)
    columns = {
        "row_number": pa.array(np.arange(first_row, first_row + len(fields))),
        "gene_id": texts["GeneID"].cast(pa.int64()),
        **{name: texts[source] for name, source in _TEXTS.items()},
        **{name: lists[source] for name, source in _LISTS.items()},
    }
    return pa.Table.from_arrays([columns[name] for name in _SCHEMA.arrow.names], schema=_SCHEMA.arrow)


def _note_unknown_evidence(lists: pa.Array, *, rows: npt.NDArray[np.int64], remarks: Remarks) -> None:
    """Note rows with other words, all under one sentence: the gate names the words with their share."""
    words = lists.flatten()
    is_unknown = ~pc.is_in(words, value_set=pa.array(DIRECT_EVIDENCE)).to_numpy(zero_copy_only=False)
    parents = pc.list_parent_indices(lists).to_numpy()
    remarks.note("Words of direct evidence that make no positive", rows[parents[is_unknown]])
