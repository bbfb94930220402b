"""From the inference tables of a tuned and an untuned variant to the rows of ``evaluation.comparisons``.

Rows are matched by row number; only rows that both variants were asked count, so the figures can differ from
those of the metric tables where a tuned variant was spared rows that it was trained on.

Not compared: the absolute KG separation (its sign is lost; the signed one is), the calibration error and the
t-SNE silhouette (biased, or of another map each time), the 70/30 probe (the cross-validated one has more rows).
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.evaluation.calibration import squared_errors
from bioalign_assets.evaluation.confusion import CONFUSION_METRICS
from bioalign_assets.evaluation.edge_rows import cosines_of_rows
from bioalign_assets.evaluation.edges import edge_replicates
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.intervals import auroc_of_counts, mean_replicates, ranking_replicates
from bioalign_assets.evaluation.kg_separation import signed_replicates
from bioalign_assets.evaluation.paired import (
    Change,
    compare_confusion,
    compare_replicates,
    compare_shares,
)
from bioalign_assets.evaluation.probe_cv import FOLDS, out_of_fold_scores
from bioalign_assets.evaluation.ranking import auprc_of_counts
from bioalign_assets.evaluation.rows import _table, metric_generator
from bioalign_assets.evaluation.vectors import embedding_matrix, labels_of
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.warehouse.groups import grouped

__all__ = ["COMPARED_METRICS", "LEAST_COMMON_ROWS", "comparison_rows"]

LEAST_COMMON_ROWS = 50
"""Common rows of a test set below which nothing is compared: as many as the least sample_size of a study."""

_RANKINGS = {"auroc": auroc_of_counts, "auprc": auprc_of_counts}
_ANSWERED = ("accuracy", "share_answered_true", *_RANKINGS, *CONFUSION_METRICS, "brier")
_EMBEDDED = ("kg_separation_signed", "probe_cv_accuracy", "probe_cv_auroc", "edge_separation", "edge_auroc")
COMPARED_METRICS = (*_ANSWERED, *_EMBEDDED)

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
    same = {"variant": tuned, "model": model, "experiment": experiment, "seed": spec.seed}
    found: list[dict[str, Any]] = []

    def keep(changes: Mapping[str, Change], **where: str | None) -> None:
        for name, change in changes.items():
            found.append(same | where | {"metric": name, "change": change.change} | asdict(change))

    asked = {"table": "inference.answers", "tuned": tuned, "untuned": untuned}
    for key, both in _matched(answers, by=("test_set", "prompt"), **asked):
        keep(_answer_changes(both, test_set=key["test_set"], spec=spec), **key)
    embedded = asked | {"table": "inference.embeddings"}
    for key, both in _matched(embeddings, by=("test_set",), **embedded):
        test_set = key["test_set"]
        cosines = [
            cosines_of_rows(
                side, names=_of(names, variant=name, test_set=test_set), pairs=pairs, test_set=test_set
            )
            for side, name in zip(both, (untuned, tuned), strict=True)
        ]
        keep(_embedding_changes(both, cosines=cosines, test_set=test_set, spec=spec), prompt=None, **key)
    return _table(found, "evaluation.comparisons")


def _answer_changes(both: _Both, *, test_set: str, spec: EvaluationSpec) -> dict[str, Change]:
    labels = labels_of(both[0], subject=f"common answers on {test_set}")
    said = [side["predicted"].to_numpy() for side in both]
    chance = [side["p_true"].to_numpy() for side in both]
    rngs = {name: _generator(name, test_set=test_set, spec=spec) for name in _ANSWERED}
    count = {"resamples": spec.resamples}
    changes = {
        "accuracy": compare_shares(said[0] == labels, said[1] == labels, rng=rngs["accuracy"], **count),
        "share_answered_true": compare_shares(
            said[0] == 1, said[1] == 1, rng=rngs["share_answered_true"], **count
        ),
        **compare_confusion(labels, untuned=said[0], tuned=said[1], rngs=rngs, **count),
    }
    for name, statistic in _RANKINGS.items():
        sides = [
            ranking_replicates(labels, p_true, statistic=statistic, rng=copy.deepcopy(rngs[name]), **count)
            for p_true in chance
        ]
        changes[name] = compare_replicates(sides[0], sides[1], n=len(labels))
    errors = [
        mean_replicates(squared_errors(labels, p_true), rng=copy.deepcopy(rngs["brier"]), **count)
        for p_true in chance
    ]
    return changes | {"brier": compare_replicates(errors[0], errors[1], n=len(labels))}


def _embedding_changes(
    both: _Both, *, cosines: list[npt.NDArray[np.float64]], test_set: str, spec: EvaluationSpec
) -> dict[str, Change]:
    subject = f"common embeddings on {test_set}"
    labels = labels_of(both[0], subject=subject, least=FOLDS)
    matrices = [embedding_matrix(side["embedding"], subject=subject) for side in both]
    scores = [out_of_fold_scores(matrix, labels, seed=spec.seed) for matrix in matrices]
    rngs = {name: _generator(name, test_set=test_set, spec=spec) for name in _EMBEDDED}
    count = {"resamples": spec.resamples}

    def fresh(name: str) -> np.random.Generator:
        # both sides begin in the same state: the same rows are drawn
        return copy.deepcopy(rngs[name])

    sides: dict[str, list[tuple[float, npt.NDArray[np.floating[Any]]]]] = {
        "kg_separation_signed": [
            signed_replicates(matrix, labels, rng=fresh("kg_separation_signed"), **count)
            for matrix in matrices
        ],
        "probe_cv_auroc": [
            ranking_replicates(labels, score, statistic=auroc_of_counts, rng=fresh("probe_cv_auroc"), **count)
            for score in scores
        ],
        "edge_separation": [
            edge_replicates(cosine, labels, rng=fresh("edge_separation"), **count) for cosine in cosines
        ],
        "edge_auroc": [
            ranking_replicates(labels, cosine, statistic=auroc_of_counts, rng=fresh("edge_auroc"), **count)
            for cosine in cosines
        ],
    }
    right = [(score > 0) == (labels == 1) for score in scores]
    return {
        name: compare_replicates(before, after, n=len(labels)) for name, (before, after) in sides.items()
    } | {"probe_cv_accuracy": compare_shares(right[0], right[1], rng=rngs["probe_cv_accuracy"], **count)}


def _generator(metric: str, *, test_set: str, spec: EvaluationSpec) -> np.random.Generator:
    return metric_generator(spec, test_set=test_set, metric=f"change of {metric}")


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


def _of(names: pa.Table, *, variant: str, test_set: str) -> pa.Table:
    return names.filter(pc.and_(pc.equal(names["variant"], variant), pc.equal(names["test_set"], test_set)))
