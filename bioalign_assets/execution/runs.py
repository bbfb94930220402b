"""One Dagster run of the walk: some assets of one partition, executed in this process."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from bioalign_assets.dagster_private import DagsterAssetCheckFailedError
from bioalign_assets.errors import BioAlignError, StudyError, WarehouseError
from bioalign_assets.execution.killed_runs import hold_run, owner_tags
from bioalign_assets.freshness.settings_assets import changed_settings
from bioalign_assets.study import Study
from bioalign_assets.warehouse.disk import disk_error

__all__ = ["PlannedRun", "execute"]

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One Dagster run: some assets, for one partition where they are partitioned."""

    title: str
    assets: tuple[str, ...]
    partition: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """Run configuration"""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the run, beside our own"""


def execute(
    planned: PlannedRun,
    *,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    study: Study,
) -> str:
    """Execute one run in this process; return its id.

    :param study: as this process loaded it
    :raises StudyError: if the study file was changed meanwhile
    :raises BioAlignError: what the failing asset or its blocking checks said
    :raises KeyboardInterrupt: if the run was interrupted
    """
    # the version of the settings that Dagster records must be that of the settings which are used
    if any(changed_settings(study, instance=instance)):
        raise StudyError(
            "Study file", found="other settings than those that this process began with",
            expected="a study file that stays as it is while it runs",
            remedy="Run it again: what is finished stays, and what the change makes stale is run anew.",
        )  # fmt: skip
    run_id = str(uuid.uuid4())
    # before it is on record: whenever this process is killed, the run is known to have nobody
    hold_run(instance, run_id)
    try:
        job.execute_in_process(
            instance=instance,
            run_id=run_id,
            asset_selection=[dg.AssetKey(name.split(".")) for name in planned.assets],
            partition_key=planned.partition,
            run_config={**_QUIET, **planned.config},
            tags={**owner_tags(), "bioalign/part": planned.title, **planned.tags},
            raise_on_error=True,
        )
    except dg.DagsterExecutionInterruptedError as error:
        raise KeyboardInterrupt from error  # which it was, or a request to end; the run's end is on record
    except Exception as error:
        if isinstance(error, DagsterAssetCheckFailedError):
            raise _failed_checks(planned, run_id=run_id, instance=instance) from error
        told = _our_error(error) or disk_error(error, folder=Path(instance.root_directory))
        if told is not None:
            raise told from error
        raise
    return run_id


def _failed_checks(planned: PlannedRun, *, run_id: str, instance: dg.DagsterInstance) -> BioAlignError:
    """Return what the blocking checks of a run found, as one error."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    events = [log.dagster_event.asset_check_evaluation_data for log in logs if log.dagster_event is not None]
    failed = [e for e in events if not e.passed and e.severity == dg.AssetCheckSeverity.ERROR]
    return WarehouseError(
        f"Blocking checks of {planned.title}",
        found="; ".join(f"{e.asset_key.to_user_string()} {e.check_name}: {e.description}" for e in failed),
        expected="checks that pass",
        remedy="Nothing that follows was run. `bioalign dev` shows the checks; mend the source or the study file.",
    )


def _our_error(error: BaseException | None) -> BioAlignError | None:
    """Return the error of ours behind one of Dagster's."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # chains of contexts can have circles
        if isinstance(error, BioAlignError):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
