"""Write a table as CTD writes its reports, byte for byte the same each time.

Only synthetic tables are ever written: the notice on top says so in the place where CTD's terms stand.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from bioalign_assets.ctd.report_date import format_report_date

__all__ = ["SYNTHETIC_NOTICE", "write_report"]

SYNTHETIC_NOTICE = "SYNTHETIC DEMO RELEASE OF BIOALIGN - NOT CTD DATA"
_NOTICE = f"""\
# {SYNTHETIC_NOTICE}
#
# Every gene, disease, identifier and association in this file was drawn at random by a program.
# None of them exists. Use it to run the software; conclude nothing about biology from it.
#
"""


def write_report(
    path: Path, *, columns: Sequence[str], rows: Iterable[Sequence[str]], report_created: datetime
) -> None:
    """Write rows in CTD's format: the ``#`` block, then CSV with quotes only where they are needed.

    :param path: gzipped if its name ends in ``.gz``, else plain
    :param report_created: aware datetime, kept to the second
    """
    text = io.StringIO(newline="")
    text.write(_NOTICE)
    text.write(
        f"# Report created: {format_report_date(report_created)}\n#\n# Fields:\n# {','.join(columns)}\n#\n"
    )
    csv.writer(text, lineterminator="\n").writerows(rows)
    data = text.getvalue().encode()
    # the time in a gzip header would make two equal releases differ
    path.write_bytes(gzip.compress(data, compresslevel=6, mtime=0) if path.name.endswith(".gz") else data)
