"""Figures against their null, and the best of several layers."""

import numpy as np
import pytest

from bioalign_assets.alignment.nulls import Agreement, best_layer, calibrated


def test_a_figure_against_its_null():
    found = Agreement.of(np.array([0.5, 0.1, 0.2, 0.3, 0.5]))
    assert found.null_mean == pytest.approx(0.275)
    assert found.null_sd == pytest.approx(np.std([0.1, 0.2, 0.3, 0.5], ddof=1))
    assert found.z == pytest.approx((0.5 - 0.275) / found.null_sd)
    assert found.p_value == 2 / 5
    assert found.calibrated == pytest.approx(0.225 / 0.725)
    assert calibrated([0.275, 1.0], null_mean=0.275) == pytest.approx([0, 1])


def test_a_null_that_never_varies():
    assert Agreement.of(np.array([0.2, 0.2, 0.2])).z == 0
    assert Agreement.of(np.array([0.3, 0.2, 0.2])).p_value == 1 / 3


def test_the_best_layer_s_p_value_is_corrected_for_having_chosen_it():
    rng = np.random.default_rng(0)
    corrected, own = [], []
    for _ in range(300):
        # layers agree in part, and the graph is one more draw of the null
        figures = rng.normal(size=(99 + 1, 1)) + rng.normal(size=(99 + 1, 12))
        layers = [Agreement.of(each) for each in figures.T * rng.uniform(0.1, 9, size=(12, 1))]
        best = best_layer(layers)
        corrected.append(best.p_value)
        own.append(layers[best.layer].p_value)
        assert best.p_value >= own[-1]
    assert np.mean(np.array(own) < 0.05) > 0.12
    assert np.mean(np.array(corrected) < 0.05) < 0.08


def test_the_best_layer_is_that_highest_above_its_own_null():
    null = np.random.default_rng(0).normal(size=200)
    layers = [Agreement.of(np.array([value, *(null * sd)])) for value, sd in ((5, 10), (3, 1), (0.5, 1))]
    found = best_layer(layers)
    assert (found.layer, found.p_value) == (1, 1 / 201)
    alone = best_layer(layers[:1])
    assert (alone.layer, alone.p_value) == (0, pytest.approx(layers[0].p_value))
