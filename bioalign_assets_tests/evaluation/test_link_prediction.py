"""Ranks and their figures: against brute force, ties at their mean, intervals, rows, and the declarations."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.link_metrics import HITS_AT, LINK_METRICS, link_metric
from bioalign_assets.evaluation.link_prediction import LINK_FIGURES, answer_rank, link_prediction
from bioalign_assets.evaluation.link_rows import link_rows, scorer_ranks
from bioalign_assets.evaluation.metric import METRICS
from bioalign_assets.inference.candidates import link_queries
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import popular_pairs, rankings

SPEC = EvaluationSpec(sample_size=60, resamples=200)


def generators(seed=0):
    return {name: np.random.default_rng([seed, place]) for place, name in enumerate(LINK_FIGURES)}


@settings(deadline=None)
@given(scores=st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_the_rank_is_that_of_scipy_with_ties_at_their_mean(scores):
    array = np.array(scores, dtype=float)
    assert answer_rank(array) == rankdata(-array, method="average")[0]


@given(scores=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30, unique=True), seed=st.integers(0, 99))
def test_the_order_of_the_others_and_the_scale_mean_nothing(scores, seed):
    array = np.array(scores)
    rank = answer_rank(array)
    assert 1 <= rank <= len(array)
    others = np.random.default_rng(seed).permutation(array[1:])
    assert answer_rank(np.concatenate([array[:1], others])) == rank
    assert answer_rank(2 * array) == rank


@pytest.mark.parametrize(
    ("scores", "rank"),
    [([1], 1), ([2, 1, 0], 1), ([0, 1, 2], 3), ([1, 1], 1.5), ([5, 5, 5, 5, 5], 3), ([1, 2, 1, 0], 2.5)],
)
def test_ranks_by_hand(scores, rank):
    assert answer_rank(np.array(scores, dtype=float)) == rank


def test_a_scorer_that_says_one_thing_gets_the_middle_and_not_the_first_rank():
    assert answer_rank(np.full(101, 0.7)) == 51


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 2])
def test_a_score_that_is_no_number_raises(value, place):
    scores = np.arange(4.0)
    scores[place] = value
    with pytest.raises(EvaluationError, match="1 of 4 that are not finite"):
        answer_rank(scores)


@pytest.mark.parametrize("scores", [np.empty(0), np.ones((2, 2))])
def test_no_scores_or_a_matrix_raise(scores):
    with pytest.raises(ValueError, match="vector"):
        answer_rank(scores)


@settings(deadline=None, max_examples=30)
@given(ranks=st.lists(st.integers(2, 60).map(lambda twice: twice / 2), min_size=1, max_size=50))
def test_figures_equal_a_plain_loop_and_lie_in_their_intervals(ranks):
    found = link_prediction(ranks, resamples=100, rngs=generators())
    assert found["mrr"].value == pytest.approx(sum(1 / rank for rank in ranks) / len(ranks))
    for k in HITS_AT:
        assert found[f"hits_at_{k}"].value == sum(rank <= k for rank in ranks) / len(ranks)
    for estimate in found.values():
        assert 0 <= estimate.ci_low <= estimate.value <= estimate.ci_high <= 1
        assert estimate.n == len(ranks)


def test_a_tie_for_the_first_place_is_no_hit():
    assert link_prediction([1.5, 1.5], resamples=100, rngs=generators())["hits_at_1"].value == 0


def test_the_interval_narrows_with_more_queries_and_holds_the_truth_mostly():
    rng = np.random.default_rng(0)
    population = 1 + rng.geometric(0.1, size=100_000)
    truth, held, widths = (1 / population).mean(), 0, {}
    for size in (50, 800):
        spans = []
        for trial in range(60):
            drawn = rng.choice(population, size)
            mrr = link_prediction(drawn, resamples=300, rngs=generators(trial))["mrr"]
            spans.append(mrr.ci_high - mrr.ci_low)
            held += mrr.ci_low <= truth <= mrr.ci_high
        widths[size] = np.mean(spans)
    assert widths[50] == pytest.approx(4 * widths[800], rel=0.25)
    assert held / 120 > 0.87


@pytest.mark.parametrize("ranks", [[], [0.5], [3, 0], [np.nan], [[1, 2]]])
def test_what_is_no_rank_raises(ranks):
    with pytest.raises(ValueError, match="ranks must be"):
        link_prediction(ranks, resamples=100, rngs=generators())


def test_sixteen_metrics_are_declared_and_say_what_they_rank():
    names = [declared["name"] for declared in LINK_METRICS]
    assert len(names) == len(set(names)) == 16
    assert {"disease_mrr", "gene_hits_at_10", "disease_hits_at_1_sampled", "gene_mrr_sampled"} <= set(names)
    for name in names:
        target = name.split("_")[0]
        assert f"true {target}" in METRICS[name].formula
        assert ("drawn" in METRICS[name].title) == name.endswith("_sampled")


def where(table, **values):
    for name, value in values.items():
        table = table.filter(pc.equal(table[name], value))
    return table


def test_rows_of_each_test_set_and_prompt():
    table = pa.concat_tables(
        [rankings(), rankings(test_set="stable", queries=25, seed=1), rankings(prompt="training", seed=2)]
    )
    rows = link_rows(table, spec=SPEC)
    assert rows.schema == TABLES["evaluation.link_prediction"].arrow
    assert len(rows) == 3 * 16
    assert set(where(rows, test_set="stable")["n"].to_pylist()) == {25}
    assert set(rows["scope"].to_pylist()) == {"sample"}
    for target in ("disease", "gene"):
        for kind in ("exact", "sampled"):
            rank = where(table, test_set="stable", target=target, candidates=kind)["rank"].to_numpy()
            metric = link_metric("mrr", target=target, is_sampled=kind == "sampled")
            value = where(rows, test_set="stable", metric=metric)["value"].to_pylist()
            assert value == [pytest.approx((1 / rank).mean())]


def test_without_exact_ranks_there_are_figures_of_the_drawn_ones_only():
    rows = link_rows(rankings(kinds=("sampled",)), spec=SPEC)
    assert len(rows) == 8
    assert all(name.endswith("_sampled") for name in rows["metric"].to_pylist())


def test_the_order_of_stored_rows_means_nothing():
    table = rankings()
    order = np.random.default_rng(0).permutation(len(table))
    assert link_rows(table, spec=SPEC).equals(link_rows(table.take(order), spec=SPEC))


def test_no_rankings_raise():
    with pytest.raises(EvaluationError, match=r"inference\.rankings"):
        link_rows(rankings().slice(0, 0), spec=SPEC)


def test_a_scorer_that_knows_the_answers_ranks_them_first_and_its_opposite_last():
    queries = link_queries(popular_pairs(rows=1500), size=9, seed=3)
    answers = set(queries.rows["text"].to_pylist())

    def knows(rows):
        return np.array([text in answers for text in rows["text"].to_pylist()], dtype=float)

    ranks = scorer_ranks(knows, queries=queries, sampled=7)
    # where two queries share their gene, the other's answer is a truth too and is filtered out
    assert all(set(found) == {1.0} for found in ranks.values())
    assert {len(found) for found in ranks.values()} == {9}
    worst = scorer_ranks(lambda rows: -knows(rows), queries=queries, sampled=7)
    assert set(worst["disease", "sampled"]) == set(worst["gene", "sampled"]) == {8.0}
    assert min(worst["disease", "exact"]) > 8


def test_a_scorer_without_knowledge_gets_the_middle_rank():
    queries = link_queries(popular_pairs(rows=1500), size=9, seed=3)
    ranks = scorer_ranks(lambda rows: np.full(len(rows), 0.5), queries=queries, sampled=8)
    assert set(ranks["disease", "sampled"]) == {5.0}
