"""A history of materialisations without runs: what Dagster would record, written down in milliseconds.

Over the real asset graph of a study. That Dagster records it so is held by the stories, which run real studies.
"""

import hashlib
from collections.abc import Iterable, Mapping

import dagster as dg

from bioalign_assets.dagster_private import DATA_VERSION_TAG, newest_event_id
from bioalign_assets.freshness.history import History
from bioalign_assets.freshness.look import Look, in_progress
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph, key_of


class Ledger:
    """What is on record of every asset partition, and what a tick of the automation would make of it."""

    def __init__(self, graph: PartitionGraph) -> None:
        self.graph = graph
        self.instance = dg.DagsterInstance.ephemeral()
        self.history = History(graph)
        self.code_versions: dict[str, str] = {}
        self.same: set[str] = set()
        """Assets that come out as they were, whatever they are made from"""
        self.versions: dict[AssetPartition, str] = {}
        """Newest data version of each partition"""
        self._newest: dict[str, int] = {}

    def record(self, node: AssetPartition, version: str) -> None:
        """Record a materialisation as Dagster does: its data version, its code version, and what it read."""
        tags = {
            DATA_VERSION_TAG: version,
            "dagster/code_version": self.code_versions.get(node.asset, self.graph.code_version(node.asset)),
        }
        for edge in self.graph.edges[node.asset]:
            parent = "/".join(edge.parent.split("."))
            tags[f"dagster/input_event_pointer/{parent}"] = str(self._newest.get(edge.parent, "NULL"))
            # of a partitioned asset Dagster records a hash over partitions, which nothing here goes by
            one = AssetPartition(edge.parent, None)
            tags[f"dagster/input_data_version/{parent}"] = self.versions.get(
                one, "over all" if edge.parent in self._newest else "NULL"
            )
        self.report(
            dg.AssetMaterialization(key_of(node.asset), partition=node.partition, tags=tags), node=node
        )

    def observe(self, node: AssetPartition, version: str) -> None:
        """Record that settings of the study file have a version."""
        tags = {DATA_VERSION_TAG: version}
        self.report(dg.AssetObservation(key_of(node.asset), partition=node.partition, tags=tags), node=node)

    def report(self, event: dg.AssetMaterialization | dg.AssetObservation, *, node: AssetPartition) -> None:
        """Put an event of a partition on record."""
        self.instance.report_runless_asset_event(event)
        self.versions[node] = event.tags[DATA_VERSION_TAG]
        self._newest[node.asset] = newest_event_id(self.instance)

    def make(self, *nodes: AssetPartition) -> None:
        """Make partitions: what comes out follows from what they are made from."""
        for node in nodes:
            before = self.versions.get(node)
            read = sorted(
                f"{parent}={self.versions.get(AssetPartition(edge.parent, parent))}"
                for edge in self.graph.edges[node.asset]
                for parent in edge.reads.get(node.partition, ())
            )
            comes_out = hashlib.sha256("".join([str(node), *read]).encode()).hexdigest()
            self.record(node, before if node.asset in self.same and before else comes_out)

    def observe_all(self, settings: Mapping[AssetPartition, str] | None = None) -> None:
        """Record all settings of the study file.

        :param settings: their versions, if they matter
        """
        for name in self.graph.settings:
            for node in (AssetPartition(name, each) for each in self.graph.partitions[name]):
                self.observe(node, settings[node] if settings else "as at first")

    def make_all(self, *, but: Iterable[AssetPartition] = ()) -> None:
        """Make everything once, in order."""
        if not self.versions:
            self.observe_all()
        self.make(*(node for node in self.graph if node not in set(but)))

    def fail(self, node: AssetPartition, *, tags: dict[str, str] | None = None) -> None:
        """Let a real run fail that was to make a partition."""

        @dg.multi_asset(
            name="failing",
            specs=[dg.AssetSpec(key_of(node.asset))],
            partitions_def=None
            if node.partition is None
            else dg.StaticPartitionsDefinition(list(map(str, self.graph.partitions[node.asset]))),
        )
        def failing():
            raise ValueError("as it should")

        result = dg.materialize(
            [failing], instance=self.instance, partition_key=node.partition, raise_on_error=False, tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
        assert not result.success

    def check(self, node: AssetPartition, *, passed: bool, warns: bool = False) -> None:
        """Record what the first blocking check of an asset found."""
        check = self.graph.blocking_checks(node.asset)[0]
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=check.asset_key, check_name=check.name, passed=passed, partition=node.partition, blocking=True,
                severity=dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
                description="as recorded here",
            )
        )  # fmt: skip

    def look(self, **more: object) -> Look:
        """Return how everything stands now."""
        under_way = in_progress(self.graph, instance=self.instance)
        self.history.read(instance=self.instance)
        return Look(
            graph=self.graph, history=self.history, instance=self.instance, under_way=under_way, **more
        )

    def due(self) -> set[AssetPartition]:
        """Return what the automation would ask for now."""
        return {AssetPartition(asset, each) for asset, found in self.look().due.items() for each in found}

    def settle(self, *rooms: str) -> list[AssetPartition]:
        """Make what is due, again and again, until nothing is; return what was made, in order.

        :param rooms: whose sensor is on; all by default
        """
        made: list[AssetPartition] = []
        while due := {node for node in self.due() if not rooms or node.room in rooms}:
            made += sorted(due, key=str)
            self.make(*sorted(due, key=str))
            assert len(made) < 1000
        return made

    def of_state(self, state: str) -> set[AssetPartition]:
        """Return the partitions in a state."""
        look = self.look()
        return {node for node in self.graph if look.state(node) == state}
