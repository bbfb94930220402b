"""Dagster assets of the training room: the adapter of each variant, and its loss curve."""

from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from bioalign_assets.errors import BioAlignError
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.partitions import Partitions
from bioalign_assets.plotting import markdown_image
from bioalign_assets.study import Study, Variant
from bioalign_assets.table_assets import asset_arguments, made_meanwhile, materialized, settings_dep
from bioalign_assets.training.checkpoints import held_checkpoints, remove_checkpoints, training_key
from bioalign_assets.training.figures import loss_curve
from bioalign_assets.training.provenance import expected_provenance
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["TRAINING_POOL", "build_assets"]

_TABLES = ("training.adapter", "training.log")
TRAINING_POOL = "training"
"""Trainings of all runs share this pool, and in a study with published models what asks them; dagster.yaml gives it one
slot, so that a card holds one model at a time."""


def build_assets(study: Study, *, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""

    @dg.multi_asset(
        name="training__train",
        outs={
            "adapter": dg.AssetOut(
                **asset_arguments(
                    "training.adapter",
                    kinds={"pytorch", "huggingface"},
                    description=(
                        "The LoRA adapter: QLoRA on the 4-bit base model through TRL and PEFT, with the "
                        "experiment's settings. An untuned variant has none, and its row says so."
                    ),
                ),
                code_version="3",
            ),
            "log": dg.AssetOut(
                **asset_arguments(
                    "training.log", kinds={"pytorch"}, description="The loss curve of the training."
                ),
                code_version="3",
            ),
        },
        partitions_def=partitions.variant,
        ins={
            "base": dg.AssetIn(
                key=dg.AssetKey(["models", "base"]), partition_mapping=partitions.model_to_variant
            ),
            "pairs": dg.AssetIn(
                key=dg.AssetKey(["curation", "pairs"]),
                partition_mapping=partitions.training_dataset_to_variant,
            ),
        },
        deps=[settings_dep("training")],
        pool=TRAINING_POOL,
    )
    def train(
        context: dg.AssetExecutionContext, base: pa.Table, pairs: pa.Table, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult[pa.Table]]:
        variant = study.variant(context.partition_key)
        if study.training_dataset(variant) is None:
            context.log.info(f"{variant.key} is untuned: there is nothing to train")
            yield materialized(
                _untuned_row(variant), full_name="training.adapter", warehouse=warehouse, in_multi_asset=True
            )
            # without steps, but there: a partition that is missing for good would look unfinished in the UI
            yield materialized(
                TABLES["training.log"].arrow.empty_table(),
                full_name="training.log",
                warehouse=warehouse,
                in_multi_asset=True,
            )
            return
        if made_meanwhile(context, _TABLES):
            stored = _stored(variant, study=study, base=base, pairs=pairs, warehouse=warehouse)
            if stored is not None:
                context.log.info(
                    f"{variant.key} was trained by another run meanwhile, from the same: nothing is left to do"
                )
                yield from stored
                return
        yield from _train(variant, study=study, base=base, pairs=pairs, warehouse=warehouse)

    return [train]


def _untuned_row(variant: Variant) -> pa.Table:
    row = {
        **variant.columns,
        "path": None, "sha256": None, "trainable_parameters": 0, "steps": 0, "samples": 0,
        "peak_memory_bytes": 0, "seconds": 0.0, "provenance": "{}",
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=TABLES["training.adapter"].arrow)


def _stored(
    variant: Variant, *, study: Study, base: pa.Table, pairs: pa.Table, warehouse: Warehouse
) -> list[dg.MaterializeResult[pa.Table]] | None:
    """Return the stored adapter and its loss curve; None if they were made from something else."""
    from bioalign_assets.training.adapters import adapter_row, verify_adapter

    rows, log = (warehouse.tables.read(TABLES[name], partitions=[variant.key]) for name in _TABLES)
    provenance = expected_provenance(variant, study=study, base=base, pairs=pairs)
    try:
        verify_adapter(adapter_row(rows, variant=variant.key), warehouse=warehouse.root, expected=provenance)
    except BioAlignError:
        return None
    return [
        materialized(stored, full_name=name, warehouse=warehouse, in_multi_asset=True)
        for name, stored in zip(_TABLES, (rows, log), strict=True)
    ]


def _train(
    variant: Variant, *, study: Study, base: pa.Table, pairs: pa.Table, warehouse: Warehouse
) -> Iterator[dg.MaterializeResult[pa.Table]]:
    from bioalign_assets.models.loading import compute_dtype, default_device
    from bioalign_assets.training.home import tell_base
    from bioalign_assets.training.on_base import train_on_base
    from bioalign_assets.training.samples import training_rows

    spec, model_spec = study.experiments[variant.experiment], study.models[variant.model]
    resolved = ResolvedModel.from_table(base, model=variant.model)
    provenance = expected_provenance(variant, study=study, base=base, pairs=pairs)
    device = default_device()
    computed = {
        "backend": model_spec.trained_by,
        "device": device.type,
        "dtype": str(compute_dtype(model_spec, device=device)),
        # on a CPU in 16 bits auto is another one than elsewhere: device and type say so
        "attention": "sdpa" if model_spec.attention == "auto" else model_spec.attention,
    }
    key = training_key(provenance, computed=computed)
    with held_checkpoints(
        warehouse.checkpoints, key=key, name=variant.key, every=spec.checkpoint_every
    ) as checkpoints:
        training = train_on_base(
            training_rows(pairs, dataset=provenance.dataset, most=spec.rows),
            resolved=resolved,
            model_spec=model_spec,
            warehouse=warehouse.root,
            spec=spec,
            adapters=warehouse.adapters,
            name=variant.key,
            checkpoints=checkpoints,
        )
    tell_base(training.folder, base=resolved, variant=variant.key)
    row = {
        **variant.columns,
        "path": training.folder.relative_to(warehouse.root).as_posix(),
        "sha256": training.sha256,
        "trainable_parameters": training.trainable_parameters,
        "steps": training.steps,
        "samples": training.samples,
        "peak_memory_bytes": training.peak_memory_bytes,
        "seconds": training.seconds,
        "provenance": provenance.model_dump_json(),
    }
    yield materialized(
        pa.Table.from_pylist([row], schema=TABLES["training.adapter"].arrow),
        full_name="training.adapter",
        warehouse=warehouse,
        in_multi_asset=True,
        metadata={
            "trainable_parameters": training.trainable_parameters,
            "seconds": training.seconds,
            "resumed_after_steps": ", ".join(map(str, training.resumed_after)) or "never interrupted",
            "provenance": dg.MetadataValue.json(provenance.model_dump(mode="json")),
            "settings": dg.MetadataValue.json(spec.model_dump(mode="json")),
        },
    )
    log = training.log.add_column(0, "variant", pa.array([variant.key] * len(training.log), pa.string()))
    yield materialized(
        log,
        full_name="training.log",
        warehouse=warehouse,
        in_multi_asset=True,
        metadata={
            "loss_curve": dg.MetadataValue.md(
                markdown_image(loss_curve(log, variant=variant.key), title="Loss")
            ),
            "final_loss": log["loss"][-1].as_py(),
        },
    )
    # both tables are written now; what is killed before this goes on from the last step, to the same adapter
    remove_checkpoints(warehouse.checkpoints, key=key)
