"""MEDIC, CTD's disease vocabulary: the classes of each disease, which same-class negatives need."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.ctd.columns import FieldForm, require_form, split_lists
from bioalign_assets.ctd.report_kind import DISEASES
from bioalign_assets.ctd.table_file import TableFile
from bioalign_assets.errors import ReleaseError
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["read_diseases"]

_SCHEMA = TABLES["ctd.diseases"]
_FORMS = (
    FieldForm(
        column="DiseaseID", pattern=r"(?:MESH|OMIM):[^\s|]+", expected="an identifier MESH:… or OMIM:…"
    ),
    FieldForm(column="DiseaseName", pattern=r"(?s).+", expected="a disease name"),
)
_LISTS = {
    "alternative_ids": "AltDiseaseIDs",
    "parent_ids": "ParentIDs",
    "tree_numbers": "TreeNumbers",
    "classes": "SlimMappings",
}


def read_diseases(path: Path) -> pa.Table:
    """Return the diseases of a MEDIC file in file order, schema ``ctd.diseases``.

    Lists are empty where the file has nothing; a disease may have several classes or none.

    :param path: .csv or .tsv, gzipped or plain
    :raises ReleaseError: if it is no such table, a row is wrong, or a disease stands there twice
    :raises SourceError: if it can't be read, is a web page, empty, or a damaged gzip
    """
    table = TableFile(Path(path), kind=DISEASES)
    chunks: list[pa.Table] = []
    count = 0
    for fields in table.batches(show_progress=True):
        chunks.append(_typed(fields, rows=np.arange(count, count + len(fields)), table=table))
        count += len(fields)
    diseases = pa.concat_tables(chunks).combine_chunks()
    _require_unique(diseases["disease_id"], table=table)
    return diseases


def _typed(fields: pa.RecordBatch, *, rows: npt.NDArray[np.int64], table: TableFile) -> pa.Table:
    for form in _FORMS:
        require_form(fields[form.column], form=form, rows=rows, table=table)
    columns = {
        "disease_id": fields["DiseaseID"],
        "disease_name": fields["DiseaseName"],
        **{name: split_lists(fields[source]) for name, source in _LISTS.items()},
    }
    return pa.Table.from_arrays([columns[name] for name in _SCHEMA.arrow.names], schema=_SCHEMA.arrow)


def _require_unique(ids: pa.ChunkedArray, *, table: TableFile) -> None:
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    first_row: dict[str, int] = {}
    for row, disease_id in enumerate(ids.to_pylist()):
        if disease_id in first_row:
            before = table.line_of(first_row[disease_id])
            raise ReleaseError(
                f"{table.path}, line {table.line_of(row)}",
                found=f"the DiseaseID {disease_id!r}, which stands on line {before} already",
                expected="each disease once",
                remedy=f"Remove one of the two lines, or take the original. {DISEASES.by_hand}",
            )
        first_row[disease_id] = row
