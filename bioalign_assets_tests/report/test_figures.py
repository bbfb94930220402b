"""The figures that compare models: what is drawn, read back from the axes."""

import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from bioalign_assets.errors import WarehouseError
from bioalign_assets.report import picture_sections
from bioalign_assets.report.blocks import Album, Text
from bioalign_assets.report.figures import by_model, improvement_bars, leaderboard_figure
from bioalign_assets.report.picture_sections import comparison_pictures
from bioalign_assets.report.tables import improvements, leaderboard
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.report._make import FULL, asked, figure, warehouse
from bioalign_assets_tests.report._make import ROLES as BOARD_ROLES

SCHEMA = TABLES["evaluation.zero_shot"].arrow
ROLES = {"llama": "tuned", "bio": "benchmark"}


def figures(rows):
    return pa.Table.from_pylist([{name: row[name] for name in SCHEMA.names} for row in rows], schema=SCHEMA)


SCORES = [
    *asked("llama", "untuned", 0.6), *asked("llama", "paper", 0.9), *asked("bio", "untuned", 0.55),
    *asked("llama", "paper", 0.7, prompt="training"), *asked("llama", "paper", 0.99, scope="full"),
    *asked("llama", "paper", 0.3, test_set="other"),
    figure("llama", "paper", "kg_separation", 0.1, prompt=None), figure("bio", "untuned", "kg_separation", 0.2, prompt=None),
]  # fmt: skip


def names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_models_are_dots_from_untuned_to_tuned_and_the_benchmark_is_a_line():
    drawn = by_model(figures(SCORES), test_set="published", prompt="unseen", roles=ROLES)
    accuracy, separation = drawn.axes
    assert names(accuracy) == ["llama@paper", "llama@untuned"]  # the first at the top
    dots = sorted(line.get_xdata()[0] for line in accuracy.lines if line.get_marker() == "o")
    assert dots == pytest.approx([0.5, 0.8])
    (line,) = [line for line in accuracy.lines if line.get_linestyle() == "--"]
    assert line.get_xdata()[0] == pytest.approx(0.45)
    assert names(separation) == ["llama@paper"]
    assert "bio" in separation.get_title()


def test_one_panel_where_only_one_metric_is_there_and_an_error_where_none():
    drawn = by_model(figures(SCORES), test_set="other", prompt="unseen", roles=ROLES)
    assert len(drawn.axes) == 1
    with pytest.raises(WarehouseError, match="no accuracy or kg_separation on nowhere"):
        by_model(figures(SCORES), test_set="nowhere", prompt="unseen", roles=ROLES)


def test_changes_are_bars_of_their_size():
    rows = [*asked("llama", "untuned", 0.6), *asked("llama", "paper", 0.9), *asked("llama", "rank-8", 0.5)]
    table = improvements(warehouse(zero_shot=rows))
    drawn = improvement_bars(table, test_set="published", metrics=("auroc", "kg_separation"))
    (axes,) = drawn.axes
    assert names(axes) == ["llama@rank-8 (unseen)", "llama@paper (unseen)"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([-0.1, 0.3])
    with pytest.raises(WarehouseError, match="no change of auroc on nowhere"):
        improvement_bars(table, test_set="nowhere", metrics=("auroc",))


def test_the_interval_of_a_change_is_drawn_where_the_table_has_it():
    rows = [*asked("llama", "untuned", 0.6), *asked("llama", "paper", 0.9)]
    table = improvements(warehouse(zero_shot=rows))
    none = [name for name in ("change_ci_low", "change_ci_high") if name in table.column_names]
    table = table.drop_columns(none)
    plain = improvement_bars(table, test_set="published", metrics=("auroc",)).axes[0]
    with_ends = table.append_column("change_ci_low", pa.array([0.2] * len(table))).append_column(
        "change_ci_high", pa.array([0.4] * len(table))
    )
    armed = improvement_bars(with_ends, test_set="published", metrics=("auroc",)).axes[0]
    assert len(armed.containers) > len(plain.containers)


@pytest.fixture(scope="module")
def board():
    return leaderboard(warehouse(**FULL), roles=BOARD_ROLES, tiny={"phi"})


def test_leaderboard_figure_shows_models_as_dots_and_baselines_as_lines(board):
    drawn = leaderboard_figure(board, test_set="published", prompt="unseen")
    (axes,) = drawn.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "5.  llama@untuned",
        "4.  bio@untuned",
        "3.  phi@paper (tiny)",
        "1.  llama@paper",
    ]
    legend = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert legend == [
        "baseline: popularity (0.940)",
        "baseline: majority (0.500)",
        "untuned",
        "tuned",
        "benchmark",
    ]
    dashed = {line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"}
    assert dashed == {0.94, 0.5}
    assert "n = 500" in drawn.get_suptitle()


def test_leaderboard_figure_of_baselines_alone_says_so(board):
    (axes,) = leaderboard_figure(board, test_set="unasked", prompt=None).axes
    assert [text.get_text() for text in axes.texts] == ["no model has been asked yet"]


def test_leaderboard_figure_of_a_ranking_that_is_not_there_raises(board):
    with pytest.raises(WarehouseError, match="no rows for test set published and prompt other"):
        leaderboard_figure(board, test_set="published", prompt="other")


def test_comparisons_are_given_for_each_test_set_and_prompt():
    table = improvements(
        warehouse(zero_shot=[*asked("llama", "untuned", 0.6), *asked("llama", "paper", 0.9)])
    )
    given = [name for name, _, _ in comparison_pictures(figures(SCORES), table, roles=ROLES)]
    assert given == [
        "models_other_unseen", "models_published_training", "models_published_unseen", "changes_published"
    ]  # fmt: skip


def test_of_many_pictures_the_first_are_drawn_and_the_rest_counted(monkeypatch):
    monkeypatch.setattr(picture_sections, "MOST_OF_A_KIND", 2)
    made = []

    def draw():
        made.append(1)
        return Figure()

    many = ((f"Picture {n}", draw) for n in range(5))
    (details,) = picture_sections._kind(
        many, title="Maps", paper=11, album=Album(), shown_in="report.improvements"
    )
    assert len(made) == 2
    assert details.title == "Maps (2)"
    assert not details.is_open
    last = details.blocks[-1]
    assert isinstance(last, Text)
    assert last.parts[0].startswith("3 more are not on this page")
    assert list(picture_sections._kind(iter(()), title="Maps", paper=11, album=Album(), shown_in="x")) == []
