"""Improvements against the paper's Table 2; what both tables do with a catalogue that lacks something."""

import duckdb
import pytest

from bioalign_assets.errors import WarehouseError
from bioalign_assets.report.tables import METRIC_TABLES, improvements, leaderboard, stored_figures
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.report._make import EVALUATIONS, FULL, ROLES, comparison, figure, warehouse


@pytest.mark.parametrize(
    "make", [improvements, lambda connection: leaderboard(connection, roles=ROLES, tiny=set())]
)
def test_a_missing_table_raises_and_empty_ones_give_no_rows(make):
    assert len(make(warehouse())) == 0
    connection = warehouse()
    connection.execute("DROP TABLE evaluation.zero_shot")
    with pytest.raises(WarehouseError, match="zero_shot"):
        make(connection)


def test_a_read_only_catalogue_is_enough(tmp_path):
    path = tmp_path / "c.duckdb"
    connection = warehouse(**FULL)
    connection.execute(f"ATTACH '{path}' AS disk")
    connection.execute("CREATE SCHEMA disk.evaluation")
    for name in EVALUATIONS:
        connection.execute(f"CREATE TABLE disk.evaluation.{name} AS SELECT * FROM memory.evaluation.{name}")
    connection.close()
    with duckdb.connect(path, read_only=True) as reading:
        assert len(leaderboard(reading, roles=ROLES, tiny=set())) > 0
        assert len(improvements(reading)) > 0


def improved(**tables):
    return improvements(warehouse(**tables))


def test_improvements_are_the_papers_table_two():
    table = improved(
        kg_separation=[
            figure("mistral", "untuned", "kg_separation", 0.1622, prompt=None, half=0.01),
            figure("mistral", "paper", "kg_separation", 0.1006, prompt=None, half=0.01),
        ],
        embedding_probe=[
            figure("mistral", "untuned", "probe_accuracy", 0.6867, prompt=None, n=150),
            figure("mistral", "paper", "probe_accuracy", 0.78, prompt=None, n=150),
        ],
        zero_shot=[
            figure("mistral", "untuned", "accuracy", 0.594),
            figure("mistral", "paper", "accuracy", 0.838),
        ],
    )
    assert table.schema == TABLES["report.improvements"].arrow
    rows = {row["metric"]: row for row in table.to_pylist()}
    assert {name: round(row["change_percent"], 1) for name, row in rows.items()} == {
        "kg_separation": -38.0,
        "probe_accuracy": 13.6,
        "accuracy": 41.1,
    }
    assert rows["kg_separation"]["change"] == pytest.approx(0.1006 - 0.1622)
    assert (rows["accuracy"]["untuned_ci_low"], rows["accuracy"]["tuned_ci_high"]) == pytest.approx(
        (0.574, 0.858)
    )
    assert rows["probe_accuracy"]["n"] == 150
    assert rows["kg_separation"]["prompt"] is None


def test_improvements_keep_prompts_test_sets_and_experiments_apart():
    table = improved(
        zero_shot=[
            figure("m", "untuned", "accuracy", 0.5),
            figure("m", "untuned", "accuracy", 0.4, prompt="training"),
            figure("m", "untuned", "accuracy", 0.3, test_set="held-out"),
            figure("m", "paper", "accuracy", 0.9),
            figure("m", "paper", "accuracy", 0.8, prompt="training"),
            figure("m", "rank-8", "accuracy", 0.7, test_set="held-out"),
            figure("other", "paper", "accuracy", 0.7),
        ]
    )
    found = [
        (row["experiment"], row["test_set"], row["prompt"], row["untuned"], row["tuned"])
        for row in table.to_pylist()
    ]
    assert found == [
        ("paper", "published", "training", 0.4, 0.8),
        ("paper", "published", "unseen", 0.5, 0.9),
        ("rank-8", "held-out", "unseen", 0.3, 0.7),
    ]


@pytest.mark.parametrize(
    ("metric", "untuned", "half", "percent"),
    [
        ("kg_separation", 0.0, 0.0, None),
        ("kg_separation", 0.00002, 0.00002, None),  # as an interval of the absolute value across 0: from 0
        ("kg_separation", 0.04, 0.021, None),
        ("kg_separation", 0.04, 0.019, 150.0),
        ("accuracy", 0.5, 0.04, -80.0),
        ("kg_separation_signed", 0.04, 0.001, None),
        ("silhouette", 0.0088, 0.002, None),
        ("mcc", -0.05, 0.01, None),
    ],
)
def test_there_is_no_percentage_of_a_figure_near_zero_or_of_one_that_can_be_negative(
    metric, untuned, half, percent
):
    both = [figure("m", "untuned", metric, untuned, half=half), figure("m", "paper", metric, 0.1)]
    (row,) = improved(zero_shot=both).to_pylist()
    assert row["change_percent"] == (None if percent is None else pytest.approx(percent))
    assert row["change"] == pytest.approx(0.1 - untuned)


def test_full_scope_figures_take_no_part_in_improvements():
    rows = [figure("m", "untuned", "accuracy", 0.5), figure("m", "paper", "accuracy", 0.9, scope="full")]
    assert len(improved(zero_shot=rows)) == 0


def test_a_change_stands_with_its_paired_test_and_without_one_where_none_was_made():
    table = improved(
        zero_shot=[
            figure("m", experiment, "accuracy", value, prompt=prompt)
            for experiment, value in (("untuned", 0.5), ("paper", 0.9), ("rank-8", 0.8))
            for prompt in ("unseen", "training")
        ],
        kg_separation=[
            figure("m", experiment, "kg_separation_signed", value, prompt=None)
            for experiment, value in (("untuned", 0.5), ("paper", 0.9))
        ],
        comparisons=[
            comparison("m", "paper", "accuracy", 0.4, test="mcnemar", p_value=0.001),
            comparison("m", "paper", "kg_separation_signed", 0.39, prompt=None),
            comparison("other", "paper", "accuracy", 0.1, prompt="training"),
            comparison("m", "paper", "accuracy", 0.1, prompt="training", test_set="held-out"),
        ],
    )
    found = {
        (row["experiment"], row["prompt"], row["metric"]): (
            row["change_ci_low"],
            row["change_ci_high"],
            row["p_value"],
            row["test"],
        )
        for row in table.to_pylist()
    }
    none = (None, None, None, None)
    assert len(table) == 5
    assert found == {
        ("paper", "unseen", "accuracy"): (0.39, 0.41000000000000003, 0.001, "mcnemar"),
        ("paper", None, "kg_separation_signed"): (0.38, 0.4, 0.002, "paired-bootstrap"),
        ("paper", "training", "accuracy"): none,
        ("rank-8", "unseen", "accuracy"): none,
        ("rank-8", "training", "accuracy"): none,
    }


def asked_differently():
    """The tuned model was asked 100 of the 500 rows that the untuned one was asked."""
    return {
        "zero_shot": [
            figure("m", "untuned", "accuracy", 0.5),
            figure("m", "paper", "accuracy", 0.9, n=100),
            figure("m", "untuned", "calibration_error", 0.2),
            figure("m", "paper", "calibration_error", 0.1, n=100),
        ],
        "kg_separation": [
            figure("m", "untuned", "kg_separation_signed", 0.1, prompt=None),
            figure("m", "paper", "kg_separation_signed", 0.3, prompt=None, n=100),
        ],
        "comparisons": [
            comparison("m", "paper", "accuracy", 0.2, n=100),
            comparison("m", "paper", "kg_separation_signed", 0.05, prompt=None, n=100),
        ],
    }


def test_figures_of_different_rows_are_not_taken_from_each_other():
    """What both were asked is what changes are of; what was not compared there has no row."""
    found = {row["metric"]: row for row in improved(**asked_differently()).to_pylist()}
    assert set(found) == {"accuracy", "kg_separation_signed"}
    accuracy = found["accuracy"]
    assert (accuracy["untuned"], accuracy["tuned"], accuracy["n"]) == (0.5, 0.7, 100)
    assert accuracy["change"] == pytest.approx(0.2)
    assert accuracy["change_ci_low"] <= accuracy["change"] <= accuracy["change_ci_high"]
    for name in ("untuned_ci_low", "untuned_ci_high", "tuned_ci_low", "tuned_ci_high", "change_percent"):
        assert accuracy[name] is None


def test_variants_that_the_study_does_not_name_take_no_part():
    rows = [figure("m", name, "accuracy", 0.5) for name in ("untuned", "paper", "gone")]
    connection = warehouse(zero_shot=rows)
    known = ["m@untuned", "m@paper"]
    assert {row["experiment"] for row in improvements(connection, variants=known).to_pylist()} == {"paper"}
    assert {row["experiment"] for row in improvements(connection).to_pylist()} == {"paper", "gone"}
    connection = warehouse(
        zero_shot=rows + [figure("m", name, "auroc", 0.5) for name in ("untuned", "paper", "gone")]
    )
    board = leaderboard(connection, roles={"m": "tuned"}, tiny=(), variants=known, datasets=["published"])
    assert {row["experiment"] for row in board.to_pylist()} == {"untuned", "paper"}


def test_the_figures_of_all_metric_tables_are_read():
    connection = warehouse(
        zero_shot=[figure("m", "a", "auroc", 0.7)], kg_separation=[figure("m", "a", "kg_separation", 0.1)]
    )
    for name in METRIC_TABLES:  # tables of others, that this room's fixture may not know yet
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS FROM evaluation.zero_shot WHERE false")
    assert set(stored_figures(connection)["metric"].to_pylist()) == {"auroc", "kg_separation"}
    assert "evaluation.baselines" not in METRIC_TABLES
    assert "evaluation.cluster_map" not in METRIC_TABLES
