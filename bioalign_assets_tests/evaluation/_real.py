"""Read the real release without the room that reads releases: rooms are tested alone."""

import csv
from pathlib import Path

import pyarrow as pa

from bioalign_assets.warehouse.schemas import TABLES


def read_associations(path: Path) -> pa.Table:
    def parts(text: str) -> list[str]:
        return text.split("|") if text else []

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))
    gene, gene_id, disease, disease_id, evidence, omim, pubmed = zip(*rows, strict=True)
    return pa.table(
        {
            "row_number": range(len(rows)),
            "gene_symbol": gene,
            "gene_id": [int(number) for number in gene_id],
            "disease_name": disease,
            "disease_id": disease_id,
            "direct_evidence": [parts(text) for text in evidence],
            "omim_ids": [parts(text) for text in omim],
            "pubmed_ids": [parts(text) for text in pubmed],
        },
        schema=TABLES["ctd.associations"].arrow,
    )
