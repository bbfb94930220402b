"""The one place where rooms, resources, checks and automation are wired into Dagster definitions.

``defs`` is what Dagster loads; ``build_defs`` makes the same from any study and settings, for tests and the
command line.
"""

import hashlib
import json
import warnings
from collections.abc import Sequence

import dagster as dg

from bioalign_assets.alignment import assets as alignment_assets
from bioalign_assets.alignment import checks as alignment_checks
from bioalign_assets.automation.sensors import build_schedules, build_sensors
from bioalign_assets.ctd import assets as ctd_assets
from bioalign_assets.ctd import checks as ctd_checks
from bioalign_assets.curation import assets as curation_assets
from bioalign_assets.curation import checks as curation_checks
from bioalign_assets.evaluation import assets as evaluation_assets
from bioalign_assets.evaluation import checks as evaluation_checks
from bioalign_assets.execution.executor import marked_executor
from bioalign_assets.execution.guarded_warehouse import GuardedWarehouse
from bioalign_assets.execution.walk import MODEL_ROOMS
from bioalign_assets.freshness.condition import RefreshWhenStale
from bioalign_assets.freshness.settings_assets import build_settings_assets
from bioalign_assets.inference import assets as inference_assets
from bioalign_assets.inference import checks as inference_checks
from bioalign_assets.models import assets as models_assets
from bioalign_assets.models import checks as models_checks
from bioalign_assets.partitions import Partitions
from bioalign_assets.report import assets as report_assets
from bioalign_assets.report import checks as report_checks
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study, load_study
from bioalign_assets.training import assets as training_assets
from bioalign_assets.training import checks as training_checks
from bioalign_assets.warehouse.io_manager import WarehouseIOManager
from bioalign_assets.warehouse.resources import Catalogue

__all__ = ["build_defs", "defs"]

_SOURCES = (dg.AssetKey(["ctd", "release"]), dg.AssetKey(["ctd", "diseases"]))
"""What comes from outside: a sensor and a schedule fetch it, everything else follows."""


def build_defs(*, settings: Settings | None = None, study: Study | None = None) -> dg.Definitions:
    """Return the definitions of a study.

    :param settings: those of the environment by default
    :param study: the one that the settings name by default
    """
    settings = settings or Settings.from_environment()
    study = study or load_study(settings.study)
    with warnings.catch_warnings():
        # Dagster's minor version is pinned for these, and the tests hold what they do
        for kind in (dg.BetaWarning, dg.PreviewWarning):
            warnings.simplefilter("ignore", kind)
        return _definitions(settings, study=study)


def _definitions(settings: Settings, *, study: Study) -> dg.Definitions:
    partitions = Partitions(study)
    has_medic = (settings.ctd_diseases_source or study.source.ctd_diseases) is not None
    assets, code = _refreshed(
        [
            *ctd_assets.build_assets(study, settings=settings),
            *curation_assets.build_assets(study, partitions=partitions),
            *models_assets.build_assets(study, partitions=partitions, settings=settings),
            *training_assets.build_assets(study, partitions=partitions),
            *alignment_assets.build_assets(study),
            *inference_assets.build_assets(study, partitions=partitions),
            *evaluation_assets.build_assets(
                study,
                partitions=partitions,
                has_medic=has_medic,
            ),
            *report_assets.build_assets(study, has_medic=has_medic),
        ]
    )
    warehouse = GuardedWarehouse(folder=str(settings.warehouse), study=settings.study, code=code)
    return dg.Definitions(
        assets=[*build_settings_assets(study, partitions=partitions), *assets],
        asset_checks=[
            *ctd_checks.build_checks(study, settings=settings),
            *curation_checks.build_checks(study, partitions=partitions),
            *models_checks.build_checks(partitions=partitions),
            *training_checks.build_checks(study, partitions=partitions),
            *alignment_checks.build_checks(),
            *inference_checks.build_checks(partitions=partitions),
            *evaluation_checks.build_checks(partitions=partitions, has_medic=has_medic),
            *report_checks.build_checks(),
        ],
        sensors=build_sensors(study, settings=settings),
        schedules=build_schedules(study, settings=settings),
        resources={
            "warehouse": warehouse,
            "io_manager": WarehouseIOManager(warehouse=warehouse),
            "duckdb": Catalogue.of(settings.warehouse),
        },
        # forkserver: Delta's Rust runtime forbids fork, and preloading spares each step the imports
        executor=marked_executor(dg.multiprocess_executor, is_light=_loads_no_model).configured(
            {
                "max_concurrent": 2,
                "start_method": {
                    "forkserver": {"preload_modules": ["bioalign_assets.execution.forkserver_imports"]}
                },
            }
        ),
    )


def _refreshed(assets: Sequence[dg.AssetsDefinition]) -> tuple[list[dg.AssetsDefinition], str]:
    """Return assets that are made anew when they are stale, and a hash of the code versions of all."""
    versions = {spec.key.to_user_string(): spec.code_version for asset in assets for spec in asset.specs}
    code = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()
    condition = RefreshWhenStale(code)
    made = dg.map_asset_specs(
        lambda spec: (
            spec if spec.key in _SOURCES else spec.replace_attributes(automation_condition=condition)
        ),
        assets,
    )
    return list(made), code


def _loads_no_model(step: str) -> bool:
    # a model's memory is given back for certain when its process ends; Dagster names a step after its asset
    return step.split("__", maxsplit=1)[0] not in MODEL_ROOMS


defs = build_defs()
