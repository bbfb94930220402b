"""From the inference tables of a tuned and an untuned variant to the rows of ``evaluation.comparisons``.

Rows are matched by row number; only rows that both variants were asked count, so the figures can differ from
those of the metric tables where a tuned variant was spared rows that it was trained on.

Not compared: the absolute KG separation (its sign is lost; the signed one is), the calibration error and the
t-SNE silhouette (biased, or of another map each time), the 70/30 probe (the cross-validated one has more rows).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.answers import Answers
from bioalign_assets.evaluation.confusion import CONFUSION
from bioalign_assets.evaluation.edge_separation import cosines_of_rows
from bioalign_assets.evaluation.metric import Family, Reads
from bioalign_assets.evaluation.metrics import FAMILIES
from bioalign_assets.evaluation.paired import Change
from bioalign_assets.evaluation.rows import as_table, labels_of, metric_generator
from bioalign_assets.inference.vectors import embedding_matrix
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.groups import grouped

__all__ = ["COMPARED_METRICS", "LEAST_COMMON_ROWS", "comparison_rows"]

LEAST_COMMON_ROWS = 50
"""Common rows of a test set below which nothing is compared: as many as the least sample_size of a study."""

COMPARED_METRICS = (
    "accuracy",
    "share_answered_true",
    "auroc",
    "auprc",
    *(metric.name for metric in CONFUSION.metrics),
    "brier",
    "kg_separation_signed",
    "probe_cv_accuracy",
    "probe_cv_auroc",
    "edge_separation",
    "edge_auroc",
)
"""As docs/metrics.md lists them."""

_Both = tuple[pa.Table, pa.Table]


def comparison_rows(
    *,
    answers: pa.Table,
    embeddings: pa.Table,
    names: pa.Table,
    pairs: pa.Table,
    tuned: str,
    untuned: str,
    spec: EvaluationSpec,
) -> pa.Table:
    """Return the change of every compared figure from the untuned to the tuned variant.

    :param answers: schema ``inference.answers``, of both variants
    :param embeddings: schema ``inference.embeddings``, of both variants
    :param names: schema ``inference.names``, of both variants
    :param pairs: schema ``curation.pairs``, of the test sets that both were asked about
    :param tuned: the tuned variant, ``<model>@<experiment>``
    :param untuned: the same model's untuned variant
    :returns: schema ``evaluation.comparisons``
        a test set of which they have fewer than 50 rows in common (a tuned variant is asked about none that it was
        trained on) has no rows
    :raises EvaluationError: if a variant has no rows, they have no test set or prompt in common, or rows that are not
        the same pairs
    """
    model, experiment = tuned.split("@", maxsplit=1)
    same = {"variant": tuned, "model": model, "experiment": experiment, "prompt": None, "seed": spec.seed}
    found: list[dict[str, Any]] = []

    def compare(reads: Reads, *sides: Any, key: Mapping[str, str], **more: Any) -> None:
        for name, change in _changes(reads, *sides, test_set=key["test_set"], spec=spec, **more):
            found.append({**same, **key, "metric": name, "change": change.change, **asdict(change)})

    asked = {"table": "inference.answers", "tuned": tuned, "untuned": untuned}
    for key, both in _matched(answers, by=("test_set", "prompt"), **asked):
        subject = f"common answers on {key['test_set']}"
        compare("answers", *(Answers.of_rows(side, subject=subject) for side in both), key=key)
    embedded = asked | {"table": "inference.embeddings"}
    for key, both in _matched(embeddings, by=("test_set",), **embedded):
        subject = f"common embeddings on {key['test_set']}"
        cosines = [cosines_of_rows(side, names=names, pairs=pairs) for side in both]
        least = max(family.least for family in _families("embeddings"))
        labels = labels_of(both[0], subject=subject, least=least)
        matrices = [embedding_matrix(side["embedding"], subject=subject) for side in both]
        compare("embeddings", *matrices, key=key, labels=labels, seed=spec.seed)
        compare("names", *cosines, key=key, labels=labels)
    return as_table(found, name="evaluation.comparisons")


def _families(reads: Reads) -> list[Family]:
    """Return the families that read something and have a figure to compare."""
    return [
        family
        for family in FAMILIES
        if family.reads == reads and any(metric.name in COMPARED_METRICS for metric in family.metrics)
    ]


def _changes(
    reads: Reads, untuned: Any, tuned: Any, *, test_set: str, spec: EvaluationSpec, **more: Any
) -> Iterator[tuple[str, Change]]:
    """Give the change of each compared figure of the families that read something.

    :param untuned: what they read, of the untuned variant
    :param tuned: the same of the tuned one
    :param more: what their ``statistics`` take beside it
    """
    for family in _families(reads):
        before, after = (family.statistics(side, **more) for side in (untuned, tuned))
        for name in before:
            if name not in COMPARED_METRICS:
                continue
            rng = metric_generator(spec, test_set=test_set, metric=f"change of {name}")
            yield name, before[name].change_to(after[name], resamples=spec.resamples, rng=rng)


def _matched(
    rows: pa.Table, *, by: tuple[str, ...], table: str, tuned: str, untuned: str
) -> Iterator[tuple[dict[str, str], _Both]]:
    """Yield each common key with the common rows of either variant, untuned first, in the dataset's order."""
    sides = []
    for variant in (untuned, tuned):
        keys = rows.select(["variant", *by]).filter(pc.equal(rows["variant"], variant))
        if not len(keys):
            raise EvaluationError(
                table,
                found=f"no rows of {variant}",
                expected=f"those of {untuned} and of {tuned}",
                remedy=f"Materialise {table.replace('.', '/')} for {variant} first.",
            )
        sides.append({tuple(key.values()) for key, _ in grouped(keys, by=by)})
    common = sorted(sides[0] & sides[1])
    if not common:
        told = [", ".join("/".join(key) for key in sorted(side)) for side in sides]
        raise EvaluationError(
            f"{table} of {tuned} and {untuned}",
            found=f"no common {' and '.join(by)} ({untuned} has {told[0]}; {tuned} has {told[1]})",
            expected="one at least, to compare them on",
            remedy="Name a common dataset in evaluate_on of both experiments, and materialise inference again.",
        )
    for key in common:
        subject = f"{table} of {tuned} and {untuned} on {'/'.join(key)}"
        # vectors are copied for one key at a time: together they are gigabytes
        chosen = [pc.equal(rows[name], value) for name, value in zip(by, key, strict=True)]
        parts = [
            rows.filter(reduce(pc.and_, chosen, pc.equal(rows["variant"], variant)))
            for variant in (untuned, tuned)
        ]
        both = _common_rows(parts[0], parts[1], subject=subject)
        if both is not None:
            yield dict(zip(by, key, strict=True)), both


def _common_rows(before: pa.Table, after: pa.Table, *, subject: str) -> _Both | None:
    """Return the rows that both were asked, None where they are too few to compare."""
    numbers = np.intersect1d(before["row_number"].to_numpy(), after["row_number"].to_numpy())
    if len(numbers) < LEAST_COMMON_ROWS:
        return None
    common = pa.array(numbers)
    both = tuple(
        side.filter(pc.is_in(side["row_number"], value_set=common)).sort_by("row_number")
        for side in (before, after)
    )
    for name in ("pair_id", "label"):
        if not both[0][name].equals(both[1][name]):
            raise EvaluationError(
                subject,
                found=f"rows of one number with different {name}",
                expected="the same statements",
                remedy="Materialise inference for both variants again: the dataset was built anew between them.",
            )
    return both[0], both[1]
