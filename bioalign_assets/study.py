"""The study file: everything that a researcher varies, as one validated, frozen value.

Partitions derive from it: a *variant* is one cell ``<model>@<experiment>`` that is valid (a benchmark model has
only untuned experiments).
"""

import contextlib
import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bioalign_assets.ctd.synthetic import DemoRelease
from bioalign_assets.curation.spec import DatasetSpec
from bioalign_assets.errors import StudyError
from bioalign_assets.evaluation.spec import SAMPLE_SIZE, EvaluationSpec
from bioalign_assets.models.spec import ModelSpec
from bioalign_assets.training.spec import ExperimentSpec

__all__ = ["BUILT_IN_STUDIES", "UNTUNED", "AutomationSpec", "SourceSpec", "Study", "Variant", "load_study"]

UNTUNED = "untuned"
"""The experiment that trains nothing: what every tuned model is compared with."""

_STUDIES = Path(__file__).parent / "studies"
BUILT_IN_STUDIES = tuple(sorted(path.stem for path in _STUDIES.glob("*.toml")))
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")
"""Names become partition keys, folder names and SQL: small letters, digits, dots and dashes."""


class SourceSpec(BaseModel):
    """Where releases come from, unless the environment names another place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ctd: str = Field(default="demo", min_length=1)
    """``demo``, a URL, a file or a folder (``BIOALIGN_CTD_SOURCE`` has the last word)."""
    ctd_diseases: str | None = None
    """The disease vocabulary MEDIC, in the same forms (``BIOALIGN_CTD_DISEASES_SOURCE`` has the last word)."""
    check_every_minutes: float = Field(default=1440, ge=0.05)
    """How often a running daemon looks for a new release, in minutes; daily by default."""


class AutomationSpec(BaseModel):
    """What follows by itself where the Dagster daemon runs, and with ``bioalign refresh``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check_stale_every_seconds: int = Field(default=30, ge=1, le=86_400)
    """How often a running daemon looks for what is stale, and for changes of the study file."""
    training: bool = False
    """Whether what loads a language model (base models, training, inference) follows too; the rest always does."""


class Variant(BaseModel):
    """One model under one experiment."""

    model_config = ConfigDict(frozen=True)

    model: str
    experiment: str

    @property
    def key(self) -> str:
        """The partition key, ``<model>@<experiment>``."""
        return f"{self.model}@{self.experiment}"


class Study(BaseModel):
    """One study, validated as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    description: str = ""
    source: SourceSpec = SourceSpec()
    automation: AutomationSpec = AutomationSpec()
    demo_release: DemoRelease = DemoRelease()
    models: Mapping[str, ModelSpec] = Field(min_length=1)
    datasets: Mapping[str, DatasetSpec] = Field(min_length=1)
    experiments: Mapping[str, ExperimentSpec] = Field(min_length=1)
    evaluation: EvaluationSpec = EvaluationSpec()

    @field_validator("datasets", mode="before")
    @classmethod
    def _name_datasets(cls, datasets: Any) -> Any:
        if not isinstance(datasets, Mapping):
            return datasets
        named = {}
        for key, value in datasets.items():
            if isinstance(value, Mapping):
                if value.get("name", key) != key:
                    raise ValueError(
                        f"{key}.name = {value['name']!r}: its name is in the header, leave this out"
                    )
                named[key] = {**value, "name": key}
            else:
                named[key] = value
        return named

    @model_validator(mode="after")
    def _cross_references(self) -> Self:
        problems = []
        for section, names in (
            ("models", self.models), ("datasets", self.datasets), ("experiments", self.experiments)
        ):  # fmt: skip
            problems += [_bad_name(section, name) for name in names if not _is_name(name)]
        for name, experiment in self.experiments.items():
            where = f"experiments.{name}"
            if experiment.is_untuned != (name == UNTUNED):
                problems.append(
                    f"{where}: the experiment without train_on, and only that one, is called {UNTUNED}"
                )
            if experiment.train_on is not None and experiment.train_on not in self.datasets:
                problems.append(_unknown(f"{where}.train_on", experiment.train_on, self.datasets))
            problems += [
                _unknown(f"{where}.evaluate_on", dataset, self.datasets)
                for dataset in experiment.evaluate_on
                if dataset not in self.datasets
            ]
            for model in experiment.models or ():
                if model not in self.models:
                    problems.append(_unknown(f"{where}.models", model, self.models))
                elif self.models[model].role == "benchmark" and not experiment.is_untuned:
                    problems.append(f"{where}.models: {model} is a benchmark model, it only runs untuned")
        if not problems and not self.variants:
            problems.append("no model takes part in any experiment: a benchmark model only runs untuned")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="after")
    def _settle_sample_size(self) -> Self:
        """Put a size in place of ``auto``, by the study alone: the same rows on every machine that reads it.

        Whether this machine has a GPU would be another answer where the page is read than where the models ran.
        """
        if self.evaluation.sample_size == "auto":
            is_published = any(model.tiny is None for model in self.models.values())
            settled = {"sample_size": "all" if is_published else SAMPLE_SIZE}
            object.__setattr__(self, "evaluation", self.evaluation.model_copy(update=settled))
        return self

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The valid cells of models and experiments, models first, in the order of the file."""
        return tuple(
            Variant(model=model, experiment=name)
            for model, spec in self.models.items()
            for name, experiment in self.experiments.items()
            if (experiment.models is None or model in experiment.models)
            and (experiment.is_untuned or spec.role == "tuned")
        )

    def variant(self, key: str) -> Variant:
        """Return the variant of a partition key.

        :raises StudyError: if the study has no such variant
        """
        found = {variant.key: variant for variant in self.variants}
        if key not in found:
            raise StudyError(
                f"Variant {key}", found="no such cell in the study",
                expected=f"one of {', '.join(found)}",
                remedy="A benchmark model only has untuned experiments; name another or add it to the study file.",
            )  # fmt: skip
        return found[key]

    def untuned_counterpart(self, variant: Variant) -> Variant | None:
        """Return the untuned variant that a tuned one is compared with: of its model, with a test set in common.

        None for an untuned variant, or if the study has no such one.
        """
        untuned = Variant(model=variant.model, experiment=UNTUNED)
        if variant.experiment == UNTUNED or untuned not in self.variants:
            return None
        test_sets = [set(self.experiments[each.experiment].evaluate_on) for each in (variant, untuned)]
        return untuned if test_sets[0] & test_sets[1] else None

    def training_dataset(self, variant: Variant) -> str | None:
        """Return the name of the dataset that a variant is trained on; None if it is untuned."""
        return self.experiments[variant.experiment].train_on

    def datasets_of(self, variant: Variant) -> tuple[str, ...]:
        """Return all datasets that a variant reads: those it is asked about and the one it is trained on."""
        experiment = self.experiments[variant.experiment]
        return tuple(dict.fromkeys((*experiment.evaluate_on, *filter(None, (experiment.train_on,)))))


def load_study(name_or_path: str) -> Study:
    """Return the study that ``BIOALIGN_STUDY`` names: ``demo``, ``paper`` or the path of a TOML file.

    :raises StudyError: if there is no such file, it isn't TOML, or a key or value isn't valid; the error names
        every wrong key and what is allowed
    """
    path = _STUDIES / f"{name_or_path}.toml" if name_or_path in BUILT_IN_STUDIES else Path(name_or_path)
    with contextlib.suppress(RuntimeError):  # ~somebody who has no home here: no such file
        path = path.expanduser()
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
        return Study.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_told(problem) for problem in error.errors())
        raise StudyError(
            f"Study file {path}", found=problems, expected="only known keys with allowed values",
            remedy="Mend the keys that are named here; bioalign_assets/studies/ has valid examples.",
        ) from error  # fmt: skip


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _bad_name(section: str, name: str) -> str:
    return (
        f"{section}.{name}: a name has small letters, digits, dots and dashes only, at most 64, "
        "with a letter or digit at both ends"
    )


def _unknown(key: str, value: str, allowed: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(value, allowed, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{key} = {value!r}: allowed are {', '.join(allowed)}{hint}"


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
    value = "" if isinstance(problem["input"], dict) else f" = {problem['input']!r}"
    return f"{key}{value}: {message}" if key else message


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """Return the keys that are allowed at a place of the study file."""
    sections: dict[str, type[BaseModel]] = {
        "source": SourceSpec, "automation": AutomationSpec, "demo_release": DemoRelease, "models": ModelSpec,
        "datasets": DatasetSpec, "experiments": ExperimentSpec, "evaluation": EvaluationSpec,
    }  # fmt: skip
    model = sections.get(str(location[0]), Study) if location else Study
    return [name for name in model.model_fields if not (model is DatasetSpec and name == "name")]
