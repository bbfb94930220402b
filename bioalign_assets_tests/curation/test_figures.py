import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.curation.figures import (
    FIGURES,
    class_balance,
    evidence_per_positive,
    most_frequent_entities,
    text_lengths_by_label,
)
from bioalign_assets.curation.profile import evidence_counts, most_frequent
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets_tests.curation.helpers import associations


@pytest.fixture(scope="module")
def pairs(small):
    return build_dataset(small, spec=DatasetSpec(name="published", sampler="published", split="entity"))


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_figures_say_what_they_show(pairs, draw):
    figure = draw(pairs)
    titles = [axes.get_title() for axes in figure.axes] + [figure.get_suptitle()]
    assert any('dataset "published"' in title for title in titles)
    assert all(axes.get_title() and axes.get_xlabel() for axes in figure.axes)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_a_dataset_without_evidence_and_with_odd_names_is_drawn(draw):
    rows = [("$A$", "Long name " * 12), ("B_{x}", "$y^2$"), ("β", "z")]
    odd = build_dataset(
        associations(rows), spec=DatasetSpec(name="odd", sampler="published", split="pair", test_share=0.4)
    )
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


def test_drawing_leaves_the_table_alone(pairs):
    before = pairs.slice(0)
    for draw in FIGURES.values():
        draw(pairs)
    assert pairs.equals(before)
    assert isinstance(pairs["label"], pa.ChunkedArray)
    assert pc.sum(pairs["label"]).as_py() == 600
