"""Partition sets and the mappings between them, all derived from the study: lineage and staleness are exact.

``model``, ``dataset`` and ``variant`` are static. A variant reads its model, the dataset that it is trained on
and the datasets that it is asked about, and nothing else.
"""

from dataclasses import dataclass

import dagster as dg

from bioalign_assets.study import Study

__all__ = ["Partitions"]


@dataclass(frozen=True)
class Partitions:
    """The partitions of one study."""

    study: Study

    @property
    def model(self) -> dg.StaticPartitionsDefinition:
        """One partition a base model."""
        return dg.StaticPartitionsDefinition(list(self.study.models))

    @property
    def dataset(self) -> dg.StaticPartitionsDefinition:
        """One partition a dataset."""
        return dg.StaticPartitionsDefinition(list(self.study.datasets))

    @property
    def variant(self) -> dg.StaticPartitionsDefinition:
        """One partition a valid cell of models and experiments."""
        return dg.StaticPartitionsDefinition([variant.key for variant in self.study.variants])

    @property
    def model_to_variant(self) -> dg.StaticPartitionMapping:
        """From a base model to its variants."""
        found: dict[str, list[str]] = {}
        for variant in self.study.variants:
            found.setdefault(variant.model, []).append(variant.key)
        return dg.StaticPartitionMapping(found)

    @property
    def training_dataset_to_variant(self) -> dg.StaticPartitionMapping:
        """From a dataset to the variants that are trained on it."""
        found: dict[str, list[str]] = {}
        for variant in self.study.variants:
            dataset = self.study.training_dataset(variant)
            if dataset is not None:
                found.setdefault(dataset, []).append(variant.key)
        return dg.StaticPartitionMapping(found)

    @property
    def dataset_to_variant(self) -> dg.StaticPartitionMapping:
        """From a dataset to the variants that are trained on it or asked about it."""
        found: dict[str, list[str]] = {}
        for variant in self.study.variants:
            for dataset in self.study.datasets_of(variant):
                found.setdefault(dataset, []).append(variant.key)
        return dg.StaticPartitionMapping(found)
