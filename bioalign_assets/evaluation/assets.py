"""Dagster assets of the evaluation room: the metric tables of each variant, the baselines of each dataset."""

from collections.abc import Callable, Iterator

import dagster as dg
import pyarrow as pa

from bioalign_assets.evaluation.baseline_rows import baseline_rows
from bioalign_assets.evaluation.comparison_rows import comparison_rows
from bioalign_assets.evaluation.edge_rows import edge_rows
from bioalign_assets.evaluation.figures import confusion_matrix
from bioalign_assets.evaluation.link_rows import link_rows
from bioalign_assets.evaluation.rows import (
    cluster_rows,
    probe_rows,
    separation_rows,
    zero_shot_rows,
)
from bioalign_assets.partitions import Partitions
from bioalign_assets.plotting import markdown_image
from bioalign_assets.study import Study
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.table_assets import asset_arguments, materialized, settings_dep
from bioalign_assets.warehouse.groups import grouped
from bioalign_assets.warehouse.resources import Warehouse

__all__ = ["build_assets"]

_EMBEDDINGS = dg.AssetKey(["inference", "embeddings"])
_ANSWERS = dg.AssetKey(["inference", "answers"])
_RANKINGS = dg.AssetKey(["inference", "rankings"])
_NAMES = dg.AssetKey(["inference", "names"])
_PAIRS = dg.AssetKey(["curation", "pairs"])


def build_assets(study: Study, *, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""
    spec = study.evaluation
    return [
        _separation_asset(spec, partitions=partitions),
        _metric_asset(
            "evaluation.embedding_probe",
            description=(
                "Embedding probe: logistic regression reads the label from held-out embeddings, in one split and by "
                "cross-validation."
            ),
            compute=probe_rows,
            spec=spec,
            partitions=partitions,
        ),
        _cluster_asset(spec, partitions=partitions),
        _zero_shot_asset(spec, partitions=partitions),
        _link_asset(spec, partitions=partitions),
        _comparison_asset(study, partitions=partitions),
        _baseline_asset(study, partitions=partitions),
    ]


def _separation_asset(spec: EvaluationSpec, *, partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        **asset_arguments(
            "evaluation.kg_separation",
            kinds={"python", "scikitlearn"},
            description=(
                "KG separation: how far true and false statements differ in mean cosine similarity; and edge "
                "separation: how far the cosine of a gene's and a disease's names does."
            ),
        ),
        partitions_def=partitions.variant,
        ins={
            "embeddings": dg.AssetIn(key=_EMBEDDINGS),
            "names": dg.AssetIn(key=_NAMES),
            "pairs": dg.AssetIn(key=_PAIRS, partition_mapping=partitions.dataset_to_variant),
        },
        deps=[settings_dep("evaluation")],
        code_version="2",
    )
    def separation(
        embeddings: pa.Table, names: pa.Table, pairs: pa.Table, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        rows = pa.concat_tables(
            [
                separation_rows(embeddings, spec=spec),
                edge_rows(embeddings, names=names, pairs=pairs, spec=spec),
            ]
        )
        return materialized(
            rows, full_name="evaluation.kg_separation", warehouse=warehouse, metadata=_headline(rows)
        )

    return separation


def _metric_asset(
    full_name: str,
    *,
    description: str,
    compute: Callable[..., pa.Table],
    spec: EvaluationSpec,
    partitions: Partitions,
) -> dg.AssetsDefinition:
    @dg.asset(
        **asset_arguments(full_name, kinds={"python", "scikitlearn"}, description=description),
        partitions_def=partitions.variant,
        ins={"embeddings": dg.AssetIn(key=_EMBEDDINGS)},
        deps=[settings_dep("evaluation")],
        code_version="2",
    )
    def metric_table(embeddings: pa.Table, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        rows = compute(embeddings, spec=spec)
        return materialized(rows, full_name=full_name, warehouse=warehouse, metadata=_headline(rows))

    return metric_table


def _cluster_asset(spec: EvaluationSpec, *, partitions: Partitions) -> dg.AssetsDefinition:
    kinds = {"python", "scikitlearn"}

    @dg.multi_asset(
        name="evaluation__cluster",
        outs={
            "quality": dg.AssetOut(
                **asset_arguments(
                    "evaluation.cluster_quality",
                    kinds=kinds,
                    description="Cluster quality: the silhouette, by label, of the t-SNE map of the embeddings.",
                ),
                code_version="2",
            ),
            "map": dg.AssetOut(
                **asset_arguments(
                    "evaluation.cluster_map",
                    kinds=kinds,
                    description="The t-SNE map that the silhouette is of.",
                ),
                code_version="2",
            ),
        },
        partitions_def=partitions.variant,
        ins={"embeddings": dg.AssetIn(key=_EMBEDDINGS)},
        deps=[settings_dep("evaluation")],
    )
    def cluster(embeddings: pa.Table, warehouse: Warehouse) -> Iterator[dg.MaterializeResult[pa.Table]]:
        metrics, places = cluster_rows(embeddings, spec=spec)
        yield materialized(
            metrics,
            full_name="evaluation.cluster_quality",
            warehouse=warehouse,
            in_multi_asset=True,
            metadata=_headline(metrics),
        )
        yield materialized(
            places, full_name="evaluation.cluster_map", warehouse=warehouse, in_multi_asset=True
        )

    return cluster


def _zero_shot_asset(spec: EvaluationSpec, *, partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        **asset_arguments(
            "evaluation.zero_shot",
            kinds={"python", "scikitlearn"},
            description="Zero-shot figures: how often the model answers rightly, and how well p_true ranks.",
        ),
        partitions_def=partitions.variant,
        ins={"answers": dg.AssetIn(key=_ANSWERS)},
        deps=[settings_dep("evaluation")],
        code_version="2",
    )
    def zero_shot(answers: pa.Table, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        rows = zero_shot_rows(answers, spec=spec)
        confusion = {}
        for key, asked in grouped(answers, by=("test_set", "prompt")):
            test_set, prompt = key["test_set"], key["prompt"]
            confusion[f"confusion_{test_set}_{prompt}"] = dg.MetadataValue.md(
                markdown_image(
                    confusion_matrix(asked), title=f"Confusion matrix, {test_set}, {prompt} prompt"
                )
            )
        return materialized(
            rows,
            full_name="evaluation.zero_shot",
            warehouse=warehouse,
            metadata=_headline(rows) | confusion,
        )

    return zero_shot


def _link_asset(spec: EvaluationSpec, *, partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        **asset_arguments(
            "evaluation.link_prediction",
            kinds={"python"},
            description="Link prediction: mean reciprocal rank and Hits@k of the answers to held-out true pairs.",
        ),
        partitions_def=partitions.variant,
        ins={"rankings": dg.AssetIn(key=_RANKINGS)},
        deps=[settings_dep("evaluation")],
        code_version="1",
    )
    def link_prediction(rankings: pa.Table, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        rows = link_rows(rankings, spec=spec)
        return materialized(
            rows, full_name="evaluation.link_prediction", warehouse=warehouse, metadata=_headline(rows)
        )

    return link_prediction


def _comparison_asset(study: Study, *, partitions: Partitions) -> dg.AssetsDefinition:
    mapping = partitions.variant_to_tuned

    @dg.asset(
        **asset_arguments(
            "evaluation.comparisons",
            kinds={"python", "scikitlearn"},
            description=(
                "Each tuned variant against the same model untuned, on the rows that both were asked: the change of "
                "every figure, its interval, and a paired test. Only variants that can be compared have a partition."
            ),
        ),
        partitions_def=partitions.tuned,
        ins={
            "answers": dg.AssetIn(key=_ANSWERS, partition_mapping=mapping),
            "embeddings": dg.AssetIn(key=_EMBEDDINGS, partition_mapping=mapping),
            "names": dg.AssetIn(key=_NAMES, partition_mapping=mapping),
            "pairs": dg.AssetIn(key=_PAIRS, partition_mapping=partitions.dataset_to_tuned),
        },
        deps=[settings_dep("evaluation")],
        code_version="1",
    )
    def comparisons(
        context: dg.AssetExecutionContext,
        answers: pa.Table,
        embeddings: pa.Table,
        names: pa.Table,
        pairs: pa.Table,
        warehouse: Warehouse,
    ) -> dg.MaterializeResult[pa.Table]:
        tuned = study.variant(context.partition_key)
        untuned = study.untuned_counterpart(tuned)
        if untuned is None:
            raise ValueError(f"{tuned.key} has no untuned counterpart, so it can't be a partition")
        rows = comparison_rows(
            answers=answers,
            embeddings=embeddings,
            names=names,
            pairs=pairs,
            tuned=tuned.key,
            untuned=untuned.key,
            spec=study.evaluation,
        )
        changes = {
            " / ".join(part for part in (row["metric"], row["test_set"], row["prompt"]) if part): row[
                "change"
            ]
            for row in rows.to_pylist()
        }
        return materialized(rows, full_name="evaluation.comparisons", warehouse=warehouse, metadata=changes)

    return comparisons


def _baseline_asset(study: Study, *, partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        **asset_arguments(
            "evaluation.baselines",
            kinds={"python", "scikitlearn"},
            description=(
                "Baselines that never read a statement with a language model. Popularity only sees how often the "
                "gene and the disease occur among the training positives, character n-grams only the spelling, "
                "TransE only the graph, and majority nothing at all."
            ),
        ),
        partitions_def=partitions.dataset,
        ins={"pairs": dg.AssetIn(key=dg.AssetKey(["curation", "pairs"]))},
        deps=[settings_dep("evaluation"), settings_dep("links")],
        code_version="2",
    )
    def baselines(
        context: dg.AssetExecutionContext, pairs: pa.Table, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        rows = baseline_rows(
            pairs,
            dataset_spec_sampler=study.datasets[context.partition_key].sampler,
            spec=study.evaluation,
        )
        return materialized(
            rows, full_name="evaluation.baselines", warehouse=warehouse, metadata=_headline(rows)
        )

    return baselines


def _headline(rows: pa.Table) -> dict[str, float]:
    """Return the figures by name, for the plots that the UI draws over time."""
    figures = {}
    for row in rows.to_pylist():
        parts = (
            row["metric"],
            row["test_set"],
            row["prompt"],
            None if row["scope"] == "sample" else row["scope"],
        )
        name = " / ".join(part for part in parts if part)
        figures[name if row["experiment"] != "baseline" else f"{row['model']} / {name}"] = row["value"]
    return figures
