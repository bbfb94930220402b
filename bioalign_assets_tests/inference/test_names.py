"""The names behind a sample: distinct, in order, genes first."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bioalign_assets.inference.names import distinct_names

_names = st.sampled_from(["TNF", "NA", "nan", "BRCA1", "Flu", 'A "b", c', "#x", ""])


def sample(rows):
    return pa.table(
        {
            "gene_symbol": pa.array([gene for gene, _ in rows], pa.string()),
            "disease_name": pa.array([disease for _, disease in rows], pa.string()),
        }
    )


@given(st.lists(st.tuples(_names, _names), min_size=1, max_size=30))
def test_each_name_stands_once_by_kind_in_order_of_appearance(rows):
    found = [(row["kind"], row["name"]) for row in distinct_names(sample(rows)).to_pylist()]
    genes, diseases = dict.fromkeys(gene for gene, _ in rows), dict.fromkeys(disease for _, disease in rows)
    assert found == [("gene", name) for name in genes] + [("disease", name) for name in diseases]


def test_a_name_that_is_both_stands_twice_and_chunks_mean_nothing():
    rows = sample([("Flu", "Flu"), ("TNF", "Flu")])
    chunked = pa.concat_tables([rows.slice(0, 1), rows.slice(1)])
    expected = {"kind": ["gene", "gene", "disease"], "name": ["Flu", "TNF", "Flu"]}
    assert distinct_names(rows).to_pydict() == distinct_names(chunked).to_pydict() == expected
