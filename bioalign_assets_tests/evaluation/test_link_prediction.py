"""Link prediction's figures of ranks, their rows and declarations, and the ranks of baselines."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.evaluation.link_prediction import (
    HITS_AT,
    LINK_PREDICTION,
    link_metric,
    link_rows,
    link_statistics,
    scorer_ranks,
)
from bioalign_assets.inference.candidates import link_queries
from bioalign_assets.inference.rankings import rankings as ranked
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import popular_pairs, rankings, where

SPEC = EvaluationSpec(sample_size=60, resamples=200)


def figures(ranks):
    found = link_statistics({("disease", "exact"): ranks})
    return {name.removeprefix("disease_"): statistic for name, statistic in found.items()}


@settings(deadline=None, max_examples=30)
@given(ranks=st.lists(st.integers(2, 60).map(lambda twice: twice / 2), min_size=1, max_size=50))
def test_figures_equal_a_plain_loop(ranks):
    found = figures(ranks)
    assert found["mrr"].value == pytest.approx(sum(1 / rank for rank in ranks) / len(ranks))
    for k in HITS_AT:
        assert found[f"hits_at_{k}"].value == sum(rank <= k for rank in ranks) / len(ranks)
    assert {statistic.n for statistic in found.values()} == {len(ranks)}


def test_a_tie_for_the_first_place_is_no_hit():
    assert figures([1.5, 1.5])["hits_at_1"].value == 0


@pytest.mark.parametrize("ranks", [[0.5], [3, 0], [np.nan], [[1, 2]]])
def test_what_is_no_rank_raises(ranks):
    with pytest.raises(ValueError, match="ranks must be"):
        figures(ranks)


def test_sixteen_metrics_are_declared_and_say_what_they_rank():
    names = {metric.name for metric in LINK_PREDICTION.metrics}
    assert len(names) == len(LINK_PREDICTION.metrics) == 16
    assert {"disease_mrr", "gene_hits_at_10", "disease_hits_at_1_sampled", "gene_mrr_sampled"} <= names
    for metric in LINK_PREDICTION.metrics:
        assert f"true {metric.name.split('_')[0]}" in metric.formula
        assert ("drawn" in metric.title) == metric.name.endswith("_sampled")


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


def test_a_baseline_ranks_as_a_model_with_the_same_scores_does():
    queries = link_queries(popular_pairs(rows=1500), size=12, seed=3)

    def score(texts):
        """Some number that hangs on the text alone, with ties."""
        return np.array([sum(map(ord, text)) % 17 for text in texts], dtype=float)

    found = ranked(queries, score=score, sampled=5, with_exact=True)
    expected = scorer_ranks(lambda rows: score(rows["text"].to_pylist()), queries=queries, sampled=5)
    for (target, kind), ranks in expected.items():
        assert where(found, target=target, candidates=kind)["rank"].to_pylist() == ranks
