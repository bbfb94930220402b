"""Dagster assets of the report room: tuned against untuned, the ranking with its baselines, seeds pooled, the page.

The tables are computed in SQL over the warehouse's DuckDB catalogue, from whatever variants are there: a variant that
was never run is no reason to show nothing.
"""

from collections.abc import Mapping, Sequence

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from dagster_duckdb import DuckDBResource

from bioalign_assets.evaluation.figures import tsne_pair
from bioalign_assets.plotting import markdown_image
from bioalign_assets.report.alignment import ALIGNMENT_TABLES, of, read_alignment
from bioalign_assets.report.alignment_figure import alignment_figure
from bioalign_assets.report.figures import leaderboard_figure
from bioalign_assets.report.page import study_page
from bioalign_assets.report.picture_sections import comparison_pictures
from bioalign_assets.report.publish import newest_page, publish
from bioalign_assets.report.reading import Reading
from bioalign_assets.report.seeds import pooled_seeds, seed_groups
from bioalign_assets.report.tables import METRIC_TABLES, stored_alignment_changes, stored_figures
from bioalign_assets.report.tables import improvements as improvements_table
from bioalign_assets.report.tables import leaderboard as leaderboard_table
from bioalign_assets.study import UNTUNED, Study
from bioalign_assets.table_assets import asset_arguments, materialized, settings_dep
from bioalign_assets.training.figures import loss_curves
from bioalign_assets.warehouse.groups import grouped
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["build_assets"]

_READ_BY_PAGE = (
    "ctd.release", "ctd.changes", "curation.pairs", "curation.profile", "models.base", "training.adapter",
    "training.log", "inference.answers", *METRIC_TABLES, "evaluation.baselines", "evaluation.cluster_map",
    "evaluation.comparisons", *ALIGNMENT_TABLES, "report.improvements", "report.leaderboard", "report.seeds",
)  # fmt: skip


def _all_partitions(room: str, name: str) -> dg.AssetDep:
    return dg.AssetDep(dg.AssetKey([room, name]), partition_mapping=dg.AllPartitionMapping())


def _table_deps(names: Sequence[str]) -> list[dg.AssetDep]:
    schemas = [TABLES[name] for name in dict.fromkeys(names)]
    return [
        _all_partitions(schema.room, schema.name)
        if schema.partitioned_by
        else dg.AssetDep(dg.AssetKey([schema.room, schema.name]))
        for schema in schemas
    ]


def build_assets(study: Study, *, has_medic: bool = False) -> list[dg.AssetsDefinition]:
    """Return the assets of this room.

    :param has_medic: whether the disease vocabulary has a source: what is of it has no table where it has none
    """
    read_by_page = [name for name in _READ_BY_PAGE if has_medic or name != "evaluation.medic_alignment"]
    roles = {name: spec.role for name, spec in study.models.items()}
    tiny = {name for name, spec in study.models.items() if spec.tiny is not None}
    variants = [variant.key for variant in study.variants]

    @dg.asset(
        **asset_arguments(
            "report.improvements",
            kinds={"duckdb", "matplotlib"},
            description="Each metric of each tuned model beside the same model untuned (Table 2, figures 11 and 12).",
        ),
        deps=[
            *(
                _all_partitions(*name.split("."))
                for name in (*METRIC_TABLES, "evaluation.cluster_map", "evaluation.comparisons")
            ),
            settings_dep("models", all_partitions=True),
        ],
        code_version="3",
    )
    def improvements(warehouse: Warehouse, duckdb: DuckDBResource) -> dg.MaterializeResult[pa.Table]:
        with duckdb.get_connection() as connection:
            rows = improvements_table(connection, variants=variants)
            figures = stored_figures(connection)
        compared = {
            name: dg.MetadataValue.md(markdown_image(figure, title=caption))
            for name, caption, figure in comparison_pictures(
                figures.filter(pc.is_in(figures["model"], pa.array(list(roles)))), rows, roles=roles
            )
        }
        return materialized(
            rows,
            full_name="report.improvements",
            warehouse=warehouse,
            metadata={**compared, **_maps(warehouse)},
        )

    @dg.asset(
        **asset_arguments(
            "report.leaderboard",
            kinds={"duckdb", "matplotlib"},
            description=(
                "Every model, untuned and tuned, the benchmark model and the baselines, ranked by AUROC on each "
                "test set, with intervals. A model that does not beat popularity is shown not to. Before the rankings "
                "stands how far each contestant's geometry agrees with the graph."
            ),
        ),
        deps=[
            _all_partitions("evaluation", "zero_shot"),
            _all_partitions("evaluation", "baselines"),
            *_table_deps(ALIGNMENT_TABLES[:2]),
            settings_dep("models", all_partitions=True),
        ],
        code_version="3",
    )
    def leaderboard(warehouse: Warehouse, duckdb: DuckDBResource) -> dg.MaterializeResult[pa.Table]:
        with duckdb.get_connection() as connection:
            rows = leaderboard_table(
                connection, roles=roles, tiny=tiny, variants=variants, datasets=list(study.datasets)
            )
        rankings = rows.group_by(["test_set", "prompt"], use_threads=False).aggregate([]).to_pylist()
        figures = dict(_alignment(warehouse, variants=variants, roles=roles))
        for ranking in rankings:
            test_set, prompt = ranking["test_set"], ranking["prompt"]
            title = f"Leaderboard, {test_set}" + (f", {prompt} prompt" if prompt else "")
            figure = leaderboard_figure(rows, test_set=test_set, prompt=prompt)
            figures[f"leaderboard_{test_set}_{prompt or 'baselines'}"] = dg.MetadataValue.md(
                markdown_image(figure, title=title)
            )
        return materialized(rows, full_name="report.leaderboard", warehouse=warehouse, metadata=figures)

    @dg.asset(
        **asset_arguments(
            "report.seeds",
            kinds={"duckdb"},
            description=(
                "Each metric over the experiments that differ in their seed alone: its mean, how far seeds differ, and "
                "an interval over seeds and test rows. No rows where a study has no such experiments."
            ),
        ),
        deps=[
            *(
                _all_partitions(*name.split("."))
                for name in (*METRIC_TABLES, "evaluation.graph_alignment_changes")
            ),
            settings_dep("training", all_partitions=True),
        ],
        code_version="2",
    )
    def seeds(warehouse: Warehouse, duckdb: DuckDBResource) -> dg.MaterializeResult[pa.Table]:
        with duckdb.get_connection() as connection:
            figures = pa.concat_tables(
                [stored_figures(connection), stored_alignment_changes(connection)],
                promote_options="permissive",
            )
        groups = seed_groups(study.experiments)
        return materialized(
            pooled_seeds(figures, groups=groups),
            full_name="report.seeds",
            warehouse=warehouse,
            metadata={"groups": dg.MetadataValue.json({name: list(names) for name, names in groups.items()})},
        )

    @dg.asset(
        **asset_arguments(
            "report.study",
            kinds={"html", "matplotlib"},
            description=(
                "The report: one HTML page that needs nothing else, with the answer in words, all tables and figures, "
                "and the versions of everything behind them. `bioalign report` tells where it lies."
            ),
        ),
        deps=[
            *_table_deps(read_by_page),
            settings_dep("models", all_partitions=True),
            settings_dep("training", all_partitions=True),
        ],
        code_version="2",
    )
    def study_report(warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        page = study_page(warehouse.tables, study=study)
        published = publish(page.html, root=warehouse.root)
        row = {
            "path": published.path, "sha256": published.sha256, "bytes": published.bytes,
            "sections": list(page.sections), "figures": page.figures, "tables": page.tables,
            "missing": list(page.missing),
        }  # fmt: skip
        return materialized(
            pa.Table.from_pylist([row], schema=TABLES["report.study"].arrow),
            full_name="report.study",
            warehouse=warehouse,
            metadata={
                "page": dg.MetadataValue.path(str(warehouse.root / published.path)),
                "newest": dg.MetadataValue.path(str(newest_page(warehouse.root))),
                "summary": " ".join(page.summary),
                **_losses(warehouse),
            },
        )

    return [improvements, leaderboard, seeds, study_report]


def _alignment(
    warehouse: Warehouse, *, variants: Sequence[str], roles: Mapping[str, str]
) -> Mapping[str, dg.MarkdownMetadataValue]:
    """Return the figure of how far each contestant agrees with the graph; nothing where none was measured."""
    alignment = read_alignment(Reading(warehouse.tables), variants=variants)
    if not of([*alignment.figures, *alignment.baselines]):
        return {}
    figure = alignment_figure(alignment, roles=roles)
    picture = markdown_image(figure, title="Does the geometry agree with the graph?")
    return {"alignment": dg.MetadataValue.md(picture)}


def _losses(warehouse: Warehouse) -> Mapping[str, dg.MarkdownMetadataValue]:
    """Return the loss curves of each model, by model and picture."""
    log = warehouse.tables.read(TABLES["training.log"])
    return {
        f"losses_{model}_{number}": dg.MetadataValue.md(
            markdown_image(figure, title=f"Training losses of {model}")
        )
        for model in sorted({variant.split("@")[0] for variant in log["variant"].to_pylist()})
        for number, figure in enumerate(loss_curves(log, model=model), start=1)
    }


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
