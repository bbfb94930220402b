import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from bioalign_assets.curation import negatives
from bioalign_assets.curation.negatives import published_uniform, stable_uniform
from bioalign_assets.curation.positives import published_positives
from bioalign_assets.curation.universe import universe_of
from bioalign_assets.errors import CurationError
from bioalign_assets_tests.curation.helpers import associations, synthetic
from bioalign_assets_tests.curation.reference import draw_one_by_one, text_of


def universe(rows):
    return universe_of(published_positives(associations(rows)))


@pytest.fixture(scope="module")
def small_universe(small):
    return universe_of(published_positives(small))


ROWS = st.lists(
    st.tuples(st.integers(0, 6).map("G{}".format), st.integers(0, 5).map("D{}".format)),
    min_size=1,
    max_size=25,
)


@settings(deadline=None, max_examples=200)
@given(rows=ROWS, seed=st.integers(0, 2**32 - 1), count=st.integers(0, 60))
def test_published_is_drawing_one_by_one(rows, seed, count):
    found = universe(rows)
    if not found.n_negatives:
        return
    ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
    drawn = published_uniform(found, count=count, generator=ours)
    genes, diseases = found.genes.to_pylist(), found.diseases.to_pylist()
    texts = {text_of(gene, disease) for gene, disease in rows}
    expected = draw_one_by_one(genes, diseases, texts=texts, count=count, generator=theirs)
    assert [(genes[g], diseases[d]) for g, d in drawn.tolist()] == expected
    assert ours.bit_generator.state == theirs.bit_generator.state
    assert ours.choice(10**6) == theirs.choice(10**6)


@pytest.mark.parametrize("rows", [[("A", "X"), ("A", "Y")], [("A", "X"), ("B", "X"), ("B", "Y"), ("A", "Y")]])
def test_a_universe_without_negatives_is_an_error(rows):
    full = universe(rows)
    for draw in (
        lambda: published_uniform(full, count=1, generator=np.random.default_rng(1)),
        lambda: stable_uniform(full, count=1, seed=1),
    ):
        with pytest.raises(CurationError, match="found 0 pairs that are not curated") as caught:
            draw()
        assert "\n" not in str(caught.value)


def test_published_can_repeat_but_stable_never_returns_less():
    found = universe([("A", "X"), ("B", "Y")])
    assert len(published_uniform(found, count=9, generator=np.random.default_rng(1))) == 9
    assert sorted(map(tuple, stable_uniform(found, count=2, seed=1).tolist())) == [(0, 1), (1, 0)]
    with pytest.raises(
        CurationError, match="found 2 pairs that are not curated associations, expected at least 3"
    ):
        stable_uniform(found, count=3, seed=1)


def test_no_negatives_asked_none_given():
    found = universe([("A", "X")])
    assert stable_uniform(found, count=0, seed=1).shape == (0, 2)
    assert published_uniform(found, count=0, generator=np.random.default_rng(1)).shape == (0, 2)


def brute_force(found, *, count, seed):
    """All hashes, by whole Python numbers, sorted."""
    mask = 2**64 - 1
    genes, diseases = (hashes.tolist() for hashes in found.hashes(purpose="negatives", seed=seed))
    scored = []
    for i, gene in enumerate(genes):
        for j, disease in enumerate(diseases):
            value = (gene + disease) & mask
            value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
            value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
            scored.append((value ^ (value >> 31), i, j))
    true = set(map(tuple, found.positives.tolist()))
    return [[i, j] for _, i, j in sorted(scored) if (i, j) not in true][:count]


@pytest.mark.parametrize("block", [1, 37, 100, 1 << 16])
@pytest.mark.parametrize("count", [1, 13, 600, 1800])
def test_stable_is_the_lowest_hashes_whatever_the_block(small_universe, monkeypatch, block, count):
    monkeypatch.setattr(negatives, "_BLOCK", block)
    expected = brute_force(small_universe, count=count, seed=5)
    assert len(expected) == count
    assert stable_uniform(small_universe, count=count, seed=5).tolist() == expected


@settings(deadline=None)
@given(rows=ROWS, seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_stable_is_distinct_and_never_a_positive(rows, seed, share):
    found = universe(rows)
    count = int(found.n_negatives * share)
    drawn = set(map(tuple, stable_uniform(found, count=count, seed=seed).tolist()))
    assert len(drawn) == count
    assert drawn.isdisjoint(map(tuple, found.positives.tolist()))


def test_stable_draws_nest(small_universe):
    few = stable_uniform(small_universe, count=50, seed=9).tolist()
    assert stable_uniform(small_universe, count=500, seed=9).tolist()[:50] == few


def test_equal_hashes_are_settled_by_code():
    smallest = negatives._Smallest(2)
    smallest.add(np.array([5, 5, 1, 5], dtype=np.uint64), np.array([9, 3, 4, 2]))
    smallest.add(np.array([5], dtype=np.uint64), np.array([1]))
    assert smallest.codes().tolist() == [4, 1]


@pytest.mark.parametrize("axis", [0, 1])
def test_stable_is_uniform_over_genes_and_diseases(small_universe, axis):
    """Chi-square over 300 seeds; drawing without replacement makes it smaller, never larger."""
    count, seeds = 600, 300
    size = (len(small_universe.genes), len(small_universe.diseases))
    free = np.ones(size)
    free[tuple(small_universe.positives.T)] = 0
    expected = free.sum(axis=1 - axis) / small_universe.n_negatives * count * seeds
    seen = sum(
        np.bincount(stable_uniform(small_universe, count=count, seed=seed)[:, axis], minlength=size[axis])
        for seed in range(seeds)
    )
    statistic = ((seen - expected) ** 2 / expected).sum()
    assert chi2.sf(statistic, size[axis] - 1) > 0.001
    assert statistic > 0.2 * size[axis]


def test_stable_includes_every_pair_equally_often(small_universe):
    seeds, count = 400, 600
    width = len(small_universe.diseases)
    codes = [stable_uniform(small_universe, count=count, seed=seed) @ [width, 1] for seed in range(seeds)]
    seen = np.bincount(np.concatenate(codes), minlength=len(small_universe.genes) * width)
    seen = np.delete(seen, small_universe.true_codes)
    share = count / small_universe.n_negatives
    # each pair's count is binomial over the seeds
    scaled = ((seen - seeds * share) ** 2).sum() / (seeds * share * (1 - share))
    assert abs(scaled / len(seen) - 1) < 0.15


def test_stable_holds_candidates_only(monkeypatch):
    found = universe_of(published_positives(synthetic(n_genes=2000, n_diseases=1500, rows=3000)))
    tracemalloc.start()
    stable_uniform(found, count=3000, seed=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    everything = 8 * len(found.genes) * len(found.diseases)
    assert peak < everything / 3
