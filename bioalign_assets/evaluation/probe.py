"""Embedding probe: can a straight cut through the embedding space tell true statements from false ones?

A logistic regression on 70% of the rows, scored on the other 30% (the study's split; linear probes:
Alain and Bengio 2016, https://arxiv.org/abs/1610.01644). The scaler learns from the 70% only.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bioalign_assets.evaluation.intervals import Estimate, bootstrap_auroc, bootstrap_share
from bioalign_assets.evaluation.threads import one_thread

__all__ = ["LEAST_ROWS", "TEST_SHARE", "embedding_probe"]

TEST_SHARE = 0.3
LEAST_ROWS = 4  # of either label: then either side of the stratified split holds one at least
_MOST_STEPS = 5_000


def embedding_probe(
    embeddings: npt.NDArray[np.floating[Any]],
    labels: npt.ArrayLike,
    *,
    seed: int,
    resamples: int,
    rng_accuracy: np.random.Generator,
    rng_auroc: np.random.Generator,
) -> dict[str, Estimate]:
    """Return how well a linear probe reads the label.

    Intervals: bootstrap over the 30% of the rows, the fitted probe held. They don't show how much the figure
    depends on the split.

    :param embeddings: shape (n, d), finite
    :param labels: 1 or 0, shape (n,), at least four of either
    :param seed: seed of the split
    :returns: ``probe_accuracy`` and ``probe_auroc``, both in [0, 1]; n counts the scored rows
    :raises ValueError: if a label has fewer than four rows
    """
    label = np.asarray(labels)
    counts = np.bincount(label, minlength=2)
    if len(counts) != 2 or counts.min() < LEAST_ROWS:
        raise ValueError(f"a probe needs at least {LEAST_ROWS} rows of either label, found {counts.tolist()}")
    train, test, train_label, test_label = train_test_split(
        embeddings, label, test_size=TEST_SHARE, stratify=label, random_state=seed
    )
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_STEPS))
    with one_thread():
        probe.fit(train.astype(np.float64), train_label)
        scores = probe.decision_function(test.astype(np.float64))
    return {
        "probe_accuracy": bootstrap_share(
            (scores > 0) == (test_label == 1), resamples=resamples, rng=rng_accuracy
        ),
        "probe_auroc": bootstrap_auroc(test_label, scores, resamples=resamples, rng=rng_auroc),
    }
