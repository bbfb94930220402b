"""Zero-shot figures against counting by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from bioalign_assets.evaluation.errors import EvaluationError
from bioalign_assets.evaluation.metric import METRICS
from bioalign_assets.evaluation.zero_shot import ZERO_SHOT_METRICS, zero_shot


def run(labels, predicted, p_true):
    return zero_shot(
        labels,
        predicted=predicted,
        p_true=p_true,
        resamples=100,
        rngs={name: np.random.default_rng(place) for place, name in enumerate(ZERO_SHOT_METRICS)},
    )


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 1), st.floats(0, 1, allow_nan=False)),
        min_size=2,
        max_size=50,
    ).filter(lambda rows: len({row[0] for row in rows}) == 2)
)
def test_figures_equal_scikit_learn_and_stay_in_range(rows):
    labels, predicted, p_true = map(np.array, zip(*rows, strict=True))
    found = run(labels, predicted, p_true)
    assert set(found) == set(ZERO_SHOT_METRICS)
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, predicted))
    assert found["auroc"].value == pytest.approx(roc_auc_score(labels, p_true), abs=1e-12)
    assert found["share_answered_true"].value == pytest.approx(predicted.mean())
    assert found["auprc"].value == pytest.approx(average_precision_score(labels, p_true), abs=1e-12)
    assert found["f1_true"].value == pytest.approx(f1_score(labels, predicted, zero_division=0), abs=1e-12)
    for name, estimate in found.items():
        low, high = METRICS[name].range
        assert low <= estimate.ci_low <= estimate.value <= estimate.ci_high <= high
        assert estimate.n == len(rows)


def test_a_model_that_always_says_false_gets_the_share_of_false_and_chance():
    found = run([1, 0, 0, 0, 1], [0] * 5, [0.2] * 5)
    assert found["accuracy"].value == 0.6
    assert found["auroc"].value == 0.5
    assert found["share_answered_true"].value == 0.0


@pytest.mark.parametrize("bad", [-0.01, 1.01, np.nan, np.inf])
def test_p_true_that_is_no_probability_raises(bad):
    with pytest.raises(EvaluationError, match="1 of 3 outside 0 to 1"):
        run([0, 1, 1], [0, 1, 1], [0.5, bad, 0.5])


def test_one_label_raises():
    with pytest.raises(EvaluationError, match="expected both"):
        run([1, 1], [1, 0], [0.5, 0.5])


@pytest.mark.parametrize(
    ("predicted", "p_true"), [([0, 1], [0.1] * 3), ([0, 1, 2], [0.1] * 3), ([0, 1, 1], [0.1])]
)
def test_misshapen_input_raises(predicted, p_true):
    with pytest.raises(ValueError, match=r"shapes differ|predicted must be"):
        run([0, 1, 1], predicted, p_true)
