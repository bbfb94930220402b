"""Rankings: the rank of each answer by the scores of its statements, however they are put together."""

import numpy as np
import pyarrow.compute as pc
import pytest

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.link_rows import scorer_ranks
from bioalign_assets.inference import rankings as module
from bioalign_assets.inference.answers import ask
from bioalign_assets.inference.candidates import TARGETS, link_queries
from bioalign_assets.inference.rankings import rankings
from bioalign_assets.inference.scoring import p_true
from bioalign_assets_tests.evaluation._make import popular_pairs

QUERIES = link_queries(popular_pairs(rows=1500), size=12, seed=3)


def score(texts):
    """Some number that hangs on the text alone, with ties."""
    return np.array([sum(map(ord, text)) % 17 for text in texts], dtype=float)


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


def test_they_are_the_ranks_of_a_baseline_with_the_same_scores():
    found = rankings(QUERIES, score=score, sampled=5, with_exact=True)
    expected = scorer_ranks(lambda rows: score(rows["text"].to_pylist()), queries=QUERIES, sampled=5)
    for (target, kind), ranks in expected.items():
        rows = found.filter(pc.and_(pc.equal(found["target"], target), pc.equal(found["candidates"], kind)))
        assert rows["rank"].to_pylist() == ranks


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


def test_scores_that_are_no_numbers_raise():
    with pytest.raises(EvaluationError, match="not finite"):
        rankings(QUERIES, score=lambda texts: np.full(len(texts), np.nan), sampled=5, with_exact=False)


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
