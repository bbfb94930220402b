"""Seconds that the figures of each family of metrics take with their intervals, and the changes between two models.

The aim is 1,000 resamples of 13,689 rows, the published test split, in less than 2 s a family on one core; figures of
embeddings are of 1,000 rows with 4,096 dimensions, the evaluation sample of an 8B model. Run
``python -m benchmarks.intervals``.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.side_by_side import machine
from bioalign_assets.evaluation.answers import Answers
from bioalign_assets.evaluation.metric import Reads
from bioalign_assets.evaluation.metrics import FAMILIES
from bioalign_assets.evaluation.statistic import Statistic
from bioalign_assets.models.threads import one_thread

__all__ = ["main"]

SEED = 42
ROWS = 13_689
SAMPLE = 1_000
WIDTH = 4_096

Statistics = Callable[[], Mapping[str, Statistic]]


def of_answers(rows: int) -> dict[str, tuple[Statistics, Statistics]]:
    """Return what makes the statistics of each family for two models' made answers, and for cosines of edges."""
    rng = np.random.default_rng(SEED)
    labels = rng.integers(0, 2, rows)
    p_true = 1 / (1 + np.exp(-rng.normal(size=rows) - 2 * labels + 1))
    other = np.where(rng.random(rows) < 0.7, p_true, 1 - p_true)
    cosines = [np.tanh(rng.normal(size=rows) / 4 + labels / 10) for _ in range(2)]
    said = [
        Answers(labels=labels, predicted=(each > 0.5).astype(int), p_true=each) for each in (other, p_true)
    ]
    return _of("answers", said) | _of("names", cosines, labels=labels)


def of_embeddings(rows: int, *, width: int) -> dict[str, tuple[Statistics, Statistics]]:
    """Return what makes the statistics of each family for two models' made embeddings."""
    rng = np.random.default_rng(SEED)
    labels = np.arange(rows) % 2
    sides = []
    for _ in range(2):
        # 64 directions and noise: the spectrum of real embeddings falls steeply
        matrix = rng.normal(size=(rows, 64)) @ rng.normal(size=(64, width)) + rng.normal(size=(rows, width))
        matrix[:, : max(1, width // 80)] += 0.4 * labels[:, None]
        sides.append(matrix.astype(np.float32))
    return _of("embeddings", sides, labels=labels, seed=SEED) | _of("drawn", sides, labels=labels)


def _of(reads: Reads, sides: Sequence[Any], **more: Any) -> dict[str, tuple[Statistics, Statistics]]:
    return {
        ", ".join(metric.name for metric in family.metrics): (
            partial(family.statistics, sides[0], **more),
            partial(family.statistics, sides[1], **more),
        )
        for family in FAMILIES
        if family.reads == reads
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
        f"{options.rows:,} answers": of_answers(options.rows),
        f"{options.sample:,} embeddings of {options.width:,} dimensions": of_embeddings(
            options.sample, width=options.width
        ),
    }
    count = {"resamples": options.resamples, "rng": np.random.default_rng(SEED)}
    with one_thread():
        for title, families in parts.items():
            print(f"\n{title}: seconds of the figures, and of their changes once they are there")
            for name, (untuned, tuned) in families.items():
                start = perf_counter()
                after = tuned()
                for statistic in after.values():
                    statistic.estimate(**count)
                taken, before = perf_counter() - start, untuned()
                start = perf_counter()
                for metric, statistic in before.items():
                    statistic.change_to(after[metric], **count)
                print(f"  {taken:7.3f}  {perf_counter() - start:7.3f}  {name}")


if __name__ == "__main__":
    main()
