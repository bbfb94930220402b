"""What a page is made of: sections of texts, tables, pictures, and parts that open on demand.

Plain values, without HTML: the template turns them into it, and escapes every text on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from markupsafe import Markup
from matplotlib.figure import Figure

from bioalign_assets.report.svg import svg

__all__ = ["Album", "Block", "Cell", "Details", "Link", "Picture", "Section", "Table", "Text"]


@dataclass(frozen=True, kw_only=True)
class Link:
    """A text that leads somewhere; nothing is loaded from there unless a reader goes."""

    text: str
    href: str


Cell: TypeAlias = str | Link


@dataclass(frozen=True, kw_only=True)
class Text:
    """A paragraph: texts and links in a row. A ``warning`` stands out."""

    parts: tuple[Cell, ...]
    warning: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, which scrolls within its own box where it is too wide.

    :param columns: headings
    :param numeric: places of the columns that are set to the right
    :param names: places of the columns that hold names of ours, which are not broken over lines
    """

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int] = frozenset()
    names: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as SVG of our own making, with its caption."""

    svg: Markup
    caption: str


@dataclass(frozen=True, kw_only=True)
class Details:
    """What is closed until a reader opens it."""

    title: str
    blocks: Sequence["Block"]
    is_open: bool = False


Block: TypeAlias = Text | Table | Picture | Details


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page with a place in its table of contents."""

    key: str
    title: str
    blocks: Sequence[Block]


@dataclass
class Album:
    """Makes the pictures of one page: numbers them, and keeps their ids apart."""

    count: int = field(default=0, init=False)

    def picture(self, figure: Figure, *, caption: str, width: float | None = None) -> Picture:
        """Return a figure as the next picture.

        :param caption: what it shows, a whole sentence; screen readers say it too
        :param width: in inches, to lay the figure out for; None: as it is
        """
        self.count += 1
        drawn = svg(figure, prefix=f"f{self.count}", label=caption, width=width)
        # matplotlib escaped its texts, and they were parsed and written as XML since: nothing is left to escape
        return Picture(svg=Markup(drawn), caption=f"Figure {self.count}. {caption}")  # noqa: S704
