"""The rows of the evaluation tables: from the tables of inference to groups, from figures to rows.

Every figure has its own generator, made of the seed, the test set and the metric's name: a new metric moves no
other figure, and all models are resampled alike.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.metric import Family
from bioalign_assets.evaluation.statistic import Statistic
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.groups import grouped
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["BY_PROMPT", "BY_TEST_SET", "as_table", "groups", "labels_of", "metric_generator", "metric_rows"]

BY_TEST_SET = ("variant", "model", "experiment", "test_set")
BY_PROMPT = (*BY_TEST_SET, "prompt")


def metric_generator(spec: EvaluationSpec, *, test_set: str, metric: str) -> np.random.Generator:
    """Return the generator behind one figure of one test set."""
    digest = hashlib.sha256(f"{test_set}\x1f{metric}".encode()).digest()
    return np.random.default_rng([spec.seed, int.from_bytes(digest[:8], "little")])


def groups(
    rows: pa.Table, *, by: Sequence[str], table: str
) -> Iterator[tuple[dict[str, str], pa.Table, str]]:
    """Yield each group's key, its rows in the dataset's order (storage keeps none), and its name.

    :param rows: what ``table`` holds of one variant or several
    :raises EvaluationError: if there are no rows
    """
    if not len(rows):
        raise EvaluationError(
            table,
            found="no rows",
            expected="the rows of one variant",
            remedy="Materialise it first for this variant.",
        )
    for key, group in grouped(rows, by=by):
        yield key, group.sort_by("row_number"), f"{table} of {key['variant']} on {key['test_set']}"


def labels_of(table: pa.Table, *, subject: str, least: int = 1) -> npt.NDArray[np.int8]:
    """Return the labels of a table.

    :param least: rows that each label must have
    :returns: 1 or 0, shape (rows,)
    :raises EvaluationError: if a label is neither 1 nor 0, or has too few rows
    """
    labels = table["label"].to_numpy()
    true, false = int(np.count_nonzero(labels == 1)), int(np.count_nonzero(labels == 0))
    if true + false != len(labels):
        raise EvaluationError(
            subject,
            found=f"{len(labels) - true - false} labels that are neither 1 nor 0",
            expected="1 or 0",
            remedy="Build the dataset again.",
        )
    if min(true, false) < least:
        raise EvaluationError(
            subject,
            found=f"{true} true and {false} false statements",
            expected=f"at least {least} of either",
            remedy="Raise sample_size in [evaluation], or evaluate on a dataset with more test rows.",
        )
    return labels.astype(np.int8)


def metric_rows(
    family: Family,
    *,
    statistics: Mapping[str, Statistic],
    key: Mapping[str, str],
    spec: EvaluationSpec,
    scope: str = "sample",
) -> list[dict[str, Any]]:
    """Return a row for each figure of a family.

    :param statistics: what the family made of one group
    :param key: the group's columns, ``test_set`` among them
    :raises ValueError: if there is a figure that the family does not declare
    """

    def generator(name: str) -> np.random.Generator:
        return metric_generator(spec, test_set=key["test_set"], metric=name)

    estimates = family.estimates(statistics, resamples=spec.resamples, generator=generator)
    unknown = set(estimates) - {metric.name for metric in family.metrics}
    if unknown:
        raise ValueError(f"figures that their family does not declare: {sorted(unknown)}")
    return [
        {
            "prompt": None,
            **key,
            "scope": scope,
            "metric": name,
            **asdict(estimate),
            "seed": spec.seed,
        }
        for name, estimate in estimates.items()
    ]


def as_table(rows: Sequence[Mapping[str, Any]], *, name: str) -> pa.Table:
    """Return rows as the table of a name."""
    return pa.Table.from_pylist(rows, schema=TABLES[name].arrow)
