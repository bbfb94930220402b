"""The checks: each fault is found, counted and told; what is right passes."""

import pyarrow as pa
import pytest

from bioalign_assets.evaluation.quality import (
    changes_are_in_range,
    embeddings_are_finite,
    metrics_are_in_range,
    probabilities_are_in_range,
    ranks_are_in_range,
)
from bioalign_assets.evaluation.rows import zero_shot_rows
from bioalign_assets.evaluation.zero_shot import ZERO_SHOT_METRICS
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import answers, embeddings, rankings

FIGURES = zero_shot_rows(answers(), spec=EvaluationSpec(resamples=100))


def changed(table, *, row=0, **values):
    rows = table.to_pylist()
    rows[row].update(values)
    return pa.Table.from_pylist(rows, schema=table.schema)


def test_what_is_right_passes_and_says_how_much_was_looked_at():
    findings = [
        embeddings_are_finite(embeddings()),
        metrics_are_in_range(FIGURES),
        probabilities_are_in_range(answers()),
    ]
    assert all(finding.passed for finding in findings)
    assert [finding.counts["rows"] for finding in findings] == [120, len(ZERO_SHOT_METRICS), 200]
    assert "All 120 embeddings are finite" in findings[0].summary


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


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_each_broken_probability_is_found(value):
    assert not probabilities_are_in_range(changed(answers(), row=9, p_true=value)).passed


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"value": 1.2, "ci_high": 1.3}, "out_of_range"),
        ({"value": -0.2, "ci_low": -0.3}, "out_of_range"),
        ({"ci_high": 1.1}, "interval_out_of_range"),
        ({"ci_low": -0.1}, "interval_out_of_range"),
        ({"ci_low": 0.99, "ci_high": 1.0}, "outside_interval"),
        ({"ci_low": 0.0, "ci_high": 0.1}, "outside_interval"),
        ({"value": float("nan")}, "not_finite"),
        ({"metric": "f1"}, "undeclared"),
        ({"ci_low": None}, "outside_interval"),
    ],
)
def test_each_broken_figure_is_found(values, fault):
    finding = metrics_are_in_range(changed(FIGURES, **values))
    assert not finding.passed
    assert finding.counts[fault] == 1


def test_figures_without_interval_pass_and_rounding_is_forgiven():
    assert metrics_are_in_range(changed(FIGURES, ci_low=None, ci_high=None)).passed
    value = FIGURES["value"][0].as_py()
    assert metrics_are_in_range(changed(FIGURES, ci_low=value + 5e-10)).passed
    assert not metrics_are_in_range(changed(FIGURES, ci_low=value + 5e-9)).passed


def test_ranks_among_their_candidates_pass():
    finding = ranks_are_in_range(rankings())
    assert finding.passed, finding.summary
    assert finding.counts["rows"] == 160


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


@pytest.mark.parametrize(
    ("check", "table"),
    [
        (embeddings_are_finite, "inference.embeddings"),
        (probabilities_are_in_range, "inference.answers"),
        (metrics_are_in_range, "evaluation.zero_shot"),
        (ranks_are_in_range, "inference.rankings"),
    ],
)
def test_nothing_to_look_at_is_no_pass(check, table):
    assert not check(TABLES[table].arrow.empty_table()).passed


def comparison(**changed):
    row = {
        "variant": "m@paper", "model": "m", "experiment": "paper", "test_set": "published", "prompt": None,
        "metric": "mcc", "untuned": -0.2, "tuned": 0.3, "change": 0.5, "change_ci_low": 0.4,
        "change_ci_high": 0.7, "p_value": 0.01, "test": "paired-bootstrap", "n": 80, "seed": 42,
    } | changed  # fmt: skip
    schema = pa.schema([field.with_nullable(True) for field in TABLES["evaluation.comparisons"].arrow])
    return pa.Table.from_pylist([row], schema=schema)


def test_changes_that_fit_pass():
    assert changes_are_in_range(comparison()).passed


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"metric": "f7"}, "undeclared"),
        ({"untuned": -1.2, "change": 1.5}, "out of range"),
        ({"tuned": float("nan")}, "out of range"),
        ({"metric": "auroc"}, "out of range"),
        ({"change": 0.45}, "not the difference"),
        ({"change_ci_low": 0.6}, "outside interval"),
        ({"change_ci_high": None}, "outside interval"),
        ({"p_value": 1.1}, "p value no probability"),
        ({"p_value": None}, "p value no probability"),
    ],
)
def test_changes_that_do_not_fit_are_told(changed, told):
    finding = changes_are_in_range(comparison(**changed))
    assert not finding.passed
    assert f"{told} 1" in finding.summary


def test_no_changes_do_not_pass():
    assert not changes_are_in_range(comparison().slice(0, 0)).passed
