"""Seconds that each metric's bootstrap interval takes, on the size of the published test split.

The aim is 1,000 resamples of 13,689 rows in less than 2 s a metric on one core; figures of embeddings are of
1,000 rows with 4,096 dimensions, the evaluation sample of an 8B model. Run ``python -m benchmarks.intervals``.
"""

import argparse
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from benchmarks.side_by_side import machine
from bioalign_assets.evaluation.calibration import bootstrap_brier, bootstrap_calibration_error
from bioalign_assets.evaluation.clusters import space_silhouette
from bioalign_assets.evaluation.confusion import CONFUSION_METRICS, bootstrap_confusion
from bioalign_assets.evaluation.edges import edge_cosines, edge_separation
from bioalign_assets.evaluation.intervals import bootstrap_auroc, bootstrap_share
from bioalign_assets.evaluation.kg_separation import kg_separation
from bioalign_assets.evaluation.paired import compare_confusion, compare_shares
from bioalign_assets.evaluation.probe_cv import cross_validated_probe
from bioalign_assets.evaluation.ranking import bootstrap_auprc

__all__ = ["main"]

SEED = 42
ROWS = 13_689
SAMPLE = 1_000
WIDTH = 4_096


def of_answers(rows: int, *, resamples: int) -> dict[str, Callable[[], object]]:
    """Return what computes each figure of some made answers."""
    rng = np.random.default_rng(SEED)
    labels = rng.integers(0, 2, rows)
    p_true = 1 / (1 + np.exp(-rng.normal(size=rows) - 2 * labels + 1))
    said, other = (p_true > 0.5).astype(int), np.where(rng.random(rows) < 0.7, labels, 1 - labels)
    cosines = np.tanh(rng.normal(size=rows) / 4 + labels / 10)
    rngs = dict.fromkeys(CONFUSION_METRICS, rng)
    count = {"resamples": resamples}
    return {
        "accuracy": lambda: bootstrap_share(said == labels, rng=rng, **count),
        "auroc": lambda: bootstrap_auroc(labels, p_true, rng=rng, **count),
        "auprc": lambda: bootstrap_auprc(labels, p_true, rng=rng, **count),
        "mcc, precision, recall, F1 (7 figures)": lambda: bootstrap_confusion(
            labels, said, rngs=rngs, **count
        ),
        "calibration_error": lambda: bootstrap_calibration_error(labels, p_true, rng=rng, **count),
        "brier": lambda: bootstrap_brier(labels, p_true, rng=rng, **count),
        "edge_separation and edge_auroc": lambda: edge_separation(
            cosines, labels, rng_separation=rng, rng_auroc=rng, **count
        ),
        "change of accuracy (McNemar)": lambda: compare_shares(
            other == labels, said == labels, rng=rng, **count
        ),
        "change of mcc, ... (7 figures)": lambda: compare_confusion(
            labels, untuned=other, tuned=said, rngs=rngs, **count
        ),
    }


def of_embeddings(rows: int, *, width: int, resamples: int) -> dict[str, Callable[[], object]]:
    """Return what computes each figure of some made embeddings."""
    rng = np.random.default_rng(SEED)
    labels = np.arange(rows) % 2
    # 64 directions and noise: the spectrum of real embeddings falls steeply
    matrix = rng.normal(size=(rows, 64)) @ rng.normal(size=(64, width)) + rng.normal(size=(rows, width))
    matrix[:, : max(1, width // 80)] += 0.4 * labels[:, None]
    matrix = matrix.astype(np.float32)
    places = np.arange(rows)
    count = {"resamples": resamples}
    return {
        "kg_separation, with its sign": lambda: kg_separation(matrix, labels, rng=rng, **count),
        "probe_cv_accuracy and probe_cv_auroc": lambda: cross_validated_probe(
            matrix, labels, seed=SEED, rng_accuracy=rng, rng_auroc=rng, **count
        ),
        "silhouette": lambda: space_silhouette(matrix, labels, rng=rng, **count),
        "cosines of edges": lambda: edge_cosines(matrix, matrix[::-1], gene=places, disease=places),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of answers")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="rows of embeddings")
    parser.add_argument("--width", type=int, default=WIDTH, help="dimensions of the embeddings")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples")
    options = parser.parse_args(arguments)
    print(f"{machine()}, one thread; {options.resamples} resamples")
    parts = {
        f"{options.rows:,} answers": of_answers(options.rows, resamples=options.resamples),
        f"{options.sample:,} embeddings of {options.width:,} dimensions": of_embeddings(
            options.sample, width=options.width, resamples=options.resamples
        ),
    }
    with threadpool_limits(limits=1):
        for title, calls in parts.items():
            print(f"\n{title:<44}  seconds")
            for name, call in calls.items():
                start = perf_counter()
                call()
                print(f"  {name:<42}  {perf_counter() - start:7.3f}")


if __name__ == "__main__":
    main()
