import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bioalign_assets.curation.identity import mix64, name_hashes
from bioalign_assets.curation.positives import published_positives
from bioalign_assets.curation.universe import universe_of
from bioalign_assets_tests.curation.helpers import associations
from bioalign_assets_tests.curation.reference import text_of

# names that hold the link's words make texts that can be divided in two places
TRICKY = [
    "A",
    "B",
    "C",
    "A is associated with B",
    "B is associated with C",
    "is associated with B",
    "A is associated with",
]


def universe(rows):
    return universe_of(published_positives(associations(rows)))


def test_names_by_first_appearance_with_their_identifiers():
    table = associations([("B", "Y"), ("A", "X"), ("B", "X")])
    found = universe_of(published_positives(table))
    assert found.genes.to_pylist() == ["B", "A"]
    assert found.diseases.to_pylist() == ["Y", "X"]
    assert found.disease_ids.to_pylist() == ["MESH:Y", "MESH:X"]
    assert found.gene_ids.to_pylist() == table["gene_id"].to_pylist()[:2]
    assert found.positives.tolist() == [[0, 0], [1, 1], [0, 1]]
    assert found.true_codes.tolist() == [0, 1, 3]
    assert found.n_negatives == 1


def test_is_true_for_codes_at_both_ends():
    found = universe([("A", "X"), ("B", "Y"), ("C", "Z")])
    assert found.is_true(np.arange(9)).tolist() == [
        True,
        False,
        False,
        False,
        True,
        False,
        False,
        False,
        True,
    ]


# here the two links share a space
@example([("A", "is associated with B"), ("A is associated with", "C"), ("C", "B")])
@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(TRICKY), st.sampled_from(TRICKY)), min_size=1, max_size=8))
def test_true_codes_are_the_pairs_that_read_like_a_positive(rows):
    found = universe(rows)
    texts = {text_of(gene, disease) for gene, disease in rows}
    expected = [
        text_of(gene, disease) in texts
        for gene in found.genes.to_pylist()
        for disease in found.diseases.to_pylist()
    ]
    assert found.is_true(np.arange(len(expected))).tolist() == expected
    assert found.n_negatives == expected.count(False)


def test_pair_hashes_are_mixed_sums():
    found = universe([("A", "X"), ("B", "Y")])
    genes = name_hashes(["A", "B"], kind="gene", purpose="split", seed=3)
    diseases = name_hashes(["X", "Y"], kind="disease", purpose="split", seed=3)
    hashes = found.pair_hashes(np.array([[1, 0], [0, 1], [1, 1]]), purpose="split", seed=3)
    assert hashes.tolist() == mix64(genes[[1, 0, 1]] + diseases[[0, 1, 1]]).tolist()


@pytest.mark.parametrize("purpose", ["split", "order"])
def test_pair_hashes_don_t_depend_on_the_rest_of_the_universe(purpose):
    few, many = universe([("A", "X")]), universe([("B", "Y"), ("A", "X"), ("C", "X")])
    of_few = few.pair_hashes(few.positives, purpose=purpose, seed=1)
    of_many = many.pair_hashes(many.positives, purpose=purpose, seed=1)
    assert of_few[0] == of_many[1]
