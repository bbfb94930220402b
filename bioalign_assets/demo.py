"""The whole study once, in this process: every asset partition through Dagster, in the order of the rooms."""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError
from filelock import FileLock, Timeout

from bioalign_assets.automation.settings_assets import changed_settings, observe_settings
from bioalign_assets.definitions import build_defs
from bioalign_assets.errors import BioAlignError, StudyError, WarehouseError
from bioalign_assets.instance import mend_killed_runs, open_instance, owner_tags
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.warehouse.atomic import remove_leftovers
from bioalign_assets.warehouse.catalogue import rebuild_catalogue
from bioalign_assets.warehouse.tables import Tables

__all__ = [
    "PlannedRun",
    "StageTime",
    "execute",
    "lacking_classes",
    "plan",
    "run_study",
    "stage_times",
    "working_alone",
]

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One Dagster run: some assets, for one partition where they are partitioned."""

    title: str
    assets: tuple[str, ...]
    partition: str | None = None
    may_fail: bool = False
    """Whether the study goes on without it, and ends with its error; what ``needs_it`` is left out then"""
    needs_it: bool = False

    @property
    def selection(self) -> list[dg.AssetKey]:
        """The assets as Dagster's keys."""
        return [dg.AssetKey(name.split(".")) for name in self.assets]


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """How long one kind of step took over all runs."""

    stage: str
    steps: int
    seconds: float


_BY_VARIANT = (
    "training.adapter", "training.log", "inference.embeddings", "inference.answers", "inference.names",
    "inference.rankings", "evaluation.kg_separation", "evaluation.embedding_probe", "evaluation.cluster_quality",
    "evaluation.cluster_map", "evaluation.zero_shot", "evaluation.link_prediction",
)  # fmt: skip


def plan(study: Study, *, settings: Settings) -> list[PlannedRun]:
    """Return the runs that materialise the study, in order.

    Left out is what the study file keeps out of the demo, and what needs a MEDIC that is not there.
    """
    left_out = lacking_classes(study, settings=settings)
    left_out |= {name for name, spec in study.datasets.items() if not spec.in_demo}
    runs = [PlannedRun(title="CTD release", assets=("ctd.release", "ctd.associations", "ctd.changes"))]

    def needs(datasets: Iterable[str]) -> bool:
        return any(study.datasets[name].needs_classes for name in datasets)

    def made(*, with_classes: bool) -> list[PlannedRun]:
        return [
            PlannedRun(
                title=f"dataset {name}",
                assets=("curation.pairs", "curation.profile", "evaluation.baselines"),
                partition=name,
                needs_it=with_classes,
            )
            for name, spec in study.datasets.items()
            if name not in left_out and spec.needs_classes == with_classes
        ]

    runs += made(with_classes=False)
    runs += [
        PlannedRun(title=f"base model {name}", assets=("models.base",), partition=name)
        for name in study.models
    ]
    hard = made(with_classes=True)
    if _has_diseases(study, settings=settings):
        # a run of its own: without MEDIC everything but same-class datasets goes on
        runs.append(PlannedRun(title="disease vocabulary (MEDIC)", assets=("ctd.diseases",), may_fail=True))
    # runs of their own: one run has one set of partitions
    runs += [
        PlannedRun(
            title=f"classes for {run.partition}",
            assets=("curation.disease_classes",),
            partition=run.partition,
            needs_it=True,
        )
        for run in hard
    ]
    runs += hard
    runs += [
        PlannedRun(
            title=f"variant {variant.key}",
            assets=_BY_VARIANT,
            partition=variant.key,
            needs_it=needs(study.datasets_of(variant)),
        )
        for variant in study.variants
        if study.experiments[variant.experiment].in_demo and left_out.isdisjoint(study.datasets_of(variant))
    ]
    # after all variants: a comparison reads two of them, in whatever order the file has them
    runs += [
        PlannedRun(
            title=f"comparison {variant.key}",
            assets=("evaluation.comparisons",),
            partition=variant.key,
            needs_it=needs((*study.datasets_of(variant), *study.datasets_of(untuned))),
        )
        for variant in study.variants
        for untuned in [study.untuned_counterpart(variant)]
        if untuned is not None
        and study.experiments[variant.experiment].in_demo
        and study.experiments[untuned.experiment].in_demo
        and left_out.isdisjoint((*study.datasets_of(variant), *study.datasets_of(untuned)))
    ]
    report = ("report.improvements", "report.leaderboard", "report.seeds", "report.study")
    runs.append(PlannedRun(title="report", assets=report))
    return runs


def lacking_classes(study: Study, *, settings: Settings) -> set[str]:
    """Return the datasets that can't be made because there is no disease vocabulary (MEDIC)."""
    if _has_diseases(study, settings=settings):
        return set()
    return {name for name, spec in study.datasets.items() if spec.needs_classes}


def _has_diseases(study: Study, *, settings: Settings) -> bool:
    """Whether a disease vocabulary is there: the synthetic one only goes with the demo release."""
    if settings.ctd_diseases_source is not None:
        return True
    source = settings.ctd_source or study.source.ctd
    return study.source.ctd_diseases is not None and (source == "demo") == (
        study.source.ctd_diseases == "demo"
    )


@contextmanager
def working_alone(study: Study, *, settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Give the instance of the warehouse, mended, with the study's settings recorded, to this process alone.

    Runs of a daemon and of the UI may go on meanwhile: it is this kind of walk that happens once at a time.

    :raises WarehouseError: if another such process is at work
    """
    settings.warehouse.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.warehouse / ".demo.lock")
    try:
        with lock.acquire(timeout=0):
            rebuild_catalogue(Tables(settings.warehouse))
            for folder in ("adapters", "checkpoints", "models", "report"):
                remove_leftovers(settings.warehouse / folder)
            instance = open_instance(settings.warehouse)
            mend_killed_runs(instance)
            observe_settings(study, instance=instance)
            yield instance
    except Timeout as error:
        raise WarehouseError(
            f"Warehouse {settings.warehouse}",
            found="another bioalign demo or refresh at work in it",
            expected="one at a time",
            remedy="Wait for it to end, or name another folder in BIOALIGN_WAREHOUSE.",
        ) from error


def run_study(
    study: Study, *, settings: Settings, runs: Sequence[PlannedRun] | None = None
) -> Iterator[tuple[PlannedRun, str, float]]:
    """Materialise the whole study, run by run; give each run when it has succeeded, its id and wall time in s.

    :param runs: those to execute, in order; all of the plan by default
    :raises BioAlignError: what the first failing asset said; the tables of the last good run stay. At once, or, where
        the study goes on without it, at the end
    """
    with working_alone(study, settings=settings) as instance:
        job = build_defs(settings=settings, study=study).resolve_implicit_global_asset_job_def()
        failed: BioAlignError | None = None
        for planned in plan(study, settings=settings) if runs is None else runs:
            if failed is not None and planned.needs_it:
                continue
            started = time.perf_counter()
            try:
                run_id = execute(planned, job=job, instance=instance, study=study)
            except BioAlignError as error:
                if not planned.may_fail:
                    raise
                failed = error
                continue
            yield planned, run_id, time.perf_counter() - started
        if failed is not None:
            raise failed


def execute(
    planned: PlannedRun,
    *,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    study: Study,
    tags: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> str:
    """Execute one run in this process; return its id.

    :param study: as this process loaded it
    :param tags: of the run, beside our own
    :param config: run configuration
    :raises StudyError: if the study file was changed meanwhile
    :raises BioAlignError: what the failing asset or its blocking checks said
    """
    # the version of the settings that Dagster records must be that of the settings which are used
    if any(changed_settings(study, instance=instance)):
        raise StudyError(
            "Study file", found="other settings than those that this process began with",
            expected="a study file that stays as it is while it runs",
            remedy="Run it again: what is finished stays, and what the change makes stale is run anew.",
        )  # fmt: skip
    run_id = str(uuid.uuid4())
    try:
        job.execute_in_process(
            instance=instance,
            run_id=run_id,
            asset_selection=planned.selection,
            partition_key=planned.partition,
            run_config={**_QUIET, **(config or {})},
            tags={**owner_tags(), "bioalign/part": planned.title, **(tags or {})},
            raise_on_error=True,
        )
    except Exception as error:
        if isinstance(error, DagsterAssetCheckFailedError):
            raise _failed_checks(planned, run_id=run_id, instance=instance) from error
        told = _our_error(error)
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
        remedy="Nothing that follows was run. `make dev` shows the checks; mend the source or the study file.",
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


def stage_times(settings: Settings, *, run_ids: list[str]) -> list[StageTime]:
    """Return how long the steps of each room took over some runs, from Dagster's own event log."""
    instance = open_instance(settings.warehouse)
    seconds: dict[str, float] = {}
    steps: dict[str, int] = {}
    for run_id in run_ids:
        for step in instance.get_run_step_stats(run_id):
            if step.start_time is not None and step.end_time is not None:
                room = step.step_key.split("__")[0]
                seconds[room] = seconds.get(room, 0.0) + step.end_time - step.start_time
                steps[room] = steps.get(room, 0) + 1
    return [StageTime(stage=room, steps=steps[room], seconds=seconds[room]) for room in seconds]
