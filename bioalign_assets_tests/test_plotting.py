"""Pictures: small enough for Dagster's event log, of the size that was asked for, and without global state."""

import base64
import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from bioalign_assets.plotting import (
    LABEL_COLOURS,
    MAX_PNG_BYTES,
    ROLE_COLOURS,
    figure_style,
    markdown_image,
    png,
)


def line():
    with figure_style():
        figure = Figure(figsize=(6, 4))
        figure.subplots().plot([0, 1])
    return figure


def test_png_is_small_repeats_and_leaves_the_figure_and_global_settings_as_they_were():
    before = dict(mpl.rcParams)
    figure = line()
    size = tuple(figure.get_size_inches())
    first = png(figure)
    assert first == png(line())
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(first) < MAX_PNG_BYTES
    assert tuple(figure.get_size_inches()) == size
    assert dict(mpl.rcParams) == before


def test_png_of_a_crowded_figure_gives_up_resolution_then_says_no():
    figure = Figure(figsize=(6, 4))
    noise = np.random.default_rng(0).random((400, 600, 3))
    figure.subplots().imshow(noise)
    full = png(figure, max_bytes=10**7)
    assert len(png(figure, max_bytes=300_000)) < 300_000 < len(full)
    with pytest.raises(ValueError, match="draw fewer marks"):
        png(figure, max_bytes=2_000)


def test_png_width_scales_the_picture():
    pixels = imread(io.BytesIO(png(line(), width=3.0))).shape
    assert pixels[:2] == (400, 600)  # 2 x 3 inches at 200 dpi


def test_markdown_image_holds_the_png():
    text = markdown_image(line(), title="Maps [of m]\nnow")
    assert text.startswith("![Maps (of m) now](data:image/png;base64,")
    assert base64.b64decode(text.split(",")[1].rstrip(")")) == png(line(), max_pixels=1040)


def test_markdown_image_of_what_the_event_log_can_not_hold_says_so_and_fails_no_table():
    figure = Figure(figsize=(6.4, 30))
    axes = figure.subplots()
    axes.imshow(np.random.default_rng(0).random((1800, 384, 3)), aspect="auto")
    with pytest.raises(ValueError, match="draw fewer marks"):
        png(figure)
    text = markdown_image(figure, title="Changes [all]")
    assert text.startswith("Changes (all): no picture here, for the figure takes")
    assert "bioalign report" in text
    assert "base64" not in text


def test_colours_differ():
    assert len(set(ROLE_COLOURS.values())) == len(ROLE_COLOURS)
    assert LABEL_COLOURS[0] != LABEL_COLOURS[1]
