"""What holds for every baseline, what the plain ones see, the rows of all, and their figures on the real release."""

import importlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from bioalign_assets.errors import CurationError, EvaluationError
from bioalign_assets.evaluation import baselines as module
from bioalign_assets.evaluation.baselines import BASELINES, LEAST_PART, LINK_BASELINES, baseline_rows
from bioalign_assets.evaluation.character_ngrams import character_ngrams
from bioalign_assets.evaluation.link_prediction import LINK_PREDICTION
from bioalign_assets.evaluation.majority import majority
from bioalign_assets.evaluation.metrics import FAMILIES
from bioalign_assets.evaluation.popularity import popularity
from bioalign_assets.evaluation.quality import metrics_are_in_range
from bioalign_assets.inference.sample import evaluation_sample, split_rows
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import pairs, popular_pairs, where

SPEC = EvaluationSpec(sample_size=100, resamples=100, map_size=40, link_queries=12, link_candidates=6)
LINK = {metric.name for metric in LINK_PREDICTION.metrics}
ANSWERED = {metric.name for family in FAMILIES if family.reads == "answers" for metric in family.metrics}


def split(table):
    return split_rows(table, split="train"), split_rows(table, split="test")


POPULAR = split(popular_pairs(rows=1500))


@pytest.fixture(scope="module", params=BASELINES)
def fitted(request):
    return request.param, BASELINES[request.param](POPULAR[0], seed=1)


def test_probabilities_and_no_look_at_the_labels_that_are_asked_for(fitted):
    test = POPULAR[1]
    p_true = np.asarray(fitted[1](test))
    assert p_true.shape == (len(test),)
    assert ((p_true >= 0) & (p_true <= 1)).all()
    turned = test.set_column(
        test.schema.get_field_index("label"),
        test.schema.field("label"),
        pa.array(1 - test["label"].to_numpy(), pa.int8()),
    )
    assert np.array_equal(p_true, fitted[1](turned))
    assert np.array_equal(p_true, fitted[1](test.drop_columns(["label", "split", "gene_id", "pair_id"])))


def test_a_row_is_scored_alike_alone_and_among_others(fitted):
    test = POPULAR[1]
    whole = fitted[1](test)
    assert np.array_equal(whole[10:20], fitted[1](test.slice(10, 10)))
    assert np.array_equal(whole[:1], fitted[1](test.slice(0, 1)))
    order = np.random.default_rng(0).permutation(len(test))
    assert np.array_equal(whole[order], fitted[1](test.take(order)))
    assert np.asarray(fitted[1](test.slice(0, 0))).shape == (0,)


def test_names_that_were_never_seen_are_scored_too(fitted):
    strange = pairs(
        [("NEW", "never seen", 1, "test"), ("Ω-1", "Ménière", 0, "test"), ("G1", "new", 0, "test")]
    )
    p_true = np.asarray(fitted[1](strange))
    assert np.isfinite(p_true).all()
    assert ((p_true >= 0) & (p_true <= 1)).all()


def test_fitting_again_gives_the_same_bytes(fitted):
    name, scorer = fitted
    assert np.array_equal(BASELINES[name](POPULAR[0], seed=1)(POPULAR[1]), scorer(POPULAR[1]))


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "majority"])
@pytest.mark.parametrize("label", [0, 1])
def test_training_rows_of_one_label_raise(name, label):
    with pytest.raises(EvaluationError, match="training rows of the .* baseline"):
        BASELINES[name](where(POPULAR[0], label=label), seed=1)


@pytest.mark.parametrize("name", BASELINES)
def test_no_training_rows_raise(name):
    with pytest.raises(EvaluationError, match="training rows of the .* baseline"):
        BASELINES[name](POPULAR[0].slice(0, 0), seed=1)


def test_those_that_rank_are_among_them_and_no_name_looks_like_a_variant():
    assert set(LINK_BASELINES) <= set(BASELINES)
    assert all(name and name == name.strip() and "@" not in name for name in BASELINES)


@settings(deadline=None, max_examples=30)
@given(true=st.integers(0, 30), false=st.integers(1, 30))
def test_the_majority_has_the_share_of_true_rows(true, false):
    rows = pairs([(f"G{i}", "D", int(i < true), "train") for i in range(true + false)])
    p_true = majority(rows, seed=0)(POPULAR[1])
    assert p_true == pytest.approx(np.full(len(p_true), true / (true + false)))
    # a baseline says true from one half on, so equal shares do
    assert (p_true >= 0.5).all() == (true >= false)


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
    rng = np.random.default_rng(0)
    made = []
    for place in range(1200):
        true, ending = place % 2, int(rng.integers(2))  # true where the gene ends like the disease begins
        kind = ("Anaemia", "Bronchitis")[ending if true else 1 - ending]
        gene = f"G{place}{('alpha', 'beta')[ending]}"
        made.append((gene, f"{kind} type {place}", true, "test" if place % 5 == 0 else "train"))
    train, test = split(pairs(made))
    assert abs(roc_auc_score(test["label"].to_numpy(), character_ngrams(train, seed=1)(test)) - 0.5) < 0.12


def test_the_room_loads_no_torch_until_a_baseline_is_fitted(monkeypatch):
    """The UI's process imports all assets; it must not wait for torch."""
    for name in [name for name in sys.modules if name.split(".")[0] in {"bioalign_assets", "torch"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # so that importing it fails
    try:
        assert importlib.import_module("bioalign_assets.evaluation.assets")
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "bioalign_assets"]:
            del sys.modules[name]  # what stood there before comes back


@pytest.fixture(scope="module")
def all_rows():
    return baseline_rows(popular_pairs(rows=1500), sampler="stable", spec=SPEC)


def test_rows_of_every_baseline_on_the_sample_and_on_all_test_rows(all_rows):
    assert all_rows.schema == TABLES["evaluation.baselines"].arrow
    assert metrics_are_in_range(all_rows).passed
    told = {
        name: set(all_rows[name].to_pylist())
        for name in ("dataset", "test_set", "experiment", "prompt", "scope")
    }
    assert told == {
        "dataset": {"toy"}, "test_set": {"toy"}, "experiment": {"baseline"}, "prompt": {None}, "scope": {"sample", "full"},
    }  # fmt: skip
    for name in BASELINES:
        own = where(all_rows, model=name)
        for scope, n in (("sample", 100), ("full", 300)):
            figures = [row for row in where(own, scope=scope).to_pylist() if row["metric"] not in LINK]
            assert {(row["metric"], row["n"]) for row in figures} == {(metric, n) for metric in ANSWERED}
            assert len(figures) == len(ANSWERED)
    assert where(all_rows, scope="full", metric="auroc", model="popularity")["value"][0].as_py() > 0.8


def test_those_that_rank_have_all_of_link_predictions_figures_and_no_other_has(all_rows):
    for name in BASELINES:
        ranked = [row for row in where(all_rows, model=name).to_pylist() if row["metric"] in LINK]
        assert {row["metric"] for row in ranked} == (LINK if name in LINK_BASELINES else set())
        assert {(row["scope"], row["n"]) for row in ranked} <= {("sample", 12)}
        value = {row["metric"]: row["value"] for row in ranked}
        for target in ("disease", "gene") if ranked else ():
            # few drawn candidates are easier than all
            assert value[f"{target}_mrr_sampled"] > value[f"{target}_mrr"]
            hits = [value[f"{target}_hits_at_{k}"] for k in (1, 3, 10)]
            assert hits == sorted(hits)
            assert value[f"{target}_hits_at_10_sampled"] == 1  # of seven candidates


@pytest.fixture
def one_baseline(monkeypatch):
    """Popularity alone: what is tested is said of all."""
    monkeypatch.setattr(module, "BASELINES", {"popularity": popularity})


@pytest.mark.parametrize("sampler", ["published", "stable"])
def test_the_baseline_is_scored_on_the_very_rows_of_the_sample(monkeypatch, sampler):
    table = popular_pairs(rows=3000)
    sample = evaluation_sample(table, size=100, seed=42, sampler=sampler)
    chosen = set(sample["row_number"].to_pylist())

    def score(rows):
        right = np.isin(rows["row_number"].to_numpy(), list(chosen))
        return np.where(right, rows["label"].to_numpy(), 1 - rows["label"].to_numpy()).astype(float)

    monkeypatch.setattr(module, "BASELINES", {"oracle": lambda *_, **__: score})
    rows = baseline_rows(table, sampler=sampler, spec=SPEC)
    assert where(rows, scope="sample", metric="accuracy")["value"].to_pylist() == [1.0]
    assert where(rows, scope="full", metric="accuracy")["value"].to_pylist() == [pytest.approx(100 / 600)]


def test_a_baseline_says_true_from_one_half_on(monkeypatch):
    monkeypatch.setattr(module, "BASELINES", {"half": lambda *_, **__: lambda rows: np.full(len(rows), 0.5)})
    rows = baseline_rows(popular_pairs(rows=600), sampler="stable", spec=SPEC)
    assert where(rows, metric="share_answered_true")["value"].to_pylist() == [1.0, 1.0]


def test_several_datasets_raise():
    both = pa.concat_tables([popular_pairs(), popular_pairs(dataset="other")])
    with pytest.raises(EvaluationError, match="2 datasets"):
        baseline_rows(both, sampler="stable", spec=SPEC)


def test_test_rows_of_one_label_raise():
    rows = [("A", "x", 1, "train"), ("B", "y", 0, "train"), ("A", "y", 1, "test"), ("B", "x", 1, "test")]
    with pytest.raises(CurationError, match="2 true and 0 false"):
        baseline_rows(pairs(rows), sampler="stable", spec=SPEC)


def test_a_baseline_that_scores_too_few_rows_raises(monkeypatch):
    monkeypatch.setattr(module, "BASELINES", {"short": lambda *_, **__: lambda _: np.zeros(3)})
    with pytest.raises(ValueError, match="baseline short returned shape"):
        baseline_rows(popular_pairs(), sampler="stable", spec=SPEC)


def entity_pairs(parts):
    """An entity split in miniature: training rows, and test rows of each part, (part, true, false) many."""
    rows = [(f"G{i % 30}", f"D{(i * 7) % 31}", i % 2, "train") for i in range(400)]
    unseen = [None] * len(rows)
    for part, true, false in parts:
        for place in range(true + false):
            gene = f"new{part}{place}" if part != "disease" else f"G{place % 30}"
            disease = f"new {part} {place}" if part != "gene" else f"D{place % 31}"
            rows.append((gene, disease, int(place < true), "test"))
            unseen.append(part)
    table = pairs(rows)
    place = table.schema.get_field_index("unseen")
    return table.set_column(place, table.schema.field(place), pa.array(unseen, pa.string()))


@pytest.mark.usefixtures("one_baseline")
def test_an_entity_split_has_figures_of_its_parts_which_add_up():
    table = entity_pairs([("gene", 30, 25), ("disease", 40, 20), ("both", 10, 15)])
    rows = where(baseline_rows(table, sampler="stable", spec=SPEC), metric="accuracy").to_pylist()
    assert {row["scope"]: row["n"] for row in rows} == {
        "sample": 100, "full": 140, "gene-unseen": 55, "disease-unseen": 60, "both-unseen": 25,
    }  # fmt: skip
    right = {row["scope"]: row["value"] * row["n"] for row in rows if row["scope"] != "sample"}
    assert sum(right.values()) == pytest.approx(2 * right["full"])


@pytest.mark.parametrize(
    ("small", "is_there"),
    [
        (("both", LEAST_PART - 5, 4), False), (("both", LEAST_PART - 5, 5), True),
        (("both", 40, 0), False), (("both", 0, 40), False),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("one_baseline")
def test_a_part_of_few_rows_or_one_label_is_left_out(small, is_there):
    rows = baseline_rows(entity_pairs([("gene", 30, 25), small]), sampler="stable", spec=SPEC)
    parts = {"gene-unseen"} | ({"both-unseen"} if is_there else set())
    assert set(rows["scope"].to_pylist()) == {"sample", "full"} | parts


@pytest.mark.usefixtures("one_baseline")
def test_the_settings_of_the_queries_move_no_other_figure():
    table = popular_pairs(rows=1500)
    one = baseline_rows(table, sampler="stable", spec=SPEC)
    other = SPEC.model_copy(update={"link_queries": 20, "link_candidates": 9})
    two = baseline_rows(table, sampler="stable", spec=other)
    mask = [pc.is_in(rows["metric"], pa.array(sorted(ANSWERED))) for rows in (one, two)]
    assert one.filter(mask[0]).equals(two.filter(mask[1]))
    assert not one.equals(two)


REAL = [
    ("popularity", "published", 0.861, 0.935, 0.01),  # above every model of the study
    ("popularity", "held_out", 0.718, 0.838, 0.01),
    ("character-ngrams", "published", 0.835, 0.884, 0.01),
    # no published figures exist for it. PyKEEN's TransE reached 0.86 to 0.90 on the first (decision 0013)
    ("transe", "published", 0.818, 0.908, 0.01),
    ("transe", "held_out", 0.734, 0.818, 0.015),
    ("majority", "published", 0.5, 0.5, 0.005),
]


@pytest.mark.parametrize(("name", "dataset", "accuracy", "area", "within"), REAL)
def test_figures_on_the_real_release(request, name, dataset, accuracy, area, within):
    train, test = split(request.getfixturevalue(dataset))
    p_true, labels = BASELINES[name](train, seed=42)(test), test["label"].to_numpy()
    assert ((p_true >= 0.5) == labels).mean() == pytest.approx(accuracy, abs=within)
    assert roc_auc_score(labels, p_true) == pytest.approx(area, abs=within)


def test_on_the_very_500_rows_of_the_study_popularity_beats_its_best_model(published):
    rows = evaluation_sample(published, size=500, seed=42, sampler="published")
    p_true = popularity(split_rows(published, split="train"), seed=42)(rows)
    accuracy = ((p_true >= 0.5) == rows["label"].to_numpy()).mean()
    assert accuracy == pytest.approx(0.848, abs=0.01)
    assert accuracy > 0.838


def test_on_held_out_entities_character_ngrams_of_a_quarter_of_the_rows_pass_popularity_of_all(held_out):
    train, test = split(held_out)
    some = test.take(np.arange(0, len(test), 4))
    labels = some["label"].to_numpy()
    scorers = character_ngrams(train.take(np.arange(0, len(train), 4)), seed=42), popularity(train, seed=42)
    spelling, counts = (float(((scorer(some) >= 0.5) == labels).mean()) for scorer in scorers)
    assert spelling == pytest.approx(0.755, abs=0.01)
    assert spelling > counts + 0.02
