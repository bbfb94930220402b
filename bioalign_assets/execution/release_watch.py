"""What to do about the release that is to be seen at the source: ingest it, or not, and why.

The same decision for the sensor and for ``bioalign refresh``. What was ingested, tried and refused is read from
Dagster's records and the folder of refused releases, so that nothing is ingested twice and nothing forgotten by a
restart.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self

import dagster as dg

from bioalign_assets.ctd.checks import known_sighting
from bioalign_assets.ctd.refused_releases import kept_aside
from bioalign_assets.ctd.sighting import Sighting, look
from bioalign_assets.ctd.source_address import public_source
from bioalign_assets.errors import SourceError
from bioalign_assets.settings import Settings
from bioalign_assets.study import Study

__all__ = ["MOST_ATTEMPTS", "RELEASE", "Decision", "Memory", "decide", "release_tags"]

RELEASE = dg.AssetKey(["ctd", "release"])
MOST_ATTEMPTS = 3
"""Failed ingestions of one release, or failed looks at the source, after which a person is told."""
_RELEASE_TAG = "bioalign/release"


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is kept from one look at the source to the next (the sensor's cursor).

    :param seen: the release that was seen last, as JSON; empty before the first look
    :param misses: looks in a row at which the source could not be seen
    """

    seen: str = ""
    misses: int = 0

    def to_json(self) -> str:
        """Return the cursor's text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """Return what a cursor says; one that is empty, or that a person wrote into, starts anew."""
        try:
            found = json.loads(text or "{}")
            return cls(seen=str(found.get("seen", "")), misses=int(found.get("misses", 0)))
        except (ValueError, AttributeError, TypeError):
            return cls()


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows from one look at the source.

    :param sighting: the release to ingest now; None where there is nothing to do
    :param reason: why, for people
    :param memory: for the next look
    :param problem: what kept us from seeing the source, if anything did
    :param is_answering_again: the source is seen again after so many misses that a person was told
    """

    sighting: Sighting | None
    reason: str
    memory: Memory
    problem: SourceError | None = None
    is_answering_again: bool = False


def _sighting(text: str) -> Sighting | None:
    """Return the sighting in a text; None if it is none, or another version's: then the source is looked at anew."""
    try:
        return Sighting.from_json(text)
    except ValueError:
        return None


def release_tags(sighting: Sighting) -> dict[str, str]:
    """Return the tags of a run that ingests a release."""
    return {_RELEASE_TAG: hashlib.sha256(sighting.signature.encode()).hexdigest()[:12]}


def decide(
    study: Study, *, settings: Settings, instance: dg.DagsterInstance, memory: Memory, timeout_s: float = 20.0
) -> Decision:
    """Look at the source and return what to do about it.

    :param timeout_s: longest time for the look, in seconds
    """
    source = settings.ctd_source or study.source.ctd
    ingested = known_sighting(instance)
    known = _sighting(memory.seen) or ingested
    try:
        sighting = look(source, demo_release=study.demo_release, known=known, timeout_s=timeout_s)
    except SourceError as problem:
        return Decision(
            sighting=None,
            reason=f"The source can't be seen (look {memory.misses + 1} in a row): {problem}",
            memory=replace(memory, misses=memory.misses + 1),
            problem=problem,
        )
    again = memory.misses >= MOST_ATTEMPTS
    if sighting is None:
        reason = (
            f"{public_source(source)} tells nothing by which a new release could be known: the weekly schedule "
            "ingests."
        )
        return Decision(
            sighting=None, reason=reason, memory=replace(memory, misses=0), is_answering_again=again
        )
    reason = _reason_to_leave(sighting, ingested=ingested, settings=settings, instance=instance)
    return Decision(
        sighting=None if reason else sighting,
        reason=reason or f"A new release: {sighting.told}",
        memory=Memory(seen=sighting.to_json(), misses=0),
        is_answering_again=again,
    )


def _reason_to_leave(
    sighting: Sighting, *, ingested: Sighting | None, settings: Settings, instance: dg.DagsterInstance
) -> str:
    """Return why a release that is to be seen is not to be ingested now; an empty text if it is."""
    if ingested is not None and ingested.signature == sighting.signature:
        return f"No new release: {sighting.told}"
    # before what runs leave behind is read: one that ends meanwhile counts as under way, not as failed for no reason
    runs = instance.get_runs(dg.RunsFilter(tags=release_tags(sighting)), limit=MOST_ATTEMPTS)
    for refused in kept_aside(settings.warehouse / "raw"):
        if refused.signature == sighting.signature and refused.accepted_at is None:
            return f"This release was refused and is kept aside in {refused.path}: {refused.why}"
    return _reason_of_runs(runs, sighting=sighting, instance=instance)


def _reason_of_runs(
    runs: Sequence[dg.DagsterRun], *, sighting: Sighting, instance: dg.DagsterInstance
) -> str:
    """Return why the runs that ingested a release, newest first, are a reason not to start another."""
    if not runs:
        return ""
    newest = runs[0].run_id
    if not runs[0].is_finished:
        return f"Run {newest} is ingesting this release: {sighting.told}"
    if _is_in_force(runs[0], instance=instance):
        return f"No new release: run {newest} ingested {sighting.told}"
    if _failures(runs) >= MOST_ATTEMPTS:
        return (
            f"{MOST_ATTEMPTS} runs failed to ingest this release ({sighting.told}), the last was {newest}: "
            "see why, then materialise ctd/release by hand. The weekly schedule tries too."
        )
    return ""


def _is_in_force(run: dg.DagsterRun, *, instance: dg.DagsterInstance) -> bool:
    """Whether the release in force is the one that a run ingested."""
    event = instance.get_latest_materialization_event(RELEASE)
    return event is not None and event.run_id == run.run_id


def _failures(runs: Sequence[dg.DagsterRun]) -> int:
    """Return how many of the latest runs in a row did not succeed."""
    failures = 0
    for run in runs:
        if run.status == dg.DagsterRunStatus.SUCCESS:
            break
        failures += 1
    return failures
