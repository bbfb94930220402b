"""What Dagster has recorded of every asset partition: its data version, and what it was made from, in which version.

Read for a whole asset at once, and from then on only where there are new events: one partition after another cost some
10 ms each, a minute for 300 variants.

Of a partitioned parent Dagster records no versions but an event: the newest of that asset when the step began. What was
read is the version that each of the parent's partitions had then. That is right at any number of partitions, where a
version over all of them would be recorded for fewer than 100 alone.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from bioalign_assets.dagster_private import (
    DATA_VERSION_TAG,
    latest_event_ids,
    newest_event_id,
    partition_versions,
)
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph, key_of

__all__ = ["History", "Made"]

_OVERLAP = 1000
"""Events that are read once more: Postgres may show one after a later one."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """The newest materialisation of an asset partition (or the newest observation of settings)."""

    event: int
    """Number of its event: what came later has a higher one"""
    run_id: str
    version: str
    """Data version: the hash of the rows"""
    code_version: str | None
    inputs: Mapping[str, tuple[str, int | None]]
    """For each asset that was read: its data version, and its newest event then"""


class History:
    """The newest materialisations of an instance, kept up to date by :meth:`read`; empty before the first."""

    def __init__(self, graph: PartitionGraph) -> None:
        self._graph = graph
        self._instance: dg.DagsterInstance
        self._lock = threading.Lock()
        self._seen = 0
        self._made: dict[AssetPartition, Made] = {}
        self._then: dict[tuple[str, int], Mapping[str, str]] = {}

    def read(self, *, instance: dg.DagsterInstance) -> int:
        """Take in what was recorded since the last time; return the number of the newest event.

        :param instance: the same each time, be it through another connection
        """
        with self._lock:
            self._instance = instance
            newest = newest_event_id(self._instance)
            if newest < self._seen:  # an older copy of the database was put in its place
                self._seen = 0
                self._made.clear()
                self._then.clear()
            if newest > self._seen:
                for asset in (*self._graph.settings, *self._graph.assets):
                    self._read(asset)
                self._seen = newest
            return newest

    def made(self, node: AssetPartition) -> Made | None:
        """Return the newest materialisation of an asset partition; None if it was never made."""
        return self._made.get(node)

    def version(self, node: AssetPartition) -> str | None:
        """Return the data version of an asset partition; None if it was never made."""
        found = self._made.get(node)
        return None if found is None else found.version

    def version_at(self, node: AssetPartition, event: int | None) -> str | None:
        """Return the data version that an asset partition had when an event was the newest; None before the first.

        :param event: None for a moment before all events
        """
        if event is None:
            return None
        found = self._made.get(node)
        if found is None or found.event <= event:
            return None if found is None else found.version
        if node.partition is None:
            records = self._instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=key_of(node.asset), before_storage_id=event + 1), limit=1
            ).records
            then = [record.asset_materialization for record in records]
            return (then[0].tags or {}).get(DATA_VERSION_TAG) if then and then[0] is not None else None
        if (node.asset, event) not in self._then:  # what was then stays so
            self._then[node.asset, event] = partition_versions(
                self._instance, key_of(node.asset), observed=self._graph.is_setting(node.asset), until=event
            )
        return self._then[node.asset, event].get(node.partition)

    def _read(self, asset: str) -> None:
        key, observed = key_of(asset), self._graph.is_setting(asset)
        after = max(0, self._seen - _OVERLAP)
        if self._graph.is_partitioned(asset):
            found = latest_event_ids(self._instance, key, observed=observed, after=after)
            known = {partition: self.made(AssetPartition(asset, partition)) for partition in found}
            wanted = [event for partition, event in found.items() if _event(known[partition]) != event]
            if not wanted:
                return
            asked: dg.AssetKey | dg.AssetRecordsFilter = dg.AssetRecordsFilter(
                asset_key=key, storage_ids=wanted
            )
            limit = len(wanted)
        else:
            asked, limit = key, 1
        fetch = self._instance.fetch_observations if observed else self._instance.fetch_materializations
        for record in fetch(asked, limit=limit).records:
            event = record.asset_observation if observed else record.asset_materialization
            if event is not None:
                node = AssetPartition(asset, record.partition_key)
                self._made[node] = _made(event, number=record.storage_id, run_id=record.run_id)


def _event(made: Made | None) -> int | None:
    return None if made is None else made.event


def _made(event: dg.AssetMaterialization | dg.AssetObservation, *, number: int, run_id: str) -> Made:
    tags = event.tags or {}
    provenance = dg.DataProvenance.from_tags(tags)
    inputs = {}
    if provenance is not None:
        inputs = {
            ".".join(key.path): (version.value, provenance.input_storage_ids.get(key))
            for key, version in provenance.input_data_versions.items()
        }
    return Made(
        event=number,
        run_id=run_id,
        version=tags.get(DATA_VERSION_TAG, ""),
        code_version=None if provenance is None else provenance.code_version,
        inputs=inputs,
    )
