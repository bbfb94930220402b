"""Figures as elements of a page: their ids, colours, texts and bytes."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bioalign_assets.plotting import figure_style
from bioalign_assets.report.blocks import Album
from bioalign_assets.report.svg import INKS, svg


def drawn(*, title="A title", points=50):
    from matplotlib.figure import Figure

    rng = np.random.default_rng(3)
    with figure_style():
        figure = Figure(figsize=(4, 3))
        axes = figure.subplots()
        axes.scatter(*rng.normal(size=(2, points)), c="#0072B2", alpha=0.5, linewidths=0)
        axes.plot([0, 1], [0, 1], color="black")
        axes.imshow(np.eye(2), extent=(0, 1, 0, 1))
        axes.set_title(title)
    return figure


def test_it_is_one_element_that_is_well_formed_without_namespaces():
    text = svg(drawn(), prefix="f1", label="What it shows")
    root = ET.fromstring(text)  # noqa: S314 - our own
    assert root.tag == "svg"
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", "What it shows")
    assert "xmlns" not in text
    for dropped in ("<metadata", "<style", "<!--", "<?xml", "<!DOCTYPE", "xlink:", "\n"):
        assert dropped not in text, dropped


def test_ids_begin_with_the_prefix_and_all_references_lead_somewhere():
    text = svg(drawn(), prefix="f7", label="x")
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert ids
    assert all(name.startswith("f7-") for name in ids)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    assert used == set(ids)


def test_two_figures_share_no_id():
    ids = [
        set(re.findall(r'\bid="([^"]+)"', svg(drawn(), prefix=prefix, label="x"))) for prefix in ("f1", "f2")
    ]
    assert not ids[0] & ids[1]


def test_the_same_figure_gives_the_same_bytes_and_another_others():
    assert svg(drawn(), prefix="f1", label="x") == svg(drawn(), prefix="f1", label="x")
    assert svg(drawn(), prefix="f1", label="x") != svg(drawn(title="Another"), prefix="f1", label="x")


def test_texts_stay_texts_and_are_escaped():
    text = svg(drawn(title="<script>alert('x')</script> & $5"), prefix="f1", label='"><script>')
    assert "<script" not in text
    assert "&lt;script&gt;alert('x')&lt;/script&gt; &amp; $5" in text
    ET.fromstring(text)  # noqa: S314 - our own


def test_colours_follow_the_page():
    text = svg(drawn(), prefix="f1", label="x")
    assert "fill:var(--blue, #0072b2)" in text
    assert "stroke:currentColor" in text
    assert text.split(">")[0].count('fill="currentColor"') == 1
    assert "#000000" not in text
    assert "#ffffff" not in text  # no white ground


def test_every_ink_is_a_colour_of_the_style_sheet():
    from importlib.resources import files

    css = files("bioalign_assets.report").joinpath("templates/study.css").read_text()
    for ink in INKS.values():
        name = re.match(r"var\((--[\w-]+)", ink)
        assert ink == "currentColor" or css.count(f"{name[1]}:") == 3, ink  # light, dark and print


def test_points_are_short():
    few, many = (len(svg(drawn(points=points), prefix="f1", label="x")) for points in (100, 1100))
    assert (many - few) / 1000 < 50


def test_a_width_is_laid_out_and_put_back():
    figure = drawn()
    text = svg(figure, prefix="f1", label="x", width=2.0)
    assert 'viewBox="0 0 144 108"' in text
    assert "width:192px" in text
    assert figure.get_figwidth() == 4


@pytest.mark.parametrize("prefix", ["", "1", "a b", 'a"', "-a"])
def test_a_prefix_that_can_begin_no_id_is_refused(prefix):
    with pytest.raises(ValueError, match="can't begin an id"):
        svg(drawn(), prefix=prefix, label="x")


def test_an_album_numbers_its_pictures():
    album = Album()
    first, second = (album.picture(drawn(), caption=f"It shows {what}.") for what in ("this", "that"))
    assert (first.caption, second.caption) == ("Figure 1. It shows this.", "Figure 2. It shows that.")
    assert 'id="f1-' in first.svg
    assert 'id="f2-' in second.svg
    assert album.count == 2
