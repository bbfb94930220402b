"""Embedding probe: can a straight cut through the embedding space tell true statements from false ones?

A logistic regression on standardised embeddings (linear probes: Alain and Bengio 2016,
https://arxiv.org/abs/1610.01644), once fitted on 70% of the rows and scored on the other 30%, labels in proportion in
both, and beside it by cross-validation, where no figure hangs on which 30% were drawn: every row is scored, by a probe
that never saw it. The scaler learns from the rows that the regression is fitted on, never from others (Stone 1974;
Hastie, Tibshirani and Friedman 2009, section 7.10.2, on what leaks where something is fitted outside). The study's own
probe neither scales nor stratifies: ``notebooks.py``.

Intervals: bootstrap over the scored rows, fitted probes and folds held. They don't show how much a figure depends on
the split, nor that the fits of cross-validation share rows with each other (Bengio and Grandvalet 2004: no unbiased
estimate of the variance of cross-validation exists).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bioalign_assets.evaluation.metric import Family, Metric
from bioalign_assets.evaluation.statistic import Share, Statistic, auroc
from bioalign_assets.models.threads import one_thread

__all__ = ["CROSS_VALIDATED_PROBE", "FOLDS", "PROBE", "cross_validated_probe", "out_of_fold_scores", "probe"]

FOLDS = 5
"""Folds, and rows that each label must have at least."""
_TEST_SHARE = 0.3
_MOST_STEPS = 5_000

Floats = npt.NDArray[np.floating[Any]]
Places = npt.NDArray[np.integer[Any]]


def probe(embeddings: Floats, *, labels: npt.ArrayLike, seed: int) -> dict[str, Statistic]:
    """Return how well a linear probe that was fitted on 70% of the rows reads the label of the others.

    :param embeddings: shape (n, d), finite
    :param labels: 1 or 0, shape (n,), at least five of either
    :param seed: of the split
    :returns: ``probe_accuracy`` and ``probe_auroc``, both in [0, 1]; n counts the scored rows
    :raises ValueError: if a label has fewer than five rows
    """
    label = _enough(labels)
    rows = np.arange(len(label))
    train, test = train_test_split(rows, test_size=_TEST_SHARE, stratify=label, random_state=seed)
    scores = _log_odds(embeddings, labels=label, train=train, test=test)
    return _read("probe", labels=label[test], scores=scores)


def cross_validated_probe(embeddings: Floats, *, labels: npt.ArrayLike, seed: int) -> dict[str, Statistic]:
    """Return how well linear probes read the label of rows that they were not fitted on, all folds pooled.

    :param embeddings: shape (n, d), finite
    :param labels: 1 or 0, shape (n,), at least five of either
    :param seed: of the folds
    :returns: ``probe_cv_accuracy`` and ``probe_cv_auroc``, both in [0, 1]; n counts all rows
    :raises ValueError: if a label has fewer than five rows
    """
    label = _enough(labels)
    return _read("probe_cv", labels=label, scores=out_of_fold_scores(embeddings, labels=label, seed=seed))


def out_of_fold_scores(
    embeddings: Floats, *, labels: npt.NDArray[np.integer[Any]], seed: int
) -> npt.NDArray[np.float64]:
    """Return each row's log-odds of being true, by the probe that was fitted without its fold.

    The folds depend on labels and seed alone, so that two models probed on the same rows have the same folds.

    :returns: shape (n,)
    """
    scores = np.empty(len(labels))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(np.zeros(len(labels)), labels):
        scores[test] = _log_odds(embeddings, labels=labels, train=train, test=test)
    return scores


def _enough(labels: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
    label = np.asarray(labels)
    counts = np.bincount(label, minlength=2)
    if len(counts) != 2 or counts.min() < FOLDS:
        raise ValueError(f"a probe needs at least {FOLDS} rows of either label, found {counts.tolist()}")
    return label


def _log_odds(
    embeddings: Floats, *, labels: npt.NDArray[np.integer[Any]], train: Places, test: Places
) -> npt.NDArray[np.float64]:
    """Fit a probe on some rows and score others."""
    # L-BFGS is the fastest of scikit-learn's solvers where rows are few (4,096 dimensions, 1,000 rows: 0.8 s for five
    # folds on one core; newton-cholesky in the rows' span 2.2 s)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_STEPS))
    with one_thread():
        model.fit(embeddings[train].astype(np.float64), labels[train])
        return model.decision_function(embeddings[test].astype(np.float64))


def _read(
    name: str, *, labels: npt.NDArray[np.integer[Any]], scores: npt.NDArray[np.float64]
) -> dict[str, Statistic]:
    return {
        f"{name}_accuracy": Share((scores > 0) == (labels == 1)),
        f"{name}_auroc": auroc(labels, scores=scores),
    }


_ALAIN = "linear probes: Alain and Bengio 2016, https://arxiv.org/abs/1610.01644"
_FAWCETT = "Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010"
_STONE = "cross-validation: Stone 1974, https://doi.org/10.1111/j.2517-6161.1974.tb00994.x"
_BLIND = "Whether the model knows the association: the label may be read from how frequent a name is"
_BLIND_CV = f"{_BLIND}, and a name in two folds can be learned by heart."

PROBE = Family(
    metrics=(
        Metric(
            name="probe_accuracy",
            title="Probe accuracy",
            range=(0.0, 1.0),
            direction="higher",
            formula="share of right predictions of a logistic regression on standardised embeddings, fitted on "
            "70% and scored on 30% of the rows, labels in proportion in both",
            source=f"Ours, after {_ALAIN}; not the paper's, which neither standardises nor stratifies "
            "(probe_accuracy_notebook)",
            cannot_tell=f"{_BLIND}.",
        ),
        Metric(
            name="probe_auroc",
            title="Probe AUROC",
            range=(0.0, 1.0),
            direction="higher",
            formula="P(score of a true statement > score of a false one) + P(equal)/2, over the probe's 30%",
            source=f"{_FAWCETT}; {_ALAIN}",
            cannot_tell=f"{_BLIND}.",
        ),
    ),
    table="evaluation.embedding_probe",
    reads="embeddings",
    least=FOLDS,
    statistics=probe,
)

CROSS_VALIDATED_PROBE = Family(
    metrics=(
        Metric(
            name="probe_cv_accuracy",
            title="Probe accuracy, cross-validated",
            range=(0.0, 1.0),
            direction="higher",
            formula="share of right predictions over five stratified folds, each by a scaler and a logistic "
            "regression that were fitted on the other four",
            source=f"{_STONE}; {_ALAIN}",
            cannot_tell=_BLIND_CV,
        ),
        Metric(
            name="probe_cv_auroc",
            title="Probe AUROC, cross-validated",
            range=(0.0, 1.0),
            direction="higher",
            formula="P(log-odds of a true statement > log-odds of a false one) + P(equal)/2, over the pooled scores "
            "of the five folds",
            source=f"{_STONE}; {_FAWCETT}; {_ALAIN}",
            cannot_tell=f"{_BLIND_CV} Scores of five probes are pooled, which can lower it a little.",
        ),
    ),
    table="evaluation.embedding_probe",
    reads="embeddings",
    least=FOLDS,
    statistics=cross_validated_probe,
)
