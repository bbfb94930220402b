"""The study file in the asset graph: one external asset a group of settings, observed when the file changes.

Nobody materialises these: their versions are content hashes of the settings, reported to Dagster whenever a
process of ours finds that the file says something else than was recorded.
"""

from collections.abc import Iterator

import dagster as dg

from bioalign_assets.dagster_private import DATA_VERSION_TAG, newest_event_id, partition_versions
from bioalign_assets.freshness.partition_graph import AssetPartition
from bioalign_assets.partitions import Partitions
from bioalign_assets.study import Study
from bioalign_assets.study.inputs import SettingsGroup, settings_groups

__all__ = ["build_settings_assets", "changed_settings", "observe_settings", "present_settings"]


def build_settings_assets(study: Study, *, partitions: Partitions) -> list[dg.SourceAsset]:
    """Return the assets that stand for the study file's settings."""
    definitions = {"dataset": partitions.dataset, "model": partitions.model, "variant": partitions.variant}
    return [
        _observable(group, partitions_def=definitions[group.partitioned_by] if group.partitioned_by else None)
        for group in settings_groups(study)
    ]


def _observable(
    group: SettingsGroup, *, partitions_def: dg.PartitionsDefinition[str] | None
) -> dg.SourceAsset:
    @dg.observable_source_asset(
        key=_key(group),
        group_name="study",
        description=(
            f"{group.description} Nothing to run: a change of the file is noticed by itself, and makes stale "
            "what depends on it."
        ),
        partitions_def=partitions_def,
    )
    def settings() -> dg.DataVersion | dg.DataVersionsByPartition:
        if partitions_def is None:
            return dg.DataVersion(group.version(None))
        return dg.DataVersionsByPartition({str(key): group.version(key) for key in group.values})

    return settings


def present_settings(study: Study) -> dict[AssetPartition, str]:
    """Return the versions of a study's settings as they are now, whatever was recorded."""
    return {
        AssetPartition(f"study.{group.name}", partition): group.version(partition)
        for group in settings_groups(study)
        for partition in group.values
    }


def changed_settings(study: Study, *, instance: dg.DagsterInstance) -> Iterator[dg.AssetObservation]:
    """Give an observation for all settings that differ from those recorded last."""
    for group in settings_groups(study):
        recorded = _recorded(group, instance=instance)
        for partition, values in group.values.items():
            version = group.version(partition)
            if recorded.get(partition) != version:
                yield dg.AssetObservation(
                    _key(group),
                    partition=partition,
                    tags={DATA_VERSION_TAG: version},
                    metadata={"settings": dg.MetadataValue.json(dict(values))},
                )


def observe_settings(study: Study, *, instance: dg.DagsterInstance) -> list[str]:
    """Record the settings of a study as the present ones; return what changed, as ``study/datasets[stable]``."""
    changed = []
    for observation in changed_settings(study, instance=instance):
        instance.report_runless_asset_event(observation)
        name = observation.asset_key.to_user_string()
        changed.append(f"{name}[{observation.partition}]" if observation.partition else name)
    return changed


def _key(group: SettingsGroup) -> dg.AssetKey:
    return dg.AssetKey(["study", str(group.name)])


def _recorded(group: SettingsGroup, *, instance: dg.DagsterInstance) -> dict[str | None, str]:
    """Return the recorded versions by partition."""
    if group.partitioned_by is None:
        record = instance.get_latest_data_version_record(_key(group), is_source=True)
        event = None if record is None else record.asset_observation
        return {} if event is None else {None: (event.tags or {}).get(DATA_VERSION_TAG, "")}
    newest = newest_event_id(instance)
    return dict(partition_versions(instance, _key(group), observed=True, until=newest).items())
