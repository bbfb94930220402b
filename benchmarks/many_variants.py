"""What it costs to tell what is stale, by the number of variants: all partitions at once, and one after another.

    python -m benchmarks.many_variants --variants 100 300

Makes a study with so many models, writes down in its Dagster instance (SQLite on disk, as a warehouse has it) a
materialisation of every asset partition with the provenance and the metadata of a real one, and times, side by side:
Dagster's own resolver asked partition by partition (as `bioalign status` did in 0.1.0, here for some partitions, times
their share), and `freshness` reading whole assets. Then: a look of the automation after one event, and one after none.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.side_by_side import machine
from bioalign_assets.dagster_private import DATA_VERSION_TAG, newest_event_id
from bioalign_assets.definitions import build_defs
from bioalign_assets.execution.instance import open_instance
from bioalign_assets.freshness.history import History
from bioalign_assets.freshness.look import Look, in_progress
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph, key_of
from bioalign_assets.freshness.settings_assets import observe_settings, present_settings
from bioalign_assets.freshness.stale import partition_states
from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study

__all__ = ["main", "study_of"]

_ASKED_ONE_BY_ONE = 40
_PLOTTED = {"curation.profile": 5, "evaluation.zero_shot": 2, "training.log": 1}
_PLOT = "![plot](data:image/png;base64," + "A" * 30_000 + ")"
"""Tables whose materialisations carry pictures, and as long a text as one of them"""


def study_of(variants: int) -> str:
    """Return the text of a study that has so many variants."""
    models = "".join(
        f'[models.m{number}]\ntiny = "llama"\nrole = "benchmark"\n' for number in range(variants)
    )
    return (
        f'title = "{variants} variants"\n{models}'
        '[datasets.one]\nsampler = "stable"\nsplit = "pair"\n[experiments.untuned]\nevaluate_on = ["one"]\n'
    )


def _record_all(
    graph: PartitionGraph, *, instance: dg.DagsterInstance, settings: Mapping[AssetPartition, str]
) -> None:
    newest: dict[str, int] = {name: newest_event_id(instance) for name in graph.settings}
    versions = dict(settings)
    for node in graph:
        tags = {DATA_VERSION_TAG: str(node), "dagster/code_version": graph.code_version(node.asset) or ""}
        for edge in graph.edges[node.asset]:
            parent = "/".join(edge.parent.split("."))
            tags[f"dagster/input_event_pointer/{parent}"] = str(newest.get(edge.parent, "NULL"))
            tags[f"dagster/input_data_version/{parent}"] = versions.get(
                AssetPartition(edge.parent, None), "all"
            )
        plots = {
            f"plot_{number}": dg.MetadataValue.md(_PLOT) for number in range(_PLOTTED.get(node.asset, 0))
        }
        metadata: dict[str, Any] = {
            "dagster/row_count": 1000,
            "preview": dg.MetadataValue.md("| a | b |\n" * 6),
            **plots,
        }
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                key_of(node.asset), partition=node.partition, tags=tags, metadata=metadata
            )
        )
        newest[node.asset] = newest_event_id(instance)
        versions[node] = str(node)


def _one_by_one(defs: dg.Definitions, *, graph: PartitionGraph, instance: dg.DagsterInstance) -> float:
    """Return the seconds that Dagster's resolver takes for all partitions, by those of some."""
    from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
    from dagster._core.definitions.data_version import CachingStaleStatusResolver

    view = AssetGraphView.for_test(defs, instance)
    resolver = CachingStaleStatusResolver(instance, view.asset_graph, view)
    nodes = list(graph)
    asked = nodes[:: max(1, len(nodes) // _ASKED_ONE_BY_ONE)]
    began = time.perf_counter()
    for node in asked:
        resolver.get_status(key_of(node.asset), node.partition)
        resolver.get_stale_causes(key_of(node.asset), node.partition)
    return (time.perf_counter() - began) * len(nodes) / len(asked)


def measured(variants: int, *, folder: Path) -> str:
    """Return a row of the table: what it costs with so many variants."""
    file = folder / f"{variants}.toml"
    file.write_text(study_of(variants), encoding="utf-8")
    study = load_study(str(file))
    settings = Settings(study=str(file), warehouse=folder / str(variants))
    began = time.perf_counter()
    defs = build_defs(settings=settings, study=study)
    asset_graph = defs.resolve_asset_graph()
    defining = time.perf_counter() - began
    graph = PartitionGraph(asset_graph)
    with open_instance(settings.warehouse) as instance:
        observe_settings(study, instance=instance)
        _record_all(graph, instance=instance, settings=present_settings(study))
        before = _one_by_one(defs, graph=graph, instance=instance)

        began = time.perf_counter()
        history = History(graph)
        history.read(instance=instance)
        states = partition_states(graph=graph, history=history, settings=present_settings(study))
        at_once = time.perf_counter() - began
        if any(state.state != "fresh" for state in states):
            raise RuntimeError(f"not fresh: {next(state for state in states if state.state != 'fresh')}")

        def look() -> float:
            began = time.perf_counter()
            under_way = in_progress(graph, instance=instance)
            history.read(instance=instance)
            due = Look(graph=graph, history=history, instance=instance, under_way=under_way).due
            seconds = time.perf_counter() - began
            print(f"  due: {sum(map(len, due.values()))} of {len(list(graph))} partitions")
            return seconds

        idle = look()
        changed = AssetPartition("evaluation.zero_shot", "m1@untuned")
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                key_of(changed.asset), partition=changed.partition, tags={DATA_VERSION_TAG: "another"}
            )
        )
        busy = look()
    return (
        f"{variants:9}{len(states):12}{defining:13.1f}{before:14.1f}{at_once:11.1f}{idle:14.2f}{busy:13.2f}"
        f"   ratio {before / at_once:.0f}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", type=int, nargs="+", default=[100, 300])
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        rows = [measured(variants, folder=Path(folder)) for variants in asked.variants]
    print("seconds for all partitions; a look of the automation with nothing new, and with one event")
    print(" variants  partitions  definitions    one by one    at once  look, nothing  look, event")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
