"""The true statements of a dataset: the associations that CTD has curated with direct evidence.

Negatives, labels and splits belong elsewhere. Statements are made of names, so a positive is a pair of names;
identifiers follow the names (one per name, see ``universe.py``).
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.ctd.quality import DIRECT_EVIDENCE
from bioalign_assets.errors import CurationError

__all__ = ["published_positives", "stable_positives"]

_COLUMNS = ["gene_symbol", "gene_id", "disease_name", "disease_id", "pubmed_ids"]


def published_positives(associations: pa.Table) -> pa.Table:
    """Return the distinct (gene symbol, disease name, text, PubMed ids) of the curated rows, in file order.

    The text follows from the two names, so it adds nothing to the key. A pair that stands in the file with
    two lists of PubMed ids is two positives, as in the paper.

    :param associations: ``ctd.associations``; file order is what ``row_number`` says
    :return: gene_symbol, gene_id, disease_name, disease_id, pubmed_ids; at least one row
    :raises CurationError: if no row has direct evidence
    """
    rows = _curated(associations)
    keys = pa.table(
        {
            "gene": rows["gene_symbol"],
            "disease": rows["disease_name"],
            "pubmed": pc.binary_join(rows["pubmed_ids"], "|"),
            "position": np.arange(rows.num_rows),
        }
    )
    first = keys.group_by(["gene", "disease", "pubmed"]).aggregate([("position", "min")])["position_min"]
    return rows.take(np.sort(first.to_numpy())).combine_chunks()


def stable_positives(associations: pa.Table) -> pa.Table:
    """Return the distinct (gene symbol, disease name) of the curated rows, with their PubMed ids united.

    Rows are in the order of the names and PubMed ids in numerical order, so that the result depends on the
    set of associations alone, not on how they are ordered.

    :param associations: ``ctd.associations``
    :return: gene_symbol, gene_id, disease_name, disease_id, pubmed_ids; at least one row
    :raises CurationError: if no row has direct evidence
    """
    names = ["gene_symbol", "disease_name", "gene_id", "disease_id"]
    rows = _curated(associations).sort_by([(name, "ascending") for name in names]).combine_chunks()
    is_first = _differs_from_row_before(rows["gene_symbol"]) | _differs_from_row_before(rows["disease_name"])
    pair = np.cumsum(is_first) - 1
    ids = _one_chunk(rows["pubmed_ids"])
    evidence = pa.table(
        {"pair": pair[pc.list_parent_indices(ids).to_numpy()], "id": pc.list_flatten(ids)}
    ).group_by(["pair", "id"])
    united = evidence.aggregate([])
    # shorter before longer, then by digit: numerical order without parsing
    united = united.append_column("length", pc.utf8_length(united["id"])).sort_by(
        [("pair", "ascending"), ("length", "ascending"), ("id", "ascending")]
    )
    counts = np.bincount(united["pair"].to_numpy(), minlength=int(is_first.sum()))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), type=pa.int32())
    pubmed_ids = pa.ListArray.from_arrays(offsets, _one_chunk(united["id"]))
    table = rows.take(np.flatnonzero(is_first))
    return table.set_column(table.column_names.index("pubmed_ids"), "pubmed_ids", pubmed_ids).combine_chunks()


def _curated(associations: pa.Table) -> pa.Table:
    """Return the rows with direct evidence, in the order of ``row_number``, without the other columns."""
    evidence = _one_chunk(associations["direct_evidence"])
    counts = pc.is_in(pc.list_flatten(evidence), value_set=pa.array(DIRECT_EVIDENCE))
    is_curated = np.zeros(associations.num_rows, dtype=bool)
    is_curated[pc.list_parent_indices(evidence).to_numpy()[counts.to_numpy(zero_copy_only=False)]] = True
    chosen = np.flatnonzero(is_curated)
    if not len(chosen):
        kinds = sorted(set(pc.unique(pc.list_flatten(evidence)).to_pylist()))
        raise CurationError(
            "ctd.associations",
            found=f"{associations.num_rows:,} rows, none of them curated (their direct evidence: {kinds})",
            expected=f"rows whose direct evidence holds {' or '.join(DIRECT_EVIDENCE)}",
            remedy="Check that BIOALIGN_CTD_SOURCE names the curated gene-disease associations of CTD.",
        )
    position = associations["row_number"].to_numpy()[chosen]
    return associations.select(_COLUMNS).take(chosen[np.argsort(position, kind="stable")]).combine_chunks()


def _differs_from_row_before(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return where a sorted column begins a new value; the first row always does."""
    values = _one_chunk(column)
    changes = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([[True], changes.astype(bool)])


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    if not isinstance(combined, pa.ChunkedArray):
        return combined
    return pa.concat_arrays(combined.chunks) if combined.num_chunks else pa.array([], type=column.type)
