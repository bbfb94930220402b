"""A small study in a warehouse, its tables written by hand, for the tests of the page."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from bioalign_assets.curation.profile import profile_dataset
from bioalign_assets.report.seeds import pooled_seeds, seed_groups
from bioalign_assets.report.tables import improvements, leaderboard, stored_figures
from bioalign_assets.study import Study
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.report._make import (
    alignment,
    alignment_change,
    alignment_layer,
    asked,
    baseline,
    figure,
    warehouse,
)

EVIL_GENE = "<script>alert('gene')</script>"
EVIL_DISEASE = 'Fever" onload="alert(1)" & </text><b>$chills$'
ROLES = {"llama": "tuned", "bio": "benchmark"}
VARIANTS = ("llama@untuned", "llama@paper", "llama@paper-43", "bio@untuned")

STUDY = Study.model_validate(
    {
        "title": "A <b>study</b> & its page",
        "models": {"llama": {"repo_id": "org/llama"}, "bio": {"repo_id": "org/bio", "role": "benchmark"}},
        "datasets": {"published": {"sampler": "published", "split": "pair", "negatives": "uniform"}},
        "experiments": {
            "untuned": {"evaluate_on": ["published"]},
            "paper": {"train_on": "published", "evaluate_on": ["published"], "steps": 30},
            "paper-43": {"train_on": "published", "evaluate_on": ["published"], "steps": 30, "seed": 43},
        },
    }
)


def rows_of(full_name, rows):
    schema = TABLES[full_name].arrow
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in schema.names} for row in rows], schema=schema
    )


def pairs():
    rng = np.random.default_rng(1)
    genes = [EVIL_GENE, *(f"G{number}" for number in range(30))]
    diseases = [EVIL_DISEASE, *(f"Disease {number}" for number in range(20))]
    rows = []
    for number in range(200):
        # the first ones often, so that they stand in the figures
        gene, disease = min(rng.geometric(0.1), 31) - 1, min(rng.geometric(0.15), 21) - 1
        label = number % 2
        rows.append(
            {
                "dataset": "published", "row_number": number, "pair_id": f"{number:016x}",
                "gene_symbol": genes[gene], "gene_id": int(gene) + 1,
                "disease_name": diseases[disease], "disease_id": f"MESH:D{disease}",
                "text": f"{genes[gene]} is associated with {diseases[disease]}",
                "pubmed_ids": ["1"] * int(rng.integers(0, 5)) if label else [],
                "label": label, "label_source": "ctd" if label else "generated",
                "split": "test" if number % 5 == 0 else "train", "unseen": None,
            }
        )  # fmt: skip
    return rows_of("curation.pairs", rows)


def release(**more):
    return rows_of("ctd.release", [{
        "source_uri": "https://ctdbase.org/reports/x.csv.gz", "file_name": "x.csv.gz", "raw_path": "raw/x", "sha256": "a" * 64,
        "content_sha256": "b" * 64, "bytes": 10, "report_created": datetime(2026, 10, 1, tzinfo=UTC), "rows": 100,
        "is_synthetic": False, "retrieved_at": datetime(2026, 11, 2, 3, 4, 5, tzinfo=UTC), **more,
    }])  # fmt: skip


def changes():
    kinds = [("added", None)] * 12 + [("removed", None), ("changed", "pubmed_ids: 1 -> 1|2")]
    return rows_of("ctd.changes", [
        {"change": kind, "gene_symbol": EVIL_GENE if place == 0 else f"G{place}", "gene_id": 100 + place,
         "disease_name": EVIL_DISEASE, "disease_id": f"MESH:D{place:03}", "detail": detail}
        for place, (kind, detail) in enumerate(kinds)
    ])  # fmt: skip


def metric_tables(*, popularity=0.8):
    areas = {"llama@untuned": 0.52, "llama@paper": 0.84, "llama@paper-43": 0.82, "bio@untuned": 0.55}
    zero_shot, separation, probe = [], [], []
    for variant, area in areas.items():
        model, experiment = variant.split("@")
        zero_shot += asked(model, experiment, area)
        separation.append(figure(model, experiment, "kg_separation", area / 10, prompt=None))
        probe.append(figure(model, experiment, "probe_accuracy", area - 0.2, prompt=None, n=150))
    return {
        "zero_shot": zero_shot, "kg_separation": separation, "embedding_probe": probe,
        "baselines": [*baseline("popularity", popularity), *baseline("majority", 0.5)],
    }  # fmt: skip


ALIGNED = {"llama@untuned": 0.03, "llama@paper": 0.09, "llama@paper-43": 0.07, "bio@untuned": 0.05}
"""The calibrated score of each variant"""


def alignment_of(variant):
    model, experiment = variant.split("@")
    score, before = ALIGNED[variant], ALIGNED[f"{model}@untuned"]
    yield "evaluation.graph_alignment", [
        alignment(model, experiment, score), alignment(model, experiment, score / 2, kind="gene"),
        alignment(model, experiment, 0.2, measure="edge_procrustes", kind="edge", n=12_345),
    ]  # fmt: skip
    yield "evaluation.medic_alignment", [alignment(model, experiment, score, measure="medic_rsa", n=400)]
    yield "evaluation.graph_alignment_layers", [
        alignment_layer(model, experiment, 0, 0.01), alignment_layer(model, experiment, 1, score + 0.01, best=0.0149),
        alignment_layer(model, experiment, 2, score),
    ]  # fmt: skip
    if experiment != "untuned":
        yield "evaluation.graph_alignment_changes", [
            alignment_change(model, experiment, before, score),
            alignment_change(model, experiment, before, score + 0.05, edges="trained"),
            alignment_change(model, experiment, before, before + 0.001, edges="held-out"),
            alignment_change(model, experiment, before, score, kind="gene"),
            alignment_change(model, experiment, before, score, measure="mutual_knn"),
        ]  # fmt: skip


def of_variant(variant, *, rng):
    model, experiment = variant.split("@")
    who = {"variant": variant, "model": model, "experiment": experiment, "test_set": "published"}
    rows = [{**who, "row_number": n, "pair_id": f"{n:016x}", "label": n % 2} for n in range(40)]
    is_tuned = experiment != "untuned"
    yield "inference.answers", [
        {**row, "prompt": "unseen", "answer": "true", "predicted": int(rng.integers(2)), "p_true": float(rng.random())}
        for row in rows
    ]  # fmt: skip
    yield (
        "evaluation.cluster_map",
        [{**row, "x": float(rng.normal()), "y": float(rng.normal())} for row in rows],
    )
    provenance = {"dataset": "published", "dataset_version": "d" * 64, "base_weights_sha256": "e" * 64,
                  "experiment_sha256": "f" * 64, "libraries": {"torch": "9.9.9"}}  # fmt: skip
    yield "training.adapter", [{
        **who, "path": "adapters/x" if is_tuned else None, "sha256": ("1" if experiment == "paper" else "2") * 64 if is_tuned else None,
        "trainable_parameters": 10, "steps": 30 if is_tuned else 0, "samples": 240, "peak_memory_bytes": 1, "seconds": 1.0,
        "provenance": json.dumps(provenance) if is_tuned else "{}",
    }]  # fmt: skip
    if is_tuned:
        yield "training.log", [
            {"variant": variant, "step": step, "loss": 2.0 / step, "learning_rate": 1e-4, "grad_norm": 1.0, "tokens_per_s": 1.0}
            for step in range(1, 31)
        ]  # fmt: skip


def write_study(root, *, without=(), popularity=0.8, **release_more):
    """Write the tables of the study into a warehouse, but for some; return its tables."""
    tables = Tables(root)

    def write(full_name, rows, partition=None):
        if full_name not in without:
            tables.write(rows, schema=TABLES[full_name], partition=partition)

    write("ctd.release", release(**release_more))
    write("ctd.changes", changes())
    write("curation.pairs", pairs(), "published")
    write("curation.profile", profile_dataset(pairs()), "published")
    for model, role in ROLES.items():
        write("models.base", rows_of("models.base", [{
            "model": model, "role": role, "source": "hub", "repo_id": f"org/{model}", "revision": "c0ffee", "architecture": "X",
            "parameters": 7, "hidden_size": 8, "layers": 1, "vocabulary": 9, "quantisation": "nf4", "bytes": 1,
            "weights_sha256": "9" * 64, "path": "/home/somebody/models",
        }]), model)  # fmt: skip
    rng = np.random.default_rng(2)
    for variant in VARIANTS:
        for full_name, rows in (*of_variant(variant, rng=rng), *alignment_of(variant)):
            write(full_name, rows_of(full_name, rows), variant)
    scores = {"random": 0.001, "names-lsa": 0.012, "transe": 0.14}
    write("evaluation.graph_alignment_baselines", rows_of("evaluation.graph_alignment_baselines", [
        alignment(name, None, score, kind=kind) for name, score in scores.items() for kind in ("disease", "gene")
    ]))  # fmt: skip
    metrics = metric_tables(popularity=popularity)
    connection = warehouse(**metrics)
    for name, rows in metrics.items():
        by = "dataset" if name == "baselines" else "variant"
        for key in dict.fromkeys(row[by] for row in rows):
            of_key = rows_of(f"evaluation.{name}", [row for row in rows if row[by] == key])
            write(f"evaluation.{name}", of_key, key)
    write("report.improvements", improvements(connection))
    write("report.leaderboard", leaderboard(connection, roles=ROLES, tiny=set()))
    for name in TABLES:  # metric tables that this file does not know
        if name.startswith("evaluation."):
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS FROM evaluation.zero_shot WHERE false")
    write("report.seeds", pooled_seeds(stored_figures(connection), groups=seed_groups(STUDY.experiments)))
    return tables
