"""Resamples and percentile intervals: bounds, chunks, and that an interval holds its value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.evaluation.intervals import percentile_estimate, resample_chunks


def test_chunks_stay_in_their_bounds_and_change_no_draw():
    whole = np.concatenate(list(resample_chunks(50, resamples=33, rng=np.random.default_rng(1))))
    parts = list(resample_chunks(50, resamples=33, rng=np.random.default_rng(1), elements=120))
    assert [len(part) for part in parts] == [2] * 16 + [1]
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.shape == (33, 50)
    assert set(np.unique(whole)) == set(range(50))
    small = resample_chunks(50, resamples=2, rng=np.random.default_rng(1), elements=10)
    assert [len(part) for part in small] == [1, 1]


@settings(deadline=None)
@given(st.floats(-1, 1), st.lists(st.floats(-1, 1), min_size=1, max_size=20))
def test_the_interval_reaches_between_percentiles_and_holds_its_value(value, replicates):
    found = percentile_estimate(value, replicates=np.array(replicates), n=3)
    low, high = np.quantile(replicates, [0.025, 0.975])
    assert (found.ci_low, found.ci_high) == pytest.approx((min(low, value), max(high, value)), abs=1e-12)
    assert found.ci_low <= found.value <= found.ci_high
    assert (found.value, found.n) == (value, 3)
