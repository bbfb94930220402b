"""TransE: it finds structure that counts can't see, its corruption is filtered, its calibration is out of sample."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation import transe as module
from bioalign_assets.evaluation.popularity import popularity
from bioalign_assets.evaluation.transe import corrupted, fit_transe, transe
from bioalign_assets.inference.sample import split_rows
from bioalign_assets_tests.evaluation._make import pairs, popular_pairs, where


def blocks(*, per_block=25, blocks=4, seed=0):
    """Genes and diseases fall into blocks; a pair is true inside a block. Every name occurs about alike."""
    rng = np.random.default_rng(seed)
    made = []
    for gene in range(per_block * blocks):
        block = gene % blocks
        for inside in (1, 0):
            others = [d for d in range(per_block * blocks) if (d % blocks == block) == bool(inside)]
            made += [
                (f"G{gene}", f"D{disease}", inside, "test" if rng.random() < 0.2 else "train")
                for disease in rng.choice(others, 8, replace=False)
            ]
    return pairs(made)


def split(table):
    return split_rows(table, split="train"), split_rows(table, split="test")


def area(rows, p_true):
    return roc_auc_score(rows["label"].to_numpy(), p_true)


@pytest.fixture(scope="module")
def in_blocks():
    """Training rows, test rows, and what was fitted."""
    train, test = split(blocks())
    return train, test, transe(train, seed=1)


@pytest.fixture(scope="module")
def model():
    return fit_transe(FEW, seed=0)


FEW = pairs([(f"G{i % 7}", f"D{i % 5}", 1, "train") for i in range(35)])


def test_it_sees_who_goes_with_whom_where_counts_tell_little(in_blocks):
    train, test, scorer = in_blocks
    assert area(test, scorer(test)) > 0.8
    assert area(test, popularity(train, seed=1)(test)) < 0.7
    assert scorer(where(train, label=1)).mean() > scorer(where(train, label=0)).mean()


def test_its_probabilities_are_those_of_new_pairs():
    """Calibrated on the optimised pairs themselves, nearly every new pair would be called false."""
    train, test = split(popular_pairs(rows=6000))
    p_true, labels = transe(train, seed=1)(test), test["label"].to_numpy()
    assert abs(p_true.mean() - labels.mean()) < 0.08
    assert 0.3 < (p_true >= 0.5).mean() < 0.7
    assert area(test, p_true) > 0.7


def test_where_nearer_is_not_truer_p_true_is_the_share_of_true_rows():
    rng = np.random.default_rng(0)
    rows = [(f"G{rng.integers(40)}", f"D{rng.integers(40)}", int(i % 4 == 0), "train") for i in range(800)]
    p_true = transe(pairs(rows), seed=1)(pairs([("G1", f"D{i}", 1, "test") for i in range(40)]))
    assert p_true == pytest.approx(np.full(40, 0.25), abs=0.15)


def test_unknown_names_stand_at_the_mean_of_their_kind(model):
    away = model.distances(
        pairs([("NEW", "D1", 1, "test"), ("OTHER", "D1", 1, "test"), ("NA", "NEW", 1, "test")])
    )
    assert away[0] == away[1]
    mean_gene, mean_disease = model.heads[:-1].mean(axis=0), model.tails[:-1].mean(axis=0)
    assert away[2] == pytest.approx(np.linalg.norm(mean_gene + model.relation - mean_disease), rel=1e-5)
    place = model.diseases.to_pylist().index("D1")
    assert away[0] == pytest.approx(np.linalg.norm(mean_gene + model.relation - model.tails[place]), rel=1e-5)


def test_entities_have_length_one_and_the_relation_is_learned(model):
    assert np.linalg.norm(model.heads[:-1], axis=1) == pytest.approx(np.ones(7), abs=1e-5)
    assert np.linalg.norm(model.tails[:-1], axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert model.relation.shape == (model.heads.shape[1],)
    assert np.isfinite(model.relation).all()


def test_distances_are_the_same_in_parts(model, monkeypatch):
    whole = model.distances(FEW)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 4)
    assert np.array_equal(model.distances(FEW), whole)


def test_it_is_fitted_in_one_thread_and_seeds_differ_and_torchs_own_generator_is_not_touched(
    model, monkeypatch
):
    """Sums over several threads depend on how many there are."""
    inside = set()

    def watched(*given, **named):
        inside.add(torch.get_num_threads())
        return corrupted(*given, **named)

    monkeypatch.setattr(module, "corrupted", watched)
    drawn, threads = torch.random.get_rng_state(), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert not np.array_equal(fit_transe(FEW, seed=1).heads, model.heads)
        assert (inside, torch.get_num_threads()) == ({1}, 3)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(drawn, torch.random.get_rng_state())


@settings(deadline=None, max_examples=40)
@given(
    genes=st.integers(1, 12), diseases=st.integers(1, 12), share=st.floats(0.05, 1), seed=st.integers(0, 999)
)
def test_corruption_swaps_one_side_for_its_own_kind_and_marks_known_pairs(genes, diseases, share, seed):
    rng = np.random.default_rng(seed)
    codes = np.sort(rng.choice(genes * diseases, max(1, int(share * genes * diseases)), replace=False))
    true = torch.from_numpy(np.column_stack(np.divmod(codes, diseases))).repeat(20, 1)
    wrong, is_new = corrupted(
        true, known=torch.from_numpy(codes), sizes=(genes, diseases),
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    assert wrong.shape == true.shape
    assert ((wrong >= 0) & (wrong < torch.tensor([genes, diseases]))).all()
    assert ((wrong != true).sum(dim=1) <= 1).all()
    expected = ~np.isin(wrong[:, 0].numpy() * diseases + wrong[:, 1].numpy(), codes)
    assert np.array_equal(is_new.numpy(), expected)


def test_both_sides_are_swapped_and_all_names_drawn():
    true = torch.zeros((4000, 2), dtype=torch.int64)
    wrong, _ = corrupted(
        true, known=torch.tensor([0]), sizes=(5, 7), generator=torch.Generator().manual_seed(0)
    )
    assert set(wrong[:, 0].tolist()) == set(range(5))
    assert set(wrong[:, 1].tolist()) == set(range(7))
    # a fifth and a seventh of the swaps draw the same name again
    assert abs((wrong[:, 0] != 0).float().mean() - 0.4) < 0.03


def test_pairs_that_stand_twice_count_once(in_blocks):
    """Else a repeat of a held-out pair would be fitted, and the calibration be in sample."""
    train, test, scorer = in_blocks
    assert np.array_equal(scorer(test), transe(pa.concat_tables([train, train]), seed=1)(test))


def test_first_vectors_are_drawn_over_the_whole_range_that_is_told():
    *entities, relation = module._first_vectors(400, 300, generator=torch.Generator().manual_seed(0))
    bound = 6 / len(relation) ** 0.5
    for vectors in entities:
        assert 0.99 * bound < vectors.max().item() <= bound
        assert -bound <= vectors.min().item() < -0.99 * bound
        assert abs(vectors.mean().item()) < 0.02 * bound
    assert relation.norm().item() == pytest.approx(1.0)


def test_one_true_pair_is_too_few():
    with pytest.raises(EvaluationError, match=r"TransE baseline.*one distinct true pair"):
        transe(pairs([("A", "x", 1, "train"), ("A", "x", 1, "train"), ("B", "y", 0, "train")]), seed=1)


def test_two_are_enough():
    rows = pairs([("A", "x", 1, "train"), ("B", "y", 1, "train"), ("A", "y", 0, "train")])
    p_true = transe(rows, seed=1)(rows)
    assert ((p_true > 0) & (p_true < 1)).all()
