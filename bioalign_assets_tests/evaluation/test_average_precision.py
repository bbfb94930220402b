"""AUPRC against scikit-learn and by hand, ties included, on the drawn rows too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from bioalign_assets.errors import EvaluationError
from bioalign_assets.evaluation.average_precision import auprc
from bioalign_assets.evaluation.intervals import resample_chunks

_labelled = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-4, 4).map(lambda level: level / 7)), min_size=2, max_size=60
).filter(lambda rows: len({label for label, _ in rows}) == 2)


@settings(deadline=None)
@given(_labelled)
def test_auprc_with_ties_equals_scikit_learn_and_ignores_monotone_changes(rows):
    labels, scores = map(np.array, zip(*rows, strict=True))
    found = auprc(labels, scores=scores).value
    assert found == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert auprc(labels, scores=np.exp(scores) * 5).value == pytest.approx(found, abs=1e-12)
    assert 0 <= found <= 1


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([1, 0], [0.9, 0.1], 1.0),
        ([1, 0], [0.1, 0.9], 0.5),
        ([1, 0, 0, 0], [0.5] * 4, 0.25),
        ([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6], (1 + 2 / 3) / 2),
    ],
)
def test_known_values(labels, scores, expected):
    assert auprc(labels, scores=scores).value == pytest.approx(expected, abs=1e-15)


def test_replicates_are_scikit_learns_on_the_drawn_rows():
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 2, 80), rng.integers(0, 20, 80) / 20
    rows = np.concatenate(list(resample_chunks(80, resamples=60, rng=np.random.default_rng(11))))
    expected = [average_precision_score(labels[each], scores[each]) for each in rows]
    found = auprc(labels, scores=scores).replicates(resamples=60, rng=np.random.default_rng(11))
    assert found == pytest.approx(expected, abs=1e-12)


def test_counts_without_one_label_have_no_area():
    counts = np.array([[0, 1, 0, 2], [1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]])
    found = auprc([1, 0], scores=[0.1, 0.2]).of_counts(counts)
    assert np.array_equal(np.isnan(found), [True, True, False, True])


def test_one_label_raises():
    with pytest.raises(EvaluationError, match="expected both"):
        auprc([1, 1], scores=[0.1, 0.2])
