"""Each setting says what reads it, or can't be imported."""

from typing import Annotated

import pytest
from pydantic import BaseModel

from bioalign_assets.study import Study
from bioalign_assets.study.spec import ReadBy, Reader, Spec, not_read


def sections(model: type[BaseModel]) -> set[type[BaseModel]]:
    """All specs that a spec has parts of."""
    found = {model}
    for field in model.model_fields.values():
        parts = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= sections(part)
    return found


def test_a_setting_that_says_nothing_fails_at_import():
    with pytest.raises(TypeError, match=r"Silent: also, third: say what reads it"):

        class Silent(Spec):
            rank: Annotated[int, ReadBy(Reader.TRAINING)] = 1
            also: int = 2
            third: str


def test_the_settings_of_a_spec_by_what_reads_them():
    class Said(Spec):
        rank: Annotated[int, ReadBy(Reader.TRAINING)] = 1
        asked: Annotated[int, ReadBy(Reader.INFERENCE, Reader.EVALUATION)] = 2
        title: Annotated[str, not_read("words")] = ""

    assert Said(rank=5).read_by(Reader.TRAINING) == {"rank": 5}
    assert Said().read_by(Reader.EVALUATION) == Said().read_by(Reader.INFERENCE) == {"asked": 2}
    assert Said().read_by(Reader.LINKS) == {}


@pytest.mark.parametrize("nothing", [ReadBy, lambda: not_read("")])
def test_what_is_said_must_say_something(nothing):
    with pytest.raises(TypeError):
        nothing()


def test_all_sections_of_a_study_file_are_held_to_it():
    found = sections(Study)
    assert {"ModelSpec", "DatasetSpec", "ExperimentSpec", "EvaluationSpec", "DemoRelease"} <= {
        s.__name__ for s in found
    }
    assert all(issubclass(section, Spec) for section in found)
