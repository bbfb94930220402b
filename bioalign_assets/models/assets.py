"""Dagster asset of the models room: each base model, resolved."""

import dagster as dg
import pyarrow as pa

from bioalign_assets.orchestration import asset_arguments, materialized, settings_dep
from bioalign_assets.partitions import Partitions
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.warehouse.resources import Warehouse

__all__ = ["build_assets"]


def build_assets(study: Study, *, partitions: Partitions, settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of this room."""

    @dg.asset(
        **asset_arguments(
            "models.base",
            kinds={"pytorch", "huggingface"},
            description=(
                "The base model: a published one, fetched at the commit that its revision names, or a tiny one, "
                "built and briefly pre-trained here on the release's names (never on labels or pairs)."
            ),
        ),
        partitions_def=partitions.model,
        ins={"associations": dg.AssetIn(key=dg.AssetKey(["ctd", "associations"]))},
        deps=[settings_dep("models")],
        code_version="1",
    )
    def base(
        context: dg.AssetExecutionContext, associations: pa.Table, warehouse: Warehouse
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
