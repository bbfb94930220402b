import io
from collections import Counter

import numpy as np
import pyarrow.compute as pc
import pytest

from bioalign_assets.curation.figures import (
    class_balance,
    evidence_per_positive,
    frequencies,
    most_frequent_entities,
    rows_by_class,
    text_lengths_by_label,
    unseen_parts,
)
from bioalign_assets.curation.profile import evidence_counts, most_frequent
from bioalign_assets.curation.promises import unmatched
from bioalign_assets.curation.splits import UNSEEN
from bioalign_assets.plotting import MAX_PNG_BYTES, png
from bioalign_assets_tests.curation.helpers import associations, build, classes_of, spec_of

OF_THE_PAPER = pytest.mark.parametrize(
    "draw", [class_balance, text_lengths_by_label, most_frequent_entities, evidence_per_positive]
)
HELD = spec_of(split="entity", held_out_share=0.3)


@pytest.fixture(scope="module")
def pairs(small):
    return build(small, spec=spec_of("published", split="entity", name="published"))


@OF_THE_PAPER
def test_figures_say_what_they_show(pairs, draw):
    figure = draw(pairs)
    titles = [axes.get_title() for axes in figure.axes] + [figure.get_suptitle()]
    assert any('dataset "published"' in title for title in titles)
    assert all(axes.get_title() and axes.get_xlabel() for axes in figure.axes)


@OF_THE_PAPER
def test_a_dataset_without_evidence_and_with_odd_names_is_drawn(draw):
    rows = [("$A$", "Long name " * 12), ("B_{x}", "$y^2$"), ("β", "z")]
    odd = build(associations(rows), spec=spec_of("published", test_share=0.4))
    draw(odd).savefig(io.BytesIO(), format="svg")


def test_class_balance_bars_are_the_counts(pairs):
    heights = [bar.get_height() for bar in class_balance(pairs).axes[0].patches]
    counts = [
        sum(
            row == (label, split)
            for row in zip(pairs["label"].to_pylist(), pairs["split"].to_pylist(), strict=True)
        )
        for label in (1, 0)
        for split in ("train", "test")
    ]
    assert heights == counts


def test_histograms_hold_every_row(pairs):
    drawn = text_lengths_by_label(pairs)
    axes = drawn.axes[0]
    # a step outline has two corners per bin
    areas = [patch.get_xy()[:, 1] for patch in axes.patches]
    assert sorted(int(y.sum()) // 2 for y in areas)[:2] == [600, 600]
    assert "median" in drawn.legends[0].get_texts()[0].get_text()


def test_most_frequent_bars_add_up(pairs):
    for axes, column in zip(most_frequent_entities(pairs).axes, ("gene_symbol", "disease_name"), strict=True):
        expected = most_frequent(pairs, column=column)
        widths = np.array([bar.get_width() for bar in axes.patches]).reshape(2, -1)
        assert widths.sum(axis=0).tolist() == [count for _, count in expected]
        assert [tick.get_text() for tick in axes.get_yticklabels()] == [name for name, _ in expected]


def test_evidence_points_are_the_counts(pairs):
    axes = evidence_per_positive(pairs).axes[0]
    (points,) = axes.get_lines()
    counts = evidence_counts(pairs)
    expected = {ids: int((counts == ids).sum()) for ids in sorted(set(counts.tolist())) if ids}
    assert dict(zip(points.get_xdata().tolist(), points.get_ydata().tolist(), strict=True)) == expected
    assert f"{(counts == 0).sum():,} of 600" in axes.get_title()
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


# --- how fair the negatives are ---


@pytest.mark.parametrize(
    "spec",
    [spec_of("published"), spec_of(negatives="degree-matched"), spec_of(negatives="same-class"), HELD],
    ids=lambda spec: spec.name,
)
def test_every_name_stands_at_its_two_counts(small, spec):
    pairs = build(small, spec=spec)
    figure = frequencies(pairs)
    train = pairs.filter(pc.equal(pairs["split"], "train"))
    for axes, column in zip(figure.axes, ("gene_symbol", "disease_name"), strict=True):
        (dots,) = axes.collections
        counts = Counter(zip(train[column].to_pylist(), train["label"].to_pylist(), strict=True))
        expected = {(counts[name, 1], counts[name, 0]) for name, _ in counts}
        assert set(map(tuple, dots.get_offsets().data.astype(int).tolist())) == expected
        assert f"{unmatched(train, column=column):,} of" in axes.get_title()
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        if spec.negatives == "degree-matched":
            assert (dots.get_offsets()[:, 0] == dots.get_offsets()[:, 1]).all()
    assert f'dataset "{spec.name}"' in figure.get_suptitle()
    if spec == HELD:
        assert len(png(figure)) < MAX_PNG_BYTES


@pytest.mark.parametrize("stacked", [True, False])
def test_genes_stand_over_diseases_for_a_narrow_page_and_beside_them_else(small, stacked):
    figure = frequencies(build(small, spec=HELD), stacked=stacked)
    genes, diseases = (axes.get_subplotspec() for axes in figure.axes)
    assert genes.is_first_row()
    assert genes.is_first_col()
    assert (diseases.is_first_row(), diseases.is_first_col()) == (not stacked, stacked)
    width, height = figure.get_size_inches()
    assert (height > width) == stacked


def test_bars_of_the_unseen_are_the_counts(small):
    pairs = build(small, spec=HELD)
    axes = unseen_parts(pairs).axes[0]
    rows = pairs.to_pylist()
    assert [bar.get_height() for bar in axes.patches] == [
        sum((row["unseen"], row["label"]) == (kind, label) for row in rows)
        for label in (1, 0)
        for kind in UNSEEN
    ]
    assert f"{sum(row['split'] == 'test' for row in rows):,} of 1,200 rows" in axes.get_title()


def test_bars_of_the_classes_are_the_counts(small):
    pairs = build(small, spec=spec_of(negatives="same-class", name="classed"))
    lacking = sorted(set(small["disease_id"].to_pylist()))[:3]
    classes = classes_of(small, dataset="classed", without=lacking)
    axes = rows_by_class(pairs, classes=classes).axes[0]
    of_disease = {}
    for row in classes.to_pylist():
        of_disease.setdefault(row["disease_id"], set()).add(row["disease_class"])
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert set(names) == {"Class 0", "Class 1", "Class 2", "Class 3", "(no class)"}
    widths = np.array([bar.get_width() for bar in axes.patches]).reshape(2, -1)
    for label, counts in zip((1, 0), widths.tolist(), strict=True):
        for name, count in zip(names, counts, strict=True):
            assert count == sum(
                row["label"] == label and name in of_disease.get(row["disease_id"], {"(no class)"})
                for row in pairs.to_pylist()
            )
    totals = widths.sum(axis=0)
    assert (np.diff(totals) <= 0).all()


def test_a_dollar_in_a_class_is_a_dollar(small):
    pairs = build(small, spec=spec_of(negatives="same-class", name="classed"))
    classes = classes_of(small, dataset="classed")
    names = pc.replace_substring(classes["disease_class"], "Class", "$Class$")
    rows_by_class(pairs, classes=classes.set_column(2, "disease_class", names)).savefig(
        io.BytesIO(), format="svg"
    )


def test_a_split_without_training_rows_is_drawn(small):
    pairs = build(small, spec=spec_of("published"))
    frequencies(pairs.filter(pc.equal(pairs["split"], "test"))).savefig(io.BytesIO(), format="svg")
