"""Which rows are scored: the notebooks' draw, and one that a new release hardly moves."""

import csv

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.errors import CurationError
from bioalign_assets.inference.sample import evaluation_sample, split_rows
from bioalign_assets_tests.evaluation._make import pairs, popular_pairs

TOY = popular_pairs(rows=1000)  # 200 test rows
MOSTLY_TRUE = TOY.filter(pc.or_(pc.equal(TOY["label"], 1), np.arange(len(TOY)) % 4 == 0))


def numbers(table: pa.Table) -> list[int]:
    return table["row_number"].to_pylist()


@pytest.mark.parametrize("sampler", ["published", "stable"])
@settings(deadline=None, max_examples=15)
@given(size=st.integers(20, 260), seed=st.integers(0, 2**32 - 1))
def test_any_sample_is_of_distinct_test_rows_and_repeats(sampler, size, seed):
    sample = evaluation_sample(TOY, size=size, seed=seed, sampler=sampler)
    assert sample.schema == TOY.schema
    assert len(sample) == len(set(numbers(sample))) == min(size, 200)
    assert set(sample["split"].to_pylist()) == {"test"}
    assert sample.equals(evaluation_sample(TOY, size=size, seed=seed, sampler=sampler))


@pytest.mark.parametrize("sampler", ["published", "stable"])
@pytest.mark.parametrize("size", [200, 5000, None])
def test_a_size_beyond_the_rows_takes_them_all_in_order(sampler, size):
    assert numbers(evaluation_sample(TOY, size=size, seed=1, sampler=sampler)) == list(range(0, 1000, 5))


@pytest.mark.parametrize("sampler", ["published", "stable"])
def test_storage_order_does_not_matter_and_the_seed_does(sampler):
    shuffled = TOY.take(np.random.default_rng(0).permutation(len(TOY)))
    plain = evaluation_sample(TOY, size=50, seed=1, sampler=sampler)
    assert evaluation_sample(shuffled, size=50, seed=1, sampler=sampler).equals(plain)
    assert numbers(evaluation_sample(TOY, size=50, seed=2, sampler=sampler)) != numbers(plain)


def test_stable_sample_is_in_row_order_and_grows_without_leaving_rows():
    small, large = (evaluation_sample(TOY, size=size, seed=1, sampler="stable") for size in (40, 90))
    assert numbers(large) == sorted(numbers(large))
    assert set(numbers(small)) < set(numbers(large))


def test_one_percent_fewer_rows_move_one_percent_of_the_stable_sample():
    table = popular_pairs(rows=50_000)
    kept = np.random.default_rng(0).random(len(table)) > 0.01
    before = evaluation_sample(table, size=1000, seed=42, sampler="stable")
    after = evaluation_sample(table.filter(pa.array(kept)), size=1000, seed=42, sampler="stable")
    gone = set(before["pair_id"].to_pylist()) - set(after["pair_id"].to_pylist())
    assert 0 < len(gone) <= 25  # 10 expected, each replaced by one other


def test_stable_sample_does_not_favour_a_label(stable):
    sample = evaluation_sample(stable, size=1000, seed=42, sampler="stable")
    assert abs(pc.sum(sample["label"]).as_py() - 500) < 65  # four standard deviations


@pytest.mark.parametrize("sampler", ["published", "stable"])
def test_seen_texts_are_taken_out_of_the_sample_that_others_are_asked(sampler):
    everybody = evaluation_sample(TOY, size=100, seed=1, sampler=sampler)
    seen = pa.array([*everybody["text"].to_pylist()[:40], "a text of nothing"])
    sample = evaluation_sample(TOY, size=100, seed=1, sampler=sampler, seen_texts=seen)
    assert not set(sample["text"].to_pylist()) & set(everybody["text"].to_pylist()[:40])
    order = {number: place for place, number in enumerate(numbers(everybody))}
    places = [order[number] for number in numbers(sample)]
    assert places == sorted(places)
    assert 0 < len(sample) <= 60


@pytest.mark.parametrize("sampler", ["published", "stable"])
@pytest.mark.parametrize("seen_label", [1, 0])
@pytest.mark.parametrize("rows", [TOY, MOSTLY_TRUE], ids=["balanced", "mostly true"])
def test_labels_keep_their_shares_where_seen_rows_go(sampler, seen_label, rows):
    """A model that was trained on most true pairs of another split would be asked about false ones only."""
    everybody = evaluation_sample(rows, size=120, seed=1, sampler=sampler)
    labels, texts = everybody["label"].to_numpy(), everybody["text"].to_pylist()
    of_label = np.flatnonzero(labels == seen_label)
    seen = {texts[i] for i in of_label[: int(0.8 * len(of_label))]}
    given = pa.array(sorted(seen))
    sample = evaluation_sample(rows, size=120, seed=1, sampler=sampler, seen_texts=given)
    left = len(of_label) - int(0.8 * len(of_label))
    assert np.count_nonzero(sample["label"].to_numpy() == seen_label) == left
    share, found = np.mean(labels == seen_label), left / len(sample)
    assert abs(found - share) <= 1 / len(sample)
    assert not set(sample["text"].to_pylist()) & seen
    assert evaluation_sample(rows, size=120, seed=1, sampler=sampler, seen_texts=given).equals(sample)


@pytest.mark.parametrize("nothing", [None, pa.array([], pa.string())])
def test_no_seen_texts_change_nothing(nothing):
    plain = evaluation_sample(TOY, size=50, seed=1, sampler="published")
    assert evaluation_sample(TOY, size=50, seed=1, sampler="published", seen_texts=nothing).equals(plain)


def test_a_sample_of_one_label_raises():
    table = pairs(
        [("A", "x", 1, "train"), ("A", "y", 0, "train"), ("B", "x", 1, "test"), ("B", "y", 1, "test")]
    )
    with pytest.raises(CurationError, match="2 true and 0 false"):
        evaluation_sample(table, size=50, seed=1, sampler="stable")


def test_everything_seen_raises():
    seen = TOY["text"]
    with pytest.raises(CurationError, match="0 true and 0 false"):
        evaluation_sample(TOY, size=50, seed=1, sampler="stable", seen_texts=seen)


def test_no_test_rows_raise():
    with pytest.raises(CurationError, match="no test rows among 800"):
        evaluation_sample(split_rows(TOY, split="train"), size=50, seed=1, sampler="stable")


@pytest.mark.parametrize(
    ("size", "seed", "sampler"),
    [(0, 1, "stable"), (50, -1, "stable"), (50, 10**16, "stable"), (50, 1, "random")],
)
def test_settings_that_mean_nothing_raise(size, seed, sampler):
    with pytest.raises(ValueError, match=r"size|seed|sampler"):
        evaluation_sample(TOY, size=size, seed=seed, sampler=sampler)


def test_published_sample_is_the_notebooks(real_data):
    with (real_data / "published" / "test_pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = pairs([(row["GeneSymbol"], row["DiseaseName"], int(row["label"]), "test") for row in rows])
    sample = evaluation_sample(table, size=500, seed=42, sampler="published")
    assert pc.sum(sample["label"]).as_py() == 265
    frame = pd.DataFrame(rows).sample(n=500, random_state=42)
    assert sample["text"].to_pylist() == frame["text"].to_list()


def test_published_dataset_gives_the_same_500_rows(published):
    sample = evaluation_sample(published, size=500, seed=42, sampler="published")
    assert pc.sum(sample["label"]).as_py() == 265
