"""A dataset in the layout of the paper's files: ``train_pairs.csv`` and ``test_pairs.csv``."""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.errors import CurationError
from bioalign_assets.warehouse.atomic import written_aside

__all__ = ["write_paper_files"]

_COLUMNS = ("GeneSymbol", "DiseaseName", "text", "PubMedIDs", "label")
_SOURCES = ("gene_symbol", "disease_name", "text", "pubmed_ids", "label")


def write_paper_files(pairs: pa.Table, *, folder: Path) -> dict[str, int]:
    """Write the two splits of one dataset as CSV files; return the rows of each file.

    The files have the paper's columns and its form of a list (identifiers joined by ``|``); the rows stand in the
    dataset's order, which for the sampler ``published`` is that of the paper's files.

    :param pairs: rows of ``curation.pairs`` of one dataset
    :param folder: made if it is not there; files of these names in it are replaced
    :raises CurationError: if there are no rows, or rows of more than one dataset
    """
    datasets = pc.unique(pairs["dataset"]).to_pylist()
    if len(datasets) != 1:
        raise CurationError(
            "Pairs to export", found=f"the datasets {datasets}", expected="rows of exactly one dataset",
            remedy="Materialise curation/pairs for it first, or name one dataset.",
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    pairs = pairs.sort_by("row_number")
    counts = {}
    for split in ("train", "test"):
        rows = pairs.filter(pc.equal(pairs["split"], split)).select(list(_SOURCES))
        name = f"{split}_pairs.csv"
        with written_aside(folder / name) as aside, aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            for batch in rows.to_batches(max_chunksize=65_536):
                joined = batch.to_pydict()
                joined["pubmed_ids"] = ["|".join(ids) for ids in joined["pubmed_ids"]]
                writer.writerows(zip(*(joined[source] for source in _SOURCES), strict=True))
        counts[name] = len(rows)
    return counts
