"""Runs of the Dagster instance that nothing looks at any more.

To delete a run deletes its events, materialisations too, and freshness reads those: the newest of each asset partition,
what each was made from as it was then, and whether the last attempt failed. Runs that have such an event stay, whatever
their age.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from bioalign_assets.dagster_private import (
    latest_event_ids,
    run_files,
    unfinished_attempts,
    unpartitioned_attempt,
)
from bioalign_assets.execution.killed_runs import marks_folder
from bioalign_assets.execution.marks import Life, life
from bioalign_assets.freshness.history import History
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph, key_of
from bioalign_assets.warehouse.atomic import remove, size_of

__all__ = ["OldRun", "delete_run", "old_runs"]

_OVER = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True, kw_only=True)
class OldRun:
    """A run that may be deleted."""

    run_id: str
    told: str
    """When it was, what it made and how it ended"""
    bytes: int
    """What its own files take; the rest lies in a database, which uses the room again"""


def old_runs(graph: PartitionGraph, *, instance: dg.DagsterInstance, before: datetime) -> list[OldRun]:
    """Return the runs that ended before a moment and have no event that is looked at, the oldest first.

    :param before: with a time zone
    """
    records = instance.get_run_records(dg.RunsFilter(statuses=_OVER, updated_before=before), ascending=True)
    newest = {record.dagster_run.run_id for record in instance.get_run_records(limit=1)}
    needed = newest | set(_needed(graph, instance=instance)) if records else set()
    return [
        OldRun(
            run_id=record.dagster_run.run_id,
            told=_told(record),
            bytes=sum(map(size_of, run_files(instance, record.dagster_run.run_id))),
        )
        for record in records
        if record.dagster_run.run_id not in needed
        and life(marks_folder(instance), record.dagster_run.run_id) not in {Life.LIVING, Life.ORPHANED}
    ]


def delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run, its events and its files."""
    instance.delete_run(run_id)
    for file in run_files(instance, run_id):
        remove(file)


def _told(record: dg.RunRecord) -> str:
    run = record.dagster_run
    what = run.tags.get("bioalign/part") or ", ".join(
        sorted(".".join(key.path) for key in run.asset_selection or ())
    )
    return (
        f"{record.create_timestamp:%Y-%m-%d} {what or run.job_name} ({run.status.value.lower()}) {run.run_id}"
    )


def _needed(graph: PartitionGraph, *, instance: dg.DagsterInstance) -> Iterator[str]:
    """Give the runs with the newest event of any asset partition, and those that freshness looks back at."""
    for key in instance.get_asset_keys():
        for observed in (False, True):
            yield from _newest(key, observed=observed, instance=instance)
    history = History(graph)
    history.read(instance=instance)
    for asset in graph.assets:
        attempts = _attempts(asset, graph=graph, instance=instance)
        yield from (run_id for run_id, _ in attempts.values())
        for partition in graph.partitions[asset]:
            node = AssetPartition(asset, partition)
            made = history.made(node)
            for edge in graph.edges[asset]:
                # as it was when the partition was made, and when its last attempt was planned
                then = made.inputs[edge.parent][1] if made and edge.parent in made.inputs else None
                events = {then} if then is not None else set()
                events |= {attempts[partition][1]} if partition in attempts else set()
                for read in edge.reads.get(partition, ()):
                    parent = AssetPartition(edge.parent, read)
                    newest = history.made(parent)
                    for event in events:
                        if newest is not None and newest.event > event:
                            yield from _as_it_was(parent, event=event, graph=graph, instance=instance)


def _attempts(
    asset: str, *, graph: PartitionGraph, instance: dg.DagsterInstance
) -> Mapping[str | None, tuple[str, int]]:
    """Return, for partitions whose last run was to make them and has not, that run and the event that planned it."""
    if graph.is_partitioned(asset):
        return dict(unfinished_attempts(instance, key_of(asset)).items())
    attempt = unpartitioned_attempt(instance, key_of(asset))
    return {} if attempt is None else {None: attempt}


def _newest(key: dg.AssetKey, *, observed: bool, instance: dg.DagsterInstance) -> Iterator[str]:
    events = list(latest_event_ids(instance, key, observed=observed, after=0).values())
    asked = dg.AssetRecordsFilter(asset_key=key, storage_ids=events) if events else key
    yield from _runs(asked, limit=len(events) or 1, observed=observed, instance=instance)


def _as_it_was(
    node: AssetPartition, *, event: int, graph: PartitionGraph, instance: dg.DagsterInstance
) -> Iterator[str]:
    asked = dg.AssetRecordsFilter(
        asset_key=key_of(node.asset),
        asset_partitions=None if node.partition is None else [node.partition],
        before_storage_id=event + 1,
    )
    yield from _runs(asked, limit=1, observed=graph.is_setting(node.asset), instance=instance)


def _runs(
    asked: dg.AssetKey | dg.AssetRecordsFilter, *, limit: int, observed: bool, instance: dg.DagsterInstance
) -> Iterator[str]:
    fetch = instance.fetch_observations if observed else instance.fetch_materializations
    yield from (record.run_id for record in fetch(asked, limit=limit).records)
