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

    @classmethod
    def of_rows(cls, counts: Mapping[str, int], *, good: str, bad: str) -> "Finding":
        """Return what looking at every row found: passed where there are rows and none has a fault.

        :param counts: ``rows``, and the rows that have each fault
        :param good: what is said of all rows where none has a fault
        :param bad: what is said of some rows where one has
        """
        rows = counts["rows"]
        faults = {name: count for name, count in counts.items() if name != "rows" and count}
        if rows == 0:
            return cls(passed=False, summary="There are no rows to check.", counts=counts)
        if not faults:
            return cls(passed=True, summary=f"All {rows:,} {good}.", counts=counts)
        told = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in faults.items())
        return cls(passed=False, summary=f"Among {rows:,} rows some {bad}: {told}.", counts=counts)
