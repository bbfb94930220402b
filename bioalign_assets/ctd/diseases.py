"""MEDIC, CTD's disease vocabulary: the classes of each disease, which same-class negatives need."""

from dataclasses import dataclass
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
from bioalign_assets.ctd.report_kind import DISEASES
from bioalign_assets.ctd.table_file import TableFile
from bioalign_assets.errors import ReleaseError
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["Vocabulary", "read_diseases"]

_SCHEMA = TABLES["ctd.diseases"]
_FORMS = (
    DISEASE_ID,
    *name_forms("DiseaseName", what="a disease name"),
)
_PARTS = (
    FieldForm(
        column="AltDiseaseIDs",
        pattern="[A-Za-z]+(?::[A-Za-z0-9_.-]+)+",
        expected="identifiers such as OMIM:… or DO:DOID:…, separated by '|', or nothing",
    ),
    FieldForm(
        column="ParentIDs",
        pattern=DISEASE_ID.pattern,
        expected="identifiers MESH:… or OMIM:…, separated by '|', or nothing",
    ),
    FieldForm(
        column="TreeNumbers",
        pattern="[A-Z0-9]+(?:[./][A-Z0-9]+)*",
        expected="MeSH's tree numbers such as C04.557, separated by '|', or nothing",
    ),
    FieldForm(
        column="SlimMappings",
        pattern=f"(?s).*{INVISIBLE}.*",
        is_refused=True,
        expected="names of disease classes, separated by '|', or nothing",
    ),
)
_LISTS = {
    "alternative_ids": "AltDiseaseIDs",
    "parent_ids": "ParentIDs",
    "tree_numbers": "TreeNumbers",
    "classes": "SlimMappings",
}


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """A parsed MEDIC.

    :param diseases: in file order, schema ``ctd.diseases``
    :param remarks: what was mended in the fields, a sentence each with count and first line
    """

    diseases: pa.Table
    remarks: tuple[str, ...]


def read_diseases(path: Path) -> Vocabulary:
    """Return the diseases of a MEDIC file.

    Lists are empty where the file has nothing; a disease may have several classes or none.

    :param path: .csv or .tsv, gzipped or plain
    :raises ReleaseError: if it is no such table, a row is wrong, or a disease stands there twice
    :raises SourceError: if it can't be read, is a web page, empty, or a damaged gzip
    """
    table = TableFile(Path(path), kind=DISEASES)
    chunks: list[pa.Table] = []
    remarks = Remarks()
    count = 0
    for fields in table.batches(show_progress=True):
        rows = np.arange(count, count + len(fields))
        chunks.append(_typed(fields, rows=rows, table=table, remarks=remarks))
        count += len(fields)
    diseases = pa.concat_tables(chunks).combine_chunks()
    _require_unique(diseases["disease_id"], table=table)
    return Vocabulary(diseases=diseases, remarks=remarks.told(table))


def _typed(
    fields: pa.RecordBatch, *, rows: npt.NDArray[np.int64], table: TableFile, remarks: Remarks
) -> pa.Table:
    texts = {
        "DiseaseID": trimmed(fields["DiseaseID"], column="DiseaseID", rows=rows, remarks=remarks),
        "DiseaseName": mended_names(fields["DiseaseName"], column="DiseaseName", rows=rows, remarks=remarks),
    }
    for form in _FORMS:
        require_form(texts[form.column], form=form, rows=rows, table=table)
    lists = {
        column: split_lists(fields[column], column=column, rows=rows, remarks=remarks)
        for column in _LISTS.values()
    }
    classes = lists["SlimMappings"]
    parents = pc.list_parent_indices(classes).to_numpy()
    names = mended_names(classes.flatten(), column="SlimMappings", rows=rows[parents], remarks=remarks)
    lists["SlimMappings"] = pa.ListArray.from_arrays(classes.offsets, names)
    for form in _PARTS:
        require_parts(lists[form.column], form=form, rows=rows, table=table)
    columns = {
        "disease_id": texts["DiseaseID"],
        "disease_name": texts["DiseaseName"],
        **{name: lists[source] for name, source in _LISTS.items()},
    }
    return pa.Table.from_arrays([columns[name] for name in _SCHEMA.arrow.names], schema=_SCHEMA.arrow)


def _require_unique(ids: pa.ChunkedArray, *, table: TableFile) -> None:
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    first_row: dict[str, int] = {}
    for row, disease_id in enumerate(ids.to_pylist()):
        if disease_id in first_row:
            lines = table.lines_of([first_row[disease_id], row])
            raise ReleaseError(
                f"{table.path}, line {lines[row]}",
                found=f"the DiseaseID {disease_id!r}, which stands on line {lines[first_row[disease_id]]} already",
                expected="each disease once",
                remedy=f"Remove one of the two lines, or take the original. {DISEASES.by_hand}",
            )
        first_row[disease_id] = row
