"""Associations for tests: read from the real CSV, or made up of a few names."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from bioalign_assets.curation.dataset import build_dataset
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.warehouse.schemas import TABLES

SCHEMA = TABLES["ctd.associations"].arrow
CLASSES = TABLES["curation.disease_classes"].arrow
RELEASE = "ctd/CTD_curated_genes_diseases.2025-08-27.csv"


def spec_of(sampler="stable", *, split="pair", negatives="uniform", **more):
    """The specification of a dataset, named by what makes it."""
    return DatasetSpec(
        **{
            "name": f"{sampler}-{split}-{negatives}",
            "sampler": sampler,
            "split": split,
            "negatives": negatives,
            **more,
        }
    )


def associations(rows):
    """Table of (gene, disease[, pubmed ids[, evidence]]) rows; ids follow from the names."""
    records = []
    for position, row in enumerate(rows):
        gene, disease, pubmed, evidence = (*row, *((), ("marker/mechanism",))[len(row) - 2 :])
        records.append(
            {
                "row_number": position,
                "gene_symbol": gene,
                "gene_id": 1 + int.from_bytes(gene.encode()[-4:]),
                "disease_name": disease,
                "disease_id": f"MESH:{disease}",
                "direct_evidence": list(evidence),
                "omim_ids": [],
                "pubmed_ids": list(pubmed),
            }
        )
    return pa.Table.from_pylist(records, schema=SCHEMA)


def synthetic(*, n_genes, n_diseases, rows, seed=0):
    """Table of distinct random pairs, in random order."""
    generator = np.random.default_rng(seed)
    codes = generator.choice(n_genes * n_diseases, size=rows, replace=False)
    return associations(
        [
            (f"G{code // n_diseases}", f"Disease {code % n_diseases}", [str(9 + code)] * (code % 3 > 0))
            for code in codes.tolist()
        ]
    )


def classes_of(table, *, dataset, number=4, without=()):
    """Made-up classes: one or two of ``number`` for each disease but those ``without``."""
    rows = set()
    for disease_id in set(table["disease_id"].to_pylist()) - set(without):
        digest = hashlib.sha256(disease_id.encode()).digest()
        rows |= {(dataset, disease_id, f"Class {byte % number}") for byte in digest[: 1 + digest[9] % 2]}
    return pa.Table.from_pylist(
        [dict(zip(CLASSES.names, row, strict=True)) for row in sorted(rows)], schema=CLASSES
    )


def build(table, *, spec):
    """The dataset of a specification, with made-up classes where it needs some."""
    classes = classes_of(table, dataset=spec.name) if spec.needs_classes else None
    return build_dataset(table, spec=spec, classes=classes)


def read_release(folder: Path):
    """The real release, by the csv module and nothing else: independent of the room that parses releases."""
    with (folder / RELEASE).open(newline="") as file:
        rows = [row for row in csv.reader(line for line in file if not line.startswith("#")) if row]
    columns = list(zip(*rows, strict=True))
    split = [[value.split("|") if value else [] for value in column] for column in columns[4:7]]
    arrays = [range(len(rows)), columns[0], map(int, columns[1]), columns[2], columns[3], *split]
    return pa.table(
        [pa.array(list(array), type=field.type) for array, field in zip(arrays, SCHEMA, strict=True)],
        schema=SCHEMA,
    )
