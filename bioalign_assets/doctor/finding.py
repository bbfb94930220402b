"""One thing that was looked at."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Line", "State"]

State = Literal["ok", "note", "missing"]
"""``note`` is good to know; with anything ``missing`` the study can't run here."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What was looked at, what was found, and the way to mend it (empty where nothing is to be mended)."""

    what: str
    found: str
    state: State = "ok"
    mend: str = ""
