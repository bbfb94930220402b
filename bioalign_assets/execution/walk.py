"""The walker: what is wanted, in what order it is made, how many runs at once, and what stands in the way.

It goes through the asset graph from the sources to the report. A partition's turn comes when all that it is made from
is settled: then it is fresh, and left alone; or stale or missing, and made; or something stands in the way, and it
waits. What failed holds up what is made from it and nothing else: a leaderboard takes the variants that there are. So a
walk that was stopped anywhere, by a failure, a kill or a person, goes on where it stopped when it is begun again.
"""

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import dagster as dg
from tqdm import tqdm

from bioalign_assets.errors import BioAlignError, DiskFullError, StudyError
from bioalign_assets.execution.killed_runs import mend_killed_runs
from bioalign_assets.execution.processes import Executes, failure_of
from bioalign_assets.execution.runs import PlannedRun
from bioalign_assets.freshness.history import History, Made
from bioalign_assets.freshness.look import WALK_TAG, Look, at_work_elsewhere
from bioalign_assets.freshness.partition_graph import AssetPartition, Edge, PartitionGraph
from bioalign_assets.freshness.settings_assets import present_settings
from bioalign_assets.freshness.stale import State
from bioalign_assets.study import Study
from bioalign_assets.terminal import terminal

__all__ = ["MODEL_ROOMS", "Outcome", "Step", "Walk", "Wanted"]

MODEL_ROOMS = ("models", "training", "inference")
"""Rooms that load a language model: they follow where the study file says so."""
_TICK_S = 0.5
_ELSEWHERE_S = 2.0
"""Seconds between two looks at a run of another process that is waited for."""

Outcome = Literal["made", "changed", "same", "failed", "waits", "looked"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What was done, or not, about some asset partitions.

    :param title: what they are
    :param outcome: ``made`` was missing; ``changed`` and ``same`` were stale, and came out different or as before;
        ``failed`` was run in vain; ``waits`` is stale or missing and was left; ``looked`` tells about the source
    :param why: why it was made, or was left; what the error said
    :param nodes: the asset partitions that it settles
    :param seconds: wall time
    :param run_id: of the run, if there was one that ended well
    """

    title: str
    outcome: Outcome
    why: str
    nodes: tuple[AssetPartition, ...] = ()
    seconds: float = 0.0
    run_id: str = ""
    error: BioAlignError | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a walk is to see to."""

    nodes: AbstractSet[AssetPartition]
    builds: bool
    """Whether what is missing is made too, or only what is stale"""
    loads_models: bool = True
    """Whether what loads a language model is made; it waits otherwise, and what follows from it"""
    lacks: Mapping[AssetPartition, str] = field(default_factory=dict)
    """What can't be made here, and why in words"""
    alone: bool = False
    """Whether each step that loads a model has a run of its own: a published one's memory is then given back"""

    def has_due(self, state: State) -> bool:
        """Whether a partition in this state is to be made."""
        return state == "stale" or (state == "missing" and self.builds)


class _Hold(NamedTuple):
    """What a partition that was not made holds up."""

    kind: Literal["failed", "left", "absent"]
    """``failed``: what is made from it, but not what takes the partitions that there are; ``left``: that too, for it
    would mix old with new; ``absent``: as failed, but nobody has asked for what it would be made from"""
    root: AssetPartition
    """Where it began"""


class Walk:
    """One walk through the asset graph, by the process that is alone at it in this warehouse."""

    def __init__(
        self,
        graph: PartitionGraph,
        *,
        instance: dg.DagsterInstance,
        study: Study,
        executes: Executes,
        slots: int = 1,
    ) -> None:
        """Take note of what there is and how it stands.

        :param slots: runs that may hold a pool at once
        """
        self.graph = graph
        self.instance = instance
        self.executes = executes
        self.history = History(graph)
        self.history.read(instance=self.instance)
        self._settings = present_settings(study)
        self._name = uuid.uuid4().hex
        self._slots = slots
        self._settled: dict[AssetPartition, _Hold | None] = {}
        """What is done with, and what it holds up: None where nothing"""

    def run_now(self, nodes: Iterable[AssetPartition], *, why: str, **more: Any) -> Step:
        """Make some partitions of one step, however they stand; return what came of it.

        :param more: of the run: ``config``, ``tags``
        """
        begun = self._begin(tuple(nodes), why=why, **more)
        wait([begun.told])
        return self._ended(begun)

    def go(self, wanted: Wanted) -> Iterator[Step]:
        """See to what is wanted; give each step when it is done.

        :raises StudyError: if the study file was changed meanwhile: nothing that follows would be recorded truly
        """
        todo = [node for node in self.graph if node in wanted.nodes and node not in self._settled]
        under_way: list[_Begun] = []
        with tqdm(
            total=len(todo), unit="table", file=terminal(), disable=None if self.executes.at_once > 1 else True,
            leave=False, dynamic_ncols=True,
        ) as bar:  # fmt: skip
            while todo or under_way:
                look = self._look()
                for step in self._left(todo, look=look, wanted=wanted, under_way=under_way):
                    bar.clear()  # the caller may print a line
                    yield step
                todo = self._unsettled(todo, bar=bar)
                for group in self._to_begin(todo, look=look, wanted=wanted, under_way=under_way):
                    why = next(filter(None, map(look.why, group)), "was never made")
                    under_way.append(self._begin(group, why=why))
                bar.set_description(", ".join(begun.planned.title for begun in under_way))
                for begun in self._wait(todo, look=look, under_way=under_way, bar=bar):
                    under_way.remove(begun)
                    step = self._ended(begun)
                    bar.clear()
                    yield step
                todo = self._unsettled(todo, bar=bar)

    def _unsettled(self, todo: Sequence[AssetPartition], *, bar: Any) -> list[AssetPartition]:
        left = [node for node in todo if node not in self._settled]
        bar.update(len(todo) - len(left))
        return left

    def _look(self) -> Look:
        elsewhere = at_work_elsewhere(self.graph, instance=self.instance, walk=self._name)
        self.history.read(instance=self.instance)
        return Look(
            graph=self.graph, history=self.history, instance=self.instance, settings=self._settings, under_way=elsewhere
        )  # fmt: skip

    def _wait(
        self, todo: Sequence[AssetPartition], *, look: Look, under_way: Sequence["_Begun"], bar: Any
    ) -> list["_Begun"]:
        """Return the runs that have ended, when one has; wait for those of other processes where there are none."""
        if not under_way and todo:
            if not any(self._is_elsewhere(node, look=look) for node in todo):
                raise RuntimeError(f"nothing makes what these are made from: {', '.join(map(str, todo))}")
            time.sleep(_ELSEWHERE_S)
            mend_killed_runs(self.instance)
        while under_way:
            done, _ = wait([begun.told for begun in under_way], timeout=_TICK_S, return_when=FIRST_COMPLETED)
            bar.refresh()
            if done:
                return [begun for begun in under_way if begun.told in done]
        return []

    # What is left alone

    def _left(
        self,
        todo: Sequence[AssetPartition],
        *,
        look: Look,
        wanted: Wanted,
        under_way: Sequence["_Begun"],
    ) -> Iterator[Step]:
        """Settle what is fresh, or has something in its way; give a step for what should have been made."""
        unsettled = set(todo)
        busy = {node for begun in under_way for node in begun.group}
        waits: dict[tuple[str | None, str], list[AssetPartition]] = {}
        for node in todo:
            if node in busy or not unsettled.isdisjoint(self.graph.parents(node)):
                continue
            if self._is_elsewhere(node, look=look):
                continue
            is_due = wanted.has_due(look.state(node))
            hold, why = self._in_the_way(node, look=look, wanted=wanted)
            if hold is None and is_due:
                continue
            self._settled[node] = hold
            unsettled.discard(node)
            if hold is not None and hold.kind != "absent" and is_due:
                waits.setdefault((node.partition, why), []).append(node)
        for (_, why), nodes in waits.items():
            yield Step(title=_title(nodes), outcome="waits", why=why, nodes=tuple(nodes))

    def _in_the_way(self, node: AssetPartition, *, look: Look, wanted: Wanted) -> tuple[_Hold | None, str]:
        """Return whether a partition can't be made, or may not, and why in words."""
        if node in wanted.lacks:
            return _Hold("failed", node), wanted.lacks[node]
        for edge in self.graph.edges[node.asset]:
            for partition in edge.reads.get(node.partition, ()):
                hold = self._settled.get(AssetPartition(edge.parent, partition))
                if hold is not None and self._holds_up(hold, edge=edge, partition=partition, look=look):
                    return hold, f"waits for {hold.root}"
        taken = self._taken(node)
        if taken and all(look.state(parent) == "missing" for parent in taken):
            above = self._settled.get(taken[0]) or _Hold("absent", taken[0])
            return above, f"waits for {above.root}"
        if look.state(node) == "fresh":
            return None, ""
        if node.room in MODEL_ROOMS and not wanted.loads_models:
            why = look.why(node) or "was never made"
            return _Hold("left", node), f"{why}; it loads a language model: --training makes that too"
        checks = look.held_by_checks(node)
        return (
            (_Hold("failed", node), f"a blocking check failed: {'; '.join(checks)}") if checks else (None, "")
        )

    def _taken(self, node: AssetPartition) -> list[AssetPartition]:
        """Return what a partition takes as far as it is there."""
        edges = (edge for edge in self.graph.edges[node.asset] if edge.takes_what_is_there)
        return [
            AssetPartition(edge.parent, partition)
            for edge in edges
            if not self.graph.is_setting(edge.parent)
            for partition in edge.reads.get(node.partition, ())
        ]

    def _holds_up(self, hold: _Hold, *, edge: Edge, partition: str | None, look: Look) -> bool:
        if not edge.takes_what_is_there:
            return True
        return hold.kind == "left" and look.state(AssetPartition(edge.parent, partition)) != "missing"

    def _is_elsewhere(self, node: AssetPartition, *, look: Look) -> bool:
        """Whether a run of another process is at work on a partition, or on what it is made from."""
        step = [node, *self._made_together(node)]
        return any(each in look.under_way for each in (*step, *self.graph.parents(node)))

    # What is made

    def _to_begin(
        self,
        todo: Sequence[AssetPartition],
        *,
        look: Look,
        wanted: Wanted,
        under_way: Sequence["_Begun"],
    ) -> Iterator[tuple[AssetPartition, ...]]:
        """Give groups of partitions to make now, each in one run, as many as there is room for.

        Of those that could be, one that takes a slot of a pool goes first; others of that pool would only wait for it.
        """
        room = self.executes.at_once - len(under_way)
        pools = Counter(pool for begun in under_way for pool in self.graph.pools(begun.group[0].asset))
        unsettled = set(todo)
        open_ = unsettled - {node for begun in under_way for node in begun.group}
        ready = [
            node
            for node in todo
            if node in open_
            and unsettled.isdisjoint(self.graph.parents(node))
            and not self._is_elsewhere(node, look=look)
        ]
        for node in sorted(ready, key=lambda node: not self.graph.pools(node.asset)):
            own = self.graph.pools(node.asset)
            if room > 0 and node in open_ and all(pools[pool] < self._slots for pool in own):
                group = self._group(node, todo=todo, open_=open_, look=look, wanted=wanted)
                open_ -= set(group)
                pools.update(own)
                room -= 1
                yield group

    def _group(
        self,
        first: AssetPartition,
        *,
        todo: Sequence[AssetPartition],
        open_: AbstractSet[AssetPartition],
        look: Look,
        wanted: Wanted,
    ) -> tuple[AssetPartition, ...]:
        """Return what one run makes: a partition, and what is due by itself that can be made with it or right after it.

        What is fresh now is in no group: whether it becomes stale shows when what it is made from came out.
        """
        group = [first, *self._made_together(first)]
        is_alone = wanted.alone and first.room in MODEL_ROOMS
        unsettled = set(todo)
        for node in todo:  # in order: what it is made from was looked at before
            if node in group or node not in open_ or not self._goes_with(first, node):
                continue
            if is_alone and self.graph.step_of(node.asset) != self.graph.step_of(first.asset):
                continue
            if not wanted.has_due(look.state(node)) or self._is_elsewhere(node, look=look):
                continue
            is_free = self._in_the_way(node, look=look, wanted=wanted)[0] is None
            if is_free and all(parent in group for parent in self.graph.parents(node) if parent in unsettled):
                group += [node, *(each for each in self._made_together(node) if each not in group)]
        return tuple(group)

    def _goes_with(self, first: AssetPartition, node: AssetPartition) -> bool:
        if node.partition != first.partition or not self.graph.have_same_partitions(first.asset, node.asset):
            return False
        if self.graph.pools(first.asset) != self.graph.pools(node.asset):
            return False  # what follows needs not hold the slot
        # of what has no partitions, a room makes its own; and a source stands alone, for it may be silent
        has_parents = next(self.graph.parents(node), None) is not None
        return node.partition is not None or (node.room == first.room and has_parents)

    def _made_together(self, node: AssetPartition) -> list[AssetPartition]:
        others = self.graph.made_together(node.asset) - {node.asset}
        return [AssetPartition(asset, node.partition) for asset in self.graph.assets if asset in others]

    def _begin(self, group: tuple[AssetPartition, ...], *, why: str, **more: Any) -> "_Begun":
        planned = PlannedRun(
            title=_title(group), assets=tuple(node.asset for node in group), partition=group[0].partition,
            tags={WALK_TAG: self._name, **more.pop("tags", {})}, **more,
        )  # fmt: skip
        before = {node: self.history.made(node) for node in group}
        began = time.perf_counter()
        return _Begun(
            planned=planned,
            group=group,
            why=why,
            before=before,
            began=began,
            told=self.executes.submit(planned),
        )

    def _ended(self, begun: "_Begun") -> Step:
        """Settle what a run was to make; return what came of it.

        :raises StudyError: if the study file was changed meanwhile
        :raises DiskFullError: what follows would meet the same
        """
        error = failure_of(begun.told, planned=begun.planned)
        if isinstance(error, StudyError | DiskFullError):
            raise error
        self.history.read(instance=self.instance)
        seconds = time.perf_counter() - begun.began
        unmade = []
        for node, before in begun.before.items():
            made = self.history.made(node)
            # a source that is silent leaves what it gave last in force
            stands = made is not None and (made != before or next(self.graph.parents(node), None) is None)
            if error is not None and not stands:
                unmade.append(node)
            self._settled[node] = _Hold("failed", unmade[0]) if node in unmade else None
        run_id = ""
        outcome: Outcome = "failed"
        if error is None:
            run_id, outcome = begun.told.result(), "made"
            if None not in begun.before.values():
                versions = [before.version for before in begun.before.values() if before is not None]
                is_same = versions == [self.history.version(node) for node in begun.group]
                outcome = "same" if is_same else "changed"
        return Step(
            title=begun.planned.title, outcome=outcome, why=str(error or begun.why), nodes=begun.group, seconds=seconds,
            run_id=run_id, error=error,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """A run that was begun."""

    planned: PlannedRun
    group: tuple[AssetPartition, ...]
    why: str
    before: Mapping[AssetPartition, Made | None]
    """The newest materialisations before it"""
    began: float
    """When, on the clock of ``time.perf_counter``"""
    told: "Future[str]"


def _title(group: Sequence[AssetPartition]) -> str:
    """Return what a run makes, in a line: tables by name where they are few, else rooms."""
    by_room: dict[str, list[str]] = {}
    partition = None
    for node in group:
        by_room.setdefault(node.room, []).append(node.asset.split(".")[1])
        partition = node.partition
    if len(group) <= 2 and len(by_room) == 1:
        ((room, names),) = by_room.items()
        title = f"{room}.{' + '.join(names)}"
    else:
        title = " + ".join(by_room)
    return title + (f" [{partition}]" if partition is not None else "")
