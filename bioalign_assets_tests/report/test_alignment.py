"""Whether the geometry agrees with the graph: the words for each case, the figure read back from its axes, the section."""

import pytest
from matplotlib.text import Annotation

from bioalign_assets.errors import WarehouseError
from bioalign_assets.report.alignment import Alignment
from bioalign_assets.report.alignment_figure import alignment_figure
from bioalign_assets.report.alignment_section import alignment_section
from bioalign_assets.report.alignment_words import alignment_answer
from bioalign_assets.report.blocks import Album, Details, Picture, Table, Text
from bioalign_assets_tests.report._make import alignment, alignment_change, alignment_layer

ROLES = {"llama": "tuned", "bio": "benchmark"}
BASELINES = [
    alignment("random", None, 0.0),
    alignment("names-lsa", None, 0.012),
    alignment("transe", None, 0.14),
]
UNTUNED, TUNED = alignment("llama", "untuned", 0.03), alignment("llama", "paper", 0.09)


def changed(experiment="paper", *, to, unseen=None, **more):
    """What tuning changed of llama, from 0.03, over all edges and those that training never saw."""
    rows = [alignment_change("llama", experiment, 0.03, to, **more)]
    return rows + (
        [] if unseen is None else [alignment_change("llama", experiment, 0.03, unseen, edges="held-out")]
    )


def told(**rows):
    return " ".join(alignment_answer(Alignment(**rows)))


def test_a_figure_whose_chance_is_the_best_possible_is_left_out_and_nothing_fails():
    none = {"calibrated": None, "calibrated_ci_low": None, "calibrated_ci_high": None, "z": None}
    rows = {
        "figures": [alignment("llama", "untuned", 0.0) | none],
        "changes": changed(to=0.09, untuned_calibrated=None),
        "baselines": [alignment("random", None, 0.0) | none],
    }
    assert told(**rows) == told()
    (details, *_) = section(**rows).blocks  # it stands in the table of further figures
    assert [row[7] for row in details.blocks[0].rows] == ["–", "–"]


def test_nothing_measured_is_an_open_answer():
    assert told() == "That is still open: no model's geometry has been measured yet."


def test_above_chance_and_moved_also_on_unseen_edges():
    text = told(figures=[UNTUNED, TUNED], changes=changed(to=0.09, unseen=0.06), baselines=BASELINES)
    assert text.startswith(
        "Yes: tuning moved the geometry of llama@paper towards the graph, beyond chance, also on associations that "
        "training never saw. Measured is whether two diseases that share genes"
    )
    assert "llama@paper reaches 0.090 [0.080, 0.100] (p = 0.005 against chance), after 0.030 untuned" in text
    assert "on associations that it never saw 0.060, after 0.030 untuned (p = 0.002 for no change)" in text
    assert text.endswith(
        "on the same scale: the spelling of the names alone 0.012, TransE 0.140 (it was fitted on the graph itself) and "
        "random vectors 0.000."
    )


def test_moved_where_it_was_trained_alone_is_told_so():
    text = told(figures=[UNTUNED, TUNED], changes=changed(to=0.09, unseen=0.031))
    assert (
        "towards the graph, beyond chance, but not surely so on associations that training never saw." in text
    )
    assert "beyond chance; on associations that training never saw that was not measured." in told(
        figures=[UNTUNED, TUNED], changes=changed(to=0.09)
    )


@pytest.mark.parametrize("change", [changed(to=0.035), changed(to=0.01), changed(to=0.09, half=0.2)])
def test_above_chance_but_not_moved(change):
    text = told(figures=[UNTUNED, TUNED], changes=change)
    assert text.startswith(
        "No: llama@paper agrees with the graph better than chance allows, but not surely closer than before it was tuned."
    )


def test_a_figure_that_rose_no_more_than_its_null_did_not_move():
    change = changed(to=0.09, tuned_calibrated=0.02)
    assert told(figures=[UNTUNED, TUNED], changes=change).startswith("No: llama@paper agrees")


def test_not_above_chance():
    low = alignment("llama", "paper", 0.01)
    text = told(figures=[alignment("llama", "untuned", 0.0), low], changes=changed(to=0.09))
    assert text.startswith(
        "No: the geometry of llama@paper does not agree with the graph better than with rewired"
    )
    text = told(figures=[low, alignment("llama", "paper-43", 0.01)])
    assert text.startswith("No: the geometry of none of 2 tuned models agrees with the graph better than")


def test_several_tuned_models_are_counted():
    seeds = [alignment("llama", f"s{n}", 0.05 + n / 100) for n in range(5)]
    changes = [
        row for n in range(5) for row in changed(f"s{n}", to=0.05 + n / 100, unseen=0.03 + (n > 2) / 10)
    ]
    text = told(figures=[UNTUNED, *seeds], changes=changes)
    assert text.startswith(
        "For 5 of 5 tuned models, yes: tuning moved the geometry of these towards the graph, beyond chance, on "
        "associations that training never saw surely 2 of them."
    )
    assert "s4 reaches 0.090" in text
    assert "Nothing is corrected for 5 tuned models having been tried." in text
    text = told(figures=[UNTUNED, *seeds], changes=changed("s0", to=0.05))
    assert text.startswith("For 1 of 5 tuned models, yes: tuning moved the geometry of llama@s0 towards")
    assert "llama@s0 reaches" in text  # not the highest, which is not surely moved


def test_without_the_other_side_it_is_open():
    assert told(figures=[UNTUNED]).startswith("That is still open: no tuned model has been measured yet.")
    assert "llama@untuned reaches 0.030" in told(figures=[UNTUNED])
    text = told(figures=[TUNED])
    assert text.startswith(
        "llama@paper agrees with the graph better than chance allows, but whether tuning did that is"
    )
    assert "For comparison" in told(baselines=BASELINES)


FIGURES = [
    UNTUNED, TUNED, alignment("llama", "paper-43", 0.11), alignment("bio", "untuned", 0.05),
    alignment("llama", "untuned", 0.01, kind="gene"), alignment("llama", "paper", 0.02, kind="gene"),
    alignment("llama", "paper", 0.5, measure="rsa"), alignment("llama", "paper", 0.5, edges="trained"),
]  # fmt: skip


def names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def heads_of(axes):
    return [each for each in axes.texts if isinstance(each, Annotation)]


def test_the_figure_has_a_null_line_dots_with_intervals_and_an_arrow_for_each_tuned_variant():
    drawn = alignment_figure(Alignment(figures=FIGURES, baselines=BASELINES), roles=ROLES)
    diseases, genes = drawn.axes
    assert names(diseases) == [  # the highest model first, its tuned variants sorted, what is no model apart
        "llama@untuned", "llama@paper-43", "llama@paper", "bio@untuned", "transe", "names-lsa", "random",
    ]  # fmt: skip
    places = dict(zip(names(diseases), diseases.get_yticks(), strict=True))
    assert places["transe"] - places["bio@untuned"] > places["bio@untuned"] - places["llama@paper"]
    dots = {line.get_xdata()[0] for line in diseases.lines if line.get_marker() == "o"}
    assert dots == {0.03, 0.09, 0.11, 0.05, 0.14, 0.012, 0.0}
    arrows = [(each.xyann[0], each.xy[0], each.xy[1]) for each in heads_of(diseases)]
    # each from the untuned figure to the tuned one, beside the dot of its own row
    assert sorted((start, end) for start, end, _ in arrows) == [(0.03, 0.09), (0.03, 0.11)]
    assert all(
        0 < places[name] - height < 0.5
        for name, (_, _, height) in zip(("llama@paper", "llama@paper-43"), sorted(arrows), strict=True)
    )
    assert [0, 0] in [list(line.get_xdata()) for line in diseases.lines]
    assert [(each.xyann[0], each.xy[0]) for each in heads_of(genes)] == [(0.01, 0.02)]


def test_intervals_are_drawn_where_the_rows_say_and_chance_is_as_wide_as_its_rewirings():
    rows = [TUNED, alignment("bio", "untuned", 0.05, calibrated_ci_low=None, calibrated_ci_high=None)]
    (axes,) = alignment_figure(Alignment(figures=rows), roles=ROLES).axes
    (arms,) = [each for each in axes.collections if len(each.get_segments()) == 1]
    ((start, end),) = arms.get_segments()
    assert (start[0], end[0]) == pytest.approx((0.08, 0.10))
    for band in axes.patches:
        assert (band.get_x(), band.get_width()) == pytest.approx(
            (-1.96 * 0.01 / 0.98, 2 * 1.96 * 0.01 / 0.98)
        )
    assert len(axes.patches) == 2


def test_a_tuned_variant_without_its_untuned_model_has_no_arrow_and_nothing_no_figure():
    (axes,) = alignment_figure(Alignment(figures=[TUNED]), roles=ROLES).axes
    assert heads_of(axes) == []
    with pytest.raises(WarehouseError, match="no partial RSA over all edges"):
        alignment_figure(Alignment(figures=[alignment("llama", "paper", 0.5, measure="rsa")]), roles=ROLES)


def section(**rows):
    return alignment_section(Alignment(**rows), roles=ROLES, album=Album())


def texts(found):
    return " ".join(part for block in found.blocks if isinstance(block, Text) for part in block.parts)


def test_the_section_has_every_contestant_what_changed_and_the_best_layer():
    layers = [
        alignment_layer("llama", "paper", 0, 0.02),
        alignment_layer("llama", "paper", 1, 0.12, best=0.0149),
        alignment_layer("llama", "paper", 2, 0.09),
    ]
    layers = [row | {"variant": "llama@paper"} for row in layers]
    changes = [*changed(to=0.09, unseen=0.031), *changed(to=0.5, measure="mutual_knn")]
    found = section(figures=FIGURES, baselines=BASELINES, changes=changes, layers=layers)
    picture, contestants, further, tuning, further_changes, best, *_ = found.blocks
    assert isinstance(picture, Picture)
    assert isinstance(contestants, Table)
    assert contestants.rows[1] == [
        "llama@paper", "Partial RSA, diseases", "all", "0.108 [0.098, 0.118]", "0.020 ± 0.010", "8.8", "0.005",
        "0.090 [0.080, 0.100]", "900",
    ]  # fmt: skip
    assert len(contestants.rows) == 10
    assert "llama, input embeddings" in {row[0] for row in contestants.rows}
    assert isinstance(further, Details)
    assert [row[1:3] for row in further.blocks[0].rows] == [
        ["RSA, diseases", "all"],
        ["Partial RSA, diseases", "trained"],
    ]
    assert [row[2] for row in tuning.rows] == ["all", "held-out"]
    assert tuning.rows[0][5:8] == ["+0.059 [+0.049, +0.069]", "0.002", "0.030 → 0.090"]
    assert len(further_changes.blocks[0].rows) == 1
    assert best.rows == [
        [
            "llama@paper",
            "Partial RSA, diseases",
            "1 of 2",
            "0.138",
            "0.020 ± 0.010",
            "0.120",
            "0.015",
        ]
    ]
    assert "MEDIC" in texts(found)


def test_what_lacks_is_told_and_nothing_at_all_is_no_section():
    assert section() is None
    assert "No language model has been measured yet." in texts(section(baselines=BASELINES))
    medic = alignment("llama", "untuned", 0.1, measure="medic_rsa")
    del medic["edges"]
    found = section(figures=[UNTUNED], medic=[medic])
    row = found.blocks[2].blocks[0].rows[0]
    assert row[:3] == ["llama@untuned", "RSA with MEDIC's tree, diseases", "none: a tree"]
    assert "No tuned model stands beside the same model untuned yet." in texts(found)
    assert "MEDIC" not in texts(found)
    unmeasured = alignment("llama", "paper", 0.2, measure="edge_procrustes", kind="edge", z=None, ci_low=None)
    (details, *_) = section(figures=[unmeasured]).blocks  # no picture without the headline measure
    assert details.blocks[0].rows[0][3:6] == ["0.216", "0.020 ± 0.010", "–"]
