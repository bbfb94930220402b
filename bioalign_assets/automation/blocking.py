"""Which blocking checks hold back what follows: those whose last result is a failure that is an error.

Dagster's own condition counts a warning as a failure, and holds everything back for good after a new check was
added, because that one has no result yet.
"""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.event_api import PartitionKeyFilter

__all__ = ["failed_blocking_checks"]


def failed_blocking_checks(
    parents: Iterable[tuple[dg.AssetKey, str | None]],
    *,
    graph: BaseAssetGraph[Any],
    instance: dg.DagsterInstance,
) -> list[str]:
    """Return what the failed blocking checks of some asset partitions said, each with its name.

    :param parents: asset partitions that something is made from
    """
    failed = []
    for key, partition in parents:
        checks = [check for check in sorted(graph.get(key).check_keys) if graph.get(check).blocking]
        latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            checks, PartitionKeyFilter(key=partition) if partition is not None else None
        )
        for check, record in latest.items():
            event = record.event.dagster_event if record.event is not None else None
            if event is None or event.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                continue  # planned, not evaluated: that run is still at work
            found = event.asset_check_evaluation_data
            if not found.passed and found.severity == dg.AssetCheckSeverity.ERROR:
                where = f"[{partition}]" if partition else ""
                failed.append(f"{key.to_user_string()}{where} {check.name}: {found.description}")
    return failed
