"""A rehearsal: stand-ins are made, the shortened study is walked through, memory is watched, needs are reckoned."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from bioalign_assets.errors import BioAlignError, StudyError, WarehouseError
from bioalign_assets.execution.instance import belonging_of, place_of_study
from bioalign_assets.execution.processes import Workplace
from bioalign_assets.execution.uses import Selection, make, selected, walk
from bioalign_assets.execution.walk import Outcome, Step
from bioalign_assets.freshness.partition_graph import AssetPartition
from bioalign_assets.models.backends.own_process import run_in_own_process
from bioalign_assets.models.loading import load_tokenizer
from bioalign_assets.models.needs import gigabytes
from bioalign_assets.models.resolved import ResolvedModel
from bioalign_assets.rehearsal.growth import TRAININGS
from bioalign_assets.rehearsal.needs import RealNeeds, lengths_over, real_needs
from bioalign_assets.rehearsal.originals import Original, originals_of
from bioalign_assets.rehearsal.shortened import shortened
from bioalign_assets.rehearsal.stand_ins import HIDDEN, make_stand_in
from bioalign_assets.study import Study
from bioalign_assets.training.lengths import SampleLengths
from bioalign_assets.training.samples import training_rows
from bioalign_assets.warehouse.atomic import remove_leftovers
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

__all__ = ["ModelPlayed", "Problem", "Rehearsal", "Rehearsed"]

_FEW = 16
"""Training rows whose memory is watched: two steps of the paper's batch."""
_MEDIC = "ctd.diseases"
_STAND_INS = "stand-ins"
_WELL = "all-would-run.json"
"""What a rehearsal leaves that found nothing wrong; the next one begins anew, others go on where one stopped."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that would fail.

    :param what: where it showed
    :param why: what was found, what was expected, what to do
    """

    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class ModelPlayed:
    """What came of a model's variants.

    :param plays: architecture and file form of what stood for it
    :param ran: variants that ran whole
    :param variants: all of them
    """

    model: str
    plays: str
    ran: int
    variants: int
    needs: RealNeeds | None


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """What came of a rehearsal."""

    models: Sequence[ModelPlayed]
    problems: Sequence[Problem]
    seconds: float

    @property
    def would_run(self) -> bool:
        """Whether all of the study would run."""
        return not self.problems and all(each.ran == each.variants for each in self.models)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, sizes in bytes."""
        return {"would_run": self.would_run, **asdict(self)}


@dataclass(kw_only=True)
class Rehearsal:
    """Plays a study in a warehouse of its own.

    :param workplace: of the real study; its warehouse is not touched
    :param folder: warehouse of the rehearsal
    :param files: by model, a folder with its tokenizer and configuration
    """

    workplace: Workplace
    folder: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    at_once: int = 2
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse a folder for a model that the study does not publish.

        :raises StudyError: with the models that there are
        """
        published = [name for name, spec in self.study.models.items() if spec.tiny is None]
        for name in self.files:
            if name not in published:
                raise StudyError(
                    f"--files {name}=…", found="no published model of that name in the study",
                    expected=f"one of {', '.join(published) or 'none: all models of this study are tiny ones'}",
                    remedy="Correct the name, or set BIOALIGN_STUDY.",
                )  # fmt: skip
        self._started = time.perf_counter()
        self._steps: list[Step] = []
        self._originals: dict[str, Original] = {}
        self._played: Workplace | None = None
        self._lengths: dict[str, dict[str, SampleLengths]] = {}
        self._too_long: set[str | None] = set()

    @property
    def study(self) -> Study:
        """The real study."""
        return self.workplace.study

    def steps(self) -> Iterator[Step]:
        """Play the study; give each step when it is done.

        :raises WarehouseError: if the folder is not a rehearsal's of this study
        """
        on_record = self.settle_folder()
        token = self.workplace.settings.hf_token
        self._originals, lacking = originals_of(
            self.study,
            warehouse=self.workplace.settings.warehouse,
            folders=self.files,
            token=token.get_secret_value() if token else None,
        )
        stand_ins = {}
        for name, original in self._originals.items():
            try:
                stand_ins[name] = make_stand_in(original, name=name, parent=self.folder / _STAND_INS)
            except BioAlignError as error:
                lacking[name] = error  # type: ignore[assignment]
        self.problems += [Problem(what=f"model {name}", why=str(error)) for name, error in lacking.items()]
        played = Workplace(
            study=shortened(self.study, stand_ins=stand_ins),
            settings=self.workplace.settings.model_copy(
                update={"warehouse": self.folder, "study": on_record}
            ),
            build=self.workplace.build,
        )
        self._played = played
        with walk(played, at_once=self.at_once, slots=self.at_once) as walking:
            nodes = set(walking.graph)
            if lacking:
                there = [name for name in self.study.models if name not in lacking]
                selection = Selection(models=there, datasets=list(self.study.datasets))
                nodes = selected(played.study, selection, graph=walking.graph) if there else set()
            for step in make(walking, played, nodes=nodes):
                self._steps.append(step)
                yield step
        yield from self._measure_samples()
        yield from self._watch_memory()

    def settle_folder(self) -> str:
        """Make the folder ready; return what is on record for it in the place of a study.

        :raises WarehouseError: if it is not a rehearsal's of this study
        """
        on_record = f"/rehearsal of {place_of_study(self.workplace.settings.study)}"
        belongs = belonging_of(self.folder)
        if belongs is not None and belongs.study != on_record:
            raise WarehouseError(
                f"Warehouse {self.folder}", found=f"the study {belongs.study} on record for it",
                expected="an empty folder, or that of an earlier rehearsal of the same study",
                remedy="Name another folder with --warehouse.",
            )  # fmt: skip
        # a walk would find all of it fresh, whatever libraries are there now
        if belongs is not None and (self.folder / _WELL).exists():
            shutil.rmtree(self.folder)
        remove_leftovers(self.folder / _STAND_INS)
        return on_record

    def result(self) -> Rehearsed:
        """Return what came of it, once all steps are done."""
        bad = self._not_made() | self._too_long
        found = Rehearsed(
            models=[self._model(name, bad=bad) for name in self.study.models],
            problems=[*self.problems, *self._failures()],
            seconds=time.perf_counter() - self._started,
        )
        if found.would_run:
            (self.folder / _WELL).write_text(json.dumps(found.to_json()), encoding="utf-8")
        return found

    def _model(self, name: str, *, bad: set[str | None]) -> ModelPlayed:
        variants = [variant.key for variant in self.study.variants if variant.model == name]
        original, spec = self._originals.get(name), self.study.models[name]
        if spec.tiny is not None:
            plays = f"itself (tiny {spec.tiny})"
        elif original is None:
            plays = "nothing"
        else:
            form = "NF4" if original.is_nf4 else "16 bits"
            plays = f"{original.config['model_type']}, {form}, {'pickled' if original.is_pickled else 'safetensors'}"
        is_there = original is not None or spec.tiny is not None
        return ModelPlayed(
            model=name,
            plays=plays,
            ran=sum(key not in bad for key in variants) if is_there else 0,
            variants=len(variants),
            needs=None
            if original is None
            else real_needs(name, study=self.study, original=original, lengths=self._lengths.get(name, {})),
        )

    def _not_made(self) -> set[str | None]:
        """Return the partitions of which something failed, or waits in vain."""
        return {
            node.partition
            for step in self._steps
            if step.outcome in ("failed", "waits")
            for node in step.nodes
        }

    def _failures(self) -> list[Problem]:
        """Return what failed by its reason, with the partitions in which it did; not what only waits for it."""
        needs_medic = any(spec.needs_classes for spec in self.study.datasets.values())
        found: dict[str, list[str]] = {}
        for step in self._steps:
            is_consequence = step.outcome == "waits" and step.why.startswith("waits for")
            is_idle = AssetPartition(_MEDIC, None) in step.nodes and not needs_medic
            if step.outcome in ("failed", "waits") and not is_consequence and not is_idle:
                found.setdefault(step.why, []).append(step.title)
        return [
            Problem(what=titles[0] + (f" and {len(titles) - 1} more" if len(titles) > 1 else ""), why=why)
            for why, titles in found.items()
        ]

    def _measure_samples(self) -> Iterator[Step]:
        """Look at the length of all samples of all trainings, by the real tokenizers and the real limits."""
        rows = self._rows()
        for name, original in self._originals.items():
            started = time.perf_counter()
            tokenizer = load_tokenizer(original.tokenizer)
            known: dict[tuple[Any, ...], SampleLengths | BioAlignError] = {}
            told: list[str] = []
            for experiment, spec in self.study.trainings_of(name).items():
                if spec.train_on not in rows:
                    continue
                # experiments of the same dataset and prompts have the same samples
                seed = spec.seed if spec.prompts == "varied" else None
                key = (spec.train_on, spec.prompts, seed, spec.max_tokens, spec.rows)
                if key not in known:
                    try:
                        known[key] = lengths_over(
                            rows[spec.train_on].slice(0, spec.rows),
                            spec=spec,
                            tokenizer=tokenizer,
                            model=name,
                        )
                    except BioAlignError as error:
                        known[key] = error
                        told.append(str(error))
                        self.problems.append(Problem(what=f"trainings of {name}", why=str(error)))
                lengths = known[key]
                if isinstance(lengths, SampleLengths):
                    self._lengths.setdefault(name, {})[experiment] = lengths
                else:
                    self._too_long.add(f"{name}@{experiment}")
            if known:
                longest = max((x.longest for x in known.values() if isinstance(x, SampleLengths)), default=0)
                yield Step(
                    title=f"samples of {name}", outcome="failed" if told else "made",
                    why="; ".join(told) or f"the longest has {longest} tokens",
                    seconds=time.perf_counter() - started,
                )  # fmt: skip

    def _watch_memory(self) -> Iterator[Step]:
        """Train each stand-in some times in one process; what is left of each training would fill a card."""
        if self._played is None:
            raise RuntimeError("nothing was played yet")
        study, tables = self._played.study, Tables(self.folder)
        bases = tables.read(TABLES["models.base"])
        for name, original in self._originals.items():
            trained = next(iter(study.trainings_of(name).values()), None)
            if trained is None or name not in bases["model"].to_pylist():
                continue
            started = time.perf_counter()
            outcome: Outcome = "failed"
            try:
                pairs = tables.read(TABLES["curation.pairs"], partitions=[trained.train_on or ""])
                alive = run_in_own_process(
                    "bioalign_assets.rehearsal.growth:living_after_trainings",
                    first="torch",
                    arguments={
                        "rows": training_rows(pairs, dataset=trained.train_on or "").slice(0, _FEW),
                        "resolved": ResolvedModel.from_table(bases, model=name),
                        "model_spec": study.models[name],
                        "spec": trained,
                        "warehouse": self.folder,
                    },
                    what=f"{TRAININGS} trainings of {name} in one process",
                )
            except BioAlignError as error:
                self.problems.append(Problem(what=f"memory of {name}", why=str(error)))
                why = str(error)
            else:
                outcome, why = self._told_growth(name, original=original, alive=alive)
            seconds = time.perf_counter() - started
            yield Step(title=f"memory of {name}", outcome=outcome, why=why, seconds=seconds)

    def _told_growth(self, name: str, *, original: Original, alive: Sequence[int]) -> tuple[Outcome, str]:
        grown = (alive[-1] - alive[0]) / (len(alive) - 1)
        if grown <= 0:
            return "made", "nothing of a training outlives it"
        real = grown * int(original.config["hidden_size"]) / HIDDEN
        why = (
            f"{gigabytes(round(grown))} of tensors outlive each training "
            f"({', '.join(gigabytes(size) for size in alive)} after each of {len(alive)}); of the real model about "
            f"{gigabytes(round(real))} each, if it is of an embedding's shape"
        )
        self.problems.append(Problem(what=f"memory of {name}", why=why))
        return "failed", why

    def _rows(self) -> dict[str, pa.Table]:
        tables, found = Tables(self.folder), {}
        if not tables.folder(TABLES["curation.pairs"]).is_dir():
            return {}
        trained = {spec.train_on for spec in self.study.experiments.values() if spec.train_on}
        for dataset in sorted(trained):
            pairs = tables.read(TABLES["curation.pairs"], partitions=[dataset])
            if len(pairs):
                found[dataset] = training_rows(pairs, dataset=dataset)
        return found
