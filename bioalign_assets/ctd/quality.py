"""Checks of a release: what must hold for its rows, each a pure function that says what it found."""

import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.findings import Finding

__all__ = ["associations_are_distinct", "curated_rows_exist", "release_fits_associations"]


def release_fits_associations(release: pa.Table) -> Finding:
    """Check that exactly one release is in force and that it has associations.

    :param release: ``ctd.release``
    """
    rows = release["rows"].to_pylist()
    return Finding(
        passed=len(rows) == 1 and rows[0] > 0,
        summary=f"{len(rows)} release in force, with {sum(rows):,} associations",
        counts={"releases": len(rows), "associations": sum(rows)},
    )


def associations_are_distinct(associations: pa.Table) -> Finding:
    """Check that no gene and disease stand in two rows.

    :param associations: ``ctd.associations``
    """
    keys = ["gene_id", "disease_id"]
    repeated = len(associations) - len(associations.group_by(keys).aggregate([]))
    return Finding(
        passed=repeated == 0,
        summary=f"{repeated:,} of {len(associations):,} rows repeat a gene and disease",
        counts={"rows": len(associations), "repeated": repeated},
    )


def curated_rows_exist(associations: pa.Table) -> Finding:
    """Check that there are rows with direct evidence.

    :param associations: ``ctd.associations``
    """
    curated = pc.sum(pc.greater(pc.list_value_length(associations["direct_evidence"]), 0)).as_py() or 0
    return Finding(
        passed=curated > 0,
        summary=f"{curated:,} of {len(associations):,} rows have direct evidence",
        counts={"rows": len(associations), "curated": curated},
    )
