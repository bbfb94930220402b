"""The checks on what inference writes: each fault is found, counted and told; what is right passes."""

import pyarrow as pa
import pytest

from bioalign_assets.inference.quality import (
    embeddings_are_finite,
    probabilities_are_in_range,
    ranks_are_in_range,
)
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import answers, embeddings, rankings


def changed(table, *, row=0, **values):
    rows = table.to_pylist()
    rows[row].update(values)
    return pa.Table.from_pylist(rows, schema=table.schema)


@pytest.mark.parametrize(
    ("check", "table", "rows"),
    [
        (embeddings_are_finite, embeddings(), 120),
        (probabilities_are_in_range, answers(), 200),
        (ranks_are_in_range, rankings(), 160),
    ],
)
def test_what_is_right_passes_says_how_much_was_looked_at_and_nothing_is_no_pass(check, table, rows):
    finding = check(table)
    assert finding.passed, finding.summary
    assert finding.counts["rows"] == rows
    assert finding.summary.startswith(f"All {rows} ")
    assert not check(table.slice(0, 0)).passed


@pytest.mark.parametrize(
    ("vector", "fault"),
    [
        ([float("nan")] + [1.0] * 7, "not_finite"),
        ([1.0] * 7 + [float("-inf")], "not_finite"),
        ([0.0] * 8, "zero_norm"),
        ([], "missing"),
        ([1.0] * 7, "variants_of_several_dimensions"),
    ],
)
def test_each_broken_embedding_is_found(vector, fault):
    finding = embeddings_are_finite(changed(embeddings(), row=5, embedding=vector))
    assert not finding.passed
    assert {name: count for name, count in finding.counts.items() if count and name != "rows"} == {fault: 1}
    assert fault.replace("_", " ") in finding.summary


def test_variants_may_differ_in_their_dimensions():
    both = pa.concat_tables([embeddings(width=4), embeddings(width=9, variant="other@untuned")])
    assert embeddings_are_finite(both).passed


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (-0.1, "out_of_range"),
        (1.1, "out_of_range"),
        (float("nan"), "not_finite"),
        (float("inf"), "not_finite"),
        (None, "missing"),
    ],
)
def test_each_broken_probability_is_found(value, fault):
    schema = pa.schema([field.with_nullable(True) for field in TABLES["inference.answers"].arrow])
    finding = probabilities_are_in_range(changed(answers().cast(schema), row=9, p_true=value))
    assert not finding.passed
    assert finding.counts[fault] == 1


@pytest.mark.parametrize(
    ("rank", "fault"),
    [
        (0.5, "out_of_range"), (-1.0, "out_of_range"), (111.0, "out_of_range"), (float("nan"), "not_finite"),
        (float("inf"), "not_finite"), (None, "not_finite"), (2.25, "not_in_halves"),
    ],
)  # fmt: skip
def test_a_rank_that_cannot_be_is_found(rank, fault):
    finding = ranks_are_in_range(changed(rankings(), rank=rank))
    assert not finding.passed
    assert finding.counts[fault] == 1
