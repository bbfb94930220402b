import io
import itertools
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from bioalign_assets.ctd.figures import change_summary
from bioalign_assets.plotting import MAX_PNG_BYTES, png
from bioalign_assets.warehouse.schemas import TABLES

SCHEMA = TABLES["ctd.changes"].arrow
JULY, AUGUST = datetime(2025, 7, 30, tzinfo=UTC), datetime(2025, 8, 27, tzinfo=UTC)


def rows(*items):
    return pa.Table.from_pylist(
        [
            {
                "change": change,
                "gene_symbol": gene,
                "gene_id": 1,
                "disease_name": disease,
                "disease_id": "MESH:1",
            }
            for change, gene, disease in items
        ],
        schema=SCHEMA,
    )


def words(figure):
    axes = figure.axes
    texts = [
        figure.get_suptitle(),
        *(one.get_title() for one in axes),
        *(t.get_text() for a in axes for t in a.texts),
    ]
    return " ".join(texts)


def bars(axes):
    return [round(bar.get_width()) for bar in axes.patches]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (JULY, AUGUST, "the release of 2025-08-27 against that of 2025-07-30"),
        (None, AUGUST, "the release of 2025-08-27 against the one before"),
        (JULY, None, "this release (without a date) against that of 2025-07-30"),
        (None, None, "since the release before"),
    ],
)
def test_the_title_names_both_releases(before, after, told):
    assert told in words(change_summary(rows(("added", "A", "D")), before=before, after=after))


def test_nothing_is_told_as_nothing():
    nothing = words(change_summary(rows(), before=JULY, after=AUGUST))
    assert "No association was added" in nothing
    assert "the release of 2025-08-27 against that of 2025-07-30" in nothing
    first = words(change_summary(rows(), after=AUGUST, is_first=True))
    assert "first release" in first
    assert "against" not in first


def test_bars_are_the_counts():
    figure = change_summary(
        rows(("added", "A", "D"), ("added", "B", "D"), ("removed", "A", "E"), ("changed", "C", "D"))
    )
    total, diseases, genes = figure.axes
    assert [bar.get_height() for bar in total.patches] == [2, 1, 1]
    assert [text.get_text() for text in total.texts] == ["2", "1", "1"]
    assert [label.get_text() for label in diseases.get_yticklabels()] == ["D", "E"]
    assert bars(diseases) == [2, 0, 0, 1, 1, 0]  # added, removed, changed for D and E
    assert [label.get_text() for label in genes.get_yticklabels()] == ["A", "B", "C"]


def test_of_many_the_ten_most_affected_are_drawn_and_long_names_are_cut():
    items = [
        ("added", f"G{i}", f"{i:03d} $a very long$ name_{{of}} a disease, type " * 3) for i in range(300)
    ]
    figure = change_summary(rows(*items, *items[50:60]), before=JULY, after=AUGUST)
    _, diseases, _ = figure.axes
    assert "10 of 300" in diseases.get_title()
    labels = [label.get_text() for label in diseases.get_yticklabels()]
    assert [label[:3] for label in labels] == [f"{i:03d}" for i in range(50, 60)]
    assert all(len(label) <= 36 and label.endswith("…") for label in labels)
    assert len(png(figure)) < MAX_PNG_BYTES


@pytest.mark.parametrize("count", [0, 1, 40])
def test_every_title_and_label_lies_inside_the_picture_and_apart(count):
    items = [("changed", f"GENE{i}", f"Disease {i}, of the long and winding kind") for i in range(count)]
    figure = change_summary(rows(*items), before=JULY, after=AUGUST)
    figure.savefig(io.BytesIO(), format="png")
    boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
    boxes += [
        label.get_window_extent() for axes in figure.axes if axes.axison for label in axes.get_yticklabels()
    ]
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width + 1
    titles = sorted(
        (axes.title.get_window_extent() for axes in figure.axes if axes.get_title()), key=lambda b: b.x0
    )
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(titles))
