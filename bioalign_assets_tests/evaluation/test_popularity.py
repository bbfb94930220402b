"""Popularity: its counts by hand, and what it sees."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bioalign_assets.evaluation.popularity import popularity, popularity_counts
from bioalign_assets.inference.sample import split_rows
from bioalign_assets_tests.evaluation._make import pairs, popular_pairs

TINY = pairs(
    [
        ("A", "x", 1, "train"),
        ("A", "y", 1, "train"),
        ("B", "x", 1, "train"),
        ("A", "x", 1, "train"),  # one pair, other articles
        ("A", "z", 0, "train"),
        ("C", "x", 0, "train"),
    ]
)


def split(table):
    return split_rows(table, split="train"), split_rows(table, split="test")


def test_a_training_positive_does_not_count_itself():
    counts = popularity_counts(TINY, TINY, leave_one_out=True)
    assert counts.tolist() == [[2, 2], [2, 0], [0, 2], [2, 2], [3, 0], [0, 3]]


def test_unseen_rows_are_counted_whole_and_unknown_names_are_zero():
    rows = pairs(
        [("A", "x", 1, "test"), ("B", "y", 0, "test"), ("C", "z", 1, "test"), ("NA", "nan", 0, "test")]
    )
    assert popularity_counts(TINY, rows, leave_one_out=False).tolist() == [[3, 3], [1, 1], [0, 0], [0, 0]]


def test_counts_equal_a_plain_loop():
    train = split_rows(popular_pairs(rows=400), split="train")
    rows = train.to_pylist()
    positives = [row for row in rows if row["label"]]
    expected = [
        [
            sum(other[name] == row[name] for other in positives) - row["label"]
            for name in ("gene_symbol", "disease_name")
        ]
        for row in rows
    ]
    assert popularity_counts(train, train, leave_one_out=True).tolist() == expected


def test_popularity_sees_a_long_tail_and_nothing_where_there_is_none():
    train, test = split(popular_pairs(rows=2000))
    assert roc_auc_score(test["label"].to_numpy(), popularity(train, seed=1)(test)) > 0.8
    rng = np.random.default_rng(0)
    flat = pairs(
        [
            (
                f"G{rng.integers(100)}",
                f"D{rng.integers(100)}",
                place % 2,
                "test" if place % 5 < 1 else "train",
            )
            for place in range(4000)
        ]
    )
    train, test = split(flat)
    assert abs(roc_auc_score(test["label"].to_numpy(), popularity(train, seed=1)(test)) - 0.5) < 0.08


def test_popularity_gains_nothing_from_self_counting():
    """Singletons only: a count that held the row itself would tell training labels, and mislead on others."""
    rows = [
        (f"G{place}", f"D{place}", place % 2, "test" if place % 5 == 0 else "train") for place in range(1000)
    ]
    train, test = split(pairs(rows))
    # every count is 0: all that is left is the share of true rows
    assert popularity(train, seed=1)(test) == pytest.approx(np.full(len(test), 0.5), abs=0.01)
