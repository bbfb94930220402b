"""Seeds pooled: which experiments belong together, and the interval of their mean, against the same by hand."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.report.seeds import pooled_seeds, seed_groups
from bioalign_assets.study import load_study
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.report._make import figure

SCHEMA = TABLES["evaluation.zero_shot"].arrow


def spec(**more):
    return ExperimentSpec(**{"train_on": "published", "evaluate_on": ("published",), "steps": 10, **more})


def figures(rows):
    return pa.Table.from_pylist([{name: row[name] for name in SCHEMA.names} for row in rows], schema=SCHEMA)


def pooled(rows, **groups):
    return pooled_seeds(figures(rows), groups=groups).to_pylist()


UNTUNED = ExperimentSpec(evaluate_on=("published",))


def test_experiments_that_differ_in_their_seed_alone_are_a_group_named_by_the_lowest():
    experiments = {
        "untuned": UNTUNED, "seed-44": spec(seed=44), "paper": spec(seed=42), "seed-43": spec(seed=43),
        "rank-8": spec(rank=8), "rank-8-again": spec(rank=8, seed=7),
    }  # fmt: skip
    assert seed_groups(experiments) == {
        "paper": ("paper", "seed-43", "seed-44"),
        "rank-8-again": ("rank-8-again", "rank-8"),
    }


@pytest.mark.parametrize(
    "other",
    [{"rank": 8}, {"steps": 11}, {"train_on": "stable"}, {"prompts": "varied"}],
)
def test_what_differs_in_anything_else_is_no_group(other):
    assert seed_groups({"a": spec(), "b": spec(seed=43, **other)}) == {}


@pytest.mark.parametrize(
    "other",
    [{"evaluate_on": ("stable",)}, {"models": ("a",)}, {"in_demo": False}],
    ids=lambda each: next(iter(each)),
)
def test_what_is_not_trained_with_keeps_seeds_together(other):
    assert seed_groups({"a": spec(), "b": spec(seed=43, **other)}) == {"a": ("a", "b")}


@pytest.mark.parametrize(("name", "repeated"), [("demo", "paper"), ("paper", "paper"), ("laptop", "stable")])
def test_built_in_studies_pool_three_seeds(name, repeated):
    groups = seed_groups(load_study(name).experiments)
    assert groups[repeated] == (repeated, f"{repeated}-seed-43", f"{repeated}-seed-44")


def test_the_same_experiment_twice_counts_once():
    assert seed_groups({"a": spec(), "b": spec()}) == {}
    assert seed_groups({"a": spec(), "b": spec(), "c": spec(seed=1)}) == {"c": ("c", "a")}


def test_untuned_alone_is_no_group_and_no_experiments_give_none():
    assert seed_groups({"untuned": UNTUNED}) == seed_groups({}) == {}


def test_the_interval_is_that_of_its_formula():
    rows = [
        figure("m", name, "auroc", value, half=0.03)
        for name, value in (("a", 0.70), ("b", 0.74), ("c", 0.72))
    ]
    (row,) = pooled(rows, a=("a", "b", "c"))
    assert (row["seeds"], row["experiment"], row["experiments"]) == (3, "a", ["a", "b", "c"])
    assert row["mean"] == pytest.approx(0.72)
    assert row["sd"] == pytest.approx(0.02)
    # t(0.975, 2) = 4.302653
    half = np.hypot(4.302653 * 0.02 / np.sqrt(3), 0.03)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.72 - half, 0.72 + half), abs=1e-6)
    assert row["n"] == 500


def test_equal_seeds_leave_the_test_rows_uncertainty_whole():
    rows = [figure("m", name, "auroc", 0.7, half=0.03) for name in "abcde"]
    (row,) = pooled(rows, a=tuple("abcde"))
    assert row["sd"] == pytest.approx(0)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.67, 0.73))


def test_ends_stay_within_the_metrics_range():
    rows = [figure("m", "a", "accuracy", 0.99), figure("m", "b", "accuracy", 0.5)]
    (row,) = pooled(rows, a=("a", "b"))
    assert (row["ci_low"], row["ci_high"]) == (0.0, 1.0)


def test_a_seed_that_has_not_run_yet_is_left_out_and_a_lone_one_not_pooled():
    rows = [
        figure("m", "a", "auroc", 0.7), figure("m", "c", "auroc", 0.8),
        figure("m", "a", "accuracy", 0.7), figure("other", "a", "auroc", 0.7),
    ]  # fmt: skip
    (row,) = pooled(rows, a=("a", "b", "c"))
    assert (row["model"], row["metric"], row["experiments"]) == ("m", "auroc", ["a", "c"])


def test_prompts_scopes_test_sets_and_models_are_kept_apart():
    rows = [
        figure(model, experiment, "auroc", 0.7, prompt=prompt, scope=scope, test_set=test_set)
        for model in ("m", "n") for experiment in ("a", "b") for prompt in (None, "unseen")
        for scope in ("sample", "full") for test_set in ("x", "y")
    ]  # fmt: skip
    assert len(pooled(rows, a=("a", "b"))) == 16


def test_a_figure_without_interval_gives_a_mean_without_one():
    rows = [figure("m", "a", "auroc", 0.7), figure("m", "b", "auroc", 0.8) | {"ci_low": None}]
    (row,) = pooled(rows, a=("a", "b"))
    assert row["ci_low"] is row["ci_high"] is None
    assert row["mean"] == pytest.approx(0.75)


def test_no_groups_give_no_rows_with_the_schema():
    table = pooled_seeds(figures([figure("m", "a", "auroc", 0.7)]), groups={})
    assert table.schema == TABLES["report.seeds"].arrow
    assert len(table) == 0
    assert TABLES["report.seeds"].may_be_empty


@settings(deadline=None)
@given(st.lists(st.floats(0.2, 0.8), min_size=2, max_size=6), st.floats(0.0, 0.1))
def test_the_interval_holds_the_mean_and_is_never_narrower_than_one_seeds(values, half):
    names = [f"s{place}" for place in range(len(values))]
    rows = [figure("m", n, "auroc", v, half=half) for n, v in zip(names, values, strict=True)]
    (row,) = pooled(rows, s0=tuple(names))
    assert row["ci_low"] <= row["mean"] <= row["ci_high"]
    if row["ci_low"] > 0 and row["ci_high"] < 1:
        assert row["ci_high"] - row["ci_low"] >= 2 * half - 1e-9
