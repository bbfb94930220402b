"""Whether the figures that a warehouse has of a variant are those of its present adapter."""

from pathlib import Path
from typing import Any

from bioalign_assets.execution.instance import belonging_of, instance_to_read
from bioalign_assets.freshness.history import History
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph
from bioalign_assets.freshness.settings_assets import present_settings
from bioalign_assets.freshness.stale import stale_because
from bioalign_assets.study import Study, Variant

__all__ = ["stale_figures"]

_OF_VARIANT = ("inference.answers", "evaluation.zero_shot")


def stale_figures(variant: Variant, *, study: Study, assets: Any, warehouse: Path) -> list[str]:
    """Return the reasons why a variant's rows of the leaderboard may be of an earlier adapter; none if they are fresh.

    :param assets: Dagster's graph of all assets
    """
    if belonging_of(warehouse) is None:
        return []
    graph = PartitionGraph(assets)
    history = History(graph)
    with instance_to_read(warehouse) as instance:
        history.read(instance=instance)
    settings, dataset = present_settings(study), study.training_dataset(variant)
    nodes = [
        # the card tells the release in force: the adapter may have been trained on an earlier one
        AssetPartition("ctd.associations", None),
        *([AssetPartition("curation.pairs", dataset)] if dataset is not None else []),
        *(AssetPartition(asset, variant.key) for asset in _OF_VARIANT),
        AssetPartition("report.leaderboard", None),
    ]
    reasons = []
    for node in nodes:
        why = "; ".join(stale_because(node, graph=graph, history=history, settings=settings))
        if why:
            reasons.append(f"{node}: {why}")
    return reasons
