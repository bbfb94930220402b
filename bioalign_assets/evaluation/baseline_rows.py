"""From a dataset's pairs to the rows of its baselines: how rightly they answer, and how high they rank true answers.

Baselines are scored by the models' own functions, on the rows and queries that the models are asked.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.evaluation.baselines import BASELINES, LINK_BASELINES
from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.link_rows import link_estimates, scorer_ranks
from bioalign_assets.evaluation.rows import _metric_rows, _table, _zero_shot_generators
from bioalign_assets.evaluation.vectors import labels_of
from bioalign_assets.evaluation.zero_shot import zero_shot
from bioalign_assets.inference.candidates import link_queries
from bioalign_assets.inference.sample import Sampler, evaluation_sample, split_rows
from bioalign_assets.study.evaluation import EvaluationSpec

__all__ = ["LEAST_PART", "baseline_rows"]

LEAST_PART = 20
"""Rows that a part of an entity split's test rows needs to get figures of its own."""

_THRESHOLD = 0.5  # a baseline says true from here on
_UNSEEN = ("gene", "disease", "both")


def baseline_rows(pairs: pa.Table, *, dataset_spec_sampler: Sampler, spec: EvaluationSpec) -> pa.Table:
    """Return the figures of every baseline, on the rows that the models score and on the whole test split.

    On an entity split also on its parts: the test rows whose gene, disease or both stand in no training row.
    A part of fewer than 20 rows, or of one label, is left out. Baselines that need the names only also rank the
    answers to the link queries (scope ``sample``).

    :param pairs: one dataset, schema ``curation.pairs``
    :param dataset_spec_sampler: the dataset's sampler
    :returns: schema ``evaluation.baselines``
    :raises EvaluationError: if ``pairs`` holds several datasets, or a baseline can't be fitted
    :raises CurationError: if a split is empty, the test rows hold one label, or no true test pair is new
    """
    names = pc.unique(pairs["dataset"]).to_pylist()
    if len(names) != 1:
        raise EvaluationError(
            "curation.pairs",
            found=f"{len(names)} datasets ({', '.join(names)})",
            expected="one dataset",
            remedy="Read one partition at a time.",
        )
    dataset = names[0]
    train, test = split_rows(pairs, split="train"), split_rows(pairs, split="test")
    sample = evaluation_sample(pairs, size=spec.most_rows, seed=spec.seed, sampler=dataset_spec_sampler)
    labels = labels_of(test, subject=f"test split of {dataset}")
    scopes = {
        "sample": pc.is_in(test["row_number"], value_set=sample["row_number"]).to_numpy(),
        "full": np.ones(len(test), dtype=bool),
        **dict(_parts(test, labels=labels)),
    }
    queries = link_queries(pairs, size=spec.link_queries, seed=spec.seed)
    rows: list[dict[str, Any]] = []
    for name, fit in BASELINES.items():
        scorer = fit(train, seed=spec.seed)
        p_true = np.asarray(scorer(test), dtype=np.float64)
        if p_true.shape != labels.shape:
            raise ValueError(f"baseline {name} returned shape {p_true.shape} for {len(test)} rows")
        key = {"dataset": dataset, "model": name, "experiment": "baseline", "test_set": dataset}
        for scope, chosen in scopes.items():
            estimates = zero_shot(
                labels[chosen],
                predicted=p_true[chosen] >= _THRESHOLD,
                p_true=p_true[chosen],
                resamples=spec.resamples,
                rngs=_zero_shot_generators(spec, test_set=dataset),
            )
            rows += _metric_rows(key, estimates, spec=spec, scope=scope)
        if name in LINK_BASELINES:
            ranks = scorer_ranks(scorer, queries=queries, sampled=spec.link_candidates)
            rows += _metric_rows(key, link_estimates(ranks, test_set=dataset, spec=spec), spec=spec)
    return _table(rows, "evaluation.baselines")


def _parts(test: pa.Table, *, labels: npt.NDArray[np.int8]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Give the parts that are large enough, and their test rows."""
    for unseen in _UNSEEN:
        chosen = pc.fill_null(pc.equal(test["unseen"], unseen), fill_value=False).to_numpy()
        if np.count_nonzero(chosen) >= LEAST_PART and len(np.unique(labels[chosen])) == 2:
            yield f"{unseen}-unseen", chosen
