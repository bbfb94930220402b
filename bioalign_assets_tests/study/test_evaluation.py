"""The settings: defaults, bounds, and no setting for what is fixed."""

import pytest
from pydantic import ValidationError

from bioalign_assets.study.evaluation import EvaluationSpec


def test_defaults_are_the_papers_words():
    spec = EvaluationSpec()
    assert (spec.sample_size, spec.seed, spec.resamples, spec.map_size) == ("auto", 42, 1000, 400)
    assert spec.most_rows == 1000
    assert (spec.link_queries, spec.link_candidates, spec.link_exact) == (100, 100, False)
    assert (spec.pooling, spec.prompts) == ("mean", ("unseen",))


def test_lists_from_toml_are_taken():
    assert EvaluationSpec.model_validate({"prompts": ["unseen", "training"]}).prompts == (
        "unseen",
        "training",
    )


@pytest.mark.parametrize(("size", "rows"), [("all", None), (50, 50), (10**6, 10**6)])
def test_rows_to_score(size, rows):
    assert EvaluationSpec(sample_size=size).most_rows == rows


@pytest.mark.parametrize(
    "setting",
    [
        {"sample_size": 49},
        {"sample_size": "some"},
        {"sample_size": 100.0},
        {"sample_size": True},
        {"resamples": 99},
        {"map_size": 19},
        {"link_queries": 0},
        {"link_candidates": 0},
        {"link_exact": "often"},
        {"seed": -1},
        {"seed": 2**32},
        {"pooling": "max"},
        {"prompts": []},
        {"prompts": ["unseen", "unseen"]},
        {"prompts": ["other"]},
        {"confidence": 0.99},
        {"samples": 10},
    ],
)
def test_what_is_out_of_bounds_is_named(setting):
    with pytest.raises(ValidationError, match=next(iter(setting))):
        EvaluationSpec.model_validate(setting)


def test_it_is_frozen():
    with pytest.raises(ValidationError):
        EvaluationSpec().seed = 1
