"""The probe: it learns what is there, nothing from its test rows, and says how many it scored."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from bioalign_assets.evaluation import probe as module
from bioalign_assets.evaluation.probe import embedding_probe


def run(matrix, labels, *, seed=42):
    return embedding_probe(
        matrix,
        labels,
        seed=seed,
        resamples=200,
        rng_accuracy=np.random.default_rng(1),
        rng_auroc=np.random.default_rng(2),
    )


def clouds(rows, *, shift, width=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    matrix = rng.normal(size=(rows, width)) * [1, 1000, 1e-3, 1, 1, 1][:width]
    matrix[:, 0] += shift * labels
    return matrix, labels


def test_separable_classes_are_told_apart_and_noise_is_not():
    best = run(*clouds(400, shift=30))
    assert best["probe_accuracy"].value == 1.0
    assert best["probe_auroc"].value == 1.0
    noise = run(*clouds(2000, shift=0))
    assert noise["probe_auroc"].ci_low <= 0.5 <= noise["probe_auroc"].ci_high


def test_auroc_grows_with_the_signal():
    areas = [run(*clouds(600, shift=shift))["probe_auroc"].value for shift in (0.0, 1.0, 2.0, 4.0)]
    assert areas == sorted(areas)
    assert areas[-1] - areas[0] > 0.3


def test_equals_the_steps_done_by_hand():
    matrix, labels = clouds(203, shift=1.2)
    train, test, y, y_test = train_test_split(matrix, labels, test_size=0.3, stratify=labels, random_state=42)
    mean, sd = train.mean(axis=0), train.std(axis=0)
    model = LogisticRegression(max_iter=10_000).fit((train - mean) / sd, y)
    scores = model.decision_function((test - mean) / sd)
    found = run(matrix, labels)
    assert found["probe_accuracy"].value == pytest.approx(((scores > 0) == y_test).mean())
    assert found["probe_auroc"].value == pytest.approx(roc_auc_score(y_test, scores))
    assert found["probe_accuracy"].n == found["probe_auroc"].n == len(test) == 61


def test_the_scaler_never_sees_a_test_row(monkeypatch):
    matrix, labels = clouds(100, shift=1.0)
    train = train_test_split(matrix, labels, test_size=0.3, stratify=labels, random_state=42)[0]
    seen = []

    class Watching(module.StandardScaler):
        def fit(self, X, y=None, sample_weight=None):  # noqa: N803 - scikit-learn's name
            seen.append(np.array(X))
            return super().fit(X, y, sample_weight)

    monkeypatch.setattr(module, "StandardScaler", Watching)
    run(matrix, labels)
    assert len(seen) == 1
    assert np.array_equal(seen[0], train)


def test_same_seed_same_figures_other_seed_other_split():
    matrix, labels = clouds(200, shift=1.0)
    assert run(matrix, labels) == run(matrix, labels)
    assert run(matrix, labels) != run(matrix, labels, seed=43)


def test_more_dimensions_than_rows_and_constant_dimensions_are_fine():
    matrix, labels = np.random.default_rng(0).normal(size=(60, 300)).astype(np.float32), np.arange(60) % 2
    matrix[:, 5] = 1.0
    found = run(matrix, labels)
    assert 0 <= found["probe_accuracy"].value <= 1


def test_the_fewest_rows_that_it_takes():
    found = run(np.arange(16.0).reshape(8, 2), np.arange(8) % 2)
    assert found["probe_auroc"].n == 3


@pytest.mark.parametrize("labels", [[1, 1, 1, 0, 0, 0], [1] * 6, [0] * 6, [1, 1, 1, 1, 1, 0]])
def test_too_few_of_a_label_raises(labels):
    with pytest.raises(ValueError, match="at least 4 rows of either label"):
        run(np.random.default_rng(0).normal(size=(6, 3)), np.array(labels))
