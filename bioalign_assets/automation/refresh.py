"""``bioalign refresh``: at once and without a daemon what the automation would do.

It looks at the source, ingests a new release, then walks the asset graph from the sources to the report and
reruns every partition that is stale when its turn comes: what comes out as it was makes nothing below it stale.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from bioalign_assets.automation.release_watch import RELEASE, Memory, decide, release_tags
from bioalign_assets.automation.sensors import MODEL_ROOMS
from bioalign_assets.automation.staleness import Staleness, ordered_partitions
from bioalign_assets.ctd.checks import known_sighting
from bioalign_assets.definitions import build_defs
from bioalign_assets.demo import working_alone
from bioalign_assets.errors import BioAlignError, StudyError
from bioalign_assets.running import PlannedRun, execute
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study

__all__ = ["RefreshStep", "Walk", "refresh", "walk"]

Partition = tuple[dg.AssetKey, str | None]


@dataclass(frozen=True, kw_only=True)
class RefreshStep:
    """What was done, or not, about one asset partition.

    :param title: ``room.table[partition]``, several tables where one step makes them
    :param outcome: ``same`` and ``changed`` were rerun, and came out as before or not; ``failed`` was rerun in
        vain; ``waits`` is stale and was left; ``looked`` tells about the source
    :param why: why it was stale, or was left; what the error said
    :param seconds: wall time
    """

    title: str
    outcome: Literal["same", "changed", "failed", "waits", "looked"]
    why: str
    seconds: float = 0.0


def refresh(study: Study, *, settings: Settings, training: bool, accept: str = "") -> Iterator[RefreshStep]:
    """Rerun what is stale, in order; give each step when it is done.

    A step that fails is told and the rest goes on, as far as it does not depend on it being fresh.

    :param training: whether what loads a language model is rerun too; what follows from it waits otherwise
    :param accept: SHA-256 of a refused release that a person has looked at, to put into force
    """
    with walk(study, settings=settings) as walking:
        yield from walking.ingest(settings=settings, accept=accept)
        yield from walking.rerun_stale(training=training)


@contextmanager
def walk(study: Study, *, settings: Settings) -> Iterator["Walk"]:
    """Give a walk through the asset graph of a study, alone in its warehouse.

    :raises WarehouseError: if another such process is at work
    """
    with working_alone(study, settings=settings) as instance:
        yield Walk(build_defs(settings=settings, study=study), instance=instance, study=study)


class Walk:
    """One walk through the asset graph."""

    def __init__(self, defs: dg.Definitions, *, instance: dg.DagsterInstance, study: Study) -> None:
        self._defs = defs
        self._graph = defs.resolve_asset_graph()
        self._job = defs.resolve_implicit_global_asset_job_def()
        self._instance = instance
        self._study = study

    def ingest(self, *, settings: Settings, accept: str) -> Iterator[RefreshStep]:
        """Look at the source, and ingest what is new."""
        if accept:
            config = {"ops": {"ctd__release": {"config": {"accept": accept}}}}
            yield self.run({RELEASE}, partition=None, why=f"accepted: {accept}", config=config)
            return
        seen = known_sighting(self._instance)
        memory = Memory(seen=seen.to_json()) if seen else Memory()
        decision = decide(self._study, settings=settings, instance=self._instance, memory=memory)
        if decision.sighting is None:
            outcome: Literal["failed", "looked"] = "failed" if decision.problem else "looked"
            yield RefreshStep(title="the source", outcome=outcome, why=decision.reason)
            return
        tags = release_tags(decision.sighting)
        yield self.run({RELEASE}, partition=None, why=decision.reason, tags=tags)

    def rerun_stale(self, *, training: bool) -> Iterator[RefreshStep]:
        """Rerun what is stale when its turn comes."""
        done: set[Partition] = set()
        left: set[Partition] = set()
        for key, partitions in ordered_partitions(self._defs):
            for partition in partitions:
                if (key, partition) in done:
                    continue
                staleness = Staleness(self._defs, instance=self._instance)
                above = [parent for parent in staleness.parents(key, partition) if parent in left]
                is_stale = staleness.state(key, partition) == "stale"
                if above:  # whether it is stale shows when that is fresh
                    left.add((key, partition))
                if not is_stale:
                    continue
                why = staleness.why(key, partition)
                held = _held(key, above=above, training=training, staleness=staleness, partition=partition)
                if held:
                    left.add((key, partition))
                    yield RefreshStep(title=_title({key}, partition), outcome="waits", why=held)
                    continue
                keys = set(self._graph.get(key).execution_set_asset_keys)
                done |= {(each, partition) for each in keys}
                yield self.run(keys, partition=partition, why=why)

    def run(
        self,
        keys: set[dg.AssetKey],
        *,
        partition: str | None,
        why: str,
        tags: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> RefreshStep:
        """Rerun some assets of one partition; return what came of it."""
        title = _title(keys, partition)
        before = {key: self._version(key, partition) for key in keys}
        started = time.perf_counter()
        planned = PlannedRun(
            title=title, assets=tuple(".".join(key.path) for key in keys), partition=partition
        )
        try:
            execute(
                planned, job=self._job, instance=self._instance, study=self._study, tags=tags, config=config
            )
        except StudyError:
            raise  # the study file changed meanwhile: nothing that follows would be recorded truly
        except BioAlignError as error:
            seconds = time.perf_counter() - started
            return RefreshStep(title=title, outcome="failed", why=str(error), seconds=seconds)
        seconds = time.perf_counter() - started
        is_same = all(self._version(key, partition) == before[key] for key in keys)
        return RefreshStep(title=title, outcome="same" if is_same else "changed", why=why, seconds=seconds)

    def _version(self, key: dg.AssetKey, partition: str | None) -> str | None:
        record = self._instance.get_latest_data_version_record(key, is_source=False, partition_key=partition)
        event = None if record is None else record.asset_materialization
        return None if event is None else (event.tags or {}).get("dagster/data_version")


def _held(
    key: dg.AssetKey,
    *,
    above: list[Partition],
    training: bool,
    staleness: Staleness,
    partition: str | None,
) -> str:
    """Return why a stale partition is not rerun now; an empty text if it is."""
    if above:
        return f"waits for {_title({above[0][0]}, above[0][1])}"
    if key.path[0] in MODEL_ROOMS and not training:
        return f"stale ({staleness.why(key, partition)}); run with --training to rerun what loads a language model"
    failed = staleness.failed_checks(key, partition)
    return f"a blocking check failed: {'; '.join(failed)}" if failed else ""


def _title(keys: set[dg.AssetKey], partition: str | None) -> str:
    room = min(keys).path[0]
    names = " + ".join(sorted(key.path[-1] for key in keys))
    return f"{room}.{names}" + (f"[{partition}]" if partition else "")
