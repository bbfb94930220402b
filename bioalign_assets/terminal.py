"""Where progress bars go: a person's terminal, also while Dagster keeps what a step prints in a file.

Dagster sends the standard streams of a step to files that the UI shows. A command that runs steps in its own
process therefore remembers its terminal before the first one. Elsewhere bars go to standard error, and where that is
no terminal they are not drawn.
"""

import os
import sys
from typing import TextIO

__all__ = ["keep_terminal", "terminal"]

_kept: list[TextIO] = []


def keep_terminal(*, drawn: bool = True) -> None:
    """Remember the terminal behind standard error, if there is one.

    :param drawn: whether bars are drawn in this process; where another draws for it, they go nowhere
    """
    if not drawn:
        _kept[:] = [os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")]
    elif sys.stderr.isatty():
        _kept[:] = [os.fdopen(os.dup(sys.stderr.fileno()), "w")]


def terminal() -> TextIO:
    """Return the stream that progress is drawn on: the remembered terminal, or standard error."""
    return _kept[0] if _kept else sys.stderr
