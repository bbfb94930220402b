"""The real release and datasets of it, read and built once in a process: all fixtures of this name share them."""

import csv
from functools import cache
from pathlib import Path

import pyarrow as pa

from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.warehouse.schemas import TABLES

_RELEASE = "CTD_curated_genes_diseases.2025-08-27.csv"
_DATASETS = {
    "published": DatasetSpec(name="published", sampler="published", split="pair"),
    "held-out": DatasetSpec(name="held-out", sampler="published", split="entity"),
    "stable": DatasetSpec(name="stable", sampler="stable", split="pair"),
}


@cache
def read_dataset(name: str, real_data: Path) -> pa.Table:
    return build_dataset(read_associations(real_data), spec=_DATASETS[name])


@cache
def read_associations(real_data: Path) -> pa.Table:
    """Without the room that reads releases: rooms are tested alone."""

    def parts(text: str) -> list[str]:
        return text.split("|") if text else []

    with (real_data / "ctd" / _RELEASE).open(encoding="utf-8", newline="") as file:
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
