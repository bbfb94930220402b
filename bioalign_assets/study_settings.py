"""The settings of a study by what depends on them: a change in the file makes that stale, and nothing else.

A variant's settings are split by the step that reads them, so that asking about another test set, say, doesn't
train anything again. Settings that change no figure (batch size) are in none of them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bioalign_assets.models.spec import ModelSpec
from bioalign_assets.study import Study
from bioalign_assets.training.spec import NOT_IN_TRAINING

__all__ = ["SettingsGroup", "settings_groups"]

_MODEL_IS = ("repo_id", "revision", "tiny", "pretraining_steps", "seed", "role", "quantisation")
_MODEL_TRAINS = ("dtype", "backend", "attention")
_MODEL_ANSWERS = ("dtype", "attention", "prompt")
_ASKED = ("sample_size", "seed", "pooling", "prompts")
_MEASURED = ("sample_size", "seed", "resamples", "map_size")
_RANKED = ("link_queries", "link_candidates", "link_exact")


@dataclass(frozen=True, kw_only=True)
class SettingsGroup:
    """What one kind of step reads of the study file.

    :param name: of the asset ``study/<name>`` that stands for it
    :param description: for people
    :param partitioned_by: ``model``, ``dataset``, ``variant``, or None
    :param values: the settings by partition key (None where there are no partitions)
    """

    name: str
    description: str
    partitioned_by: str | None
    values: Mapping[str | None, Mapping[str, Any]]

    def version(self, partition: str | None) -> str:
        """Return the content hash of a partition's settings, 64 hex digits."""
        return hashlib.sha256(json.dumps(self.values[partition], sort_keys=True).encode()).hexdigest()


def settings_groups(study: Study) -> tuple[SettingsGroup, ...]:
    """Return all settings of a study that a figure depends on, by what reads them."""
    models = {name: _as_run(spec) for name, spec in study.models.items()}
    experiments = {name: spec.model_dump(mode="json") for name, spec in study.experiments.items()}
    evaluation = study.evaluation.model_dump(mode="json")
    return (
        SettingsGroup(
            name="datasets",
            description="How each dataset is drawn and divided, from the study file.",
            partitioned_by="dataset",
            values={
                name: spec.model_dump(mode="json", exclude={"in_demo"})
                for name, spec in study.datasets.items()
            },
        ),
        SettingsGroup(
            name="models",
            description="Which base model each one is, from the study file.",
            partitioned_by="model",
            values={name: _only(spec, _MODEL_IS) for name, spec in models.items()},
        ),
        SettingsGroup(
            name="training",
            description="How each variant is trained, from the study file.",
            partitioned_by="variant",
            values={
                v.key: _without(experiments[v.experiment], NOT_IN_TRAINING)
                | _only(models[v.model], _MODEL_TRAINS)
                for v in study.variants
            },
        ),
        SettingsGroup(
            name="inference",
            description="What each variant is asked, and how, from the study file.",
            partitioned_by="variant",
            values={
                v.key: _only(evaluation, _ASKED)
                | _only(models[v.model], _MODEL_ANSWERS)
                # whatever trained an adapter, transformers runs it
                | {"evaluate_on": experiments[v.experiment]["evaluate_on"], "backend": "transformers"}
                for v in study.variants
            },
        ),
        SettingsGroup(
            name="evaluation",
            description="How metrics and their intervals are computed, from the study file.",
            partitioned_by=None,
            values={None: _only(evaluation, _MEASURED)},
        ),
        SettingsGroup(
            name="links",
            description="Which held-out pairs are ranked, and among how many candidates, from the study file.",
            partitioned_by=None,
            values={None: _only(evaluation, _RANKED)},
        ),
    )


def _as_run(spec: ModelSpec) -> dict[str, Any]:
    """Return a model's settings as they work: "auto" for a backend is the one that it takes."""
    settings = spec.model_dump(mode="json") | {"backend": spec.trained_by}
    if spec.attention in {
        "auto",
        "sdpa",
    }:  # as it was before there was a choice: nothing becomes stale by that
        del settings["attention"]
    return settings


def _only(settings: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: settings[name] for name in names if name in settings}


def _without(settings: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}
