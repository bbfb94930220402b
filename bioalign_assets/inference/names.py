"""The names behind some statements: what edge separation embeds, each gene and disease by itself."""

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["distinct_names"]

_COLUMNS = {"gene": "gene_symbol", "disease": "disease_name"}


def distinct_names(sample: pa.Table) -> pa.Table:
    """Return the distinct genes, then the distinct diseases of some pairs, each in order of first appearance.

    A name that is both a gene's and a disease's stands twice.

    :param sample: with the columns gene_symbol and disease_name of ``curation.pairs``
    :returns: columns kind (gene or disease) and name
    """
    parts = [
        pa.table({"kind": [kind] * len(names), "name": names})
        for kind, column in _COLUMNS.items()
        for names in [pc.unique(sample[column])]
    ]
    return pa.concat_tables(parts)
