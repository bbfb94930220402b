"""The cross-validated probe: against scikit-learn's own, and what it must not see."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bioalign_assets.evaluation.probe_cv import FOLDS, cross_validated_probe, out_of_fold_scores


def clouds(rows=120, *, shift=1.0, width=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    matrix = rng.normal(size=(rows, width)) * np.logspace(-3, 3, width)
    matrix[:, 0] += 1e-3 * shift * labels
    return matrix.astype(np.float32), labels


def run(matrix, labels, *, seed=42):
    return cross_validated_probe(
        matrix,
        labels,
        seed=seed,
        resamples=200,
        rng_accuracy=np.random.default_rng(1),
        rng_auroc=np.random.default_rng(2),
    )


def test_scores_are_scikit_learns_with_the_scaler_inside():
    matrix, labels = clouds()
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=7)
    expected = cross_val_predict(
        probe, matrix.astype(np.float64), labels, cv=folds, method="decision_function"
    )
    assert out_of_fold_scores(matrix, labels, seed=7) == pytest.approx(expected, abs=1e-9)
    found = run(matrix, labels, seed=7)
    assert found["probe_cv_accuracy"].value == pytest.approx(np.mean((expected > 0) == labels))
    assert found["probe_cv_auroc"].value == pytest.approx(roc_auc_score(labels, expected))
    assert {estimate.n for estimate in found.values()} == {120}


def test_what_is_there_is_found_and_what_is_not_isnt():
    assert run(*clouds(shift=30.0))["probe_cv_auroc"].value == 1.0
    values = [run(*clouds(shift=0.0, seed=seed))["probe_cv_auroc"].value for seed in range(12)]
    assert 0.4 < np.mean(values) < 0.6


def test_more_dimensions_than_rows_don_t_let_it_learn_its_test_rows():
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    values = [run(rng.normal(size=(80, 400)), labels)["probe_cv_accuracy"].value for _ in range(6)]
    assert 0.35 < np.mean(values) < 0.65


def test_a_row_is_never_scored_by_a_probe_that_saw_its_label():
    matrix, labels = clouds(shift=2.0)
    before = out_of_fold_scores(matrix, labels, seed=1)
    train, test = next(StratifiedKFold(FOLDS, shuffle=True, random_state=1).split(matrix, labels))
    moved = matrix.copy()
    moved[test] *= 100  # what stands in a fold moves its own scores and scale, not the probe that scores it
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    probe.fit(matrix[train].astype(np.float64), labels[train])
    after = out_of_fold_scores(moved, labels, seed=1)
    assert after[test] == pytest.approx(probe.decision_function(moved[test].astype(np.float64)), rel=1e-9)
    assert not np.allclose(before[test], after[test])


def test_folds_depend_on_the_seed_and_the_same_seed_gives_the_same_figures():
    matrix, labels = clouds()
    assert run(matrix, labels) == run(matrix, labels)
    assert not np.array_equal(
        out_of_fold_scores(matrix, labels, seed=1), out_of_fold_scores(matrix, labels, seed=2)
    )


@pytest.mark.parametrize("labels", [[0] * 10, [0] * 6 + [1] * 4, [1] * 10])
def test_too_few_rows_of_a_label_raise(labels):
    with pytest.raises(ValueError, match="at least 5 rows of either label"):
        out_of_fold_scores(np.eye(10), np.array(labels), seed=0)
