"""Walking the asset graph by partitions."""

from collections.abc import Iterator

import dagster as dg
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions.events import AssetKeyPartitionKey

__all__ = ["parent_partitions"]


def parent_partitions(
    view: AssetGraphView, key: dg.AssetKey, partition: str | None
) -> Iterator[tuple[dg.AssetKey, str | None]]:
    """Give the asset partitions that a partition is made from; the study file's settings are none of them."""
    graph = view.asset_graph
    subset = view.get_asset_subset_from_asset_partitions(key, {AssetKeyPartitionKey(key, partition)})
    for parent in sorted(graph.get(key).parent_keys):
        if graph.get(parent).is_external:
            continue
        found = view.compute_parent_subset(parent, subset).expensively_compute_asset_partitions()
        yield from sorted((item.asset_key, item.partition_key) for item in found)
