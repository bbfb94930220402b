"""The probes: they learn what is there, nothing from the rows that they score, and say how many these are."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bioalign_assets.evaluation import probe as module
from bioalign_assets.evaluation.probe import FOLDS, cross_validated_probe, out_of_fold_scores, probe

BOTH = {"probe": probe, "probe_cv": cross_validated_probe}


def clouds(rows, *, shift, width=6, seed=0):
    """Two clouds that differ in their first dimension; dimensions are of very different size."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    matrix = rng.normal(size=(rows, width))
    matrix[:, 0] += shift * labels
    return (matrix * np.logspace(-3, 3, width)).astype(np.float32), labels


def figures(name, matrix, labels, *, seed=42):
    found = BOTH[name](matrix, labels=labels, seed=seed)
    assert list(found) == [f"{name}_accuracy", f"{name}_auroc"]
    accuracy, area = found.values()
    assert accuracy.n == area.n
    return accuracy.value, area.value, area.n


@pytest.mark.parametrize("name", BOTH)
def test_what_is_there_is_found_more_where_there_is_more_and_what_is_not_isnt(name):
    assert figures(name, *clouds(120, shift=30))[:2] == (1.0, 1.0)
    areas = [figures(name, *clouds(400, shift=shift))[1] for shift in (1.0, 2.0, 4.0)]
    assert areas == sorted(areas)
    noise = [figures(name, *clouds(120, shift=0, seed=seed))[1] for seed in range(12)]
    assert 0.42 < np.mean(noise) < 0.58 < areas[0]


@pytest.mark.parametrize("name", BOTH)
def test_more_dimensions_than_rows_don_t_let_it_learn_its_test_rows(name):
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    constant = np.ones((80, 1))
    values = [figures(name, np.hstack([rng.normal(size=(80, 200)), constant]), labels)[0] for _ in range(6)]
    assert 0.35 < np.mean(values) < 0.65


def test_one_split_equals_the_steps_done_by_hand():
    matrix, labels = clouds(203, shift=1.2)
    train, test, y, y_test = train_test_split(
        matrix.astype(float), labels, test_size=0.3, stratify=labels, random_state=42
    )
    mean, sd = train.mean(axis=0), train.std(axis=0)
    model = LogisticRegression(max_iter=10_000).fit((train - mean) / sd, y)
    scores = model.decision_function((test - mean) / sd)
    accuracy, area, n = figures("probe", matrix, labels)
    assert accuracy == pytest.approx(((scores > 0) == y_test).mean())
    assert area == pytest.approx(roc_auc_score(y_test, scores))
    assert n == len(test) == 61


def test_cross_validated_scores_are_scikit_learns_with_the_scaler_inside():
    matrix, labels = clouds(120, shift=1.0)
    inside = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=7)
    expected = cross_val_predict(inside, matrix.astype(float), labels, cv=folds, method="decision_function")
    assert out_of_fold_scores(matrix, labels=labels, seed=7) == pytest.approx(expected, abs=1e-9)
    accuracy, area, n = figures("probe_cv", matrix, labels, seed=7)
    assert accuracy == pytest.approx(np.mean((expected > 0) == labels))
    assert area == pytest.approx(roc_auc_score(labels, expected))
    assert n == 120


@pytest.mark.parametrize(("name", "fits", "rows"), [("probe", 1, 70), ("probe_cv", FOLDS, 80)])
def test_the_scaler_never_sees_a_row_that_is_scored(monkeypatch, name, fits, rows):
    matrix, labels = clouds(100, shift=1.0)
    fitted, scored = [], []

    class Watching(module.StandardScaler):
        def fit(self, X, y=None, sample_weight=None):  # noqa: N803 - scikit-learn's name
            fitted.append({row.tobytes() for row in X})
            return super().fit(X, y, sample_weight)

        def transform(self, X, copy=None):  # noqa: N803 - scikit-learn's name
            scored.append({row.tobytes() for row in X})
            return super().transform(X, copy)

    monkeypatch.setattr(module, "StandardScaler", Watching)
    figures(name, matrix, labels)
    assert [len(each) for each in fitted] == [rows] * fits
    # a pipeline scales the fitted rows, then those to score
    assert [len(each) for each in scored[1::2]] == [100 - rows] * fits
    assert all(not (seen & asked) for seen, asked in zip(fitted, scored[1::2], strict=True))


@pytest.mark.parametrize("name", BOTH)
def test_same_seed_same_figures_other_seed_other_split(name):
    matrix, labels = clouds(200, shift=1.0)
    assert figures(name, matrix, labels) == figures(name, matrix, labels)
    assert figures(name, matrix, labels) != figures(name, matrix, labels, seed=43)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("labels", [[0] * 10, [0] * 6 + [1] * 4, [1] * 10])
def test_too_few_rows_of_a_label_raise_and_five_are_enough(name, labels):
    with pytest.raises(ValueError, match="at least 5 rows of either label"):
        figures(name, np.eye(10), np.array(labels))
    assert figures(name, np.arange(20.0).reshape(10, 2), np.arange(10) % 2)[2] in {3, 10}
