"""The look that all figures share, and figures as PNG and Markdown.

What a figure shows belongs to its room. Only matplotlib's object interface is used: no global state, so
that figures can be drawn in several threads and without a display.
"""

import base64
import io
from collections.abc import Mapping
from contextlib import AbstractContextManager

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["LABEL_COLOURS", "MAX_PNG_BYTES", "ROLE_COLOURS", "figure_style", "markdown_image", "png"]

# Okabe and Ito's palette, which people with the common forms of colour blindness tell apart
# (https://jfly.uni-koeln.de/color/).
_BLUE, _VERMILION, _GREEN, _PURPLE, _GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#595959"

LABEL_COLOURS: Mapping[int, str] = {1: _BLUE, 0: _VERMILION}
ROLE_COLOURS: Mapping[str, str] = {
    "untuned": _PURPLE,
    "tuned": _BLUE,
    "benchmark": _GREEN,
    "baseline": _GREY,
}

MAX_PNG_BYTES = 100_000  # Dagster keeps a figure in the event log, once for every run
_DPI_STEPS = (200, 160, 130, 100, 80, 60)
_UI_PIXELS = 1040
"""The width of the window in which Dagster shows a picture; a wider one is cut off."""

_STYLE: Mapping[str, object] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#D9D9D9",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "text.parse_math": False,  # a $ in a name is a dollar sign
}


def figure_style() -> AbstractContextManager[None]:
    """Return the context in which figures are made, for a ``with`` statement."""
    return mpl.rc_context(dict(_STYLE))


def png(
    figure: Figure,
    *,
    width: float | None = None,
    max_bytes: int = MAX_PNG_BYTES,
    max_pixels: int | None = None,
) -> bytes:
    """Return the figure as PNG, at the finest resolution (at most 200 dpi) that fits ``max_bytes``.

    The bytes depend on the figure alone (no date, no version).

    :param width: width in inches to scale the figure to, its shape kept; None: as it is
    :param max_bytes: the PNG is smaller than this
    :param max_pixels: it is no wider than this; None: as wide as the resolution makes it
    :raises ValueError: if it is too large even at 60 dpi
    """
    before = (figure.get_figwidth(), figure.get_figheight())
    if width is not None:
        figure.set_size_inches(width, before[1] * width / before[0])
    finest = _DPI_STEPS[0] if max_pixels is None else int(max_pixels / figure.get_figwidth())
    layout = figure.get_layout_engine()
    steps = sorted({min(step, finest) for step in _DPI_STEPS}, reverse=True)
    try:
        with figure_style():
            while steps:
                dpi = steps.pop(0)
                buffer = io.BytesIO()
                figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
                if buffer.tell() < max_bytes:
                    return buffer.getvalue()
                figure.set_layout_engine(
                    "none"
                )  # its places are shares of the figure, whatever the resolution
                # a coarser picture takes more bytes a pixel: these steps can't fit
                while len(steps) > 1 and buffer.tell() * (steps[0] / dpi) ** 2 >= max_bytes:
                    steps.pop(0)
    finally:
        figure.set_size_inches(before)
        figure.set_layout_engine(layout)
    raise ValueError(
        f"the figure takes {buffer.tell():,} bytes at {dpi} dpi, more than {max_bytes:,}: draw fewer marks"
    )


def markdown_image(figure: Figure, *, title: str) -> str:
    """Return the figure as a Markdown image that holds its own data, for Dagster's metadata.

    A figure that is too large for the event log, as one of a hundred variants is, becomes a sentence: its table is
    right all the same, and the report draws the same figure without a limit.

    :param title: alternative text
    """
    text = title.replace("[", "(").replace("]", ")").replace("\n", " ")
    try:
        picture = png(figure, max_pixels=_UI_PIXELS)
    except ValueError as error:
        return f"{text}: no picture here, for {error}. The report's page has it in full (`bioalign report`)."
    return f"![{text}](data:image/png;base64,{base64.b64encode(picture).decode('ascii')})"
