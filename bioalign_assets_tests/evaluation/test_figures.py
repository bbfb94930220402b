"""Figures: what they say, and that they fit where they are kept."""

import base64
import io

import matplotlib as mpl
import numpy as np
import pyarrow.compute as pc
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from sklearn.metrics import silhouette_score

from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.figures import confusion_matrix, tsne_pair
from bioalign_assets.evaluation.rows import cluster_rows
from bioalign_assets.plotting import (
    LABEL_COLOURS,
    MAX_PNG_BYTES,
    ROLE_COLOURS,
    figure_style,
    markdown_image,
    png,
)
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets_tests.evaluation._make import answers, embeddings

SPEC = EvaluationSpec(resamples=100, map_size=60)


@pytest.fixture(scope="module")
def maps():
    return tuple(
        cluster_rows(embeddings(variant=variant, shift=shift), spec=SPEC)[1]
        for variant, shift in (("phi$3@untuned", 0.0), ("phi$3@paper", 8.0))
    )


def test_tsne_pair_stands_base_over_tuned_with_silhouettes(maps):
    figure = tsne_pair(*maps, model="phi$3")
    upper, lower = figure.axes
    assert upper.get_position().y0 > lower.get_position().y1 - 0.1
    for axes, map_, name in ((upper, maps[0], "untuned"), (lower, maps[1], "paper")):
        points = np.column_stack([map_["x"].to_numpy(), map_["y"].to_numpy()])
        assert (
            axes.get_title()
            == f"{name}: silhouette {silhouette_score(points, map_['label'].to_numpy()):+.3f}"
        )
        drawn = sum(len(cloud.get_offsets()) for cloud in axes.collections)
        assert drawn == len(map_)
        assert axes.get_xlabel()
        assert axes.get_ylabel()
    assert "phi$3" in figure.get_suptitle()
    assert len(figure.legends) == 1


def test_tsne_pair_of_other_test_sets_or_of_two_maps_raises(maps):
    other = cluster_rows(embeddings(test_set="held-out"), spec=SPEC)[1]
    with pytest.raises(EvaluationError, match="test sets held-out and published"):
        tsne_pair(maps[0], other, model="m")
    import pyarrow as pa

    with pytest.raises(EvaluationError, match="2 values"):
        tsne_pair(pa.concat_tables([maps[0], other]), maps[1], model="m")
    with pytest.raises(EvaluationError, match="0 values"):
        tsne_pair(maps[0].slice(0, 0), maps[1], model="m")


def test_confusion_matrix_shows_the_counts():
    table = answers(rows=100, skill=1.0)
    figure = confusion_matrix(table)
    texts = [text.get_text().split("\n")[0] for text in figure.axes[0].texts]
    expected = [
        pc.sum(pc.and_(pc.equal(table["label"], a), pc.equal(table["predicted"], b))).as_py()
        for a in (1, 0)
        for b in (1, 0)
    ]
    assert [int(text) for text in texts] == expected
    assert "n = 100" in figure.axes[0].get_title()
    assert len(png(figure)) < MAX_PNG_BYTES


def test_confusion_matrix_of_two_prompts_raises():
    import pyarrow as pa

    with pytest.raises(EvaluationError, match="column prompt"):
        confusion_matrix(pa.concat_tables([answers(), answers(prompt="training")]))


def test_png_is_small_repeats_and_leaves_the_figure_as_it_was(maps):
    figure = tsne_pair(*maps, model="m")
    size = tuple(figure.get_size_inches())
    first = png(figure)
    assert first == png(tsne_pair(*maps, model="m"))
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(first) < MAX_PNG_BYTES
    assert tuple(figure.get_size_inches()) == size


def test_png_of_a_crowded_figure_gives_up_resolution_then_says_no():
    figure = Figure(figsize=(6, 4))
    noise = np.random.default_rng(0).random((400, 600, 3))
    figure.subplots().imshow(noise)
    full = png(figure, max_bytes=10**7)
    assert len(png(figure, max_bytes=300_000)) < 300_000 < len(full)
    with pytest.raises(ValueError, match="draw fewer marks"):
        png(figure, max_bytes=2_000)


def test_png_width_scales_the_picture():
    figure = Figure(figsize=(6, 4))
    figure.subplots().plot([0, 1])
    pixels = imread(io.BytesIO(png(figure, width=3.0))).shape
    assert pixels[:2] == (400, 600)  # 2 x 3 inches at 200 dpi


def test_markdown_image_holds_the_png():
    with figure_style():
        figure = Figure(figsize=(3, 2))
        figure.subplots().plot([0, 1])
    text = markdown_image(figure, title="Maps [of m]\nnow")
    assert text.startswith("![Maps (of m) now](data:image/png;base64,")
    assert base64.b64decode(text.split(",")[1].rstrip(")")) == png(figure, max_pixels=1040)


def test_colours_differ_and_no_global_state_is_left():
    before = dict(mpl.rcParams)
    confusion_matrix(answers())
    assert dict(mpl.rcParams) == before
    assert len(set(ROLE_COLOURS.values())) == len(ROLE_COLOURS)
    assert LABEL_COLOURS[0] != LABEL_COLOURS[1]
