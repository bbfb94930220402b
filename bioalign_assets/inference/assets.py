"""Dagster assets of the inference room: embeddings, answers, names and rankings of each variant on its test sets."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.inference.candidates import LinkQueries, link_queries
from bioalign_assets.inference.names import distinct_names
from bioalign_assets.inference.sample import evaluation_sample
from bioalign_assets.partitions import Partitions
from bioalign_assets.study import Study, Variant
from bioalign_assets.table_assets import asset_arguments, materialized, settings_dep
from bioalign_assets.training.assets import TRAINING_POOL
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

if TYPE_CHECKING:
    from bioalign_assets.models.loading import LoadedModel

__all__ = ["build_assets", "queries_of", "samples_of"]

_KEPT = ("row_number", "pair_id", "label")


def samples_of(variant: Variant, *, study: Study, pairs: pa.Table) -> dict[str, pa.Table]:
    """Return the test rows that a variant is asked about, by test set.

    Rows whose text the variant was trained on through another dataset are left out; a dataset's own flaws
    (a text in both of its splits) stay, because the figures of that dataset are made with them.

    :param pairs: rows of ``curation.pairs`` of every dataset that the variant reads
    """
    return {
        name: evaluation_sample(
            rows,
            size=study.evaluation.most_rows,
            seed=study.evaluation.seed,
            sampler=study.datasets[name].sampler,
            seen_texts=seen,
        )
        for name, rows, seen in _test_sets(variant, study=study, pairs=pairs)
    }


def queries_of(variant: Variant, *, study: Study, pairs: pa.Table) -> dict[str, LinkQueries]:
    """Return the link queries that a variant is asked, by test set; pairs that it was trained on are left out.

    :param pairs: rows of ``curation.pairs`` of every dataset that the variant reads
    """
    spec = study.evaluation
    return {
        name: link_queries(rows, size=spec.link_queries, seed=spec.seed, seen_texts=seen)
        for name, rows, seen in _test_sets(variant, study=study, pairs=pairs)
    }


def _test_sets(
    variant: Variant, *, study: Study, pairs: pa.Table
) -> Iterator[tuple[str, pa.Table, pa.ChunkedArray | None]]:
    """Give the name and rows of each test set of a variant, and the texts of another one that it was trained on."""
    trained_on = study.training_dataset(variant)
    seen = None
    if trained_on is not None:
        is_seen = pc.and_(pc.equal(pairs["dataset"], trained_on), pc.equal(pairs["split"], "train"))
        seen = pairs.filter(is_seen)["text"]
    for name in study.experiments[variant.experiment].evaluate_on:
        rows = pairs.filter(pc.equal(pairs["dataset"], name))
        yield name, rows, seen if name != trained_on else None


def build_assets(study: Study, *, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""
    # a published model fills a card: it is asked when no other is trained or asked. Tiny ones stand side by side
    pool = TRAINING_POOL if any(model.tiny is None for model in study.models.values()) else None
    ins = {
        "base": dg.AssetIn(
            key=dg.AssetKey(["models", "base"]), partition_mapping=partitions.model_to_variant
        ),
        "pairs": dg.AssetIn(
            key=dg.AssetKey(["curation", "pairs"]), partition_mapping=partitions.dataset_to_variant
        ),
        "adapter": dg.AssetIn(key=dg.AssetKey(["training", "adapter"])),
    }

    @dg.asset(
        **asset_arguments(
            "inference.embeddings",
            kinds={"pytorch", "huggingface"},
            description=(
                "The embedding of each test statement: the decoder's last hidden state, averaged over the "
                "statement's tokens. In DuckDB there is one view a model with fixed-size vectors."
            ),
        ),
        partitions_def=partitions.variant,
        ins=ins,
        deps=[settings_dep("inference")],
        code_version="3",
        pool=pool,
    )
    def embeddings(
        context: dg.AssetExecutionContext,
        base: pa.Table,
        pairs: pa.Table,
        adapter: pa.Table,
        warehouse: Warehouse,
    ) -> dg.MaterializeResult[pa.Table]:
        from bioalign_assets.inference.embeddings import embed

        variant = study.variant(context.partition_key)

        def rows_of(test_set: str, sample: pa.Table, loaded: "LoadedModel") -> Iterable[pa.Table]:
            vectors = embed(
                sample["text"].to_pylist(),
                loaded=loaded,
                batch_size=study.models[variant.model].batch_size,
                pooling=study.evaluation.pooling,
            )
            yield _rows(
                variant, sample=sample, test_set=test_set, full_name="inference.embeddings",
                more={"embedding": pa.array(list(vectors), type=pa.list_(pa.float32()))},
            )  # fmt: skip

        rows = _infer(
            variant, study=study, base=base, pairs=pairs, adapter=adapter, warehouse=warehouse, infer=rows_of
        )
        return materialized(
            rows,
            full_name="inference.embeddings",
            warehouse=warehouse,
            metadata={"pooling": study.evaluation.pooling, "dimensions": len(rows["embedding"][0])},
        )

    @dg.asset(
        **asset_arguments(
            "inference.answers",
            kinds={"pytorch", "huggingface"},
            description=(
                "What the model answers when it is asked whether each test statement is true: the words that it "
                "writes, and the probability of true against false from the same pass."
            ),
        ),
        partitions_def=partitions.variant,
        ins=ins,
        deps=[settings_dep("inference")],
        code_version="3",
        pool=pool,
    )
    def answers(
        context: dg.AssetExecutionContext,
        base: pa.Table,
        pairs: pa.Table,
        adapter: pa.Table,
        warehouse: Warehouse,
    ) -> dg.MaterializeResult[pa.Table]:
        from bioalign_assets.inference.answers import ask

        variant = study.variant(context.partition_key)
        spec = study.models[variant.model]

        def rows_of(test_set: str, sample: pa.Table, loaded: "LoadedModel") -> Iterable[pa.Table]:
            for prompt in study.evaluation.prompts:
                asked = ask(
                    sample["text"].to_pylist(),
                    prompt=PROMPTS[prompt],
                    loaded=loaded,
                    batch_size=spec.batch_size,
                    # the training prompt is asked as it was trained on: never inside a chat template
                    is_chat=spec.prompt == "chat" and prompt != "training",
                )
                yield _rows(
                    variant, sample=sample, test_set=test_set, full_name="inference.answers",
                    more={
                        "prompt": [prompt] * len(sample),
                        "answer": asked.answer,
                        "predicted": asked.predicted,
                        "p_true": asked.p_true,
                    },
                )  # fmt: skip

        rows = _infer(
            variant, study=study, base=base, pairs=pairs, adapter=adapter, warehouse=warehouse, infer=rows_of
        )
        return materialized(
            rows,
            full_name="inference.answers",
            warehouse=warehouse,
            metadata={"prompts": ", ".join(study.evaluation.prompts)},
        )

    @dg.asset(
        **asset_arguments(
            "inference.rankings",
            kinds={"pytorch", "huggingface"},
            description=(
                "Link prediction: where the model ranks the hidden disease or gene of held-out true pairs, by the "
                "probability that it gives the statement of each candidate."
            ),
        ),
        partitions_def=partitions.variant,
        ins=ins,
        deps=[settings_dep("inference"), settings_dep("links")],
        code_version="3",
        pool=pool,
    )
    def rankings(
        context: dg.AssetExecutionContext,
        base: pa.Table,
        pairs: pa.Table,
        adapter: pa.Table,
        warehouse: Warehouse,
    ) -> dg.MaterializeResult[pa.Table]:
        from bioalign_assets.inference.rankings import rankings as rank
        from bioalign_assets.inference.scoring import p_true

        variant = study.variant(context.partition_key)
        spec, prompt = study.models[variant.model], study.evaluation.prompts[0]
        queries = queries_of(variant, study=study, pairs=pairs)

        def rows_of(test_set: str, _sample: pa.Table, loaded: "LoadedModel") -> Iterable[pa.Table]:
            ranked = rank(
                queries[test_set],
                score=lambda texts: p_true(
                    texts,
                    prompt=PROMPTS[prompt],
                    loaded=loaded,
                    batch_size=spec.batch_size,
                    is_chat=spec.prompt == "chat" and prompt != "training",
                    what="ranking",
                ),
                sampled=study.evaluation.link_candidates,
                with_exact=study.evaluation.link_exact,
            )
            yield _rows(
                variant, sample=ranked, test_set=test_set, full_name="inference.rankings",
                more={
                    "prompt": [prompt] * len(ranked),
                    **{name: ranked[name].combine_chunks() for name in ranked.column_names},
                },
            )  # fmt: skip

        rows = _infer(
            variant, study=study, base=base, pairs=pairs, adapter=adapter, warehouse=warehouse, infer=rows_of
        )
        return materialized(
            rows,
            full_name="inference.rankings",
            warehouse=warehouse,
            metadata={"prompt": prompt, "queries": {name: len(asked) for name, asked in queries.items()}},
        )

    @dg.asset(
        **asset_arguments(
            "inference.names",
            kinds={"pytorch", "huggingface"},
            description=(
                "The embedding of each gene and each disease of the test statements by its bare name, pooled as the "
                "statements are: what edge separation compares."
            ),
        ),
        partitions_def=partitions.variant,
        ins=ins,
        deps=[settings_dep("inference")],
        code_version="3",
        pool=pool,
    )
    def names(
        context: dg.AssetExecutionContext,
        base: pa.Table,
        pairs: pa.Table,
        adapter: pa.Table,
        warehouse: Warehouse,
    ) -> dg.MaterializeResult[pa.Table]:
        from bioalign_assets.inference.embeddings import embed

        variant = study.variant(context.partition_key)

        def rows_of(test_set: str, sample: pa.Table, loaded: "LoadedModel") -> Iterable[pa.Table]:
            named = distinct_names(sample)
            vectors = embed(
                named["name"].to_pylist(),
                loaded=loaded,
                batch_size=study.models[variant.model].batch_size,
                pooling=study.evaluation.pooling,
            )
            yield _rows(
                variant, sample=named, test_set=test_set, full_name="inference.names", kept=("kind", "name"),
                more={"embedding": pa.array(list(vectors), type=pa.list_(pa.float32()))},
            )  # fmt: skip

        rows = _infer(
            variant, study=study, base=base, pairs=pairs, adapter=adapter, warehouse=warehouse, infer=rows_of
        )
        return materialized(
            rows,
            full_name="inference.names",
            warehouse=warehouse,
            metadata={"pooling": study.evaluation.pooling, "dimensions": len(rows["embedding"][0])},
        )

    return [embeddings, answers, names, rankings]


def _infer(
    variant: Variant,
    *,
    study: Study,
    base: pa.Table,
    pairs: pa.Table,
    adapter: pa.Table,
    warehouse: Warehouse,
    infer: Callable[[str, pa.Table, "LoadedModel"], Iterable[pa.Table]],
) -> pa.Table:
    """Load the variant's model, see that its adapter belongs to it, and run it on every test set."""
    from bioalign_assets.inference.variant import load_variant
    from bioalign_assets.models.threads import reproducible_threads

    samples = samples_of(variant, study=study, pairs=pairs)
    with reproducible_threads(study.models[variant.model]):
        loaded = load_variant(
            variant, study=study, base=base, pairs=pairs, adapter=adapter, warehouse=warehouse.root
        )
        tables = [rows for name, sample in samples.items() for rows in infer(name, sample, loaded)]
    return pa.concat_tables(tables)


def _rows(
    variant: Variant,
    *,
    sample: pa.Table,
    test_set: str,
    full_name: str,
    more: Mapping[str, Sequence[Any] | pa.Array],
    kept: tuple[str, ...] = _KEPT,
) -> pa.Table:
    schema = TABLES[full_name].arrow
    same = {"variant": variant.key, "model": variant.model, "experiment": variant.experiment}
    columns: dict[str, Any] = {name: [value] * len(sample) for name, value in same.items()}
    columns |= {"test_set": [test_set] * len(sample)}
    columns |= {name: sample[name].combine_chunks() for name in kept if name in schema.names} | dict(more)
    return pa.table(
        [pa.array(columns[field.name], type=field.type) if not isinstance(columns[field.name], pa.Array)
         else columns[field.name] for field in schema],
        schema=schema,
    )  # fmt: skip
