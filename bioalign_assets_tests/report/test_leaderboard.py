"""The leaderboard, computed in DuckDB, against the same done by hand."""

import pytest

from bioalign_assets.errors import StudyError, WarehouseError
from bioalign_assets.report.tables import leaderboard
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.report._make import FULL, ROLES, asked, baseline, warehouse


@pytest.fixture(scope="module")
def board():
    return leaderboard(warehouse(**FULL), roles=ROLES, tiny={"phi"})


def block(board, test_set, prompt):
    return [row for row in board.to_pylist() if (row["test_set"], row["prompt"]) == (test_set, prompt)]


def test_leaderboard_has_its_schema_and_unique_rows(board):
    assert board.schema == TABLES["report.leaderboard"].arrow
    keys = [tuple(row[name] for name in TABLES["report.leaderboard"].unique) for row in board.to_pylist()]
    assert len(set(keys)) == len(keys)


def test_every_ranking_is_whole_with_its_baselines_in_it(board):
    order = [
        (row["rank"], row["model"], row["experiment"], row["role"])
        for row in block(board, "published", "unseen")
    ]
    assert order == [
        (1, "llama", "paper", "tuned"),
        (2, "popularity", "baseline", "baseline"),
        (3, "phi", "paper", "tuned"),
        (4, "bio", "untuned", "benchmark"),
        (5, "llama", "untuned", "untuned"),
        (6, "majority", "baseline", "baseline"),
    ]
    assert [row["model"] for row in block(board, "published", "training")] == [
        "llama",
        "popularity",
        "majority",
    ]
    assert [row["model"] for row in block(board, "held-out", "unseen")] == ["popularity", "llama"]


def test_a_test_set_that_no_model_was_asked_has_one_ranking_without_prompt(board):
    assert [(row["rank"], row["model"]) for row in block(board, "unasked", None)] == [(1, "popularity")]
    assert {row["test_set"] for row in board.to_pylist() if row["prompt"] is None} == {"unasked"}


def test_above_popularity_needs_the_whole_interval_and_the_sample(board):
    above = {
        (row["model"], row["experiment"]): row["is_above_popularity"]
        for row in block(board, "published", "unseen")
    }
    assert above == {
        ("llama", "paper"): True,
        ("phi", "paper"): False,
        ("bio", "untuned"): False,  # above the full split's 0.60 it is not asked to be
        ("llama", "untuned"): False,
        ("popularity", "baseline"): None,
        ("majority", "baseline"): None,
    }


def test_an_interval_that_only_reaches_popularity_is_not_above():
    # numbers that binary floats hold exactly: the lower end is the popularity's figure
    model = asked("llama", "paper", 0.9375, half=0.0625)
    for popular, above in ((0.875, False), (0.8125, True)):
        tables = {"zero_shot": model, "baselines": baseline("popularity", popular)}
        found = leaderboard(warehouse(**tables), roles=ROLES, tiny=set()).to_pylist()
        assert [(row["model"], row["is_above_popularity"]) for row in found] == [
            ("llama", above),
            ("popularity", None),
        ]


def test_figures_are_those_of_the_sample(board):
    row = block(board, "published", "unseen")[1]
    assert (row["auroc"], row["auroc_ci_low"], row["auroc_ci_high"]) == pytest.approx((0.94, 0.92, 0.96))
    assert (row["accuracy"], row["accuracy_ci_low"], row["accuracy_ci_high"]) == pytest.approx(
        (0.84, 0.82, 0.86)
    )
    assert row["n"] == 500


def test_tiny_models_are_marked_and_a_baseline_never_is():
    rows = {"zero_shot": asked("phi", "paper", 0.9), "baselines": baseline("popularity", 0.8)}
    found = leaderboard(warehouse(**rows), roles=ROLES, tiny={"phi", "popularity"}).to_pylist()
    assert {row["model"]: row["is_tiny"] for row in found} == {"phi": True, "popularity": False}


def test_equal_figures_share_a_rank():
    rows = {
        "zero_shot": [
            *asked("phi", "paper", 0.9),
            *asked("llama", "paper", 0.9),
            *asked("bio", "untuned", 0.8),
        ]
    }
    found = leaderboard(warehouse(**rows), roles=ROLES, tiny=set()).to_pylist()
    assert [(row["rank"], row["model"]) for row in found] == [(1, "llama"), (1, "phi"), (3, "bio")]


def test_without_popularity_nobody_is_called_above_or_below():
    rows = {"zero_shot": asked("phi", "paper", 0.9), "baselines": baseline("majority", 0.5)}
    found = leaderboard(warehouse(**rows), roles=ROLES, tiny=set()).to_pylist()
    assert [row["is_above_popularity"] for row in found] == [None, None]


def test_a_model_named_like_a_baseline_stays_a_model():
    rows = {"zero_shot": asked("popularity", "paper", 0.9), "baselines": baseline("popularity", 0.8)}
    found = leaderboard(warehouse(**rows), roles={"popularity": "tuned"}, tiny=set()).to_pylist()
    assert [(row["role"], row["is_above_popularity"]) for row in found] == [
        ("tuned", True),
        ("baseline", None),
    ]


def test_a_model_without_a_role_raises():
    with pytest.raises(StudyError, match=r"phi in evaluation\.zero_shot"):
        leaderboard(warehouse(zero_shot=asked("phi", "paper", 0.9)), roles={"llama": "tuned"}, tiny=set())


def test_a_contestant_without_accuracy_raises():
    rows = [row for row in asked("phi", "paper", 0.9) if row["metric"] != "accuracy"]
    with pytest.raises(WarehouseError, match="accuracy"):
        leaderboard(warehouse(zero_shot=rows), roles=ROLES, tiny=set())


def lifts(*, model=0.9, half=0.03, **baselines):
    tables = {
        "zero_shot": asked("llama", "paper", model, half=half),
        "baselines": [row for name, value in baselines.items() for row in baseline(name, value, half=0.04)],
    }
    found = leaderboard(warehouse(**tables), roles=ROLES, tiny=set()).to_pylist()
    (of_model,) = [row for row in found if row["role"] != "baseline"]
    for row in found:
        if row["role"] == "baseline":
            assert [row[name] for name in ("best_baseline", "lift", "lift_ci_low", "lift_ci_high")] == [
                None
            ] * 4
    return of_model


def test_the_lift_is_over_the_best_baseline_with_both_intervals_in_it():
    row = lifts(popularity=0.8, ngrams=0.85, majority=0.5)
    assert (row["best_baseline"], row["lift"]) == ("ngrams", pytest.approx(0.05))
    # 0.03 and 0.04 as independent: 0.05
    assert (row["lift_ci_low"], row["lift_ci_high"]) == pytest.approx((0.0, 0.1), abs=1e-9)


def test_a_model_below_its_baseline_has_a_negative_lift():
    row = lifts(model=0.7, popularity=0.9)
    assert (row["lift"], row["lift_ci_high"]) == pytest.approx((-0.2, -0.15))


def test_of_two_best_baselines_the_first_by_name_is_named():
    assert lifts(popularity=0.85, ngrams=0.85)["best_baseline"] == "ngrams"


def test_without_baselines_there_is_no_lift():
    row = lifts()
    assert [row[name] for name in ("best_baseline", "lift", "lift_ci_low", "lift_ci_high")] == [None] * 4


def test_the_lift_is_over_the_best_baseline_of_the_same_test_set(board):
    row = block(board, "held-out", "unseen")[1]
    assert (row["best_baseline"], row["lift"]) == ("popularity", pytest.approx(-0.10))
    full_is_no_rival = block(board, "published", "unseen")[0]
    assert full_is_no_rival["lift"] == pytest.approx(0.03)
