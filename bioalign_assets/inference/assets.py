"""Dagster assets of the inference room: embeddings, answers, names and rankings of each variant on its test sets."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

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

_Columns = Mapping[str, Sequence[Any] | pa.Array]


def build_assets(study: Study, *, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""
    evaluation = study.evaluation
    # a published model fills a card: it is asked when no other is trained or asked. Tiny ones stand side by side
    pool = TRAINING_POOL if any(model.tiny is None for model in study.models.values()) else None

    def inferred(
        full_name: str,
        *,
        description: str,
        code_version: str,
        questions: Callable[..., Mapping[str, Any]],
        ask: Callable[[Variant, Any, "LoadedModel"], Iterable[tuple[pa.Table, _Columns]]],
        told: Callable[[Mapping[str, Any], pa.Table], Mapping[str, Any]],
        settings: Sequence[str] = ("inference",),
        kept: Sequence[str] = _PAIR,
    ) -> dg.AssetsDefinition:
        """Return the asset of what models say to some questions.

        :param questions: by test set, from a variant, the study and the rows of its datasets
        :param ask: from a test set's questions and the model to rows, and the columns that join those kept of them
        :param told: metadata, from the questions and the rows
        :param settings: groups of settings that it reads
        """

        @dg.asset(
            **asset_arguments(full_name, kinds={"pytorch", "huggingface"}, description=description),
            partitions_def=partitions.variant,
            ins={
                "base": dg.AssetIn(
                    key=dg.AssetKey(["models", "base"]), partition_mapping=partitions.model_to_variant
                ),
                "pairs": dg.AssetIn(
                    key=dg.AssetKey(["curation", "pairs"]), partition_mapping=partitions.dataset_to_variant
                ),
                "adapter": dg.AssetIn(key=dg.AssetKey(["training", "adapter"])),
            },
            deps=[settings_dep(name) for name in settings],
            code_version=code_version,
            pool=pool,
        )
        def asset(
            context: dg.AssetExecutionContext,
            base: pa.Table,
            pairs: pa.Table,
            adapter: pa.Table,
            warehouse: Warehouse,
        ) -> dg.MaterializeResult[pa.Table]:
            from bioalign_assets.models.threads import reproducible_threads
            from bioalign_assets.training.adapters import load_variant

            variant = study.variant(context.partition_key)
            asked = questions(variant, study=study, pairs=pairs)
            with reproducible_threads(study.models[variant.model]):
                loaded = load_variant(
                    variant, study=study, base=base, pairs=pairs, adapter=adapter, warehouse=warehouse.root
                )
                tables = [
                    _rows(variant, full_name=full_name, test_set=test_set, rows=rows, kept=kept, more=more)
                    for test_set, of_test_set in asked.items()
                    for rows, more in ask(variant, of_test_set, loaded)
                ]
            found = pa.concat_tables(tables)
            return materialized(found, full_name=full_name, warehouse=warehouse, metadata=told(asked, found))

        return asset

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

    return [
        inferred(
            "inference.embeddings",
            description=(
                "The embedding of each test statement: the decoder's last hidden state, averaged over the "
                "statement's tokens. In DuckDB there is one view a model with fixed-size vectors."
            ),
            code_version="3",
            questions=samples_of,
            ask=lambda variant, rows, loaded: embedded(variant, rows, loaded, column="text"),
            told=pooling,
        ),
        inferred(
            "inference.answers",
            description=(
                "What the model answers when it is asked whether each test statement is true: the words that it "
                "writes, and the probability of true against false from the same pass."
            ),
            code_version="3",
            questions=samples_of,
            ask=answered,
            told=lambda *_: {"prompts": ", ".join(evaluation.prompts)},
        ),
        inferred(
            "inference.names",
            description=(
                "The embedding of each gene and each disease of the test statements by its bare name, pooled as the "
                "statements are: what edge separation compares."
            ),
            code_version="3",
            questions=lambda variant, **given: {
                test_set: distinct_names(rows) for test_set, rows in samples_of(variant, **given).items()
            },
            ask=lambda variant, rows, loaded: embedded(variant, rows, loaded, column="name"),
            told=pooling,
            kept=("kind", "name"),
        ),
        inferred(
            "inference.rankings",
            description=(
                "Link prediction: where the model ranks the hidden disease or gene of held-out true pairs, by the "
                "probability that it gives the statement of each candidate."
            ),
            code_version="3",
            questions=queries_of,
            ask=ranked,
            told=lambda asked, _rows: {
                "prompt": evaluation.prompts[0],
                "queries": {test_set: len(queries) for test_set, queries in asked.items()},
            },
            settings=("inference", "links"),
            kept=("row_number", "pair_id", "target", "candidates", "n_candidates", "rank"),
        ),
    ]


def _rows(
    variant: Variant,
    *,
    full_name: str,
    test_set: str,
    rows: pa.Table,
    kept: Sequence[str],
    more: _Columns,
) -> pa.Table:
    """Return rows of a variant on a test set with the schema of their table."""
    same = {
        "variant": variant.key,
        "model": variant.model,
        "experiment": variant.experiment,
        "test_set": test_set,
    }
    columns = {name: [value] * len(rows) for name, value in same.items()}
    columns |= {name: rows[name].combine_chunks() for name in kept} | dict(more)
    schema = TABLES[full_name].arrow
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)
