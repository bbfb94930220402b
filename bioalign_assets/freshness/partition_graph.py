"""The asset graph by partitions: what each asset partition is made from.

Read off Dagster's definitions once; a study's partitions are static, so nothing of it changes while a process lives.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import dagster as dg

from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["AssetPartition", "Edge", "PartitionGraph", "key_of"]


class AssetPartition(NamedTuple):
    """One partition of an asset, or an asset that has none."""

    asset: str
    """``room.table``"""
    partition: str | None

    def __str__(self) -> str:
        return self.asset + (f"[{self.partition}]" if self.partition is not None else "")

    @property
    def room(self) -> str:
        """The room that makes it."""
        return self.asset.split(".", maxsplit=1)[0]


class Edge(NamedTuple):
    """What one asset reads of another."""

    parent: str
    reads: Mapping[str | None, tuple[str | None, ...]]
    """Partitions of the parent by the reader's own"""
    takes_what_is_there: bool
    """Whether the reader makes do with those partitions that there are, as a leaderboard does with variants"""


def key_of(asset: str) -> dg.AssetKey:
    """Return Dagster's key of an asset."""
    return dg.AssetKey(asset.split("."))


def _name_of(key: dg.AssetKey) -> str:
    return ".".join(key.path)


class PartitionGraph:
    """The asset partitions of some definitions, and what each is made from.

    :param graph: Dagster's asset graph, as ``defs.resolve_asset_graph()`` gives it
    """

    def __init__(self, graph: Any) -> None:
        self._nodes = {_name_of(key): graph.get(key) for key in graph.get_all_asset_keys()}
        self._graph = graph
        # in the order in which data flows, which the tables are listed in (a test holds that)
        self.assets: tuple[str, ...] = tuple(name for name in TABLES if name in self._nodes)
        self.settings: tuple[str, ...] = tuple(name for name, node in self._nodes.items() if node.is_external)
        self.partitions: Mapping[str, tuple[str | None, ...]] = {
            name: (None,) if node.partitions_def is None else tuple(node.partitions_def.get_partition_keys())
            for name, node in self._nodes.items()
        }

    def __iter__(self) -> Iterator[AssetPartition]:
        """Give every asset partition, none before what it is made from."""
        for asset in self.assets:
            for partition in self.partitions[asset]:
                yield AssetPartition(asset, partition)

    @cached_property
    def edges(self) -> Mapping[str, tuple[Edge, ...]]:
        """What each asset reads."""
        return {asset: tuple(self._edges_of(asset)) for asset in self.assets}

    def code_version(self, asset: str) -> str | None:
        """Return the version of the code that makes an asset."""
        return self._nodes[asset].code_version

    def is_partitioned(self, asset: str) -> bool:
        """Whether an asset has partitions."""
        return self._nodes[asset].partitions_def is not None

    def is_setting(self, asset: str) -> bool:
        """Whether an asset stands for settings of the study file: observed, never made."""
        return self._nodes[asset].is_external

    def made_together(self, asset: str) -> frozenset[str]:
        """Return the assets that one step makes with this one, itself among them."""
        return frozenset(map(_name_of, self._nodes[asset].execution_set_asset_keys))

    def step_of(self, asset: str) -> str:
        """Return the name of the step that makes an asset, perhaps with others or one of them alone."""
        name: str = self._nodes[asset].assets_def.op.name
        return name

    def have_same_partitions(self, one: str, other: str) -> bool:
        """Whether two assets can be made in one run."""
        return self._nodes[one].partitions_def == self._nodes[other].partitions_def

    def pools(self, asset: str) -> frozenset[str]:
        """Return the pools of the step that makes an asset."""
        return frozenset(self._nodes[asset].pools or ())

    def blocking_checks(self, asset: str) -> tuple[dg.AssetCheckKey, ...]:
        """Return the checks of an asset that hold back what follows when they fail."""
        return tuple(
            check for check in sorted(self._nodes[asset].check_keys) if self._graph.get(check).blocking
        )

    def parents(self, node: AssetPartition) -> Iterator[AssetPartition]:
        """Give the asset partitions that one is made from; the study file's settings are none of them."""
        for edge in self.edges[node.asset]:
            if not self.is_setting(edge.parent):
                for partition in edge.reads.get(node.partition, ()):
                    yield AssetPartition(edge.parent, partition)

    def _edges_of(self, asset: str) -> Iterator[Edge]:
        for key in sorted(self._nodes[asset].parent_keys):
            parent = _name_of(key)
            reads = self._reads(asset, parent)
            is_one_to_all = not self.is_partitioned(asset) and self.is_partitioned(parent)
            yield Edge(parent, reads, takes_what_is_there=is_one_to_all)

    def _reads(self, asset: str, parent: str) -> Mapping[str | None, tuple[str | None, ...]]:
        own, theirs = self.partitions[asset], self.partitions[parent]
        if not self.is_partitioned(parent) or not self.is_partitioned(asset):
            return dict.fromkeys(own, theirs)
        mapping = self._graph.get_partition_mapping(key_of(asset), key_of(parent))
        if isinstance(mapping, dg.AllPartitionMapping):
            return dict.fromkeys(own, theirs)
        if isinstance(mapping, dg.IdentityPartitionMapping):
            return {partition: (partition,) for partition in own if partition in set(theirs)}
        if not isinstance(mapping, dg.StaticPartitionMapping):
            raise TypeError(f"{asset} reads {parent} by {type(mapping).__name__}, which is not known here")
        found: dict[str | None, list[str | None]] = {}
        read_by = mapping.downstream_partition_keys_by_upstream_partition_key
        for partition in theirs:  # in their order
            readers = read_by.get(str(partition), ())
            for reader in (readers,) if isinstance(readers, str) else dict.fromkeys(readers):
                found.setdefault(reader, []).append(partition)
        return {reader: tuple(partitions) for reader, partitions in found.items()}
