"""The settings of a study as inputs of its steps: a change in the file makes stale what reads it, and nothing else.

A variant's settings are split by the step that reads them, so that asking about another test set, say, doesn't
train anything again. What reads a setting stands with the setting (``spec.py``).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bioalign_assets.study.spec import Reader
from bioalign_assets.study.study import Study, Variant

__all__ = ["SettingsGroup", "settings_groups"]


@dataclass(frozen=True, kw_only=True)
class SettingsGroup:
    """What one kind of step reads of the study file.

    :param name: of the asset ``study/<name>`` that stands for it
    :param description: for people
    :param partitioned_by: the partition set, or None
    :param values: the settings by partition key (None where there are no partitions)
    """

    name: Reader
    description: str
    partitioned_by: Literal["model", "dataset", "variant"] | None
    values: Mapping[str | None, Mapping[str, Any]]

    def version(self, partition: str | None) -> str:
        """Return the content hash of a partition's settings, 64 hex digits."""
        return hashlib.sha256(json.dumps(self.values[partition], sort_keys=True).encode()).hexdigest()


def settings_groups(study: Study) -> tuple[SettingsGroup, ...]:
    """Return all settings of a study that a figure depends on, by what reads them."""
    return (
        SettingsGroup(
            name=Reader.DATASETS,
            description="How each dataset is drawn and divided, from the study file.",
            partitioned_by="dataset",
            values={name: spec.read_by(Reader.DATASETS) for name, spec in study.datasets.items()},
        ),
        SettingsGroup(
            name=Reader.MODELS,
            description="Which base model each one is, from the study file.",
            partitioned_by="model",
            values={name: spec.read_by(Reader.MODELS) for name, spec in study.models.items()},
        ),
        SettingsGroup(
            name=Reader.TRAINING,
            description="How each variant is trained, from the study file.",
            partitioned_by="variant",
            values={v.key: _of_variant(v, study=study, reader=Reader.TRAINING) for v in study.variants},
        ),
        SettingsGroup(
            name=Reader.INFERENCE,
            description="What each variant is asked, and how, from the study file.",
            partitioned_by="variant",
            values={
                # whatever trained an adapter, transformers runs it
                v.key: _of_variant(v, study=study, reader=Reader.INFERENCE) | {"backend": "transformers"}
                for v in study.variants
            },
        ),
        SettingsGroup(
            name=Reader.EVALUATION,
            description="How metrics and their intervals are computed, from the study file.",
            partitioned_by=None,
            values={None: study.evaluation.read_by(Reader.EVALUATION)},
        ),
        SettingsGroup(
            name=Reader.LINKS,
            description="Which held-out pairs are ranked, and among how many candidates, from the study file.",
            partitioned_by=None,
            values={None: study.evaluation.read_by(Reader.LINKS)},
        ),
    )


def _of_variant(variant: Variant, *, study: Study, reader: Reader) -> dict[str, Any]:
    """Return what a kind of step reads for a variant: of its experiment, its model and the evaluation."""
    settings: dict[str, Any] = {}
    for spec in (study.evaluation, study.experiments[variant.experiment], study.models[variant.model]):
        read = spec.read_by(reader)
        twice = sorted(settings.keys() & read.keys())
        if twice:
            raise TypeError(f"two sections give {reader} a setting of one name: {', '.join(twice)}")
        settings |= read
    return settings
