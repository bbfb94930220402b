"""The baselines that every dataset is tried with, and their rows: how rightly they answer, how high they rank answers.

They are scored by the models' own families, on the rows and queries that the models are asked. A new one is a file
with one function (``baseline.py`` says what it promises), and a line here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.answers import Answers
from bioalign_assets.evaluation.baseline import Baseline
from bioalign_assets.evaluation.character_ngrams import character_ngrams
from bioalign_assets.evaluation.link_prediction import LINK_PREDICTION, link_statistics, scorer_ranks
from bioalign_assets.evaluation.majority import majority
from bioalign_assets.evaluation.metrics import answer_rows
from bioalign_assets.evaluation.popularity import popularity
from bioalign_assets.evaluation.rows import as_table, labels_of, metric_rows
from bioalign_assets.evaluation.transe import transe
from bioalign_assets.inference.candidates import link_queries
from bioalign_assets.inference.sample import Sampler, evaluation_sample, split_rows
from bioalign_assets.study.evaluation import EvaluationSpec

__all__ = ["BASELINES", "LEAST_PART", "LINK_BASELINES", "baseline_rows"]

BASELINES: Mapping[str, Baseline] = {
    "popularity": popularity,
    "character-ngrams": character_ngrams,
    "transe": transe,
    "majority": majority,
}

LINK_BASELINES = ("popularity", "transe")
"""Those that also rank all diseases of a gene and all genes of a disease: they need the two names only, and score a
million pairs in seconds."""

LEAST_PART = 20
"""Rows that a part of an entity split's test rows needs to get figures of its own."""

_THRESHOLD = 0.5  # a baseline says true from here on
_UNSEEN = ("gene", "disease", "both")


def baseline_rows(pairs: pa.Table, *, sampler: Sampler, spec: EvaluationSpec) -> pa.Table:
    """Return the figures of every baseline, on the rows that the models score and on the whole test split.

    On an entity split also on its parts: the test rows whose gene, disease or both stand in no training row.
    A part of fewer than 20 rows, or of one label, is left out. Baselines that need the names only also rank the
    answers to the link queries (scope ``sample``).

    :param pairs: one dataset, schema ``curation.pairs``
    :param sampler: the dataset's sampler
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
    sample = evaluation_sample(pairs, size=spec.most_rows, seed=spec.seed, sampler=sampler)
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
        said = Answers(labels=labels, predicted=p_true >= _THRESHOLD, p_true=p_true)
        key = {"dataset": dataset, "model": name, "experiment": "baseline", "test_set": dataset}
        for scope, chosen in scopes.items():
            rows += answer_rows(said.of(chosen), key=key, spec=spec, scope=scope)
        if name in LINK_BASELINES:
            ranks = scorer_ranks(scorer, queries=queries, sampled=spec.link_candidates)
            rows += metric_rows(LINK_PREDICTION, statistics=link_statistics(ranks), key=key, spec=spec)
    return as_table(rows, name="evaluation.baselines")


def _parts(test: pa.Table, *, labels: npt.NDArray[np.int8]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Give the parts that are large enough, and their test rows."""
    for unseen in _UNSEEN:
        chosen = pc.fill_null(pc.equal(test["unseen"], unseen), fill_value=False).to_numpy()
        if np.count_nonzero(chosen) >= LEAST_PART and len(np.unique(labels[chosen])) == 2:
            yield f"{unseen}-unseen", chosen
