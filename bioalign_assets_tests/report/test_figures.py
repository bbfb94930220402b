"""The figures that compare models: what is drawn, read back from the axes."""

import pyarrow as pa
import pytest

from bioalign_assets.errors import WarehouseError
from bioalign_assets.report.blocks import Album, Text
from bioalign_assets.report.model_figures import MOST_CURVES, by_model, improvement_bars, loss_curves
from bioalign_assets.report.picture_sections import MOST_OF_A_KIND, _kind, comparison_pictures
from bioalign_assets.report.tables import improvements
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.report._make import asked, figure, warehouse

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


def log(*variants, steps=30):
    rows = [
        {
            "variant": name,
            "step": step,
            "loss": 1.0 / step,
            "learning_rate": 0.1,
            "grad_norm": None,
            "tokens_per_s": 1.0,
        }
        for name in variants
        for step in range(1, steps + 1)
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["training.log"].arrow)


def test_losses_of_a_model_are_drawn_together_and_those_of_others_not():
    (drawn,) = loss_curves(log("llama@paper", "llama@rank-8", "phi@paper"), model="llama")
    lines = drawn.axes[0].lines
    assert [line.get_label() for line in lines] == ["paper", "rank-8"]
    assert list(lines[0].get_ydata())[:2] == pytest.approx([1.0, 0.5])
    assert loss_curves(log("phi@paper"), model="llama") == []


def test_long_logs_are_thinned_and_many_experiments_divided():
    (drawn,) = loss_curves(log("llama@paper", steps=2000), model="llama")
    assert len(drawn.axes[0].lines[0].get_xdata()) == 200
    assert drawn.axes[0].lines[0].get_xdata().mean() == pytest.approx(1000.5)
    several = loss_curves(log(*(f"llama@e{n:02}" for n in range(MOST_CURVES + 1)), steps=3), model="llama")
    assert [len(each.axes[0].lines) for each in several] == [MOST_CURVES, 1]
    styles = {(line.get_color(), line.get_linestyle()) for line in several[0].axes[0].lines}
    assert len(styles) == MOST_CURVES


def test_comparisons_are_given_for_each_test_set_and_prompt():
    table = improvements(
        warehouse(zero_shot=[*asked("llama", "untuned", 0.6), *asked("llama", "paper", 0.9)])
    )
    given = [name for name, _, _ in comparison_pictures(figures(SCORES), table, roles=ROLES)]
    assert given == [
        "models_other_unseen", "models_published_training", "models_published_unseen", "changes_published"
    ]  # fmt: skip


def test_of_many_pictures_the_first_are_drawn_and_the_rest_counted():
    made = []

    def draw():
        made.append(1)
        return loss_curves(log("llama@paper", steps=2), model="llama")[0]

    many = ((f"Picture {n}", draw) for n in range(MOST_OF_A_KIND + 3))
    (details,) = _kind(many, title="Maps", paper=11, album=Album(), shown_in="report.improvements")
    assert len(made) == MOST_OF_A_KIND
    assert details.title == f"Maps ({MOST_OF_A_KIND})"
    assert not details.is_open
    last = details.blocks[-1]
    assert isinstance(last, Text)
    assert last.parts[0].startswith("3 more are not on this page")
    assert list(_kind(iter(()), title="Maps", paper=11, album=Album(), shown_in="x")) == []
