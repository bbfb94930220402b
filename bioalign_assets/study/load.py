"""Loading a study file: TOML that says each thing once, and errors that name the key and what is allowed.

Two words of the file are for this module alone, in ``[experiments.<name>]``: ``like = "paper"`` takes over the settings
of another experiment, and ``seeds = [42, 43]`` makes one experiment a seed.
"""

import contextlib
import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bioalign_assets.errors import StudyError
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.study.source import AutomationSpec, DemoRelease, SourceSpec
from bioalign_assets.study.spec import Spec, unknown_name
from bioalign_assets.study.study import Study

__all__ = ["BUILT_IN_STUDIES", "load_study"]

_STUDIES = Path(__file__).parents[1] / "studies"
BUILT_IN_STUDIES = tuple(sorted(path.stem for path in _STUDIES.glob("*.toml")))
_LIKE, _SEEDS = "like", "seeds"
_INSTEAD_OF = {"steps": "epochs", "epochs": "steps", "seeds": "seed", "seed": "seeds"}
"""A setting that an experiment gives itself stands in the place of this one of those that it takes over."""


def load_study(name_or_path: str) -> Study:
    """Return the study that ``BIOALIGN_STUDY`` names: ``demo``, ``laptop``, ``paper`` or the path of a TOML file.

    :raises StudyError: if there is no such file, it isn't TOML, or a key or value isn't valid; the error names
        every wrong key and what is allowed
    """
    path = _STUDIES / f"{name_or_path}.toml" if name_or_path in BUILT_IN_STUDIES else Path(name_or_path)
    path = _at_home(path)
    if not path.is_file():
        raise StudyError(
            f"BIOALIGN_STUDY={name_or_path}", found="no such file",
            expected=f"one of {', '.join(BUILT_IN_STUDIES)}, or the path of a study file (.toml)",
            remedy="Correct the name or the path; bioalign_assets/studies/demo.toml is an example to copy.",
        )  # fmt: skip
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(
            f"Study file {path}", found=str(error), expected="TOML in UTF-8",
            remedy="Mend the line that the message names.",
        ) from error  # fmt: skip
    try:
        experiments, taken_over = _said_once(content.get("experiments"))
        return Study.model_validate(
            _with_absolute_paths(
                content if experiments is None else content | {"experiments": experiments},
                folder=path.absolute().parent,
            )
        )
    except ValidationError as error:
        # what is wrong in an experiment is told there, not of all that are like it
        problems = [_told(each) for each in error.errors() if tuple(each["loc"][:3]) not in taken_over]
        raise _wrong(path, problems) from error
    except _RepetitionError as error:
        raise _wrong(path, error.problems) from error


def _with_absolute_paths(content: Mapping[str, Any], *, folder: Path) -> Mapping[str, Any]:
    """Return a file's content with the paths of its models absolute: they are relative to the file's folder.

    What is no path is left as it is, to be told by its type.
    """
    models = content.get("models")
    if not isinstance(models, Mapping):
        return content
    found = dict(models)
    for name, model in models.items():
        if isinstance(model, Mapping) and isinstance(model.get("path"), str) and model["path"]:
            found[name] = {**model, "path": str(folder / _at_home(Path(model["path"])))}
    return {**content, "models": found}


def _at_home(path: Path) -> Path:
    """Return a path with ``~`` as the home that it stands for; as it is where somebody has no home here."""
    with contextlib.suppress(RuntimeError):
        return path.expanduser()
    return path


class _RepetitionError(Exception):
    """What is wrong with the words of a file that stand for others."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems)
        self.problems = problems


def _wrong(path: Path, problems: Sequence[str]) -> StudyError:
    return StudyError(
        f"Study file {path}", found="; ".join(problems), expected="only known keys with allowed values",
        remedy="Mend the keys that are named here; bioalign_assets/studies/ has valid examples.",
    )  # fmt: skip


def _said_once(experiments: Any) -> tuple[dict[str, Any] | None, set[tuple[str, ...]]]:
    """Return the experiments of a file in full, and the places of those settings that were taken over.

    None where it has no experiments that could be read; what is wrong with them is then told by their types.

    :raises _RepetitionError: if ``like`` or ``seeds`` can't be followed
    """
    if not isinstance(experiments, Mapping) or not all(isinstance(e, Mapping) for e in experiments.values()):
        return None, set()
    found: dict[str, Any] = {}
    taken_over: set[tuple[str, ...]] = set()
    problems: list[str] = []
    for name, own in experiments.items():
        try:
            settings = _with_taken_over(name, experiments=experiments)
            made = _one_a_seed(name, settings)
        except _RepetitionError as error:
            problems += error.problems
            continue
        problems += [
            f"experiments.{name}.{_SEEDS}: {each} stands in the file by itself, name it otherwise"
            for each in made
            if each != name and each in experiments
        ]
        found |= made
        taken_over |= {
            ("experiments", each, key) for each in made for key in settings if each != name or key not in own
        }
    if problems:
        raise _RepetitionError(problems)
    return found, taken_over


def _with_taken_over(
    name: str, *, experiments: Mapping[str, Any], seen: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the settings of an experiment with those of the one that it is like."""
    own = {key: value for key, value in experiments[name].items() if key != _LIKE}
    like = experiments[name].get(_LIKE)
    if like is None:
        return own
    if like not in experiments or like == name:
        raise _RepetitionError(
            [unknown_name(f"experiments.{name}.{_LIKE}", like, allowed=[e for e in experiments if e != name])]
        )
    if like in seen:
        raise _RepetitionError([f"experiments.{name}.{_LIKE} = {like!r}: the two are like each other"])
    taken = _with_taken_over(like, experiments=experiments, seen=(*seen, name))
    taken.pop(_SEEDS, None)  # how often is asked is not how
    return {key: value for key, value in taken.items() if _INSTEAD_OF.get(key) not in own} | own


def _one_a_seed(name: str, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an experiment, or the several that its seeds make of it: the first keeps the name."""
    if _SEEDS not in settings:
        return {name: dict(settings)}
    seeds = settings[_SEEDS]
    is_right = isinstance(seeds, list) and all(type(seed) is int for seed in seeds)
    if not is_right or not seeds or len(set(seeds)) < len(seeds) or "seed" in settings:
        raise _RepetitionError(
            [f"experiments.{name}.{_SEEDS} = {seeds!r}: whole numbers, each once, and no seed beside them"]
        )
    alone = {key: value for key, value in settings.items() if key != _SEEDS}
    return {
        f"{name}-seed-{seed}" if place else name: alone | {"seed": seed} for place, seed in enumerate(seeds)
    }


def _told(problem: Any) -> str:
    """One pydantic error as ``key = value: what is allowed``."""
    key = ".".join(str(part) for part in problem["loc"])
    if problem["loc"][0:1] == ("datasets",) and problem["loc"][2:] == ("name",):
        return f"datasets.{problem['loc'][1]}: a dataset's name has small letters, digits and dashes only"
    if problem["type"] == "extra_forbidden":
        siblings = _known_keys(problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1]), siblings, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"{key}: unknown key; allowed are {', '.join(siblings)}{hint}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    for python, toml in (("dictionary", "table"), ("mapping", "table"), ("tuple", "list")):
        message = message.replace(f"a valid {python}", f"a {toml}")
    # a source may hold a password
    is_hidden = isinstance(problem["input"], dict) or problem["loc"][0:1] == ("source",)
    value = "" if is_hidden else f" = {problem['input']!r}"
    return f"{key}{value}: {message}" if key else message


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """Return the keys that are allowed at a place of the study file."""
    sections: dict[str, type[Spec]] = {
        "source": SourceSpec, "automation": AutomationSpec, "demo_release": DemoRelease, "models": ModelSpec,
        "datasets": DatasetSpec, "experiments": ExperimentSpec, "evaluation": EvaluationSpec,
    }  # fmt: skip
    model = sections.get(str(location[0]), Study) if location else Study
    names = [name for name in model.model_fields if not (model is DatasetSpec and name == "name")]
    return [*names, _LIKE, _SEEDS] if model is ExperimentSpec else names
