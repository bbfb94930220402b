"""The uses of the walk: ``demo``, ``run`` and ``refresh``."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
from filelock import FileLock, Timeout

from bioalign_assets.ctd.checks import known_sighting
from bioalign_assets.dagster_private import widen_pool
from bioalign_assets.errors import StudyError, WarehouseError
from bioalign_assets.execution.instance import open_instance, see_that_it_belongs
from bioalign_assets.execution.killed_runs import mend_killed_runs
from bioalign_assets.execution.processes import Executes, InProcesses, InThisProcess, Workplace
from bioalign_assets.execution.release_watch import Memory, decide, release_tags
from bioalign_assets.execution.walk import Step, Walk, Wanted
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph
from bioalign_assets.freshness.settings_assets import observe_settings
from bioalign_assets.models.threads import cores
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study
from bioalign_assets.training.assets import TRAINING_POOL
from bioalign_assets.warehouse.atomic import remove_leftovers
from bioalign_assets.warehouse.catalogue import rebuild_catalogue
from bioalign_assets.warehouse.tables import Tables

__all__ = [
    "Selection", "StageTime", "demo", "in_demo", "make", "prepared", "refresh", "run",
    "runs_at_once", "selected", "stage_times", "walk", "with_needed", "working_alone",
]  # fmt: skip

_RELEASE = AssetPartition("ctd.release", None)
_DISEASES = AssetPartition("ctd.diseases", None)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What of a study is to be made; all of it where nothing is named."""

    variants: Sequence[str] = ()
    models: Sequence[str] = ()
    datasets: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """How long one kind of step took over all runs."""

    stage: str
    steps: int
    seconds: float


def demo(workplace: Workplace, *, at_once: int | None = None) -> Iterator[Step]:
    """Make what is missing or stale of what the study file has in the demo, from the newest release; give each step."""
    with walk(workplace, at_once=at_once) as walking:
        yield from make(walking, workplace, nodes=in_demo(workplace, graph=walking.graph))


def run(workplace: Workplace, *, selection: Selection, at_once: int | None = None) -> Iterator[Step]:
    """Make what is missing or stale of a study, or of a part of it; give each step.

    :raises StudyError: if the study has nothing of a name that was selected
    """
    with walk(workplace, at_once=at_once) as walking:
        yield from make(walking, workplace, nodes=selected(workplace.study, selection, graph=walking.graph))


def make(walking: Walk, workplace: Workplace, *, nodes: set[AssetPartition]) -> Iterator[Step]:
    """Make what is missing or stale of some asset partitions, that come with what they are made from."""
    if _RELEASE in nodes:
        yield from _ingest(walking, workplace=workplace, accept="")
    yield from walking.go(
        Wanted(
            nodes=nodes,
            builds=True,
            lacks=_lacks(workplace),
            alone=_has_published(workplace.study),
        )
    )


def refresh(
    workplace: Workplace, *, training: bool, accept: str = "", at_once: int | None = None
) -> Iterator[Step]:
    """Look for a release and make anew what is stale, and nothing that was never made; give each step.

    :param training: whether what loads a language model is made too; what follows from it waits otherwise
    :param accept: SHA-256 of a refused release that a person has looked at, to put into force
    """
    with walk(workplace, at_once=at_once) as walking:
        yield from _ingest(walking, workplace=workplace, accept=accept)
        nodes = set(walking.graph) - {_RELEASE, _DISEASES}
        alone = _has_published(workplace.study)
        yield from walking.go(Wanted(nodes=nodes, builds=False, loads_models=training, alone=alone))


def _ingest(walking: Walk, *, workplace: Workplace, accept: str) -> Iterator[Step]:
    """Look at the source, and ingest what is new."""
    if accept:
        config = {"ops": {"ctd__release": {"config": {"accept": accept}}}}
        yield walking.run_now([_RELEASE], why=f"accepted: {accept}", config=config)
        return
    seen = known_sighting(walking.instance)
    memory = Memory(seen=seen.to_json()) if seen else Memory()
    decision = decide(workplace.study, settings=workplace.settings, instance=walking.instance, memory=memory)
    if decision.sighting is not None:
        yield walking.run_now([_RELEASE], why=decision.reason, tags=release_tags(decision.sighting))
    elif walking.history.made(_RELEASE) is None:  # nothing is in force: to ingest is to tell what is wrong
        yield walking.run_now([_RELEASE], why=decision.reason)
    else:
        outcome: Any = "failed" if decision.problem else "looked"
        yield Step(title="the source", outcome=outcome, why=decision.reason, error=decision.problem)


# What is wanted


def in_demo(workplace: Workplace, *, graph: PartitionGraph) -> set[AssetPartition]:
    """Return what ``bioalign demo`` makes: all but what the study file leaves out, and what lacks a MEDIC."""
    study = workplace.study
    left_out = {name for name, spec in study.datasets.items() if not spec.in_demo}
    lacks_classes = _DISEASES in _lacks(workplace)
    left_out |= {name for name, spec in study.datasets.items() if spec.needs_classes and lacks_classes}
    variants = {
        variant.key
        for variant in study.variants
        if study.experiments[variant.experiment].in_demo and left_out.isdisjoint(study.datasets_of(variant))
    }
    kept = {None} | set(study.models) | (set(study.datasets) - left_out) | variants
    nodes = {node for node in graph if node.partition in kept}
    return {
        node
        for node in nodes
        if not (node == _DISEASES and lacks_classes)
        # a comparison of a variant whose untuned counterpart is left out can't be made
        and all(parent in nodes for parent in _needed(node, graph=graph))
    }


def selected(study: Study, selection: Selection, *, graph: PartitionGraph) -> set[AssetPartition]:
    """Return the asset partitions that are selected, with all that they are made from, and the report.

    :raises StudyError: if the study has nothing of such a name
    """
    known = {
        "variant": (selection.variants, [variant.key for variant in study.variants]),
        "model": (selection.models, list(study.models)),
        "dataset": (selection.datasets, list(study.datasets)),
    }
    for kind, (asked, there) in known.items():
        for name in asked:
            if name not in there:
                raise StudyError(
                    f"--{kind} {name}", found=f"no {kind} of that name in the study",
                    expected=f"one of {', '.join(there)}", remedy="Correct the name, or set BIOALIGN_STUDY.",
                )  # fmt: skip
    if not any(asked for asked, _ in known.values()):
        return set(graph)
    keys = {*selection.variants, *selection.models, *selection.datasets}
    keys |= {variant.key for variant in study.variants if variant.model in selection.models}
    return with_needed(
        (node for node in graph if node.partition in keys or node.room == "report"), graph=graph
    )


def with_needed(nodes: Iterable[AssetPartition], *, graph: PartitionGraph) -> set[AssetPartition]:
    """Return asset partitions with all that they can't be made without."""
    found: set[AssetPartition] = set()
    above = list(nodes)
    while above:
        node = above.pop()
        if node not in found:
            found.add(node)
            above += _needed(node, graph=graph)
    return found


def _needed(node: AssetPartition, *, graph: PartitionGraph) -> list[AssetPartition]:
    """Return what a partition can't be made without."""
    needed = {edge.parent for edge in graph.edges[node.asset] if not edge.takes_what_is_there}
    return [parent for parent in graph.parents(node) if parent.asset in needed]


def _lacks(workplace: Workplace) -> dict[AssetPartition, str]:
    """Return MEDIC with the reason, where there is no disease vocabulary: the synthetic one goes with its release."""
    settings, source = workplace.settings, workplace.study.source
    release = settings.ctd_source or source.ctd
    is_fitting = source.ctd_diseases is not None and (release == "demo") == (source.ctd_diseases == "demo")
    if settings.ctd_diseases_source is not None or is_fitting:
        return {}
    return {
        _DISEASES: "no disease vocabulary (MEDIC) goes with this release: BIOALIGN_CTD_DISEASES_SOURCE names one"
    }


# Where it is made


@contextmanager
def walk(workplace: Workplace, *, at_once: int | None, slots: int = 1) -> Iterator[Walk]:
    """Give a walk through the asset graph of a study, alone in its warehouse.

    :param at_once: how many runs go at once; as the study allows by default
    :param slots: how many of them may hold a model at once; a card has room for one
    :raises WarehouseError: if another such process is at work, or the warehouse is another study's
    """
    study, settings = workplace.study, workplace.settings
    with ExitStack() as stack:
        instance = stack.enter_context(working_alone(study, settings=settings))
        if slots > 1:
            widen_pool(instance, TRAINING_POOL, to=slots)
        defs = workplace.build(settings=settings, study=study)
        at_once = at_once or runs_at_once(study)
        executes: Executes
        if at_once > 1 or _has_published(study):
            is_kept = not _has_published(study)
            executes = stack.enter_context(InProcesses(workplace, at_once=at_once, is_kept=is_kept))
        else:
            job = defs.resolve_implicit_global_asset_job_def()
            executes = InThisProcess(job=job, instance=instance, study=study)
        graph = PartitionGraph(defs.resolve_asset_graph())
        yield Walk(graph, instance=instance, study=study, executes=executes, slots=slots)


@contextmanager
def working_alone(study: Study, *, settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Give the instance of the warehouse, mended, with the study's settings recorded, to this process alone.

    Runs of a daemon and of the UI may go on meanwhile: it is this kind of walk that happens once at a time.

    :raises WarehouseError: if another such process is at work, or the warehouse is another study's
    """
    settings.warehouse.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.warehouse / ".walk.lock")
    try:
        with lock.acquire(timeout=0):
            yield prepared(study, settings=settings)
    except Timeout as error:
        raise WarehouseError(
            f"Warehouse {settings.warehouse}",
            found="another bioalign demo, run or refresh at work in it",
            expected="one at a time",
            remedy="Wait for it to end, or name another folder in BIOALIGN_WAREHOUSE.",
        ) from error


def prepared(study: Study, *, settings: Settings) -> dg.DagsterInstance:
    """Return the instance of the warehouse, after what killed processes left was mended and the settings recorded.

    :raises WarehouseError: if the warehouse is another study's
    """
    see_that_it_belongs(settings.warehouse, study=settings.study)
    rebuild_catalogue(Tables(settings.warehouse))
    for folder in ("adapters", "checkpoints", "models", "report"):
        remove_leftovers(settings.warehouse / folder)
    instance = open_instance(settings.warehouse)
    mend_killed_runs(instance)
    observe_settings(study, instance=instance)
    return instance


def runs_at_once(study: Study) -> int:
    """Return how many runs of a study go at once by default.

    Two where all models are tiny: each takes one thread, and of the two one can train while the other asks and
    evaluates. One where a published model is loaded: two don't fit a card.
    """
    return 1 if _has_published(study) else min(2, cores())


def _has_published(study: Study) -> bool:
    return any(model.tiny is None for model in study.models.values())


def stage_times(settings: Settings, *, run_ids: Sequence[str]) -> list[StageTime]:
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
