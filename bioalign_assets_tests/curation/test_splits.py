import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.curation.splits import published_entity_split, published_pair_split, stable_pair_split
from bioalign_assets.errors import CurationError


def labels_of(positives, negatives):
    return np.repeat(np.array([1, 0], dtype=np.int8), [positives, negatives])


def entity_split(pairs, *, n_genes=30, n_diseases=20, share=0.1, seed=1):
    generator = np.random.default_rng(seed)
    return published_entity_split(
        pairs, n_genes=n_genes, n_diseases=n_diseases, held_out_share=share, seed=seed, generator=generator
    )


@pytest.fixture
def pairs():
    generator = np.random.default_rng(0)
    return generator.integers(0, [[30, 20]], size=(200, 2))


def test_published_pair_split_is_stratified_and_train_stands_first():
    labels = labels_of(50, 50)
    layout = published_pair_split(labels, test_share=0.2, seed=42)
    assert sorted(layout.order.tolist()) == list(range(100))
    assert layout.is_test.tolist() == [False] * 80 + [True] * 20
    assert labels[layout.order][layout.is_test].sum() == 10


def test_published_pair_split_follows_the_seed():
    first, second = (published_pair_split(labels_of(50, 50), test_share=0.2, seed=seed) for seed in (1, 2))
    assert first.order.tolist() != second.order.tolist()


@pytest.mark.parametrize("count", [1, 2])
def test_published_pair_split_of_too_few_rows(count):
    with pytest.raises(CurationError, match=f"{2 * count} rows, too few for a test share of 0.2") as caught:
        published_pair_split(labels_of(count, count), test_share=0.2, seed=42)
    assert "\n" not in str(caught.value)


def test_entity_split_tests_every_row_with_a_held_out_name(pairs):
    layout = entity_split(pairs)
    assert (len(layout.genes), len(layout.diseases)) == (3, 2)
    assert len(set(layout.genes.tolist())) == 3
    expected = np.isin(pairs[:, 0], layout.genes) | np.isin(pairs[:, 1], layout.diseases)
    assert layout.is_test.tolist() == expected[layout.order].tolist()
    assert sorted(layout.order.tolist()) == list(range(200))
    assert np.flatnonzero(layout.is_test).min() == (~layout.is_test).sum()


def test_entity_split_draws_genes_then_diseases_from_the_generator(pairs):
    generator = np.random.default_rng(8)
    layout = entity_split(pairs, seed=8)
    assert layout.genes.tolist() == generator.choice(30, size=3, replace=False).tolist()
    assert layout.diseases.tolist() == generator.choice(20, size=2, replace=False).tolist()


@pytest.mark.parametrize(
    ("size", "share", "what"), [(9, 0.1, "of 9 genes or diseases"), (4, 0.2, "of 4 genes")]
)
def test_entity_split_of_too_few_names(pairs, size, share, what):
    with pytest.raises(CurationError, match=what):
        entity_split(pairs % size, n_genes=size, n_diseases=size, share=share)


def test_entity_split_that_leaves_nothing_to_train_on():
    # two genes and two diseases, one of each held out, and rows with both only
    drawn = np.random.default_rng(1)
    row = [drawn.choice(2, size=1, replace=False)[0], drawn.choice(2, size=1, replace=False)[0]]
    with pytest.raises(CurationError, match=r"holding out 0\.5 of the genes and diseases"):
        entity_split(np.array([row, row]), n_genes=2, n_diseases=2, share=0.5)


HASHES = st.lists(st.integers(0, 2**64 - 1), min_size=12, max_size=60, unique=True)


@settings(deadline=None)
@given(hashes=HASHES, share=st.floats(0.1, 0.9))
def test_stable_split_is_exact_within_each_label_and_takes_the_lowest(hashes, share):
    positives = len(hashes) // 2
    labels = labels_of(positives, len(hashes) - positives)
    split = np.array(hashes, dtype=np.uint64)
    order = np.random.default_rng(0).permutation(split)
    layout = stable_pair_split(labels, split_hashes=split, order_hashes=order, test_share=share)
    assert order[layout.order].tolist() == sorted(order.tolist())
    is_test = np.empty(len(hashes), dtype=bool)
    is_test[layout.order] = layout.is_test
    for label in (0, 1):
        test, train = split[(labels == label) & is_test], split[(labels == label) & ~is_test]
        assert abs(len(test) - share * (len(test) + len(train))) <= 0.5 + 1e-9
        assert test.max() < train.min()


@pytest.mark.parametrize(("positives", "negatives"), [(2, 100), (100, 2), (0, 100)])
def test_stable_split_never_leaves_a_label_out(positives, negatives):
    hashes = np.arange(positives + negatives, dtype=np.uint64)
    with pytest.raises(CurationError, match=r"too few for a test share of 0\.2 by label"):
        stable_pair_split(
            labels_of(positives, negatives), split_hashes=hashes, order_hashes=hashes, test_share=0.2
        )
