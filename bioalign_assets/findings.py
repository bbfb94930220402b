"""What a check found: a verdict, one sentence and the counts behind it.

The checks of every room return this, so that they can be tested without Dagster; a room's ``checks.py``
turns it into an asset check result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Finding"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    :param passed: whether nothing was found wrong
    :param summary: one sentence that a person can act on
    :param counts: rows (or files, or figures) by what was found about them
    """

    passed: bool
    summary: str
    counts: Mapping[str, int] = field(default_factory=dict)
