from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow

from bioalign_assets.curation import rewiring
from bioalign_assets.curation.positives import stable_positives
from bioalign_assets.curation.rewiring import degree_matched
from bioalign_assets.curation.universe import universe_of
from bioalign_assets.errors import CurationError
from bioalign_assets_tests.curation.helpers import associations, synthetic

NONE = np.empty(0, dtype=np.int64)


def universe(pairs):
    return universe_of(
        stable_positives(associations([(f"G{gene}", f"D{disease}") for gene, disease in pairs]))
    )


def assert_matched(found, negatives, *, positives, taken=NONE):
    codes = (negatives @ [len(found.diseases), 1]).tolist()
    assert len(set(codes)) == len(positives)
    assert not set(codes) & set(found.true_codes.tolist())
    assert not set(codes) & set(taken.tolist())
    for column in (0, 1):
        assert Counter(negatives[:, column].tolist()) == Counter(positives[:, column].tolist())


@pytest.fixture(scope="module")
def heavy():
    """1,000 associations with long tails, the largest names at a sixth of all they could have."""
    generator = np.random.default_rng(1)
    pairs = set()
    seen = Counter()
    while len(pairs) < 1000:
        gene, disease = (generator.zipf(1.4, size=2) - 1).tolist()
        if gene >= 200 or disease >= 150 or (gene, disease) in pairs:
            continue
        if seen["gene", gene] < 25 and seen["disease", disease] < 33:
            pairs.add((gene, disease))
            seen.update([("gene", gene), ("disease", disease)])
    return universe(sorted(pairs))


@pytest.mark.parametrize("seed", range(5))
def test_every_name_stands_as_often_as_before(heavy, seed):
    assert_matched(
        heavy,
        degree_matched(heavy, positives=heavy.positives, taken=NONE, seed=seed),
        positives=heavy.positives,
    )


def test_what_others_took_is_left_alone(heavy):
    half = heavy.positives[::2], heavy.positives[1::2]
    first = degree_matched(heavy, positives=half[0], taken=NONE, seed=1)
    taken = np.sort(first @ [len(heavy.diseases), 1])
    alone = degree_matched(heavy, positives=half[1], taken=NONE, seed=1)
    assert set((alone @ [len(heavy.diseases), 1]).tolist()) & set(taken.tolist())
    assert_matched(
        heavy, degree_matched(heavy, positives=half[1], taken=taken, seed=1), positives=half[1], taken=taken
    )


@pytest.mark.parametrize("rounds", [0, 3])
def test_paths_settle_what_swaps_leave(heavy, monkeypatch, rounds):
    monkeypatch.setattr(rewiring, "_ROUNDS", rounds)
    assert_matched(
        heavy, degree_matched(heavy, positives=heavy.positives, taken=NONE, seed=2), positives=heavy.positives
    )


def exists(found):
    """Whether any wiring is there, by trying all."""
    true = set(found.true_codes.tolist())
    genes, diseases = found.positives.T.tolist()
    width = len(found.diseases)
    return any(
        len(codes := {gene * width + disease for gene, disease in zip(genes, order, strict=True)})
        == len(genes)
        and not codes & true
        for order in permutations(diseases)
    )


@settings(deadline=None, max_examples=150)
@given(
    pairs=st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=7),
    seed=st.integers(0, 99),
    rounds=st.sampled_from([0, 1, 128]),
)
def test_a_wiring_is_found_exactly_where_there_is_one(pairs, seed, rounds):
    found = universe(pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewiring, "_ROUNDS", rounds)
        try:
            negatives = degree_matched(found, positives=found.positives, taken=NONE, seed=seed)
        except CurationError:
            assert not exists(found)
        else:
            assert_matched(found, negatives, positives=found.positives)


def largest_flow(found):
    """How many negatives could be wired at most, by SciPy's maximum flow."""
    n_genes, n_diseases = len(found.genes), len(found.diseases)
    capacity = np.zeros((n_genes + n_diseases + 2,) * 2, dtype=np.int32)
    source, sink = n_genes + n_diseases, n_genes + n_diseases + 1
    free = np.ones(n_genes * n_diseases, dtype=np.int32)
    free[found.true_codes] = 0
    capacity[:n_genes, n_genes:source] = free.reshape(n_genes, n_diseases)
    genes, diseases = found.positives.T
    capacity[source, :n_genes] = np.bincount(genes, minlength=n_genes)
    capacity[n_genes:source, sink] = np.bincount(diseases, minlength=n_diseases)
    return maximum_flow(csr_matrix(capacity), source, sink).flow_value


@pytest.mark.parametrize("rounds", [0, 5, 128])
def test_giving_up_is_right_also_where_it_is_close(monkeypatch, rounds):
    monkeypatch.setattr(rewiring, "_ROUNDS", rounds)
    outcomes = Counter()
    for seed in range(0, 60, 2):
        generator = np.random.default_rng(seed)
        weights = np.outer(*(np.arange(1, size + 1) ** -0.45 for size in (20, 16))).reshape(-1)
        codes = generator.choice(320, size=20 + 2 * seed, replace=False, p=weights / weights.sum())
        found = universe([divmod(code, 16) for code in codes.tolist()])
        possible = largest_flow(found) == len(codes)
        outcomes[possible] += 1
        try:
            negatives = degree_matched(found, positives=found.positives, taken=NONE, seed=seed)
        except CurationError:
            assert not possible
        else:
            assert_matched(found, negatives, positives=found.positives)
    assert min(outcomes[True], outcomes[False]) >= 5


def test_where_a_value_stands_is_found_also_of_the_first_code_and_never_of_none():
    assert rewiring._positions(np.array([0, -1, 2, 0])) == {0: [0, 3], 2: [2]}


def test_too_few_says_which_gene_and_stops():
    found = universe([(0, disease) for disease in range(9)] + [(1, 0), (2, 9), (3, 10)])
    with pytest.raises(
        CurationError, match=r"the gene G0, which stands in 9 of them and could be paired falsely with 2,"
    ) as caught:
        degree_matched(found, positives=found.positives, taken=NONE, seed=1)
    assert "never gets fewer than it needs" in str(caught.value)


def test_a_disease_that_most_genes_have_is_named():
    found = universe([(gene, 0) for gene in range(9)] + [(0, 1), (9, 2), (10, 3)])
    with pytest.raises(CurationError, match="the disease D0, which stands in 9 of them and .* with 2,"):
        degree_matched(found, positives=found.positives, taken=NONE, seed=1)


def test_no_positives_no_negatives(heavy):
    assert degree_matched(heavy, positives=np.empty((0, 2), dtype=np.int64), taken=NONE, seed=1).shape == (
        0,
        2,
    )


def test_a_single_pair_can_t_be_wired_otherwise():
    found = universe([(0, 0)])
    with pytest.raises(CurationError, match="stands in 1 of them and could be paired falsely with 0"):
        degree_matched(found, positives=found.positives, taken=NONE, seed=1)


def test_order_of_the_positives_means_nothing_and_the_seed_does(heavy):
    first = degree_matched(heavy, positives=heavy.positives, taken=NONE, seed=1)
    assert np.array_equal(degree_matched(heavy, positives=heavy.positives[::-1], taken=NONE, seed=1), first)
    other = degree_matched(heavy, positives=heavy.positives, taken=NONE, seed=2)
    shared = set(map(tuple, first.tolist())) & set(map(tuple, other.tolist()))
    assert len(shared) < 0.5 * len(first)


def test_one_association_less_moves_a_few_negatives():
    whole = stable_positives(synthetic(n_genes=200, n_diseases=150, rows=2000))
    moved = []
    for row in range(0, 2000, 100):
        names = []
        for positives in (whole, whole.take([n for n in range(2000) if n != row])):
            found = universe_of(positives)
            pairs = degree_matched(found, positives=found.positives, taken=NONE, seed=1)
            genes, diseases = found.genes.to_pylist(), found.diseases.to_pylist()
            names.append({(genes[gene], diseases[disease]) for gene, disease in pairs.tolist()})
        moved.append(len(names[0] ^ names[1]))
    # two lose their partner and one comes in their place; a swap in the neighbourhood takes four more
    assert min(moved) == 3
    assert np.mean(moved) < 8
