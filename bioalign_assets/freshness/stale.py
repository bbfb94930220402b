"""What is stale: the one function that says so, over recorded provenance.

An asset partition is stale if what it was made from (other rows, settings or code) differs from what is there now. It
looks one step far: whether what follows a stale one is stale shows when that was made anew, for what comes out as it
was makes nothing stale. Dagster's UI judges by the same records.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from bioalign_assets.freshness.history import History, Made
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = [
    "PartitionState",
    "Settings",
    "State",
    "partition_states",
    "stale_because",
    "state_of",
    "unrecorded",
    "version_now",
]

State = Literal["fresh", "stale", "missing"]
Settings = Mapping[AssetPartition, str]
"""The present versions of the study file's settings, by asset partition; where there are none, the recorded ones."""


def stale_because(
    node: AssetPartition, *, graph: PartitionGraph, history: History, settings: Settings | None = None
) -> Iterator[str]:
    """Give the reasons why an asset partition is stale, in words; none if it is fresh, or was never made.

    :param settings: of the study file as it is read now; those that were observed last by default
    """
    made = history.made(node)
    if made is None:
        return
    if made.code_version != graph.code_version(node.asset):
        yield "has a new code version"
    edges = graph.edges[node.asset]
    for gone in sorted(made.inputs.keys() - {edge.parent for edge in edges}):
        yield f"no longer reads {gone}"
    for edge in edges:
        for partition in edge.reads.get(node.partition, ()):
            parent = AssetPartition(edge.parent, partition)
            if edge.parent not in made.inputs:
                yield f"reads {_told(parent, graph=graph)}, which it did not before"
            elif _read(parent, made=made, history=history) != version_now(
                parent, history=history, settings=settings
            ):
                yield f"{_told(parent, graph=graph)} changed"


def state_of(
    node: AssetPartition, *, graph: PartitionGraph, history: History, settings: Settings | None = None
) -> State:
    """Return whether an asset partition is fresh, stale or missing (never made)."""
    if history.made(node) is None:
        return "missing"
    because = stale_because(node, graph=graph, history=history, settings=settings)
    return "fresh" if next(because, None) is None else "stale"


def version_now(node: AssetPartition, *, history: History, settings: Settings | None) -> str | None:
    """Return the data version that an asset partition has now; None if it was never made."""
    if settings is not None and node in settings:
        return settings[node]
    return history.version(node)


def _read(parent: AssetPartition, *, made: Made, history: History) -> str | None:
    """Return the data version of a parent that was read; None if there was none yet."""
    version, event = made.inputs[parent.asset]
    if event is None:  # Dagster has a version of its own for what was never made
        return None
    return version if parent.partition is None else history.version_at(parent, event)


def _told(node: AssetPartition, *, graph: PartitionGraph) -> str:
    return f"the setting {node} of the study file" if graph.is_setting(node.asset) else str(node)


class PartitionState(NamedTuple):
    """How one asset partition stands."""

    node: AssetPartition
    state: State
    why: str
    """For a stale one what changed; for a fresh one which ancestor is stale, if any; else empty"""


def partition_states(
    *, graph: PartitionGraph, history: History, settings: Settings | None = None
) -> list[PartitionState]:
    """Return the state of every asset partition, from the sources to the report."""
    unsettled: dict[AssetPartition, AssetPartition] = {}
    states = []
    for node in graph:
        state: State = "missing"
        why = ""
        if history.made(node) is not None:
            why = "; ".join(stale_because(node, graph=graph, history=history, settings=settings))
            state = "stale" if why else "fresh"
        if state == "stale":
            unsettled[node] = node
        elif state == "fresh":
            root = next((unsettled[parent] for parent in graph.parents(node) if parent in unsettled), None)
            if root is not None:
                unsettled[node] = root
                why = f"{root} is stale: this follows if that comes out different"
        states.append(PartitionState(node, state, why))
    return states


def unrecorded(tables: Tables, *, graph: PartitionGraph, history: History) -> Iterator[AssetPartition]:
    """Give the asset partitions whose tables have rows that the history knows nothing of, or knows others of."""
    for asset in graph.assets:
        stored = tables.stored_versions(TABLES[asset])
        for partition in graph.partitions[asset]:
            made = history.made(AssetPartition(asset, partition))
            if partition in stored and (made is None or made.version != (stored[partition] or made.version)):
                yield AssetPartition(asset, partition)
