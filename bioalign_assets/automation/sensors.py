"""What runs by itself where the Dagster daemon runs: sensors, the weekly schedule, and the job that they start."""

from collections.abc import Sequence

import dagster as dg

from bioalign_assets.ctd.checks import SOURCE_ANSWERS, source_silent
from bioalign_assets.errors import BioAlignError, StudyError
from bioalign_assets.execution.instance import see_that_it_belongs
from bioalign_assets.execution.killed_runs import mend_killed_runs
from bioalign_assets.execution.release_watch import (
    MOST_ATTEMPTS,
    RELEASE,
    Decision,
    Memory,
    decide,
    release_tags,
)
from bioalign_assets.execution.walk import MODEL_ROOMS
from bioalign_assets.freshness.settings_assets import changed_settings
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study, load_study

__all__ = ["TABLE_ROOMS", "build_mending_sensor", "build_schedules", "build_sensors"]

TABLE_ROOMS = ("ctd", "curation", "alignment", "evaluation", "report")
"""Rooms whose assets a CPU makes in seconds: they follow by themselves."""

_DISEASES = dg.AssetKey(["ctd", "diseases"])
_WEEKLY = "0 5 * * 1"
_LOOK_S = 20.0
"""A look at the source must end well within the minute that Dagster gives a sensor."""


def build_sensors(study: Study, *, settings: Settings) -> list[dg.SensorDefinition]:
    """Return the sensors: new releases, the study file, killed runs, and what is stale, in two groups by cost."""
    running, stopped = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    return [
        _release_sensor(study, settings=settings),
        _study_sensor(study, settings=settings),
        build_mending_sensor(),
        dg.AutomationConditionSensorDefinition(
            "refresh_tables",
            target=dg.AssetSelection.groups(*TABLE_ROOMS),
            description=(
                "Reruns the tables, metrics and reports that are stale, in order; what waits for a stale adapter "
                "waits until somebody trains it."
            ),
            default_status=running,
            minimum_interval_seconds=study.automation.check_stale_every_seconds,
            # a condition of our own is silently ignored without this
            use_user_code_server=True,
            # runs by partition: half the wall time of a release
            emit_backfills=False,
        ),
        dg.AutomationConditionSensorDefinition(
            "refresh_models",
            target=dg.AssetSelection.groups(*MODEL_ROOMS),
            description=(
                "Reruns the base models, trainings, embeddings and answers that are stale: all that loads a "
                "language model. Off unless the study file says `[automation] training = true`, or somebody "
                "switches it on here."
            ),
            default_status=running if study.automation.training else stopped,
            minimum_interval_seconds=study.automation.check_stale_every_seconds,
            use_user_code_server=True,
            emit_backfills=False,
        ),
    ]


def build_schedules(study: Study, *, settings: Settings) -> list[dg.ScheduleDefinition]:
    """Return the weekly ingestion, for sources that don't tell truly whether they have changed."""
    has_diseases = (settings.ctd_diseases_source or study.source.ctd_diseases) is not None

    @dg.schedule(
        name="ingest_weekly",
        target=dg.AssetSelection.assets(RELEASE, _DISEASES),
        cron_schedule=_WEEKLY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Ingests the release every Monday whatever the source says about itself, and the disease vocabulary "
            "where it was ingested before. Identical content reruns nothing."
        ),
    )
    def ingest_weekly(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        day = context.scheduled_execution_time.date().isoformat()
        requests = [dg.RunRequest(run_key=f"release {day}", asset_selection=[RELEASE])]
        if has_diseases and context.instance.get_latest_materialization_event(_DISEASES) is not None:
            requests.append(dg.RunRequest(run_key=f"diseases {day}", asset_selection=[_DISEASES]))
        return requests

    return [ingest_weekly]


def _release_sensor(study: Study, *, settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_release",
        target=dg.AssetSelection.assets(RELEASE),
        minimum_interval_seconds=max(1, round(study.source.check_every_minutes * 60)),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Looks whether the source has a new CTD release, and starts one run that ingests it. How often is set "
            "in the study file (source.check_every_minutes)."
        ),
    )
    def new_release(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        refused = _refusal(context.instance, settings=settings)
        if refused:
            return dg.SensorResult(skip_reason=refused, cursor=context.cursor)
        decision = decide(
            study,
            settings=settings,
            instance=context.instance,
            memory=Memory.from_json(context.cursor),
            timeout_s=_LOOK_S,
        )
        return dg.SensorResult(
            run_requests=_requests(decision, instance=context.instance),
            skip_reason=None if decision.sighting else decision.reason,
            cursor=decision.memory.to_json(),
            asset_events=source_events(decision),
        )

    return new_release


def _requests(decision: Decision, *, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    if decision.sighting is None:
        return []
    tags = release_tags(decision.sighting)
    before = instance.get_runs_count(dg.RunsFilter(tags=tags))
    # a release may come back after another one, so the attempts before are a part of the key
    key = f"{'-'.join(tags.values())}-{before + 1}"
    return [dg.RunRequest(run_key=key, tags=tags, asset_selection=[RELEASE])]


def source_events(decision: Decision) -> Sequence[dg.AssetCheckEvaluation]:
    """Return the evaluations of the check on the source: failed at the third miss in a row, then passed again."""
    if decision.problem is not None and decision.memory.misses == MOST_ATTEMPTS:
        text = source_silent(decision.problem, failed_looks=decision.memory.misses)
        return [_evaluation(passed=False, description=text)]
    if decision.is_answering_again:
        return [_evaluation(passed=True, description=f"The source can be seen again. {decision.reason}")]
    return []


def _evaluation(*, passed: bool, description: str) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=RELEASE,
        check_name=SOURCE_ANSWERS,
        passed=passed,
        description=description,
        severity=dg.AssetCheckSeverity.WARN,
        blocking=False,
    )


def _study_sensor(study: Study, *, settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="study_file",
        # it starts no runs: it reports what the file says
        target=dg.AssetSelection.groups("study"),
        minimum_interval_seconds=study.automation.check_stale_every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Notices a change of the study file, so that what depends on the changed settings is stale. New "
            "models, datasets or experiments appear after a reload of the code location (Deployment > Reload)."
        ),
    )
    def study_file(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        refused = _refusal(context.instance, settings=settings)
        if refused:
            return dg.SensorResult(skip_reason=refused)
        try:
            # read anew: runs read the file when they start, so what it says now is what counts
            present = load_study(settings.study)
        except StudyError as error:
            return dg.SensorResult(skip_reason=str(error))
        changed = list(changed_settings(present, instance=context.instance))
        told = ", ".join(
            f"{event.asset_key.path[-1]}{f'[{event.partition}]' if event.partition else ''}"
            for event in changed
        )
        reason = f"The study file changed: {told}" if changed else "The study file is as it was."
        return dg.SensorResult(skip_reason=reason, asset_events=changed)

    return study_file


def build_mending_sensor(*, every_s: int = 30) -> dg.SensorDefinition:
    """Return a sensor that lets the daemon mend killed runs while it lives on.

    :param every_s: seconds between two looks
    """

    @dg.sensor(
        name="mend_killed_runs",
        description="Ends runs whose processes were killed, and frees the training slots that they held.",
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def mend(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        ended = mend_killed_runs(context.instance)
        return dg.SkipReason(f"Ended killed runs: {', '.join(ended)}" if ended else "No run was killed.")

    return mend


def _refusal(instance: dg.DagsterInstance, *, settings: Settings) -> str:
    """Return why an instance may start nothing in the warehouse; an empty text if it may."""
    try:
        see_that_it_belongs(settings.warehouse, study=settings.study, instance=instance, records=False)
    except BioAlignError as error:
        return str(error)
    return ""
