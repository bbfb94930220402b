"""Dagster assets of the evaluation room: the metric tables of each variant, the baselines of each dataset."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.alignment.graph import graph_of_edges
from bioalign_assets.alignment.rewiring import rewirings_from_table
from bioalign_assets.alignment.targets import targets_of
from bioalign_assets.evaluation.baselines import baseline_rows
from bioalign_assets.evaluation.clusters import map_rows, map_silhouette_rows
from bioalign_assets.evaluation.comparisons import comparison_rows
from bioalign_assets.evaluation.edge_separation import edge_rows
from bioalign_assets.evaluation.figures import confusion_matrix
from bioalign_assets.evaluation.graph_alignment import (
    aligned,
    alignment_rows,
    baseline_alignment_rows,
    change_rows,
    layer_rows,
    medic_rows,
    model_vectors,
    trained_edges,
)
from bioalign_assets.evaluation.link_prediction import link_rows
from bioalign_assets.evaluation.metrics import embedding_rows, zero_shot_rows
from bioalign_assets.evaluation.notebooks import drawn_rows
from bioalign_assets.inference.sample import Sampler
from bioalign_assets.models.threads import one_thread
from bioalign_assets.partitions import Partitions
from bioalign_assets.plotting import markdown_image
from bioalign_assets.study import Study
from bioalign_assets.study.evaluation import EvaluationSpec
from bioalign_assets.table_assets import asset_arguments, materialized, settings_dep
from bioalign_assets.warehouse.groups import grouped
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["build_assets"]

_KINDS = ("python", "scikitlearn")
_GRAPH = {"edges": "alignment.edges", "rewirings": "alignment.rewirings"}


def build_assets(
    study: Study, *, partitions: Partitions, has_medic: bool = False
) -> list[dg.AssetsDefinition]:
    """Return the assets of this room.

    :param has_medic: whether the disease vocabulary has a source: nothing may wait for it where it has none
    """
    spec = study.evaluation
    samplers = {name: dataset.sampler for name, dataset in study.datasets.items()}
    return [
        _metric_asset(
            "evaluation.kg_separation",
            description=(
                "KG separation: how far true and false statements differ in mean cosine similarity, beside what "
                "permuted labels give; and edge separation: how far the cosine of a gene's and a disease's names does."
            ),
            reads={
                "embeddings": _input("inference.embeddings"),
                "names": _input("inference.names"),
                "pairs": _input("curation.pairs", mapping=partitions.dataset_to_variant),
            },
            rows=lambda embeddings, names, pairs: pa.concat_tables(
                [
                    embedding_rows(embeddings, table="evaluation.kg_separation", spec=spec),
                    edge_rows(embeddings, names=names, pairs=pairs, spec=spec),
                ]
            ),
            partitions=partitions,
            code_version="3",
        ),
        _metric_asset(
            "evaluation.embedding_probe",
            description=(
                "Embedding probe: logistic regression reads the label from held-out embeddings, in one split, by "
                "cross-validation, and as the paper's notebooks do it."
            ),
            reads={
                "embeddings": _input("inference.embeddings"),
                "pairs": _input("curation.pairs", mapping=partitions.dataset_to_variant),
            },
            rows=lambda embeddings, pairs: embedding_rows(
                embeddings,
                table="evaluation.embedding_probe",
                spec=spec,
                drawn=drawn_rows(pairs, samplers=samplers, spec=spec),
            ),
            partitions=partitions,
            code_version="3",
        ),
        _cluster_asset(spec, samplers=samplers, partitions=partitions),
        _metric_asset(
            "evaluation.zero_shot",
            description="Zero-shot figures: how often the model answers rightly, and how well p_true ranks.",
            reads={"answers": _input("inference.answers")},
            rows=lambda answers: zero_shot_rows(answers, spec=spec),
            pictures=_confusion_matrices,
            partitions=partitions,
        ),
        _metric_asset(
            "evaluation.link_prediction",
            kinds=("python",),
            description="Link prediction: mean reciprocal rank and Hits@k of the answers to held-out true pairs.",
            reads={"rankings": _input("inference.rankings")},
            rows=lambda rankings: link_rows(rankings, spec=spec),
            partitions=partitions,
            code_version="1",
        ),
        _comparison_asset(study, partitions=partitions),
        *_alignment_assets(study, partitions=partitions, has_medic=has_medic),
        _baseline_asset(study, partitions=partitions),
    ]


def _input(full_name: str, *, mapping: dg.PartitionMapping | None = None) -> dg.AssetIn:
    return dg.AssetIn(key=dg.AssetKey(full_name.split(".")), partition_mapping=mapping)


def _metric_asset(
    full_name: str,
    *,
    description: str,
    reads: Mapping[str, dg.AssetIn],
    rows: Callable[..., pa.Table],
    partitions: Partitions,
    pictures: Callable[..., dict[str, dg.MarkdownMetadataValue]] | None = None,
    kinds: Sequence[str] = _KINDS,
    code_version: str = "2",
) -> dg.AssetsDefinition:
    """Return the asset of a variant's metric table.

    :param reads: the tables that it is made from, by the names that ``rows`` and ``pictures`` know them by
    """

    @dg.asset(
        **asset_arguments(full_name, kinds=set(kinds), description=description),
        partitions_def=partitions.variant,
        ins=reads,
        deps=[settings_dep("evaluation")],
        code_version=code_version,
    )
    def metric_table(warehouse: Warehouse, **tables: pa.Table) -> dg.MaterializeResult[pa.Table]:
        found = rows(**tables)
        shown = pictures(**tables) if pictures else {}
        return materialized(
            found, full_name=full_name, warehouse=warehouse, metadata=_headline(found) | shown
        )

    return metric_table


def _confusion_matrices(answers: pa.Table) -> dict[str, dg.MarkdownMetadataValue]:
    matrices = {}
    for key, asked in grouped(answers, by=("test_set", "prompt")):
        test_set, prompt = key["test_set"], key["prompt"]
        matrices[f"confusion_{test_set}_{prompt}"] = dg.MetadataValue.md(
            markdown_image(confusion_matrix(asked), title=f"Confusion matrix, {test_set}, {prompt} prompt")
        )
    return matrices


def _cluster_asset(
    spec: EvaluationSpec, *, samplers: Mapping[str, Sampler], partitions: Partitions
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="evaluation__cluster",
        outs={
            "quality": dg.AssetOut(
                **asset_arguments(
                    "evaluation.cluster_quality",
                    kinds=set(_KINDS),
                    description=(
                        "Cluster quality: the silhouette, by label, of the t-SNE map of the embeddings, of the map "
                        "that the paper's notebooks make, and in the full space."
                    ),
                ),
                code_version="3",
            ),
            "map": dg.AssetOut(
                **asset_arguments(
                    "evaluation.cluster_map",
                    kinds=set(_KINDS),
                    description="The t-SNE map that the silhouette is of.",
                ),
                code_version="2",
            ),
        },
        partitions_def=partitions.variant,
        ins={
            "embeddings": _input("inference.embeddings"),
            "pairs": _input("curation.pairs", mapping=partitions.dataset_to_variant),
        },
        deps=[settings_dep("evaluation")],
    )
    def cluster(
        embeddings: pa.Table, pairs: pa.Table, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult[pa.Table]]:
        maps = map_rows(embeddings, spec=spec)
        quality = pa.concat_tables(
            [
                map_silhouette_rows(maps, spec=spec),
                embedding_rows(
                    embeddings,
                    table="evaluation.cluster_quality",
                    spec=spec,
                    drawn=drawn_rows(pairs, samplers=samplers, spec=spec),
                ),
            ]
        )
        yield materialized(
            quality,
            full_name="evaluation.cluster_quality",
            warehouse=warehouse,
            in_multi_asset=True,
            metadata=_headline(quality),
        )
        yield materialized(maps, full_name="evaluation.cluster_map", warehouse=warehouse, in_multi_asset=True)

    return cluster


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
            "answers": _input("inference.answers", mapping=mapping),
            "embeddings": _input("inference.embeddings", mapping=mapping),
            "names": _input("inference.names", mapping=mapping),
            "pairs": _input("curation.pairs", mapping=partitions.dataset_to_tuned),
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


def _alignment_assets(study: Study, *, partitions: Partitions, has_medic: bool) -> list[dg.AssetsDefinition]:
    spec = study.evaluation
    of_graph = {name: _input(full) for name, full in _GRAPH.items()}
    settings = [settings_dep("evaluation")]

    # one step, for what either is held against takes longer to prepare than the figures themselves
    @dg.multi_asset(
        name="evaluation__graph_alignment",
        outs={
            "figures": dg.AssetOut(
                **asset_arguments(
                    "evaluation.graph_alignment",
                    kinds={"python"},
                    description=(
                        "Does the geometry of the names agree with the graph? Each measure on the release's graph, "
                        "against rewirings of it that keep every degree; over all edges, those trained on, and those "
                        "held out."
                    ),
                ),
                code_version="1",
            ),
            "changes": dg.AssetOut(
                **asset_arguments(
                    "evaluation.graph_alignment_changes",
                    kinds={"python"},
                    description=(
                        "A tuned variant against the same model untuned: did tuning move the geometry towards the "
                        "graph, on the edges that it saw and on those that it did not? No rows for an untuned one."
                    ),
                ),
                code_version="1",
            ),
        },
        partitions_def=partitions.variant,
        ins={
            "names": _input("inference.graph_names", mapping=partitions.variant_with_untuned),
            **of_graph,
            "pairs": _input("curation.pairs", mapping=partitions.training_dataset_to_variant),
        },
        deps=settings,
    )
    def graph_alignment(
        context: dg.AssetExecutionContext,
        names: pa.Table,
        edges: pa.Table,
        rewirings: pa.Table,
        pairs: pa.Table,
        warehouse: Warehouse,
    ) -> Iterator[dg.MaterializeResult[pa.Table]]:
        variant = study.variant(context.partition_key)
        untuned = study.untuned_counterpart(variant)
        graph = graph_of_edges(edges)
        is_trained = study.training_dataset(variant) is not None
        with one_thread():
            # nothing where the graph could not be rewired
            targets = () if not len(rewirings) else targets_of(
                rewirings_from_table(rewirings, graph=graph),
                trained=trained_edges(graph, pairs=pairs) if is_trained else None,
                seed=spec.seed,
            )  # fmt: skip
            vectors = [
                model_vectors(names.filter(pc.equal(names["variant"], each.key)), graph=graph)
                for each in (variant, untuned)
                if each is not None
            ]
            own, *before = aligned(vectors, targets=targets, spec=spec)
        rows = list(alignment_rows(own, key=variant.columns))
        yield materialized(
            pa.Table.from_pylist(rows, schema=TABLES["evaluation.graph_alignment"].arrow),
            full_name="evaluation.graph_alignment",
            warehouse=warehouse,
            metadata={
                f"{row['kind']}_{row['measure']}": row["calibrated"] for row in rows if row["edges"] == "all"
            },
            in_multi_asset=True,
        )
        changes = [row for each in before for row in change_rows(each, own, key=variant.columns)]
        yield materialized(
            pa.Table.from_pylist(changes, schema=TABLES["evaluation.graph_alignment_changes"].arrow),
            full_name="evaluation.graph_alignment_changes",
            warehouse=warehouse,
            in_multi_asset=True,
        )

    @dg.asset(
        **asset_arguments(
            "evaluation.graph_alignment_layers",
            kinds={"python"},
            description="The same after every layer, and which layer is best, corrected for having chosen it.",
        ),
        partitions_def=partitions.variant,
        ins={"layers": _input("inference.layer_alignment")},
        code_version="1",
    )
    def layers_(layers: pa.Table, warehouse: Warehouse) -> dg.MaterializeResult[pa.Table]:
        return materialized(
            layer_rows(layers), full_name="evaluation.graph_alignment_layers", warehouse=warehouse
        )

    @dg.asset(
        **asset_arguments(
            "evaluation.graph_alignment_baselines",
            kinds={"python"},
            description=(
                "The same of what stands beside the models: random vectors, the spelling of the names (LSA), and "
                "TransE, which was fitted on four in five edges."
            ),
        ),
        ins=of_graph,
        deps=settings,
        code_version="1",
    )
    def baselines(
        edges: pa.Table, rewirings: pa.Table, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        graph = graph_of_edges(edges)
        with one_thread():
            rows = (
                baseline_alignment_rows(rewirings_from_table(rewirings, graph=graph), spec=spec)
                if len(rewirings)
                else TABLES["evaluation.graph_alignment_baselines"].arrow.empty_table()
            )
        return materialized(rows, full_name="evaluation.graph_alignment_baselines", warehouse=warehouse)

    made = [graph_alignment, layers_, baselines]
    return [*made, _medic_asset(study, partitions=partitions)] if has_medic else made


def _medic_asset(study: Study, *, partitions: Partitions) -> dg.AssetsDefinition:
    @dg.asset(
        **asset_arguments(
            "evaluation.medic_alignment",
            kinds={"python"},
            description=(
                "Does the geometry of diseases' names agree with MEDIC's tree? Apart, so that nothing else waits for "
                "the vocabulary; only where the study has a source of it."
            ),
        ),
        partitions_def=partitions.variant,
        ins={"names": _input("inference.graph_names"), "edges": _input("alignment.edges")},
        deps=[settings_dep("evaluation"), dg.AssetKey(["ctd", "diseases"])],
        code_version="1",
    )
    def medic_alignment(
        context: dg.AssetExecutionContext, names: pa.Table, edges: pa.Table, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        variant = study.variant(context.partition_key)
        graph = graph_of_edges(edges)
        with one_thread():
            rows = medic_rows(
                model_vectors(names, graph=graph),
                graph=graph,
                medic=warehouse.tables.read(TABLES["ctd.diseases"]),
                key=variant.columns,
                spec=study.evaluation,
            )
            found = pa.Table.from_pylist(list(rows), schema=TABLES["evaluation.medic_alignment"].arrow)
        return materialized(found, full_name="evaluation.medic_alignment", warehouse=warehouse)

    return medic_alignment


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
        ins={"pairs": _input("curation.pairs")},
        deps=[settings_dep("evaluation"), settings_dep("links")],
        code_version="2",
    )
    def baselines(
        context: dg.AssetExecutionContext, pairs: pa.Table, warehouse: Warehouse
    ) -> dg.MaterializeResult[pa.Table]:
        rows = baseline_rows(
            pairs,
            sampler=study.datasets[context.partition_key].sampler,
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
