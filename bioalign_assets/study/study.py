"""A study: its sections validated as a whole, and the variants that follow from them.

Partitions derive from it: a *variant* is one cell ``<model>@<experiment>`` that is valid (a benchmark model has
only untuned experiments).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bioalign_assets.errors import StudyError
from bioalign_assets.study.datasets import DatasetSpec
from bioalign_assets.study.evaluation import SAMPLE_SIZE, EvaluationSpec
from bioalign_assets.study.experiments import ExperimentSpec
from bioalign_assets.study.models import ModelSpec
from bioalign_assets.study.source import AutomationSpec, DemoRelease, SourceSpec
from bioalign_assets.study.spec import Spec, not_read, unknown_name

__all__ = ["UNTUNED", "Study", "Variant"]

UNTUNED = "untuned"
"""The experiment that trains nothing: what every tuned model is compared with."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")
"""Names become partition keys, folder names and SQL: small letters, digits, dots and dashes."""
_WORDS = not_read("words for people")
_SECTION = not_read("its settings say so themselves")


class Variant(BaseModel):
    """One model under one experiment."""

    model_config = ConfigDict(frozen=True)

    model: str
    experiment: str

    @property
    def key(self) -> str:
        """The partition key, ``<model>@<experiment>``."""
        return f"{self.model}@{self.experiment}"

    @property
    def columns(self) -> dict[str, str]:
        """What a row of a table says of its variant, by column."""
        return {"variant": self.key, "model": self.model, "experiment": self.experiment}


class Study(Spec):
    """One study, validated as a whole."""

    title: Annotated[str, _WORDS] = Field(min_length=1)
    description: Annotated[str, _WORDS] = ""
    source: Annotated[SourceSpec, _SECTION] = SourceSpec()
    automation: Annotated[AutomationSpec, _SECTION] = AutomationSpec()
    demo_release: Annotated[DemoRelease, _SECTION] = DemoRelease()
    models: Annotated[Mapping[str, ModelSpec], _SECTION] = Field(min_length=1)
    datasets: Annotated[Mapping[str, DatasetSpec], _SECTION] = Field(min_length=1)
    experiments: Annotated[Mapping[str, ExperimentSpec], _SECTION] = Field(min_length=1)
    evaluation: Annotated[EvaluationSpec, _SECTION] = EvaluationSpec()

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
                problems.append(unknown_name(f"{where}.train_on", experiment.train_on, allowed=self.datasets))
            problems += [
                unknown_name(f"{where}.evaluate_on", dataset, allowed=self.datasets)
                for dataset in experiment.evaluate_on
                if dataset not in self.datasets
            ]
            for model in experiment.models or ():
                if model not in self.models:
                    problems.append(unknown_name(f"{where}.models", model, allowed=self.models))
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

    def trainings_of(self, model: str) -> dict[str, ExperimentSpec]:
        """Return the experiments that train a model."""
        own = {v.experiment: self.experiments[v.experiment] for v in self.variants if v.model == model}
        return {name: spec for name, spec in own.items() if not spec.is_untuned}

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


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _bad_name(section: str, name: str) -> str:
    return (
        f"{section}.{name}: a name has small letters, digits, dots and dashes only, at most 64, "
        "with a letter or digit at both ends"
    )
