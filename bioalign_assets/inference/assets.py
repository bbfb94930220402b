"""Dagster assets of the inference room: embeddings, answers, names and rankings of each variant on its test sets.

One step makes those of them that are wanted: it loads the variant's model once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from bioalign_assets.alignment.graph import graph_of_edges
from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.inference.candidates import LinkQueries
from bioalign_assets.inference.rows_asked import distinct_names, queries_of, samples_of
from bioalign_assets.partitions import Partitions
from bioalign_assets.study import Study, Variant
from bioalign_assets.table_assets import asset_arguments, materialized, settings_dep
from bioalign_assets.training.assets import TRAINING_POOL
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

if TYPE_CHECKING:
    from bioalign_assets.models.loading import LoadedModel

__all__ = ["build_assets"]

_PAIR = ("row_number", "pair_id", "label")

_EDGES, _REWIRINGS = (dg.AssetKey(["alignment", name]) for name in ("edges", "rewirings"))
_GRAPH_NAMES, _LAYERS = "inference.graph_names", "inference.layer_alignment"
_OF_THE_GRAPH = {
    _GRAPH_NAMES: (
        "The embedding of the bare name of every gene and disease of the release's graph, after the last layer."
    ),
    _LAYERS: (
        "How well the geometry of the bare names agrees with the graph after every layer, on the graph and on each of "
        "its rewirings; the vectors of the layers are not kept."
    ),
}
"""What is made of the release's names, all in one pass."""

_Columns = Mapping[str, Sequence[Any] | pa.Array]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A table of what models say to some questions.

    :param questions: by test set, from a variant, the study and the rows of its datasets
    :param ask: from a test set's questions and the model to rows, and the columns that join those kept of them
    :param told: metadata, from the questions and the rows
    :param settings: groups of settings that it reads
    """

    full_name: str
    description: str
    questions: Callable[..., Mapping[str, Any]]
    ask: Callable[[Variant, Any, "LoadedModel"], Iterable[tuple[pa.Table, _Columns]]]
    told: Callable[[Mapping[str, Any], pa.Table], Mapping[str, Any]]
    settings: Sequence[str] = ("inference",)
    kept: Sequence[str] = _PAIR

    @property
    def name(self) -> str:
        """Its name within the room."""
        return TABLES[self.full_name].name


def build_assets(study: Study, *, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""
    evaluation = study.evaluation
    # a published model fills a card: it is asked when no other is trained or asked. Tiny ones stand side by side
    pool = TRAINING_POOL if any(model.tiny is None for model in study.models.values()) else None

    def how(variant: Variant, *, prompt: str, loaded: "LoadedModel") -> dict[str, Any]:
        """Return how a model is asked."""
        spec = study.models[variant.model]
        return {
            "prompt": PROMPTS[prompt],
            "loaded": loaded,
            "batch_size": spec.batch_size,
            # the training prompt is asked as it was trained on: never inside a chat template
            "is_chat": spec.prompt == "chat" and prompt != "training",
        }

    def embedded(
        variant: Variant, rows: pa.Table, loaded: "LoadedModel", *, column: str
    ) -> Iterator[tuple[pa.Table, _Columns]]:
        from bioalign_assets.inference.embeddings import embed

        vectors = embed(
            rows[column].to_pylist(),
            loaded=loaded,
            batch_size=study.models[variant.model].batch_size,
            pooling=evaluation.pooling,
        )
        yield rows, {"embedding": pa.array(list(vectors), type=pa.list_(pa.float32()))}

    def pooling(_asked: object, rows: pa.Table) -> Mapping[str, Any]:
        return {"pooling": evaluation.pooling, "dimensions": len(rows["embedding"][0])}

    def answered(
        variant: Variant, sample: pa.Table, loaded: "LoadedModel"
    ) -> Iterator[tuple[pa.Table, _Columns]]:
        from bioalign_assets.inference.answers import ask

        for prompt in evaluation.prompts:
            found = ask(sample["text"].to_pylist(), **how(variant, prompt=prompt, loaded=loaded))
            yield (
                sample,
                {
                    "prompt": [prompt] * len(sample),
                    "answer": found.answer,
                    "predicted": found.predicted,
                    "p_true": found.p_true,
                },
            )

    def ranked(
        variant: Variant, queries: LinkQueries, loaded: "LoadedModel"
    ) -> Iterator[tuple[pa.Table, _Columns]]:
        from bioalign_assets.inference.rankings import rankings
        from bioalign_assets.inference.scoring import p_true

        prompt = evaluation.prompts[0]
        rows = rankings(
            queries,
            score=lambda texts: p_true(texts, **how(variant, prompt=prompt, loaded=loaded), what="ranking"),
            sampled=evaluation.link_candidates,
            with_exact=evaluation.link_exact,
        )
        yield rows, {"prompt": [prompt] * len(rows)}

    tables = (
        _Asked(
            full_name="inference.embeddings",
            description=(
                "The embedding of each test statement: the decoder's last hidden state, averaged over the "
                "statement's tokens. In DuckDB there is one view a model with fixed-size vectors."
            ),
            questions=samples_of,
            ask=lambda variant, rows, loaded: embedded(variant, rows, loaded, column="text"),
            told=pooling,
        ),
        _Asked(
            full_name="inference.answers",
            description=(
                "What the model answers when it is asked whether each test statement is true: the words that it "
                "writes, and the probability of true against false from the same pass."
            ),
            questions=samples_of,
            ask=answered,
            told=lambda *_: {"prompts": ", ".join(evaluation.prompts)},
        ),
        _Asked(
            full_name="inference.names",
            description=(
                "The embedding of each gene and each disease of the test statements by its bare name, pooled as the "
                "statements are: what edge separation compares."
            ),
            questions=lambda variant, **given: {
                test_set: distinct_names(rows) for test_set, rows in samples_of(variant, **given).items()
            },
            ask=lambda variant, rows, loaded: embedded(variant, rows, loaded, column="name"),
            told=pooling,
            kept=("kind", "name"),
        ),
        _Asked(
            full_name="inference.rankings",
            description=(
                "Link prediction: where the model ranks the hidden disease or gene of held-out true pairs, by the "
                "probability that it gives the statement of each candidate."
            ),
            questions=queries_of,
            ask=ranked,
            told=lambda asked, _rows: {
                "prompt": evaluation.prompts[0],
                "queries": {test_set: len(queries) for test_set, queries in asked.items()},
            },
            settings=("inference", "links"),
            kept=("row_number", "pair_id", "target", "candidates", "n_candidates", "rank"),
        ),
    )

    @dg.multi_asset(
        name="inference__ask",
        outs={
            **{table.name: _out(table.full_name, table.description, code_version="4") for table in tables},
            **{TABLES[name].name: _out(name, told, code_version="1") for name, told in _OF_THE_GRAPH.items()},
        },
        partitions_def=partitions.variant,
        ins={
            name: dg.AssetIn(key=key, partition_mapping=mapping)
            for name, (key, mapping) in _reads(partitions).items()
        },
        deps=[
            # not as inputs: who asks for answers alone needs no graph
            _EDGES,
            _REWIRINGS,
            *(
                settings_dep(name)
                for name in dict.fromkeys(name for table in tables for name in table.settings)
            ),
        ],
        internal_asset_deps=_made_from(tables, partitions=partitions),
        can_subset=True,
        pool=pool,
    )
    def ask(
        context: dg.AssetExecutionContext,
        base: pa.Table,
        pairs: pa.Table,
        adapter: pa.Table,
        warehouse: Warehouse,
    ) -> Iterator[dg.MaterializeResult[pa.Table]]:
        from bioalign_assets.models.threads import reproducible_threads
        from bioalign_assets.training.adapters import load_variant

        variant = study.variant(context.partition_key)
        wanted = [
            table for table in tables if dg.AssetKey(["inference", table.name]) in context.selected_asset_keys
        ]
        with reproducible_threads(study.models[variant.model]):
            loaded = load_variant(
                variant, study=study, base=base, pairs=pairs, adapter=adapter, warehouse=warehouse.root
            )
            for table in wanted:
                asked = table.questions(variant, study=study, pairs=pairs)
                found = pa.concat_tables(
                    [
                        _rows(variant, table=table, test_set=test_set, rows=rows, more=more)
                        for test_set, of_test_set in asked.items()
                        for rows, more in table.ask(variant, of_test_set, loaded)
                    ]
                )
                yield materialized(
                    found,
                    full_name=table.full_name,
                    warehouse=warehouse,
                    in_multi_asset=True,
                    metadata=table.told(asked, found),
                )
            yield from _of_graph(context, study=study, loaded=loaded, warehouse=warehouse)

    return [ask]


def _of_graph(
    context: dg.AssetExecutionContext,
    *,
    study: Study,
    loaded: "LoadedModel",
    warehouse: Warehouse,
) -> Iterator[dg.MaterializeResult[pa.Table]]:
    """Give those tables of the release's names that are wanted; the graph is read only then."""
    from bioalign_assets.inference.names_of_graph import names_of_graph

    names = [name for name in _OF_THE_GRAPH if dg.AssetKey(name.split(".")) in context.selected_asset_keys]
    if not names:
        return
    edges = warehouse.tables.read(TABLES["alignment.edges"])
    rewirings = warehouse.tables.read(TABLES["alignment.rewirings"]) if _LAYERS in names else None
    made = names_of_graph(
        study.variant(context.partition_key),
        graph=graph_of_edges(edges),
        rewirings=rewirings if rewirings is not None and len(rewirings) else None,
        loaded=loaded,
        study=study,
    )
    for name in names:
        rows = made.get(name, TABLES[name].arrow.empty_table())  # a graph that can't be rewired has no nulls
        yield materialized(rows, full_name=name, warehouse=warehouse, in_multi_asset=True)


def _out(full_name: str, description: str, *, code_version: str) -> dg.AssetOut:
    return dg.AssetOut(
        **asset_arguments(full_name, kinds={"pytorch", "huggingface"}, description=description),
        code_version=code_version,
        is_required=False,
    )


def _made_from(tables: Sequence[_Asked], *, partitions: Partitions) -> dict[str, set[dg.AssetKey]]:
    """Return what each table is made from: the assets that it reads, and its settings."""
    keys = {name: key for name, (key, _) in _reads(partitions).items()}
    # the adapter's provenance is held against the pairs that it was trained on, so all read these
    of_all = {keys[name] for name in ("base", "pairs", "adapter")}
    found = {
        table.name: of_all | {settings_dep(name).asset_key for name in table.settings} for table in tables
    }
    of_graph = of_all | {_EDGES, settings_dep("inference").asset_key}
    found[TABLES[_GRAPH_NAMES].name] = of_graph
    found[TABLES[_LAYERS].name] = of_graph | {_REWIRINGS}
    return found


def _reads(partitions: Partitions) -> Mapping[str, tuple[dg.AssetKey, dg.PartitionMapping | None]]:
    """Return what a variant's answers are made from: parameter, asset, and which of its partitions."""
    return {
        "base": (dg.AssetKey(["models", "base"]), partitions.model_to_variant),
        "pairs": (dg.AssetKey(["curation", "pairs"]), partitions.dataset_to_variant),
        "adapter": (dg.AssetKey(["training", "adapter"]), None),
    }


def _rows(variant: Variant, *, table: _Asked, test_set: str, rows: pa.Table, more: _Columns) -> pa.Table:
    """Return rows of a variant on a test set with the schema of their table."""
    same = {**variant.columns, "test_set": test_set}
    columns = {name: [value] * len(rows) for name, value in same.items()}
    columns |= {name: rows[name].combine_chunks() for name in table.kept} | dict(more)
    schema = TABLES[table.full_name].arrow
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)
