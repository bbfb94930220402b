"""Errors that tell what was found, what was expected and what to do."""

import copy
import pickle

import pytest

from bioalign_assets import errors

_KINDS = [getattr(errors, name) for name in errors.__all__]


def _error(kind):
    return kind("The file x.csv", found="an HTML page", expected="a gzip file", remedy="Fetch it anew.")


def _pickled(error):
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes


@pytest.mark.parametrize("kind", _KINDS)
def test_an_error_is_one_paragraph_with_all_its_parts(kind):
    told = str(_error(kind))
    assert told == "The file x.csv: found an HTML page, expected a gzip file. Fetch it anew."
    assert "\n" not in told


@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_is_one_of_ours_and_none_of_programming(kind):
    assert issubclass(kind, errors.BioAlignError)
    assert not issubclass(kind, ValueError | TypeError | KeyError)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("trip", [_pickled, copy.copy, copy.deepcopy])
def test_an_error_survives_the_trip_between_processes(kind, trip):
    error = _error(kind)
    back = trip(error)
    assert type(back) is kind
    assert str(back) == str(error)
    parts = ("subject", "found", "expected", "remedy")
    assert [getattr(back, part) for part in parts] == [getattr(error, part) for part in parts]


def test_the_parts_are_named_at_the_call():
    with pytest.raises(TypeError):
        errors.StudyError("x", "found", "expected", "remedy")


def test_every_public_error_is_listed():
    public = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert public == set(errors.__all__)
