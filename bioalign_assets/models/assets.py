"""Dagster asset of the models room: each base model, resolved."""

import dagster as dg
import pyarrow as pa
from pydantic import Field

from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.partitions import Partitions
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.table_assets import asset_arguments, materialized, settings_dep
from bioalign_assets.warehouse.resources import Warehouse
from bioalign_assets.warehouse.schemas import TABLES

__all__ = ["BaseModelConfig", "build_assets"]


class BaseModelConfig(dg.Config):
    """What a run may ask of ``models/base`` beside its partition."""

    move: bool = Field(
        default=False,
        description="Take what the study names as it is now (commit, folder), also where another is recorded.",
    )
    take: str = Field(
        default="",
        description="Folder or GGUF file to take in the place of a published model from the hub; an absolute path.",
    )


def build_assets(study: Study, *, partitions: Partitions, settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""

    @dg.asset(
        **asset_arguments(
            "models.base",
            kinds={"pytorch", "huggingface"},
            description=(
                "The base model: a published one, at the commit that its revision named when it was first fetched, one "
                "on this machine, with the content that it had then (bioalign models --move takes the present one, "
                "--take a folder or file in the hub's place), or a tiny one, built and briefly pre-trained here "
                "on the release's names (never on labels or pairs)."
            ),
        ),
        partitions_def=partitions.model,
        ins={"associations": dg.AssetIn(key=dg.AssetKey(["ctd", "associations"]))},
        deps=[settings_dep("models")],
        code_version="1",
    )
    def base(
        context: dg.AssetExecutionContext,
        config: BaseModelConfig,
        associations: pa.Table,
        warehouse: Warehouse,
    ) -> dg.MaterializeResult[pa.Table]:
        from bioalign_assets.models.base import resolve_model
        from bioalign_assets.models.threads import reproducible_threads

        name = context.partition_key
        spec = study.models[name]
        with reproducible_threads(spec):
            resolved = resolve_model(
                spec,
                name=name,
                associations=associations,
                warehouse=warehouse.root,
                token=settings.hf_token.get_secret_value() if settings.hf_token else None,
                recorded=None if config.move else _recorded(name, warehouse=warehouse),
                take=config.take or None,
            )
        return materialized(
            resolved.to_table(),
            full_name="models.base",
            warehouse=warehouse,
            metadata={
                "architecture": resolved.architecture,
                "parameters": resolved.parameters,
                "settings": dg.MetadataValue.json(spec.model_dump(mode="json")),
            },
        )

    return [base]


def _recorded(name: str, *, warehouse: Warehouse) -> ResolvedModel | None:
    """Return a model's row of the last run; None before the first."""
    rows = warehouse.tables.read(TABLES["models.base"], partitions=[name])
    return ResolvedModel.from_table(rows, model=name) if len(rows) else None
