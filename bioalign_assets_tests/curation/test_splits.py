import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.curation.positives import stable_positives
from bioalign_assets.curation.splits import (
    UNSEEN,
    entity_parts,
    pair_parts,
    published_entity_split,
    published_pair_split,
    stable_pair_split,
)
from bioalign_assets.curation.universe import universe_of
from bioalign_assets.errors import CurationError
from bioalign_assets_tests.curation.helpers import associations, build, spec_of, synthetic


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


def test_entity_split_draws_genes_then_diseases_and_tests_every_row_with_one(pairs):
    layout = entity_split(pairs, seed=8)
    generator = np.random.default_rng(8)
    genes, diseases = (generator.choice(size, size=size // 10, replace=False) for size in (30, 20))
    expected = np.isin(pairs[:, 0], genes) | np.isin(pairs[:, 1], diseases)
    assert layout.is_test.tolist() == expected[layout.order].tolist()
    assert sorted(layout.order.tolist()) == list(range(200))
    assert np.flatnonzero(layout.is_test).min() == (~layout.is_test).sum()


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


# --- parts ---

HELD = spec_of(split="entity", held_out_share=0.3)


@pytest.fixture(scope="module")
def found(small):
    return universe_of(stable_positives(small))


def names_of(found, part):
    genes, diseases = found.positives[part.positives].T.tolist()
    return set(genes), set(diseases)


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_all_positives_once(found, seed):
    for parts in (
        pair_parts(found, test_share=0.2, seed=seed),
        entity_parts(found, held_out_share=0.3, seed=seed),
    ):
        assert sorted(np.concatenate([part.positives for part in parts]).tolist()) == list(range(600))


def test_test_positives_are_those_of_the_uniform_dataset(small, found):
    test, train = pair_parts(found, test_share=0.2, seed=42)
    assert (test.split, train.split) == ("test", "train")
    stable = build(small, spec=spec_of()).to_pylist()
    genes, diseases = found.genes.to_pylist(), found.diseases.to_pylist()
    assert {(genes[g], diseases[d]) for g, d in found.positives[test.positives].tolist()} == {
        (row["gene_symbol"], row["disease_name"]) for row in stable if row["label"] and row["split"] == "test"
    }


@pytest.mark.parametrize("seed", range(5))
def test_unseen_says_what_training_lacks(found, seed):
    *test, train = entity_parts(found, held_out_share=0.3, seed=seed)
    genes, diseases = names_of(found, train)
    assert [part.unseen for part in test] == list(UNSEEN)
    assert train.unseen is None
    for part, (new_gene, new_disease) in zip(test, [(True, False), (False, True), (True, True)], strict=True):
        assert part.split == "test"
        for gene, disease in found.positives[part.positives].tolist():
            assert ((gene not in genes), (disease not in diseases)) == (new_gene, new_disease)


def test_who_stands_only_with_held_out_names_is_unseen_too():
    # D0 with G0 … G29, each of which has nothing else: where D0 is held out, they are as new as it
    rows = [(f"G{n}", "D0") for n in range(30)] + [(f"H{n}", f"E{m}") for n in range(9) for m in range(n, 9)]
    found = universe_of(stable_positives(associations(rows)))
    disease = found.diseases.to_pylist().index("D0")
    outcomes = set()
    for seed in range(40):
        *test, train = entity_parts(found, held_out_share=0.3, seed=seed)
        if disease not in names_of(found, train)[1]:
            both = found.positives[test[2].positives]
            assert (both[:, 1] == disease).sum() == 30
            outcomes.add("held out")
        else:
            assert not (found.positives[test[1].positives][:, 1] == disease).any()
            outcomes.add("trained on")
    assert outcomes == {"held out", "trained on"}


def test_a_name_is_held_out_in_every_release_or_in_none():
    whole = synthetic(n_genes=200, n_diseases=100, rows=2000)
    held = []
    for table in (whole, whole.slice(0, 1500)):
        found = universe_of(stable_positives(table))
        limit = np.uint64(0.1 * 2.0**64)
        genes, diseases = found.hashes(purpose="held-out", seed=42)
        held.append(
            (
                set(np.array(found.genes.to_pylist())[genes < limit]),
                set(np.array(found.diseases.to_pylist())[diseases < limit]),
            )
        )
        *_, train = entity_parts(found, held_out_share=0.1, seed=42)
        for names, positions, hidden in zip(
            (found.genes, found.diseases), names_of(found, train), held[-1], strict=True
        ):
            assert hidden.isdisjoint(names.take(sorted(positions)).to_pylist())
    assert held[1][0] <= held[0][0]
    assert held[1][1] <= held[0][1]
    assert 8 <= len(held[0][0]) <= 32
    assert len(held[0][0] - held[1][0]) <= 2  # of genes that left the release


@pytest.mark.parametrize("share", [1e-6, 1 - 1e-9])
def test_nothing_to_train_on_or_to_test_is_an_error(found, share):
    with pytest.raises(CurationError, match="too few for holding out"):
        entity_parts(found, held_out_share=share, seed=1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_labels_are_balanced_in_each_part_and_no_held_out_name_is_trained_on(small, seed):
    rows = build(small, spec=HELD.model_copy(update={"seed": seed})).to_pylist()
    train = [row for row in rows if row["split"] == "train"]
    seen = {row["gene_symbol"] for row in train}, {row["disease_name"] for row in train}
    counts = {}
    for row in rows:
        new = row["gene_symbol"] not in seen[0], row["disease_name"] not in seen[1]
        expected = {(0, 0): None, (1, 0): "gene", (0, 1): "disease", (1, 1): "both"}[new]
        assert row["unseen"] == expected
        assert (row["split"] == "test") == (expected is not None)
        counts.setdefault(expected, [0, 0])[row["label"]] += 1
    assert set(counts) == {None, *UNSEEN}
    assert all(negatives == positives for negatives, positives in counts.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_held_out_and_degree_matched_at_once(seed):
    sparse = synthetic(n_genes=60, n_diseases=40, rows=300)
    pairs = build(sparse, spec=HELD.model_copy(update={"seed": seed, "negatives": "degree-matched"}))
    for kind in (None, *UNSEEN):
        rows = [row for row in pairs.to_pylist() if row["unseen"] == kind]
        for column in ("gene_symbol", "disease_name"):
            names = [sorted(row[column] for row in rows if row["label"] == label) for label in (0, 1)]
            assert names[0] == names[1]


def test_a_strict_part_that_is_too_small_stops_the_dataset():
    # one gene and one disease are held out, and only with each other: nothing false is left to pair them with
    rows = [(f"G{n}", f"D{m}") for n in range(12) for m in range(12) if (n + m) % 3 == 0 and n and m]
    table = associations([*rows, ("G0", "D0")])
    stopped = 0
    for seed in range(30):
        found = universe_of(stable_positives(table))
        try:
            *test, _ = entity_parts(found, held_out_share=0.1, seed=seed)
        except CurationError:
            continue
        genes, diseases = names_of(found, test[2])
        free = len(genes) * len(diseases) - sum(
            (g in genes) and (d in diseases) for g, d in found.positives.tolist()
        )
        if free < len(test[2].positives):
            stopped += 1
            spec = HELD.model_copy(update={"seed": seed, "held_out_share": 0.1})
            with pytest.raises(
                CurationError, match="pairs that are not curated associations, expected at least"
            ):
                build(table, spec=spec)
    assert stopped
