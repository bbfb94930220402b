"""The whole study once: every asset partition through Dagster, in the order of the rooms."""

import itertools
import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import dagster as dg
from filelock import FileLock, Timeout

from bioalign_assets.at_once import Hands, Outcome
from bioalign_assets.automation.settings_assets import observe_settings
from bioalign_assets.definitions import build_defs
from bioalign_assets.errors import BioAlignError, WarehouseError
from bioalign_assets.instance import mend_killed_runs, open_instance
from bioalign_assets.running import PlannedRun, execute
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study, Variant
from bioalign_assets.warehouse.atomic import remove_leftovers
from bioalign_assets.warehouse.catalogue import rebuild_catalogue
from bioalign_assets.warehouse.tables import Tables

__all__ = [
    "StageTime",
    "lacking_classes",
    "plan",
    "run_study",
    "runs_at_once",
    "stage_times",
    "working_alone",
]


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """How long one kind of step took over all runs."""

    stage: str
    steps: int
    seconds: float


_RELEASE, _MEDIC = "CTD release", "disease vocabulary (MEDIC)"
_TRAINING = ("training.adapter", "training.log")
_BY_VARIANT = (
    "inference.embeddings", "inference.answers", "inference.names",
    "inference.rankings", "evaluation.kg_separation", "evaluation.embedding_probe", "evaluation.cluster_quality",
    "evaluation.cluster_map", "evaluation.zero_shot", "evaluation.link_prediction",
)  # fmt: skip


def plan(study: Study, *, settings: Settings, at_once: int = 1) -> list[PlannedRun]:
    """Return the runs that materialise the study, in order.

    Left out is what the study file keeps out of the demo, and what needs a MEDIC that is not there.

    :param at_once: how many runs go at once. With several, a training is a run of its own: what follows it needs not
        wait for the slot that trainings share
    """
    left_out = lacking_classes(study, settings=settings)
    left_out |= {name for name, spec in study.datasets.items() if not spec.in_demo}
    in_demo = [
        variant
        for variant in study.variants
        if study.experiments[variant.experiment].in_demo and left_out.isdisjoint(study.datasets_of(variant))
    ]
    release = PlannedRun(title=_RELEASE, assets=("ctd.release", "ctd.associations", "ctd.changes"))
    runs = [release, *_datasets(study, left_out=left_out, with_classes=False)]
    runs += [
        PlannedRun(title=_base_of(name), assets=("models.base",), partition=name, after=frozenset({_RELEASE}))
        for name in study.models
    ]
    if _has_diseases(study, settings=settings):
        # a run of its own: without MEDIC everything but same-class datasets goes on
        runs.append(
            PlannedRun(title=_MEDIC, assets=("ctd.diseases",), may_fail=True, after=frozenset({_RELEASE}))
        )
    hard = _datasets(study, left_out=left_out, with_classes=True)
    # runs of their own: one run has one set of partitions
    runs += [
        PlannedRun(
            title=_classes_for(run.partition),
            assets=("curation.disease_classes",),
            partition=run.partition,
            needs_it=True,
            after=frozenset({_RELEASE, _MEDIC}),
        )
        for run in hard
    ]
    runs += hard
    for variant in in_demo:
        runs += _of_variant(variant, study=study, at_once=at_once)
    # after all variants: a comparison reads two of them, in whatever order the file has them
    for variant in in_demo:
        untuned = study.untuned_counterpart(variant)
        if untuned in in_demo:
            runs.append(
                PlannedRun(
                    title=f"comparison {variant.key}",
                    assets=("evaluation.comparisons",),
                    partition=variant.key,
                    needs_it=_needs_classes(
                        study, datasets=(*study.datasets_of(variant), *study.datasets_of(untuned))
                    ),
                    after=frozenset({_variant_of(variant.key), _variant_of(untuned.key)}),
                )
            )
    report = ("report.improvements", "report.leaderboard", "report.seeds", "report.study")
    return [*runs, PlannedRun(title="report", assets=report, after=frozenset(run.title for run in runs))]


def _base_of(model: str) -> str:
    return f"base model {model}"


def _dataset_of(name: str) -> str:
    return f"dataset {name}"


def _classes_for(dataset: str | None) -> str:
    return f"classes for {dataset}"


def _variant_of(key: str) -> str:
    return f"variant {key}"


def _datasets(study: Study, *, left_out: set[str], with_classes: bool) -> list[PlannedRun]:
    return [
        PlannedRun(
            title=_dataset_of(name),
            assets=("curation.pairs", "curation.profile", "evaluation.baselines"),
            partition=name,
            needs_it=with_classes,
            after=frozenset({_RELEASE, *([_MEDIC, _classes_for(name)] if with_classes else [])}),
        )
        for name, spec in study.datasets.items()
        if name not in left_out and spec.needs_classes == with_classes
    ]


def _of_variant(variant: Variant, *, study: Study, at_once: int) -> list[PlannedRun]:
    """Return the run of a variant; where several runs go at once, its training and what follows."""
    needs_it = _needs_classes(study, datasets=study.datasets_of(variant))
    read = {_base_of(variant.model), *map(_dataset_of, study.datasets_of(variant))}
    title = _variant_of(variant.key)
    if at_once == 1:
        return [
            PlannedRun(
                title=title, assets=(*_TRAINING, *_BY_VARIANT), partition=variant.key, needs_it=needs_it,
                after=frozenset(read), trains=True,
            )
        ]  # fmt: skip
    training = f"training {variant.key}"
    return [
        PlannedRun(
            title=training, assets=_TRAINING, partition=variant.key, needs_it=needs_it,
            after=frozenset(read), trains=True,
        ),
        PlannedRun(
            title=title, assets=_BY_VARIANT, partition=variant.key, needs_it=needs_it,
            after=frozenset({*read, training}),
        ),
    ]  # fmt: skip


def _needs_classes(study: Study, *, datasets: Iterable[str]) -> bool:
    return any(study.datasets[name].needs_classes for name in datasets)


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


def runs_at_once(study: Study) -> int:
    """Return how many runs of a study go at once by default.

    Two where all models are tiny: each takes one thread, and of the two one can train while the other asks and
    evaluates. One where a published model is loaded: two don't fit a card.
    """
    is_tiny = all(model.tiny is not None for model in study.models.values())
    # macOS does not say which cores a process may use
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, cores) if is_tiny else 1


def run_study(
    study: Study, *, settings: Settings, runs: Sequence[PlannedRun] | None = None, at_once: int = 1
) -> Generator[tuple[PlannedRun, str, float]]:
    """Materialise the whole study; give each run when it has succeeded, its id and wall time in s.

    :param runs: those to execute, in order; all of the plan by default
    :param at_once: how many runs go at once, each in a process of its own; with one, all are executed in this
        process, in order. The tables are the same
    :raises BioAlignError: what the first failing asset said; the tables of the last good run stay, and what was under
        way is ended well. At once, or, where the study goes on without it, at the end
    """
    with ExitStack() as stack:
        instance = stack.enter_context(working_alone(study, settings=settings))
        hands = stack.enter_context(Hands(at_once, study=study, settings=settings)) if at_once > 1 else None
        job = build_defs(settings=settings, study=study).resolve_implicit_global_asset_job_def()
        wanted = plan(study, settings=settings, at_once=at_once) if runs is None else runs
        # nothing goes beside the first run; meanwhile the fork server imports what takes long
        alone, beside = (wanted, []) if hands is None else (wanted[:1], wanted[1:])
        outcomes = _one_by_one(alone, job=job, instance=instance, study=study)
        if hands is not None:
            outcomes = itertools.chain(outcomes, hands.execute(beside))
        failed: BioAlignError | None = None
        for planned, told, seconds in outcomes:
            if not isinstance(told, BioAlignError):
                yield planned, told, seconds
            elif planned.may_fail:
                failed = told
            else:
                raise told
        if failed is not None:
            raise failed


def _one_by_one(
    runs: Sequence[PlannedRun], *, job: dg.JobDefinition, instance: dg.DagsterInstance, study: Study
) -> Iterator[Outcome]:
    """Execute runs in this process, in order; without one that may fail and does, leave out what needs it."""
    lacks_it = False
    for planned in runs:
        if lacks_it and planned.needs_it:
            continue
        started = time.perf_counter()
        try:
            told: str | BioAlignError = execute(planned, job=job, instance=instance, study=study)
        except BioAlignError as error:
            told = error
            lacks_it = True
        yield planned, told, time.perf_counter() - started


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
