"""The broad classes of diseases (MEDIC-Slim), as same-class negatives and their checks need them."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.errors import CurationError
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["class_matrix", "disease_classes", "no_classes"]

Flags = npt.NDArray[np.bool_]

_SCHEMA = TABLES["curation.disease_classes"]


def disease_classes(diseases: pa.Table, *, dataset: str) -> pa.Table:
    """Return each disease's classes, one a row, under its identifier and its alternative ones.

    An association may name a disease by an identifier that became an alternative one in a newer MEDIC.

    :param diseases: ``ctd.diseases``
    :return: schema ``curation.disease_classes``, by identifier and class
    :raises CurationError: if no disease has a class
    """
    parts = []
    for ids, rows in (
        (diseases["disease_id"], diseases),
        _exploded(diseases, column="alternative_ids"),
    ):
        names, of_names = _exploded(rows.append_column("id", ids), column="classes")
        parts.append(pa.table({"disease_id": of_names["id"], "disease_class": names}))
    found = pa.concat_tables(parts).group_by(["disease_id", "disease_class"]).aggregate([])
    if not len(found):
        raise no_classes(f"{len(diseases):,} diseases, none of them with a class (SlimMappings)")
    found = found.append_column("dataset", pa.repeat(dataset, len(found))).select(_SCHEMA.arrow.names)
    return found.sort_by([(name, "ascending") for name in _SCHEMA.unique]).cast(_SCHEMA.arrow)


def class_matrix(classes: pa.Table, *, disease_ids: pa.Array) -> Flags:
    """Return which disease has which class.

    :param classes: ``curation.disease_classes`` of one dataset
    :param disease_ids: identifiers; shape: (n_diseases,)
    :return: shape: (n_diseases, n_classes); classes by name
    :raises CurationError: if none of these diseases has a class
    """
    names = np.unique(classes["disease_class"].to_numpy(zero_copy_only=False).astype(str))
    name_of = np.searchsorted(names, classes["disease_class"].to_numpy(zero_copy_only=False).astype(str))
    by_id: dict[str, list[int]] = {}
    for disease_id, name in zip(classes["disease_id"].to_pylist(), name_of.tolist(), strict=True):
        by_id.setdefault(disease_id, []).append(name)
    matrix = np.zeros((len(disease_ids), len(names)), dtype=bool)
    for row, disease_id in enumerate(disease_ids.to_pylist()):
        matrix[row, by_id.get(disease_id, [])] = True
    if not matrix.any():
        raise no_classes(
            f"{len(by_id):,} diseases with a class, and none of the {len(disease_ids):,} of the release among them"
        )
    return matrix


def no_classes(found: str) -> CurationError:
    """Return the error that same-class negatives can't be drawn."""
    return CurationError(
        "classes of diseases (CTD's vocabulary MEDIC)",
        found=found,
        expected="the vocabulary that goes with the release, with the classes of its diseases",
        remedy="Set BIOALIGN_CTD_DISEASES_SOURCE to CTD_diseases.csv.gz and materialise ctd/diseases, then "
        "curation/disease_classes. Only datasets with same-class negatives need it; all others run without.",
    )


def _exploded(rows: pa.Table, *, column: str) -> tuple[pa.Array, pa.Table]:
    """Return the values of a list column, and the row of each."""
    lists = (
        pa.concat_arrays(rows[column].chunks) if rows[column].num_chunks else pa.array([], rows[column].type)
    )
    return pc.list_flatten(lists), rows.take(pc.list_parent_indices(lists))
