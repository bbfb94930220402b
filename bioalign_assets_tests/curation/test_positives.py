import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.curation.positives import published_positives, stable_positives
from bioalign_assets.errors import CurationError
from bioalign_assets_tests.curation.helpers import SCHEMA, associations

BOTH = pytest.mark.parametrize("positives", [published_positives, stable_positives])


def triples(table):
    return [(r["gene_symbol"], r["disease_name"], r["pubmed_ids"]) for r in table.to_pylist()]


@BOTH
def test_only_direct_evidence_counts(positives):
    table = associations(
        [
            ("A", "X", ["1"], ["marker/mechanism"]),
            ("B", "X", ["1"], []),
            ("C", "X", ["1"], ["therapeutic"]),
            ("D", "X", ["1"], ["marker/mechanism", "therapeutic"]),
            ("E", "X", ["1"], ["therapeutic-ish"]),
        ]
    )
    assert positives(table)["gene_symbol"].to_pylist() == ["A", "C", "D"]


@BOTH
@pytest.mark.parametrize(
    "table", [SCHEMA.empty_table(), associations([("A", "X", [], []), ("B", "Y", [], ["inferred"])])]
)
def test_nothing_curated_is_an_error_that_says_so(positives, table):
    with pytest.raises(CurationError, match=f"found {table.num_rows} rows, none of them curated") as caught:
        positives(table)
    assert "\n" not in str(caught.value)


def test_published_keeps_file_order_and_drops_exact_repeats_only():
    table = associations(
        [("B", "Y", ["2"]), ("A", "X", ["1"]), ("B", "Y", ["2"]), ("A", "X", ["1", "3"]), ("A", "X", [])]
    )
    assert triples(published_positives(table)) == [
        ("B", "Y", ["2"]), ("A", "X", ["1"]), ("A", "X", ["1", "3"]), ("A", "X", []),
    ]  # fmt: skip


def test_published_file_order_is_the_row_number():
    table = associations([("B", "Y", ["2"]), ("A", "X", ["1"]), ("C", "Z", [])])
    assert published_positives(table.take([2, 0, 1])).equals(published_positives(table))


def test_stable_unites_pubmed_ids_in_numerical_order():
    table = associations([("A", "X", ["100", "20"]), ("A", "Y", []), ("A", "X", ["3", "20"]), ("A", "X", [])])
    assert triples(stable_positives(table)) == [("A", "X", ["3", "20", "100"]), ("A", "Y", [])]


def test_stable_without_any_pubmed_id():
    assert triples(stable_positives(associations([("A", "X"), ("A", "X")]))) == [("A", "X", [])]


@BOTH
def test_reads_chunked_tables_alike(positives):
    table = associations(
        [(g, d, [str(i)]) for i, (g, d) in enumerate([("A", "X"), ("B", "X"), ("A", "X"), ("C", "Y")])]
    )
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1, 0), table.slice(1)])
    assert positives(chunked).equals(positives(table))


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "NA", "A,B"]),
        st.sampled_from(["X", "Y", "nan"]),
        st.lists(st.sampled_from(["1", "2", "10"]), max_size=2),
        st.sampled_from([["marker/mechanism"], ["therapeutic"], []]),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_stable_is_the_set_of_pairs_whatever_the_order(rows, random):
    curated = [row for row in rows if row[3]]
    if not curated:
        return
    expected = {}
    for gene, disease, ids, _ in curated:
        expected.setdefault((gene, disease), set()).update(ids)
    result = stable_positives(associations(rows))
    assert triples(result) == [(g, d, sorted(ids, key=int)) for (g, d), ids in sorted(expected.items())]
    random.shuffle(rows)
    assert stable_positives(associations(rows)).equals(result)


@settings(deadline=None)
@given(ROWS)
def test_published_is_what_dict_fromkeys_keeps(rows):
    expected = list(dict.fromkeys((g, d, "|".join(ids)) for g, d, ids, evidence in rows if evidence))
    if expected:
        found = triples(published_positives(associations(rows)))
        assert [(g, d, "|".join(ids)) for g, d, ids in found] == expected


def test_a_name_with_two_identifiers_is_one_pair():
    table = associations([("A", "X", ["1"]), ("A", "X", ["2"])])
    ids = table.schema.get_field_index("gene_id")
    table = table.set_column(ids, SCHEMA.field("gene_id"), pa.array([9, 5]))
    assert stable_positives(table)["gene_id"].to_pylist() == [5]
    assert stable_positives(table.take(np.array([1, 0])))["gene_id"].to_pylist() == [5]
