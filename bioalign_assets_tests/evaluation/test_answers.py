"""What was said of statements: shares and order by hand, and what no answer may be."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.answers import ANSWERS, Answers


def said(labels, predicted, p_true):
    return Answers(labels=np.array(labels), predicted=np.array(predicted), p_true=np.array(p_true))


def figures(answers):
    return {name: statistic.value for name, statistic in ANSWERS.statistics(answers).items()}


def test_figures_by_counting():
    answers = said([1, 0, 0, 1, 1], [1, 1, 0, 0, 1], [0.9, 0.6, 0.2, 0.6, 0.7])
    found = figures(answers)
    assert found == {
        "accuracy": 0.6,
        "auroc": roc_auc_score(answers.labels, answers.p_true),
        "share_answered_true": 0.6,
    }
    some = answers.of(np.array([True, True, False, False, True]))
    assert figures(some) == {"accuracy": 2 / 3, "auroc": 1.0, "share_answered_true": 1.0}


def test_a_model_that_always_says_false_gets_the_share_of_false_and_chance():
    found = figures(said([1, 0, 0, 0, 1], [0] * 5, [0.2] * 5))
    assert found == {"accuracy": 0.6, "auroc": 0.5, "share_answered_true": 0.0}


@pytest.mark.parametrize("bad", [-0.01, 1.01, np.nan, np.inf])
def test_p_true_that_is_no_probability_raises(bad):
    with pytest.raises(EvaluationError, match="1 of 3 outside 0 to 1"):
        said([0, 1, 1], [0, 1, 1], [0.5, bad, 0.5])


@pytest.mark.parametrize(
    ("predicted", "p_true"), [([0, 1], [0.1] * 3), ([0, 1, 2], [0.1] * 3), ([0, 1, 1], [0.1])]
)
def test_misshapen_answers_raise(predicted, p_true):
    with pytest.raises(ValueError, match=r"shapes differ|predicted must be"):
        said([0, 1, 1], predicted, p_true)
