import pytest
from pydantic import ValidationError

from bioalign_assets.curation.negatives import PUBLISHED, STABLE
from bioalign_assets.study.datasets import DatasetSpec, NegativeStrategy

GOOD = {"name": "published", "sampler": "published", "split": "pair"}


def test_defaults_are_those_of_the_paper():
    spec = DatasetSpec(**GOOD)
    assert (spec.negatives, spec.seed, spec.test_share, spec.held_out_share) == ("uniform", 42, 0.2, 0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Published"},
        {"name": "-a"},
        {"name": ""},
        {"name": "a b"},
        {"negatives": "random"},
        {"sampler": "paper"},
        {"split": "rows"},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": 1.5},
        {"test_share": 0},
        {"test_share": 1},
        {"held_out_share": 1.2},
        {"shuffle": True},
    ],
)
def test_wrong_settings_are_refused_by_their_name(change):
    with pytest.raises(ValidationError) as caught:
        DatasetSpec(**(GOOD | change))
    assert caught.value.errors()[0]["loc"] == tuple(change)


@pytest.mark.parametrize("negatives", ["degree-matched", "same-class"])
@pytest.mark.parametrize("split", ["pair", "entity"])
def test_the_paper_s_sampler_draws_uniformly_only(negatives, split):
    with pytest.raises(ValidationError, match=f'negatives = "{negatives}" needs sampler = "stable"'):
        DatasetSpec(name="a", sampler="published", split=split, negatives=negatives)


@pytest.mark.parametrize("negatives", NegativeStrategy.__args__)
@pytest.mark.parametrize("sampler", ["published", "stable"])
@pytest.mark.parametrize("split", ["pair", "entity"])
def test_available_combinations(sampler, split, negatives):
    if sampler == "published" and negatives != "uniform":
        return
    spec = DatasetSpec(name="a", sampler=sampler, split=split, negatives=negatives, seed=7)
    assert DatasetSpec.model_validate(spec.model_dump()) == spec
    assert spec.needs_classes == (negatives == "same-class")


def test_spec_is_frozen():
    with pytest.raises(ValidationError):
        DatasetSpec(**GOOD).seed = 1


def test_every_strategy_that_can_be_named_has_a_function():
    named = set(NegativeStrategy.__args__)
    assert named == set(PUBLISHED) | set(STABLE)
