"""Experiments that differ in their seed alone, pooled: one mean and one interval for all of them.

A single training tells what one seed gave. Here is how far seeds differ, and how well their mean is known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import t

from bioalign_assets.evaluation.metrics import METRICS
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["pooled_seeds", "seed_groups"]

_BY = ("model", "test_set", "prompt", "scope", "metric")
_TAIL = 0.975

Floats = npt.NDArray[np.float64]


def seed_groups(experiments: Mapping[str, ExperimentSpec]) -> dict[str, tuple[str, ...]]:
    """Return the experiments that differ in their seed alone, two and more, by the name of the lowest seed's.

    Two experiments of one seed are the same experiment twice, and of these the first in the file counts.

    :param experiments: of the study, in the order of its file
    :return: group name to the names of its experiments, by seed
    """
    alike: dict[str, dict[int, str]] = {}
    for name, spec in experiments.items():
        if not spec.is_untuned:
            rest = spec.model_dump_json(exclude={"seed", "evaluate_on", "models", "in_demo"})
            alike.setdefault(rest, {}).setdefault(spec.seed, name)
    groups = [tuple(by_seed[seed] for seed in sorted(by_seed)) for by_seed in alike.values()]
    return {names[0]: names for names in groups if len(names) > 1}


def pooled_seeds(figures: pa.Table, *, groups: Mapping[str, Sequence[str]]) -> pa.Table:
    """Return mean, spread and interval of each metric over the seeds of each group.

    The mean of k seeds is uncertain in two ways, which are taken as independent of each other:

    - other seeds would give another mean: t_{0.975, k-1} * sd / sqrt(k) (Student's t, so seeds are taken as
      drawn from a normal distribution);
    - other test rows would give other figures. All seeds were asked the same rows, so this error is taken as
      common to them, and it does not shrink with k: the mean of the distances from each figure to that end of
      its bootstrap interval.

    The half-width to either side is the root of the sum of their squares, and ends are cut to the metric's
    range. Seeds of which each errs on other rows would have a narrower interval. With two seeds t is 12.7: two
    trainings hardly tell how far trainings differ.

    :param figures: rows as of the metric tables: model, experiment, test_set, prompt, scope, metric, value,
        ci_low, ci_high, n
    :param groups: as ``seed_groups`` gives them
    :return: schema ``report.seeds``; only groups of which two seeds at least have the figure
    """
    found: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for row in figures.to_pylist():
        found.setdefault(tuple(row[name] for name in _BY), {})[row["experiment"]] = row
    rows = []
    for key, by_experiment in found.items():
        for group, experiments in groups.items():
            pooled = [by_experiment[name] for name in experiments if name in by_experiment]
            if len(pooled) > 1:
                named = dict(zip(_BY, key, strict=True))
                rows.append({**named, "experiment": group, **_pooled(pooled, metric=named["metric"])})
    return pa.Table.from_pylist(rows, schema=TABLES["report.seeds"].arrow)


def _pooled(rows: Sequence[Mapping[str, Any]], *, metric: str) -> dict[str, Any]:
    values = np.array([row["value"] for row in rows])
    mean, sd, count = float(values.mean()), float(values.std(ddof=1)), len(values)
    low = high = None
    if all(row["ci_low"] is not None and row["ci_high"] is not None for row in rows):
        between = float(t.ppf(_TAIL, count - 1)) * sd / np.sqrt(count)
        below = float(np.mean(values - [row["ci_low"] for row in rows]))
        above = float(np.mean([row["ci_high"] for row in rows] - values))
        least, most = METRICS[metric].range if metric in METRICS else (-np.inf, np.inf)
        low = max(mean - float(np.hypot(between, below)), least)
        high = min(mean + float(np.hypot(between, above)), most)
    return {
        "experiments": [row["experiment"] for row in rows],
        "seeds": count, "mean": mean, "sd": sd, "ci_low": low, "ci_high": high,
        "n": min(row["n"] for row in rows),
    }  # fmt: skip
