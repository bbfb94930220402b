"""The declarations, and that every figure of this room bears a declared name and lies in its range."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.evaluation import baseline_rows as baseline_rows_module
from bioalign_assets.evaluation import edge_rows as edge_rows_module
from bioalign_assets.evaluation import link_rows as link_rows_module
from bioalign_assets.evaluation import rows as rows_module
from bioalign_assets.evaluation.baseline_rows import baseline_rows
from bioalign_assets.evaluation.baselines import BASELINES
from bioalign_assets.evaluation.edge_rows import edge_rows
from bioalign_assets.evaluation.link_rows import link_rows
from bioalign_assets.evaluation.metric import METRICS, metric
from bioalign_assets.evaluation.quality import metrics_are_in_range
from bioalign_assets.evaluation.rows import (
    cluster_rows,
    probe_rows,
    separation_rows,
    zero_shot_rows,
)
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets_tests.evaluation._make import answers, embeddings, named_study, popular_pairs, rankings

SPEC = EvaluationSpec(sample_size=60, resamples=100, map_size=30, link_queries=8, link_candidates=5)
MODULES = (rows_module, baseline_rows_module, link_rows_module)


def emit(name, seed):
    """Rows of one of the room's emitters for random input."""
    rng = np.random.default_rng(seed)
    size, shift = int(rng.integers(24, 70)), float(rng.choice([0, 0.1, 1, 30]))
    cloud = embeddings(rows=size, width=int(rng.integers(2, 12)), shift=shift, seed=seed)
    emitters = {
        "separation_rows": lambda: separation_rows(cloud, spec=SPEC),
        "edge_rows": lambda: _edges(rows=2 * (size // 2), seed=seed),
        "probe_rows": lambda: probe_rows(cloud, spec=SPEC),
        "cluster_rows": lambda: cluster_rows(cloud, spec=SPEC)[0],
        "zero_shot_rows": lambda: zero_shot_rows(answers(rows=size, skill=shift, seed=seed), spec=SPEC),
        "link_rows": lambda: link_rows(rankings(queries=size, seed=seed), spec=SPEC),
        "baseline_rows": lambda: baseline_rows(
            popular_pairs(rows=20 * size, seed=seed), dataset_spec_sampler="stable", spec=SPEC
        ),
    }
    return emitters[name]() if name else set(emitters)


def _edges(*, rows, seed):
    sampled, names, pairs, _ = named_study(rows=rows, seed=seed)
    return edge_rows(sampled, names=names, pairs=pairs, spec=SPEC)


EMITTERS = sorted(emit("", 0))


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_declared_in_full(name):
    declared = metric(name)
    low, high = declared.range
    assert declared.name == name
    assert low < high
    assert declared.direction in {"higher", "lower", "none"}
    for text in (declared.title, declared.formula, declared.source, declared.cannot_tell):
        assert text.strip() == text
        assert len(text) > 3
    assert declared.cannot_tell.endswith(".")
    assert declared.cannot_tell[0].isupper()


def test_an_undeclared_metric_has_no_declaration():
    with pytest.raises(KeyError):
        metric("f2")


def test_no_emitter_is_left_out_here():
    public = {
        name
        for module in (*MODULES, edge_rows_module)
        for name in module.__all__
        if inspect.isfunction(getattr(module, name)) and name.endswith("_rows") and name != "cosines_of_rows"
    }
    assert set(EMITTERS) == public


@pytest.mark.parametrize("name", EMITTERS)
@settings(deadline=None, max_examples=4)
@given(seed=st.integers(0, 10_000))
def test_every_figure_is_declared_and_in_range_with_its_interval(name, seed):
    table = emit(name, seed)
    finding = metrics_are_in_range(table)
    assert len(table) > 0
    assert finding.passed, finding.summary
    assert (table["n"].to_numpy() >= 1).all()


def test_every_declared_metric_is_emitted_by_someone():
    emitted = {each for name in EMITTERS for each in emit(name, 1)["metric"].to_pylist()}
    assert emitted == set(METRICS)


def test_an_undeclared_name_never_reaches_a_table(monkeypatch):
    monkeypatch.setattr(
        rows_module, "METRICS", {name: each for name, each in METRICS.items() if name != "auroc"}
    )
    with pytest.raises(ValueError, match=r"does not declare.*auroc"):
        zero_shot_rows(answers(), spec=SPEC)


def test_baselines_have_names_that_no_model_key_can_clash_with_by_accident():
    assert all(name and name == name.strip() and "@" not in name for name in BASELINES)
