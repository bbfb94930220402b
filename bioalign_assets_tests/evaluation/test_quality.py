"""The checks on what evaluation writes: each fault is found, counted and told; what is right passes."""

import pyarrow as pa
import pytest

from bioalign_assets.evaluation.metrics import zero_shot_rows
from bioalign_assets.evaluation.quality import changes_are_in_range, metrics_are_in_range
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.evaluation._make import answers

FIGURES = zero_shot_rows(answers(), spec=EvaluationSpec(resamples=100))
COMPARISON = {
    "variant": "m@paper", "model": "m", "experiment": "paper", "test_set": "published", "prompt": None,
    "metric": "mcc", "untuned": -0.2, "tuned": 0.3, "change": 0.5, "change_ci_low": 0.4,
    "change_ci_high": 0.7, "p_value": 0.01, "test": "paired-bootstrap", "n": 80, "seed": 42,
}  # fmt: skip


def figures(**changed):
    rows = FIGURES.to_pylist()
    rows[0].update(changed)
    return metrics_are_in_range(pa.Table.from_pylist(rows, schema=FIGURES.schema))


def comparison(**changed):
    schema = pa.schema([field.with_nullable(True) for field in TABLES["evaluation.comparisons"].arrow])
    return changes_are_in_range(pa.Table.from_pylist([COMPARISON | changed], schema=schema))


@pytest.mark.parametrize("finding", [figures(), comparison()])
def test_what_is_right_passes_and_says_how_much_was_looked_at(finding):
    assert finding.passed
    assert finding.summary.startswith(f"All {finding.counts['rows']} ")


@pytest.mark.parametrize(
    ("check", "table"),
    [(metrics_are_in_range, "evaluation.zero_shot"), (changes_are_in_range, "evaluation.comparisons")],
)
def test_nothing_to_look_at_is_no_pass(check, table):
    assert not check(TABLES[table].arrow.empty_table()).passed


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
    finding = figures(**values)
    assert not finding.passed
    assert finding.counts[fault] == 1


def test_figures_without_interval_or_at_the_ends_pass_and_rounding_is_forgiven():
    assert figures(ci_low=None, ci_high=None).passed
    value = FIGURES["value"][0].as_py()
    assert figures(ci_low=value + 5e-10).passed
    assert not figures(ci_low=value + 5e-9).passed
    assert figures(value=1.0, ci_low=1.0, ci_high=1.0).passed
    assert figures(value=0.0, ci_low=0.0, ci_high=0.0).passed


@pytest.mark.parametrize(
    "changed",
    [{"p_value": 0.0}, {"p_value": 1.0}, {"change_ci_low": 0.5 + 5e-10}, {"change_ci_high": 0.5 - 5e-10}],
)
def test_changes_at_the_ends_pass_and_rounding_is_forgiven(changed):
    assert comparison(**changed).passed


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
    finding = comparison(**changed)
    assert not finding.passed
    assert f"{told} 1" in finding.summary
