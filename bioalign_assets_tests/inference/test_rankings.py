"""Rankings: the rank of each answer by the scores of its statements, however they are put together."""

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.errors import EvaluationError
from bioalign_assets.inference import rankings as module
from bioalign_assets.inference.answers import ask
from bioalign_assets.inference.candidates import TARGETS, link_queries
from bioalign_assets.inference.rankings import answer_rank, rankings
from bioalign_assets.inference.scoring import p_true
from bioalign_assets_tests.evaluation._make import popular_pairs

QUERIES = link_queries(popular_pairs(rows=1500), size=12, seed=3)


def score(texts):
    """Some number that hangs on the text alone, with ties."""
    return np.array([sum(map(ord, text)) % 17 for text in texts], dtype=float)


@settings(deadline=None)
@given(scores=st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_the_rank_is_that_of_scipy_with_ties_at_their_mean(scores):
    array = np.array(scores, dtype=float)
    assert answer_rank(array) == rankdata(-array, method="average")[0]


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


def test_a_row_for_each_query_target_and_set_of_candidates():
    rows = rankings(QUERIES, score=score, sampled=5, with_exact=True)
    assert len(rows) == 12 * 2 * 2
    keys = rows.select(["row_number", "target", "candidates"]).to_pylist()
    assert len({tuple(key.values()) for key in keys}) == len(rows)
    assert set(rows.filter(pc.equal(rows["candidates"], "sampled"))["n_candidates"].to_pylist()) == {6}
    assert set(rows["pair_id"].to_pylist()) == set(QUERIES.rows["pair_id"].to_pylist())


def test_drawn_ranks_are_the_same_with_and_without_the_exact_ones():
    both = rankings(QUERIES, score=score, sampled=5, with_exact=True)
    alone = rankings(QUERIES, score=score, sampled=5, with_exact=False)
    assert both.filter(pc.equal(both["candidates"], "sampled")).equals(alone)


@pytest.mark.parametrize("most", [1, 7, 100, 10**6])
def test_how_many_statements_are_scored_together_changes_nothing(monkeypatch, most):
    expected = rankings(QUERIES, score=score, sampled=5, with_exact=True)
    sizes = []

    def watched(texts):
        sizes.append(len(texts))
        return score(texts)

    monkeypatch.setattr(module, "_TEXTS_AT_ONCE", most)
    assert rankings(QUERIES, score=watched, sampled=5, with_exact=True).equals(expected)
    largest = max(len(QUERIES.candidates(q, target=t, size=None)) for q in range(12) for t in TARGETS)
    assert max(sizes) <= max(most, largest)
    assert (len(sizes) == 1) == (most == 10**6)


def test_a_model_ranks_by_its_p_true(loaded):
    prompt = PROMPTS["unseen"]
    few = link_queries(popular_pairs(rows=1500), size=3, seed=3)
    rows = rankings(
        few,
        score=lambda texts: p_true(texts, prompt=prompt, loaded=loaded, batch_size=16),
        sampled=4,
        with_exact=False,
    )
    for row in rows.to_pylist():
        query = few.rows["row_number"].to_pylist().index(row["row_number"])
        candidates = few.candidates(query, target=row["target"], size=4)
        texts = few.pairs(query, target=row["target"], candidates=candidates)["text"].to_pylist()
        asked = ask(texts, prompt=prompt, loaded=loaded, batch_size=1).p_true
        if np.abs(asked[1:] - asked[0]).min() > 1e-5:
            assert row["rank"] == 1 + (asked[1:] > asked[0]).sum()
