import pytest
from pydantic import ValidationError

from bioalign_assets.curation.negatives import PUBLISHED, STABLE
from bioalign_assets.curation.spec import DatasetSpec, NegativeStrategy

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


def test_stable_entity_split_says_what_is_allowed():
    with pytest.raises(ValidationError, match='not available yet: take split = "pair"'):
        DatasetSpec(name="a", sampler="stable", split="entity")


@pytest.mark.parametrize(
    ("sampler", "split"), [("published", "pair"), ("published", "entity"), ("stable", "pair")]
)
def test_available_combinations(sampler, split):
    spec = DatasetSpec(name="a", sampler=sampler, split=split, seed=7)
    assert DatasetSpec.model_validate(spec.model_dump()) == spec


def test_spec_is_frozen():
    with pytest.raises(ValidationError):
        DatasetSpec(**GOOD).seed = 1


def test_every_strategy_that_can_be_named_has_a_function():
    named = set(NegativeStrategy.__args__)
    assert named == set(PUBLISHED) | set(STABLE)
