"""Partition sets and the mappings between them, all derived from the study: lineage and staleness are exact.

``model``, ``dataset`` and ``variant`` are static. A variant reads its model, the dataset that it is trained on
and the datasets that it is asked about, and nothing else. ``tuned`` has the tuned variants whose model also
runs untuned: those that can be compared with it.
"""

from dataclasses import dataclass

import dagster as dg

from bioalign_assets.study import Study, Variant

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
    def tuned(self) -> dg.StaticPartitionsDefinition:
        """One partition a tuned variant whose model also takes part untuned."""
        return dg.StaticPartitionsDefinition([tuned.key for tuned, _ in self._compared()])

    @property
    def variant_to_tuned(self) -> dg.StaticPartitionMapping:
        """From a variant to the comparisons that read it: a tuned one's own, an untuned one's all of its model."""
        found: dict[str, list[str]] = {}
        for tuned, untuned in self._compared():
            found.setdefault(untuned.key, []).append(tuned.key)
            found.setdefault(tuned.key, []).append(tuned.key)
        return dg.StaticPartitionMapping(found)

    @property
    def variant_with_untuned(self) -> dg.StaticPartitionMapping:
        """From a variant to itself, and from an untuned one to all that are compared with it."""
        found = {variant.key: [variant.key] for variant in self.study.variants}
        for tuned, untuned in self._compared():
            found[untuned.key].append(tuned.key)
        return dg.StaticPartitionMapping(found)

    @property
    def dataset_to_tuned(self) -> dg.StaticPartitionMapping:
        """From a dataset to the comparisons in which both variants are asked about it."""
        found: dict[str, list[str]] = {}
        for tuned, untuned in self._compared():
            asked = self.study.experiments[untuned.experiment].evaluate_on
            for dataset in self.study.experiments[tuned.experiment].evaluate_on:
                if dataset in asked:
                    found.setdefault(dataset, []).append(tuned.key)
        return dg.StaticPartitionMapping(found)

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

    def _compared(self) -> list[tuple[Variant, Variant]]:
        """Return each tuned variant with the untuned one of its model, where there is one."""
        pairs = ((variant, self.study.untuned_counterpart(variant)) for variant in self.study.variants)
        return [(tuned, untuned) for tuned, untuned in pairs if untuned is not None]
