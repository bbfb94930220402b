"""What holds for every baseline, what each one alone sees, and their figures on the real release."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from bioalign_assets.evaluation.baselines import BASELINES, LINK_BASELINES
from bioalign_assets.evaluation.character_ngrams import character_ngrams
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.majority import majority
from bioalign_assets.inference.sample import split_rows
from bioalign_assets_tests.evaluation._make import pairs, popular_pairs


def split(table):
    return split_rows(table, split="train"), split_rows(table, split="test")


def of_label(rows, label):
    return rows.filter(pa.array(rows["label"].to_numpy() == label))


POPULAR = split(popular_pairs())


@pytest.fixture(scope="module", params=BASELINES)
def fitted(request):
    return BASELINES[request.param](POPULAR[0], seed=1)


def test_probabilities_and_no_look_at_the_labels_that_are_asked_for(fitted):
    test = POPULAR[1]
    p_true = np.asarray(fitted(test))
    assert p_true.shape == (len(test),)
    assert ((p_true >= 0) & (p_true <= 1)).all()
    turned = test.set_column(
        test.schema.get_field_index("label"),
        test.schema.field("label"),
        pa.array(1 - test["label"].to_numpy(), pa.int8()),
    )
    assert np.array_equal(p_true, fitted(turned))
    assert np.array_equal(p_true, fitted(test.drop_columns(["label", "split", "gene_id", "pair_id"])))


def test_a_row_is_scored_alike_alone_and_among_others(fitted):
    test = POPULAR[1]
    whole = fitted(test)
    assert np.array_equal(whole[10:20], fitted(test.slice(10, 10)))
    assert np.array_equal(whole[:1], fitted(test.slice(0, 1)))
    order = np.random.default_rng(0).permutation(len(test))
    assert np.array_equal(whole[order], fitted(test.take(order)))


def test_no_rows_have_no_scores(fitted):
    assert np.asarray(fitted(POPULAR[1].slice(0, 0))).shape == (0,)


def test_names_that_were_never_seen_are_scored_too(fitted):
    strange = pairs(
        [("NEW", "never seen", 1, "test"), ("Ω-1", "Ménière", 0, "test"), ("G1", "new", 0, "test")]
    )
    p_true = np.asarray(fitted(strange))
    assert np.isfinite(p_true).all()
    assert ((p_true >= 0) & (p_true <= 1)).all()


@pytest.mark.parametrize("name", BASELINES)
def test_fitting_again_gives_the_same_bytes(name):
    train, test = POPULAR
    assert np.array_equal(BASELINES[name](train, seed=3)(test), BASELINES[name](train, seed=3)(test))


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "majority"])
@pytest.mark.parametrize("label", [0, 1])
def test_training_rows_of_one_label_raise(name, label):
    with pytest.raises(EvaluationError, match="training rows of the .* baseline"):
        BASELINES[name](of_label(POPULAR[0], label), seed=1)


@pytest.mark.parametrize("name", BASELINES)
def test_no_training_rows_raise(name):
    with pytest.raises(EvaluationError, match="training rows of the .* baseline"):
        BASELINES[name](POPULAR[0].slice(0, 0), seed=1)


def test_those_that_rank_are_among_them():
    assert set(LINK_BASELINES) <= set(BASELINES)


@settings(deadline=None, max_examples=30)
@given(true=st.integers(0, 30), false=st.integers(1, 30))
def test_the_majority_has_the_share_of_true_rows(true, false):
    rows = pairs([(f"G{i}", "D", int(i < true), "train") for i in range(true + false)])
    p_true = majority(rows, seed=0)(POPULAR[1])
    assert p_true == pytest.approx(np.full(len(p_true), true / (true + false)))
    # a baseline says true from one half on, so equal shares do
    assert (p_true >= 0.5).all() == (true >= false)


def test_the_majority_ranks_nothing():
    train, test = POPULAR
    assert roc_auc_score(test["label"].to_numpy(), majority(train, seed=0)(test)) == 0.5


def spelled(rows=1200, *, seed=0):
    """True where the gene ends like the disease begins; all names occur alike, and no test name in training."""
    rng = np.random.default_rng(seed)
    made = []
    for place in range(rows):
        true = place % 2
        ending = rng.choice(["alpha", "beta"])
        family = {"alpha": "Anaemia", "beta": "Bronchitis"}
        kind = family[ending] if true else family["beta" if ending == "alpha" else "alpha"]
        made.append(
            (f"G{place}{ending}", f"{kind} type {place}", true, "test" if place % 5 == 0 else "train")
        )
    return pairs(made)


def test_character_ngrams_read_what_spelling_gives_away_in_names_never_seen():
    rows = pairs(
        [
            (f"GENE{place}", f"{'Neoplasms' if place % 2 else 'Syndrome'} {place}", place % 2, kind)
            for place, kind in enumerate(["test" if place % 5 == 0 else "train" for place in range(600)])
        ]
    )
    train, test = split(rows)
    assert roc_auc_score(test["label"].to_numpy(), character_ngrams(train, seed=1)(test)) > 0.99


def test_character_ngrams_know_no_pairs_only_names():
    """Which gene goes with which disease is nothing that a sum of weights over n-grams can hold."""
    train, test = split(spelled())
    assert abs(roc_auc_score(test["label"].to_numpy(), character_ngrams(train, seed=1)(test)) - 0.5) < 0.12


def test_baselines_that_load_torch_do_it_when_they_are_fitted():
    """The UI's process imports all assets; it must not wait for torch."""
    code = (
        "import sys, bioalign_assets.evaluation.assets, bioalign_assets.evaluation.baseline_rows; "
        "assert 'torch' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def figures(name, table):
    train, test = split(table)
    p_true, labels = BASELINES[name](train, seed=42)(test), test["label"].to_numpy()
    return float(((p_true >= 0.5) == labels).mean()), float(roc_auc_score(labels, p_true))


def test_character_ngrams_on_the_published_pair_split(published):
    accuracy, area = figures("character-ngrams", published)
    assert accuracy == pytest.approx(0.835, abs=0.01)
    assert area == pytest.approx(0.884, abs=0.01)


def test_character_ngrams_on_held_out_entities_pass_popularity(held_out):
    accuracy, _ = figures("character-ngrams", held_out)
    assert accuracy == pytest.approx(0.756, abs=0.01)
    assert accuracy > figures("popularity", held_out)[0] + 0.02


def test_transe_on_the_published_splits(published, held_out):
    """Our own figures: no published ones exist for it. PyKEEN's TransE reached 0.86 to 0.90 (decision 0013)."""
    accuracy, area = figures("transe", published)
    assert accuracy == pytest.approx(0.818, abs=0.01)
    assert area == pytest.approx(0.908, abs=0.01)
    accuracy, area = figures("transe", held_out)
    assert accuracy == pytest.approx(0.734, abs=0.015)
    assert area == pytest.approx(0.818, abs=0.015)


def test_majority_on_the_published_split(published):
    accuracy, area = figures("majority", published)
    assert accuracy == pytest.approx(0.5, abs=0.005)
    assert area == 0.5
