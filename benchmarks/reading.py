"""Reading the rows of a release: by pyarrow in blocks whose quotes are sound, against a loop over Python's csv.

Both get every field as text and see that each row has as many as there are columns; they must give the same. Run
``python -m benchmarks.reading``.
"""

import argparse
import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from benchmarks.curation import REAL, default_source
from benchmarks.side_by_side import machine, side_by_side
from bioalign_assets.ctd.container import open_container
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.ctd.table_file import TableFile
from bioalign_assets.study.source import DemoRelease

__all__ = ["main"]


def in_blocks(path: Path) -> pa.Table:
    """Read as the platform does."""
    return pa.Table.from_batches(TableFile(path, kind=ASSOCIATIONS).batches())


def row_by_row(path: Path) -> pa.Table:
    """Read as a loop over the rows does."""
    header = TableFile(path, kind=ASSOCIATIONS).header
    rows: list[list[str]] = []
    with open_container(path, kind=ASSOCIATIONS) as stream:
        stream.read(header.size)
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        for row in csv.reader(text, delimiter=header.delimiter, strict=True):
            if len(row) != len(header.columns):
                raise SystemExit(f"{path} has a row of {len(row)} fields")
            rows.append(row)
    columns = dict(zip(header.columns, zip(*rows, strict=True), strict=True))
    return pa.table({name: pa.array(columns[name], type=pa.string()) for name in ASSOCIATIONS.columns})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--source", default=default_source(), help="a CTD file, or the word synthetic")
    parser.add_argument("--rows", type=int, default=REAL["rows"], help="of a synthetic release")
    parser.add_argument("--repeats", type=int, default=11, help="timed calls of each")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.source)
        if options.source == "synthetic":
            path = Path(folder) / "synthetic.csv"
            genes, diseases = (REAL[kind] * options.rows // REAL["rows"] for kind in ("genes", "diseases"))
            write_demo_release(
                path, spec=DemoRelease(genes=genes, diseases=diseases, associations=options.rows)
            )
        rows = in_blocks(path)
        if not rows.combine_chunks().equals(row_by_row(path)):
            raise SystemExit("pyarrow reads other rows than csv")
        print(machine())
        print(f"{rows.num_rows:,} rows of {len(ASSOCIATIONS.columns)} columns ({options.source})")
        print("equal rows: yes")
        side_by_side(
            lambda: in_blocks(path),
            lambda: row_by_row(path),
            names=("in blocks", "row by row"),
            repeats=options.repeats,
        )


if __name__ == "__main__":
    main()
