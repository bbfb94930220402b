"""MEDIC, CTD's disease vocabulary: the classes of each disease, which same-class negatives need."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.ctd.columns import FieldForm, require_form, split_lists
from bioalign_assets.ctd.report_kind import DISEASES
from bioalign_assets.ctd.table_file import Batch, open_table
from bioalign_assets.errors import ReleaseError
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["read_diseases"]

_SCHEMA = TABLES["ctd.diseases"]
_FORMS = (
    FieldForm("DiseaseID", pattern=r"(?:MESH|OMIM):[^\s|]+", expected="an identifier MESH:… or OMIM:…"),
    FieldForm("DiseaseName", pattern=r"(?s).+", expected="a disease name"),
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
    path = Path(path)
    lines: list[int] = []
    chunks: list[pa.Table] = []
    with open_table(path, kind=DISEASES, show_progress=True) as table:
        for batch in table.batches():
            chunks.append(_typed(batch, subject=str(path)))
            lines += batch.lines
    diseases = pa.concat_tables(chunks).combine_chunks()
    _require_unique(diseases["disease_id"], lines=lines, subject=str(path))
    return diseases


def _typed(batch: Batch, *, subject: str) -> pa.Table:
    fields = {name: pa.array(texts, type=pa.string()) for name, texts in batch.columns.items()}
    for form in _FORMS:
        require_form(fields[form.column], form=form, lines=batch.lines, subject=subject, kind=DISEASES)
    columns = {
        "disease_id": fields["DiseaseID"],
        "disease_name": fields["DiseaseName"],
        **{name: split_lists(fields[source]) for name, source in _LISTS.items()},
    }
    return pa.Table.from_arrays([columns[name] for name in _SCHEMA.arrow.names], schema=_SCHEMA.arrow)


def _require_unique(ids: pa.ChunkedArray, *, lines: list[int], subject: str) -> None:
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    first_line: dict[str, int] = {}
    for line, disease_id in zip(lines, ids.to_pylist(), strict=True):
        if disease_id in first_line:
            raise ReleaseError(
                f"{subject}, line {line}",
                found=f"the DiseaseID {disease_id!r}, which stands on line {first_line[disease_id]} already",
                expected="each disease once",
                remedy=f"Remove one of the two lines, or take the original. {DISEASES.by_hand}",
            )
        first_line[disease_id] = line
