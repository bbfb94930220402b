"""Evaluation tables by hand, in a DuckDB connection, for this room's tests."""

import duckdb
import pyarrow as pa

from bioalign_assets.warehouse.schemas import TABLES

EVALUATIONS = (
    "kg_separation",
    "embedding_probe",
    "zero_shot",
    "link_prediction",
    "cluster_quality",
    "comparisons",
    "baselines",
)
ROLES = {"llama": "tuned", "phi": "tuned", "bio": "benchmark", "popularity-llm": "tuned"}


def figure(
    model,
    experiment,
    metric,
    value,
    *,
    test_set="published",
    prompt="unseen",
    scope="sample",
    half=0.02,
    n=500,
):
    return {
        "variant": f"{model}@{experiment}",
        "dataset": test_set,
        "model": model,
        "experiment": experiment,
        "test_set": test_set,
        "prompt": prompt,
        "scope": scope,
        "metric": metric,
        "value": value,
        "ci_low": value - half,
        "ci_high": value + half,
        "n": n,
        "seed": 42,
    }


def comparison(model, experiment, metric, change, *, test_set="published", prompt="unseen", **more):
    return {
        "variant": f"{model}@{experiment}",
        "model": model,
        "experiment": experiment,
        "test_set": test_set,
        "prompt": prompt,
        "metric": metric,
        "untuned": 0.5,
        "tuned": 0.5 + change,
        "change": change,
        "change_ci_low": change - 0.01,
        "change_ci_high": change + 0.01,
        "p_value": 0.002,
        "test": "paired-bootstrap",
        "n": 500,
        "seed": 42,
    } | more


def asked(model, experiment, auroc, **more):
    return [
        figure(model, experiment, "auroc", auroc, **more),
        figure(model, experiment, "accuracy", auroc - 0.1, **more),
        figure(model, experiment, "share_answered_true", 0.5, **more),
    ]


def baseline(name, auroc, **more):
    return asked(name, "baseline", auroc, **{"prompt": None, **more})


def alignment(model, experiment, calibrated, *, measure="partial_rsa", kind="disease", edges="all", **more):
    """A row of graph alignment, of a variant or, without experiment, of a baseline; its null is 0.02 +- 0.01."""
    value = 0.02 + 0.98 * calibrated
    whose = {"model": model}
    if experiment is not None:
        whose |= {"variant": f"{model}@{experiment}", "experiment": experiment}
    return {
        **whose, "measure": measure, "kind": kind, "edges": edges, "value": value, "null_mean": 0.02, "null_sd": 0.01,
        "z": (value - 0.02) / 0.01, "p_value": 0.005 if value > 0.04 else 0.4, "calibrated": calibrated,
        "ci_low": value - 0.01, "ci_high": value + 0.01, "calibrated_ci_low": calibrated - 0.01,
        "calibrated_ci_high": calibrated + 0.01, "rewirings": 200, "n": 900, "seed": 42,
    } | more  # fmt: skip


def alignment_change(
    model, experiment, before, after, *, half=0.01, measure="partial_rsa", kind="disease", edges="all", **more
):
    """A row of what tuning changed of it, by its calibrated scores."""
    change = 0.98 * (after - before)
    return {
        "variant": f"{model}@{experiment}", "model": model, "experiment": experiment, "measure": measure, "kind": kind,
        "edges": edges, "untuned": 0.02 + 0.98 * before, "tuned": 0.02 + 0.98 * after, "change": change,
        "change_ci_low": change - half, "change_ci_high": change + half,
        "p_value": 0.002 if abs(change) > half else 0.3, "untuned_calibrated": before, "tuned_calibrated": after,
        "n": 900, "seed": 42,
    } | more  # fmt: skip


def alignment_layer(
    model, experiment, layer, calibrated, *, best=None, measure="partial_rsa", kind="disease"
):
    """A row of the same after one layer; ``best`` is its corrected p, where it is the best."""
    row = alignment(model, experiment, calibrated, measure=measure, kind=kind)
    return row | {"layer": layer, "is_best": best is not None, "best_p_value": best}


def warehouse(**tables):
    """A connection with the evaluation tables as tables; those not named are empty."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA evaluation")
    for name in EVALUATIONS:
        schema = TABLES[f"evaluation.{name}"].arrow
        rows = [{key: row.get(key) for key in schema.names} for row in tables.get(name, [])]
        connection.register(f"_{name}", pa.Table.from_pylist(rows, schema=schema))
        connection.execute(f"CREATE TABLE evaluation.{name} AS SELECT * FROM _{name}")
        connection.unregister(f"_{name}")
    return connection


FULL = {
    "zero_shot": [
        *asked("llama", "untuned", 0.52),
        *asked("llama", "paper", 0.97),
        *asked("phi", "paper", 0.93),
        *asked("bio", "untuned", 0.55),
        *asked("llama", "paper", 0.99, prompt="training"),
        *asked("llama", "paper", 0.70, test_set="held-out", n=480),
    ],
    "baselines": [
        *baseline("popularity", 0.60, scope="full", n=13_689),
        *baseline("popularity", 0.94),
        *baseline("majority", 0.5),
        *baseline("popularity", 0.80, test_set="held-out"),
        *baseline("popularity", 0.51, test_set="unasked"),
    ],
}
