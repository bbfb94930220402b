"""Dagster assets of the report room: tuned against untuned, and the ranking with the baselines in it.

Both are computed in SQL over the warehouse's DuckDB catalogue, from whatever variants are there: a variant that
was never run is no reason to show nothing.
"""

from collections.abc import Mapping

import dagster as dg
import pyarrow as pa
from dagster_duckdb import DuckDBResource

from bioalign_assets.evaluation.figures import tsne_pair
from bioalign_assets.orchestration import asset_arguments, materialized, settings_dep
from bioalign_assets.plotting import markdown_image
from bioalign_assets.report.figures import leaderboard_figure
from bioalign_assets.report.tables import improvements as improvements_table
from bioalign_assets.report.tables import leaderboard as leaderboard_table
from bioalign_assets.study import UNTUNED, Study
from bioalign_assets.warehouse.groups import grouped
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["build_assets"]

_VARIANT_METRICS = ("kg_separation", "embedding_probe", "zero_shot", "link_prediction", "cluster_quality")


def _all_partitions(name: str) -> dg.AssetDep:
    return dg.AssetDep(dg.AssetKey(["evaluation", name]), partition_mapping=dg.AllPartitionMapping())


def build_assets(study: Study) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""
    roles = {name: spec.role for name, spec in study.models.items()}
    tiny = {name for name, spec in study.models.items() if spec.tiny is not None}

    @dg.asset(
        **asset_arguments(
            "report.improvements",
            kinds={"duckdb", "matplotlib"},
            description="Each metric of each tuned model beside the same model untuned (Table 2, figures 11 and 12).",
        ),
        deps=[_all_partitions(name) for name in (*_VARIANT_METRICS, "cluster_map", "comparisons")],
        code_version="2",
    )
    def improvements(warehouse: Warehouse, duckdb: DuckDBResource) -> dg.MaterializeResult[pa.Table]:
        with duckdb.get_connection() as connection:
            rows = improvements_table(connection)
        return materialized(
            rows,
            full_name="report.improvements",
            warehouse=warehouse,
            metadata=_maps(warehouse),
        )

    @dg.asset(
        **asset_arguments(
            "report.leaderboard",
            kinds={"duckdb", "matplotlib"},
            description=(
                "Every model, untuned and tuned, the benchmark model and the baselines, ranked by AUROC on each "
                "test set, with intervals. A model that does not beat popularity is shown not to."
            ),
        ),
        deps=[
            _all_partitions("zero_shot"),
            _all_partitions("baselines"),
            settings_dep("models", all_partitions=True),
        ],
        code_version="1",
    )
    def leaderboard(warehouse: Warehouse, duckdb: DuckDBResource) -> dg.MaterializeResult[pa.Table]:
        with duckdb.get_connection() as connection:
            rows = leaderboard_table(connection, roles=roles, tiny=tiny)
        rankings = rows.group_by(["test_set", "prompt"], use_threads=False).aggregate([]).to_pylist()
        figures = {}
        for ranking in rankings:
            test_set, prompt = ranking["test_set"], ranking["prompt"]
            title = f"Leaderboard, {test_set}" + (f", {prompt} prompt" if prompt else "")
            figure = leaderboard_figure(rows, test_set=test_set, prompt=prompt)
            figures[f"leaderboard_{test_set}_{prompt or 'baselines'}"] = dg.MetadataValue.md(
                markdown_image(figure, title=title)
            )
        return materialized(rows, full_name="report.leaderboard", warehouse=warehouse, metadata=figures)

    return [improvements, leaderboard]


def _maps(warehouse: Warehouse) -> Mapping[str, dg.MarkdownMetadataValue]:
    """Return the t-SNE map of each tuned variant under the one of its model untuned, by model and test set."""
    places = warehouse.tables.read(TABLES["evaluation.cluster_map"])
    by = ("model", "experiment", "test_set")
    found = {tuple(key[name] for name in by): group for key, group in grouped(places, by=by)}
    figures = {}
    for (model, experiment, test_set), tuned in sorted(found.items()):
        base = found.get((model, UNTUNED, test_set))
        if experiment != UNTUNED and base is not None:
            title = f"t-SNE of {model}, untuned over {experiment}, {test_set}"
            figures[f"tsne_{model}_{experiment}_{test_set}"] = dg.MetadataValue.md(
                markdown_image(tsne_pair(base, tuned, model=model), title=title)
            )
    return figures
