"""Link queries and their candidates: held out, filtered, uniform, and steady from release to release."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.errors import CurationError
from bioalign_assets.inference.candidates import TARGETS, link_queries, places_among
from bioalign_assets_tests.evaluation._make import pairs, popular_pairs

TOY = popular_pairs(rows=1500)
COLUMN = {"gene": "gene_symbol", "disease": "disease_name"}


def true_pairs(table):
    rows = table.filter(pc.equal(table["label"], 1))
    return set(zip(rows["gene_symbol"].to_pylist(), rows["disease_name"].to_pylist(), strict=True))


def names_of(queries, query, target, size):
    return (
        queries.names[target].take(pa.array(queries.candidates(query, target=target, size=size))).to_pylist()
    )


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 12))
def test_all_candidates_but_the_other_truths_and_the_answer_first(seed, size):
    queries = link_queries(TOY, size=size, seed=seed)
    true = true_pairs(TOY)
    universe = {"gene": {gene for gene, _ in true}, "disease": {disease for _, disease in true}}
    assert len(queries) == size
    for query, row in enumerate(queries.rows.to_pylist()):
        gene, disease = row["gene_symbol"], row["disease_name"]
        known = {
            "disease": {d for g, d in true if g == gene},
            "gene": {g for g, d in true if d == disease},
        }
        for target, answer in (("disease", disease), ("gene", gene)):
            found = names_of(queries, query, target, None)
            assert found[0] == answer
            assert len(found) == len(set(found))
            assert set(found) == universe[target] - known[target] | {answer}


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 400))
def test_drawn_candidates_are_some_of_all_with_the_answer_first(seed, size):
    queries = link_queries(TOY, size=5, seed=seed)
    for query in range(len(queries)):
        for target in TARGETS:
            every = queries.candidates(query, target=target, size=None)
            some = queries.candidates(query, target=target, size=size)
            assert some[0] == every[0]
            assert len(some) == min(size + 1, len(every))
            assert np.array_equal(every[places_among(some, candidates=every)], some)
            again = queries.candidates(query, target=target, size=size)
            assert np.array_equal(some, again)


def test_queries_are_true_test_pairs_that_no_training_row_holds():
    queries = link_queries(TOY, size=10**6, seed=1)
    rows = queries.rows
    assert set(rows["label"].to_pylist()) == {1}
    assert set(rows["split"].to_pylist()) == {"test"}
    train = TOY.filter(pc.equal(TOY["split"], "train"))
    test = TOY.filter(pc.equal(TOY["split"], "test"))
    expected = true_pairs(test) - set(
        zip(train["gene_symbol"].to_pylist(), train["disease_name"].to_pylist(), strict=True)
    )
    found = list(zip(rows["gene_symbol"].to_pylist(), rows["disease_name"].to_pylist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert len(true_pairs(test)) > len(expected)  # else nothing was left out
    assert rows["row_number"].to_pylist() == sorted(rows["row_number"].to_pylist())


def test_pairs_that_were_told_through_another_dataset_are_left_out():
    every = link_queries(TOY, size=10**6, seed=1).rows["text"]
    told = every.slice(0, 40)
    left = link_queries(TOY, size=10**6, seed=1, seen_texts=told).rows["text"]
    assert left.to_pylist() == every.to_pylist()[40:]
    assert link_queries(TOY, size=5, seed=1, seen_texts=told.slice(0, 0)).rows.equals(
        link_queries(TOY, size=5, seed=1).rows
    )


def test_statements_are_those_of_the_dataset():
    queries = link_queries(TOY, size=4, seed=1)
    for query, row in enumerate(queries.rows.to_pylist()):
        for target in TARGETS:
            found = queries.candidates(query, target=target, size=6)
            statements = queries.pairs(query, target=target, candidates=found)
            assert statements.column_names == ["gene_symbol", "disease_name", "text"]
            assert statements["text"][0].as_py() == row["text"]
            shown = COLUMN["gene" if target == "disease" else "disease"]
            assert set(statements[shown].to_pylist()) == {row[shown]}
            for each in statements.to_pylist():
                assert each["text"] == f"{each['gene_symbol']} is associated with {each['disease_name']}"


def test_the_order_of_the_rows_means_nothing():
    order = np.random.default_rng(0).permutation(len(TOY))
    one, two = (link_queries(table, size=7, seed=5) for table in (TOY, TOY.take(order)))
    assert one.rows.equals(two.rows)
    for query in range(7):
        assert names_of(one, query, "gene", 9) == names_of(two, query, "gene", 9)


def test_seeds_draw_other_queries_and_other_candidates():
    one, two = (link_queries(TOY, size=60, seed=seed) for seed in (1, 2))
    assert one.rows["pair_id"].to_pylist() != two.rows["pair_id"].to_pylist()
    whole = [link_queries(TOY, size=10**6, seed=seed) for seed in (1, 2)]
    assert names_of(whole[0], 3, "disease", 10) != names_of(whole[1], 3, "disease", 10)


def test_candidates_are_drawn_uniformly_and_for_each_query_anew():
    queries = link_queries(TOY, size=10**6, seed=4)
    drawn = Counter()
    for query in range(len(queries)):
        drawn.update(names_of(queries, query, "disease", 20)[1:])
    mean = 20 * len(queries) / len(queries.names["disease"])
    assert len(drawn) == len(queries.names["disease"])
    # counts are near a Poisson's: no name is favoured, none shunned
    spread = np.var(list(drawn.values())) / mean
    assert 0.6 < spread < 1.5


def test_a_small_change_of_the_dataset_changes_little():
    gone = np.ones(len(TOY), dtype=bool)
    gone[np.random.default_rng(0).choice(len(TOY), 15, replace=False)] = False
    one, two = link_queries(TOY, size=40, seed=1), link_queries(TOY.filter(pa.array(gone)), size=40, seed=1)
    ids = [queries.rows["pair_id"].to_pylist() for queries in (one, two)]
    assert len(set(ids[0]) & set(ids[1])) >= 36
    same = set(ids[0]) & set(ids[1])
    kept = [
        len(
            set(names_of(one, ids[0].index(each), "disease", 20))
            & set(names_of(two, ids[1].index(each), "disease", 20))
        )
        for each in same
    ]
    assert np.mean(kept) > 20


def test_a_dataset_with_one_disease_has_the_answer_as_its_only_candidate():
    queries = link_queries(
        pairs([("A", "x", 1, "train"), ("B", "x", 1, "test"), ("C", "x", 0, "test")]), size=3, seed=0
    )
    assert queries.candidates(0, target="disease", size=None).tolist() == [0]
    assert queries.candidates(0, target="disease", size=5).tolist() == [0]
    assert names_of(queries, 0, "gene", None) == ["B"]


def test_no_new_true_pair_raises():
    rows = [("A", "x", 1, "train"), ("A", "x", 1, "test"), ("B", "y", 0, "test")]
    with pytest.raises(CurationError, match="1 true test pairs, none of them new"):
        link_queries(pairs(rows), size=3, seed=0)


def test_a_split_that_is_empty_raises():
    with pytest.raises(CurationError, match="no train rows"):
        link_queries(pairs([("A", "x", 1, "test")]), size=3, seed=0)


@pytest.mark.parametrize("size", [0, -3])
def test_no_queries_raise(size):
    with pytest.raises(ValueError, match="at least 1"):
        link_queries(TOY, size=size, seed=0)


def test_on_the_real_release_repeats_are_left_out(published):
    queries = link_queries(published, size=100, seed=42)
    assert len(queries) == 100
    assert len(queries.names["gene"]) == 9_111
    assert len(queries.names["disease"]) == 5_858
    assert len(queries.candidates(0, target="disease", size=100)) == 101
