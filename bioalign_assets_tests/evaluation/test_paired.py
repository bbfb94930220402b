"""Paired tests against published values and the binomial by hand; the bootstrap's p-value and its floor."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.evaluation.paired import FEW_DISCORDANT, bootstrap_p_value, mcnemar, paired_change


def exact(b, c):
    """The two-sided binomial p-value by hand."""
    n, less = b + c, min(b, c)
    tail = sum(math.comb(n, k) for k in range(less + 1)) / 2**n
    return min(1.0, 2 * tail)


@given(st.integers(0, 24), st.integers(0, 24))
@settings(deadline=None)
def test_few_discordant_rows_give_the_exact_binomial_test(b, c):
    p_value, test = mcnemar(b, c)
    if b + c < FEW_DISCORDANT:
        assert test == "mcnemar-exact"
        assert p_value == pytest.approx(exact(b, c), abs=1e-12)
    else:
        assert test == "mcnemar"


@pytest.mark.parametrize(
    ("b", "c", "p_value"),
    [
        (59, 6, 1.1115e-10),  # statistic (53 - 1)^2 / 65 = 41.6
        (150, 86, 4.115e-05),  # Agresti's approval ratings: (64 - 1)^2 / 236 = 16.818
        (121, 59, 5.45e-06),  # (62 - 1)^2 / 180 = 20.672
        (20, 20, 1.0),
        (0, 0, 1.0),
        (1, 0, 1.0),
        (0, 6, 0.03125),
        (10, 2, 0.03857421875),
    ],
)
def test_known_values(b, c, p_value):
    assert mcnemar(b, c)[0] == pytest.approx(p_value, rel=2e-3)


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None)
def test_mcnemar_is_symmetric_and_a_probability_near_the_exact_one(b, c):
    p_value, test = mcnemar(b, c)
    assert (p_value, test) == mcnemar(c, b)
    assert 0 <= p_value <= 1
    assert abs(p_value - exact(b, c)) < 0.015


def test_negative_counts_raise():
    with pytest.raises(ValueError, match="negative"):
        mcnemar(-1, 3)


def test_the_bootstrap_p_value_and_its_floor():
    assert bootstrap_p_value(np.full(999, 0.1)) == 0.002
    assert bootstrap_p_value(np.full(999, -0.1)) == 0.002
    assert bootstrap_p_value(np.zeros(999)) == 1.0
    assert bootstrap_p_value(np.r_[np.full(950, 1.0), np.full(49, -1.0)]) == pytest.approx(0.1)
    assert bootstrap_p_value(np.r_[np.ones(50), -np.ones(50)]) == 1.0


def test_a_change_has_its_percentile_interval_and_the_bootstraps_test_unless_another_is_given():
    changes = np.linspace(-0.1, 0.3, 401)
    found = paired_change(0.5, 0.6, changes=changes, n=7)
    assert (found.untuned, found.tuned, found.change, found.n) == (0.5, 0.6, pytest.approx(0.1), 7)
    assert (found.change_ci_low, found.change_ci_high) == pytest.approx((-0.09, 0.29))
    assert (found.p_value, found.test) == (bootstrap_p_value(changes), "paired-bootstrap")
    told = paired_change(0.5, 0.6, changes=changes, n=7, test=(0.04, "mcnemar"))
    assert (told.p_value, told.test) == (0.04, "mcnemar")
