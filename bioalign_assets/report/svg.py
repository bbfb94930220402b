"""Figures as SVG that stands within an HTML page: crisp, small, light and dark, and several on one page.

matplotlib writes an SVG file of its own; here it becomes an element of a page. Colours of the common palette become
CSS variables (``INKS`` says which), so that the page's style sheet decides how they look on a dark ground.
"""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping

import matplotlib as mpl
from matplotlib.figure import Figure

from bioalign_assets.plotting import figure_style

__all__ = ["INKS", "svg"]

INKS: Mapping[str, str] = {
    "#000000": "currentColor",
    "#0072b2": "var(--blue, #0072b2)",
    "#1b6ca8": "var(--blue, #1b6ca8)",
    "#08519c": "var(--blue, #08519c)",
    "#9ecae1": "var(--pale-blue, #9ecae1)",
    "#d55e00": "var(--vermilion, #d55e00)",
    "#e08e45": "var(--vermilion, #e08e45)",
    "#009e73": "var(--green, #009e73)",
    "#cc79a7": "var(--purple, #cc79a7)",
    "#595959": "var(--grey, #595959)",
    "#d9d9d9": "var(--grid, #d9d9d9)",
    "#b0b0b0": "var(--grid, #b0b0b0)",
}
"""What stands in an SVG for a colour of ours: the text's own colour, or a variable with the colour as its default."""

_HEX = re.compile(r"#[0-9a-f]{6}\b")
_LINK = re.compile(r"url\(#([^)]+)\)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_DROPPED = {"metadata", "style", "title"}
_POINT_PX = 96 / 72


def svg(figure: Figure, *, prefix: str, label: str, width: float | None = None) -> str:
    """Return a figure as one ``<svg>`` element: text stays text, and the bytes depend on the figure alone.

    :param prefix: begins every id in it; distinct for each figure of a page, or their clips and marks mix
    :param label: what a screen reader says
    :param width: in inches, to lay the figure out for, its shape kept; None: as it is
    :raises ValueError: if the prefix can't begin an id
    """
    if not re.fullmatch(r"[a-zA-Z][\w-]*", prefix):
        raise ValueError(f"{prefix!r} can't begin an id: letters, digits, dashes, from a letter on")
    before = (figure.get_figwidth(), figure.get_figheight())
    if width is not None:
        figure.set_size_inches(width, before[1] * width / before[0])
    try:
        with figure_style(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bioalign"}):
            buffer = io.BytesIO()
            metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    finally:
        figure.set_size_inches(before)
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - matplotlib wrote it just now
    _strip(root)
    _shorten(root)
    _rename(root, prefix=prefix)
    wide = float(root.attrib["viewBox"].split()[2])
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "style": f"width:{wide * _POINT_PX:.0f}px",  # as wide as it was made for; the page narrows it
        "role": "img",
        "aria-label": label,
        "fill": "currentColor",  # matplotlib leaves out what is black
    }
    return ET.tostring(root, encoding="unicode")


def _strip(root: ET.Element) -> None:
    """Take out what a page has no use for, and the namespaces, which an HTML parser knows by itself."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        for child in list(element):
            unseen = child.attrib.get("style") == "fill: none"  # the grounds of figure and axes
            if unseen or child.tag.rpartition("}")[2] in _DROPPED:
                element.remove(child)
        if not (element.text or "").strip():
            element.text = None
        element.tail = None
    root.tail = None


def _shorten(root: ET.Element) -> None:
    """Round places to a hundredth of a point, take palette colours as variables, say a common style once."""
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name in {"d", "x", "y", "points", "width", "height", "transform"}:
                element.attrib[name] = " ".join(_LONG_NUMBER.sub(_rounded, value).split())
                if value.startswith("rotate(-0 "):
                    del element.attrib[name]
            elif name == "style":
                # the last declaration often ends in a semicolon and each in a space
                inked = _HEX.sub(lambda found: INKS.get(found[0].lower(), found[0]), value)
                element.attrib[name] = inked.replace("; ", ";").replace(": ", ":").rstrip(";")
    for element in root.iter("g"):
        styles = {child.get("style") for child in element}
        if len(element) > 1 and len(styles) == 1 and all(child.tag == "use" for child in element):
            (style,) = styles
            if style is not None and "style" not in element.attrib:
                element.attrib["style"] = style
                for child in element:
                    del child.attrib["style"]


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _rename(root: ET.Element, *, prefix: str) -> None:
    """Number the ids behind the prefix, in the order in which they stand, and drop those nothing refers to."""
    used = set(_references(root))
    names: dict[str, str] = {}
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in used:
            element.attrib["id"] = names.setdefault(name, f"{prefix}-{len(names)}")
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                element.attrib[key] = f"#{names[value[1:]]}"
            elif "url(#" in value:
                element.attrib[key] = _LINK.sub(lambda found: f"url(#{names[found[1]]})", value)


def _references(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                yield value[1:]
            yield from _LINK.findall(value)
