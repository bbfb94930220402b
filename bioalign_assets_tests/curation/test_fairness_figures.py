import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bioalign_assets.curation.fairness_figures import frequencies, rows_by_class, unseen_parts
from bioalign_assets.curation.parts import UNSEEN
from bioalign_assets.curation.promises import unmatched
from bioalign_assets.plotting import MAX_PNG_BYTES, png
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets_tests.curation.helpers import build, classes_of

KINDS = {
    "uniform": DatasetSpec(name="uniform", sampler="published", split="pair"),
    "matched": DatasetSpec(name="matched", sampler="stable", split="pair", negatives="degree-matched"),
    "classed": DatasetSpec(name="classed", sampler="stable", split="pair", negatives="same-class"),
    "held": DatasetSpec(name="held", sampler="stable", split="entity", held_out_share=0.3),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_name_stands_at_its_two_counts(small, name):
    pairs = build(small, spec=KINDS[name])
    figure = frequencies(pairs)
    train = pairs.filter(pc.equal(pairs["split"], "train"))
    for axes, column in zip(figure.axes, ("gene_symbol", "disease_name"), strict=True):
        (dots,) = axes.collections
        rows = train.to_pylist()
        expected = {
            tuple(sum(row[column] == each and row["label"] == label for row in rows) for label in (1, 0))
            for each in {row[column] for row in rows}
        }
        assert set(map(tuple, dots.get_offsets().data.astype(int).tolist())) == expected
        assert f"{unmatched(train, column=column):,} of" in axes.get_title()
        assert axes.get_xlabel()
        assert axes.get_ylabel()
    if name == "matched":
        assert all(
            (dots.get_offsets()[:, 0] == dots.get_offsets()[:, 1]).all()
            for dots in (figure.axes[0].collections)
        )
    assert f'dataset "{name}"' in figure.get_suptitle()
    assert len(png(figure)) < MAX_PNG_BYTES


def test_bars_of_the_unseen_are_the_counts(small):
    pairs = build(small, spec=KINDS["held"])
    axes = unseen_parts(pairs).axes[0]
    rows = pairs.to_pylist()
    assert [bar.get_height() for bar in axes.patches] == [
        sum((row["unseen"], row["label"]) == (kind, label) for row in rows)
        for label in (1, 0)
        for kind in UNSEEN
    ]
    assert f"{sum(row['split'] == 'test' for row in rows):,} of 1,200 rows" in axes.get_title()


def test_bars_of_the_classes_are_the_counts(small):
    pairs = build(small, spec=KINDS["classed"])
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
    pairs = build(small, spec=KINDS["classed"])
    classes = classes_of(small, dataset="classed")
    names = pc.replace_substring(classes["disease_class"], "Class", "$Class$")
    rows_by_class(pairs, classes=classes.set_column(2, "disease_class", names)).savefig(
        io.BytesIO(), format="svg"
    )


def test_a_split_without_training_rows_is_drawn(small):
    pairs = build(small, spec=KINDS["uniform"])
    frequencies(pairs.filter(pc.equal(pairs["split"], "test"))).savefig(io.BytesIO(), format="svg")
    assert isinstance(pairs, pa.Table)
