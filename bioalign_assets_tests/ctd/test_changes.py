import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.ctd.changes import changes
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.warehouse.schemas import TABLES

SCHEMA = TABLES["ctd.associations"].arrow


def release(*rows):
    return pa.Table.from_pylist([{"row_number": i} | row for i, row in enumerate(rows)], schema=SCHEMA)


def row(gene=1, disease="MESH:D1", **more):
    return {
        "gene_symbol": f"G{gene}",
        "gene_id": gene,
        "disease_name": f"Name of {disease}",
        "disease_id": disease,
        "direct_evidence": ["marker/mechanism"],
        "omim_ids": [],
        "pubmed_ids": ["9", "10"],
    } | more


def told(before, after):
    found = changes(before, after)
    assert found.schema.equals(TABLES["ctd.changes"].arrow)
    return [(r["change"], r["gene_id"], r["disease_id"], r["detail"]) for r in found.to_pylist()]


def test_the_same_release_has_no_changes():
    found = changes(release(row(1), row(2)), release(row(1), row(2)))
    assert found.num_rows == 0
    assert found.schema.equals(TABLES["ctd.changes"].arrow)


def test_added_and_removed_are_named_without_detail():
    assert told(release(row(1), row(2)), release(row(2), row(3))) == [
        ("added", 3, "MESH:D1", None),
        ("removed", 1, "MESH:D1", None),
    ]


@pytest.mark.parametrize(
    ("column", "value", "detail"),
    [
        ("gene_symbol", "NEW", "gene_symbol: G1 -> NEW"),
        ("disease_name", "Other|name", "disease_name: Name of MESH:D1 -> Other|name"),
        ("direct_evidence", ["therapeutic"], "direct_evidence: marker/mechanism -> therapeutic"),
        ("omim_ids", ["600001"], "omim_ids: (none) -> 600001"),
        ("pubmed_ids", [], "pubmed_ids: 9|10 -> (none)"),
        ("pubmed_ids", ["10", "9", "11"], "pubmed_ids: 9|10 -> 9|10|11"),
    ],
)
def test_a_change_is_told_with_the_values_before_and_now(column, value, detail):
    after = release(row(1, **{column: value}), row(2))
    assert told(release(row(1), row(2)), after) == [("changed", 1, "MESH:D1", detail)]


def test_several_differences_stand_in_one_row_with_the_new_names():
    (found,) = changes(release(row()), release(row(gene_symbol="NEW", pubmed_ids=["1"]))).to_pylist()
    assert found["detail"] == "gene_symbol: G1 -> NEW; pubmed_ids: 9|10 -> 1"
    assert found["gene_symbol"] == "NEW"


def test_the_order_of_rows_and_of_identifiers_is_no_change():
    before = release(row(1), row(2), row(3))
    after = release(row(3), row(1, pubmed_ids=["10", "9"]), row(2, pubmed_ids=["9", "9", "10"]))
    assert told(before, after) == []


def test_an_association_listed_twice_counts_once_with_all_its_identifiers():
    twice = release(row(1, pubmed_ids=["9"]), row(2), row(1, pubmed_ids=["10"]))
    assert told(release(row(1), row(2)), twice) == []
    assert told(twice, release(row(2))) == [("removed", 1, "MESH:D1", None)]


def test_large_gene_identifiers_stay_exact():
    big = 2**53 + 1  # the first whole number that a float cannot hold
    assert told(release(row(big)), release(row(big + 1))) == [
        ("added", big + 1, "MESH:D1", None),
        ("removed", big, "MESH:D1", None),
    ]


def test_rows_are_sorted_by_change_symbol_and_name():
    after = release(*[row(g, f"MESH:D{d}") for g in (10, 9, 2) for d in (2, 1)])
    found = changes(release(row(5), row(2, "MESH:D1", omim_ids=["1"])), after).to_pylist()
    keys = [(r["change"], r["gene_symbol"], r["disease_name"]) for r in found]
    assert keys == sorted(keys)
    assert [r["change"] for r in found] == ["added"] * 5 + ["changed", "removed"]


few = st.lists(
    st.builds(
        row,
        gene=st.integers(1, 4),
        disease=st.sampled_from(["MESH:D1", "OMIM:2"]),
        gene_symbol=st.sampled_from(["A", "NA"]),
        omim_ids=st.lists(st.sampled_from(["1", "2"]), max_size=2),
    ),
    max_size=6,
    unique_by=lambda r: (r["gene_id"], r["disease_id"]),
)


@settings(deadline=None, max_examples=40)
@given(few, few)
def test_changes_are_those_that_plain_sets_find(before, after):
    def keyed(rows):
        return {(r["gene_id"], r["disease_id"]): (r["gene_symbol"], frozenset(r["omim_ids"])) for r in rows}

    old, new = keyed(before), keyed(after)
    expected = {("added", *key) for key in new.keys() - old.keys()}
    expected |= {("removed", *key) for key in old.keys() - new.keys()}
    expected |= {("changed", *key) for key in old.keys() & new.keys() if old[key] != new[key]}
    found = told(release(*before), release(*after))
    assert {r[:3] for r in found} == expected
    assert len(found) == len(expected)
    swap = {"added": "removed", "removed": "added", "changed": "changed"}
    back = {(swap[change], *key) for change, *key, _ in told(release(*after), release(*before))}
    assert back == {tuple(r[:3]) for r in found}


def test_a_real_release_against_itself_shuffled_and_thinned(real_data):
    path = real_data / "ctd" / "CTD_curated_genes_diseases.2025-08-27.csv"
    before = read_associations(path).associations
    order = np.random.default_rng(0).permutation(before.num_rows)
    assert changes(before, before.take(order)).num_rows == 0
    found = changes(before, before.take(order[1000:]))
    assert found["change"].to_pylist() == ["removed"] * 1000
