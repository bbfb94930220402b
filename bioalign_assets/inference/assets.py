"""Dagster assets of the inference room: embeddings, answers and names of each variant on its test sets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from bioalign_assets.curation.prompts import PROMPTS
from bioalign_assets.inference.names import distinct_names
from bioalign_assets.inference.sample import evaluation_sample
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.orchestration import asset_arguments, materialized, settings_dep
from bioalign_assets.partitions import Partitions
from bioalign_assets.study import Study, Variant
from bioalign_assets.training.provenance import expected_provenance
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

if TYPE_CHECKING:
    from bioalign_assets.models.loading import LoadedModel

__all__ = ["build_assets", "samples_of"]

_KEPT = ("row_number", "pair_id", "label")


def samples_of(variant: Variant, *, study: Study, pairs: pa.Table) -> dict[str, pa.Table]:
    """Return the test rows that a variant is asked about, by test set.

    Rows whose text the variant was trained on through another dataset are left out; a dataset's own flaws
    (a text in both of its splits) stay, because the figures of that dataset are made with them.

    :param pairs: rows of ``curation.pairs`` of every dataset that the variant reads
    """
    trained_on = study.training_dataset(variant)
    seen = None
    if trained_on is not None:
        is_seen = pc.and_(pc.equal(pairs["dataset"], trained_on), pc.equal(pairs["split"], "train"))
        seen = pairs.filter(is_seen)["text"]
    return {
        name: evaluation_sample(
            pairs.filter(pc.equal(pairs["dataset"], name)),
            size=study.evaluation.sample_size,
            seed=study.evaluation.seed,
            sampler=study.datasets[name].sampler,
            seen_texts=seen if name != trained_on else None,
        )
        for name in study.experiments[variant.experiment].evaluate_on
    }


def build_assets(study: Study, *, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""
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
        code_version="1",
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
        code_version="1",
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
        code_version="1",
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

    return [embeddings, answers, names]


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
    from bioalign_assets.models.loading import load_base
    from bioalign_assets.models.threads import reproducible_threads
    from bioalign_assets.training.adapters import adapter_row, verify_adapter, with_adapter

    spec = study.models[variant.model]
    samples = samples_of(variant, study=study, pairs=pairs)
    folder = None
    if study.training_dataset(variant) is not None:
        folder = verify_adapter(
            adapter_row(adapter, variant=variant.key),
            warehouse=warehouse.root,
            expected=expected_provenance(variant, study=study, base=base, pairs=pairs),
        )
    with reproducible_threads(spec):
        loaded = load_base(
            ResolvedModel.from_table(base, model=variant.model), spec=spec, warehouse=warehouse.root
        )
        if folder is not None:
            loaded = with_adapter(loaded, folder=folder)
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
    columns |= {name: sample[name].combine_chunks() for name in kept} | dict(more)
    return pa.table(
        [pa.array(columns[field.name], type=field.type) if not isinstance(columns[field.name], pa.Array)
         else columns[field.name] for field in schema],
        schema=schema,
    )  # fmt: skip
