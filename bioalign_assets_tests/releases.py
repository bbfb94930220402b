"""Releases that differ from one another in a known way."""

import csv
import io
import re
from pathlib import Path

import numpy as np

from bioalign_assets_tests.micro import release_file


def first_release(folder: Path) -> str:
    """Return the text of a small synthetic release, so dense that a few rows less leave every name in it."""
    return release_file(folder / "first.csv", genes=90, diseases=40).read_text(encoding="utf-8")


def dated(text: str, *, year: int) -> str:
    """Return a release with another date, and nothing else changed."""
    changed, count = re.subn(r"(# Report created: .* )\d{4}", rf"\g<1>{year}", text)
    assert count == 1
    return changed


def without_rows(text: str, *, share: float, seed: int) -> str:
    """Return a release without a share of its rows, drawn at random."""
    head, rows = _parts(text)
    count = max(1, round(share * len(rows)))
    gone = set(np.random.default_rng(seed).choice(len(rows), size=count, replace=False).tolist())
    return head + "".join(row for number, row in enumerate(rows) if number not in gone)


def with_other_omim_ids(text: str) -> str:
    """Return a release in which one association has other OMIM identifiers, which no dataset holds."""
    head, rows = _parts(text)
    fields = next(csv.reader([rows[0]]))
    fields[5] = "987654"
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return head + line.getvalue() + "".join(rows[1:])


def _parts(text: str) -> tuple[str, list[str]]:
    """Return the header with its last line, and the rows, each with its line end."""
    lines = text.splitlines(keepends=True)
    start = max(number for number, line in enumerate(lines) if line.startswith("#")) + 1
    return "".join(lines[:start]), lines[start:]
