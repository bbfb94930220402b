"""A micro study under automation: the real graph and conditions, with the daemon's ticks made by hand.

A test decides what happens between two ticks, which a running daemon would leave to chance.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import dagster as dg
from bioalign_assets.automation.release_watch import RELEASE
from bioalign_assets.automation.staleness import PartitionState, partition_states
from bioalign_assets.demo import working_alone
from bioalign_assets.running import PlannedRun, execute

from bioalign_assets.definitions import build_defs
from bioalign_assets.errors import BioAlignError
from bioalign_assets.study import load_study
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.micro import Micro

Partition = tuple[str, str | None]


class Automated:
    """A study whose stale partitions are rerun tick by tick.

    :param micro: a copy of its warehouse is taken
    """

    def __init__(self, micro: Micro, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(micro.root, folder / "warehouse")
        shutil.copy(micro.study_file, folder / "micro.toml")
        self.micro = Micro(folder)
        self.micro.study_file.write_text(micro.study_file.read_text())
        self.load()
        self.source = folder / "releases"
        self.source.mkdir()
        self.cursor = None
        self.launched: list[Partition] = []
        self.failed: list[Partition] = []
        self.change_defs: Callable[[dg.Definitions], dg.Definitions] = lambda defs: defs
        self.instance = self.micro.instance
        self._defs: dict[object, dg.Definitions] = {}

    def load(self) -> None:
        """Load the study file (anew)."""
        self.micro.study = load_study(str(self.micro.study_file))
        self.micro.settings = self.micro.settings.model_copy(update={"study": str(self.micro.study_file)})

    def restart(self) -> None:
        """Load the code anew, as a daemon that is started again: a check may have been replaced."""
        self._defs.clear()

    def edit_study(self, old: str, new: str) -> None:
        """Change the study file, load it, and record it as the sensor does."""
        text = self.micro.study_file.read_text()
        assert old in text
        self.micro.study_file.write_text(text.replace(old, new))
        self.load()
        with working_alone(self.micro.study, settings=self.settings):
            pass

    @property
    def settings(self):
        return self.micro.settings.model_copy(update={"ctd_source": str(self.source)})

    @property
    def defs(self) -> dg.Definitions:
        # kept, as a daemon keeps those that it has loaded, for as long as code and study stay
        key = (self.change_defs, self.micro.study_file.read_text())
        if key not in self._defs:
            built = build_defs(settings=self.settings, study=self.micro.study)
            self._defs[key] = self.change_defs(built)
        return self._defs[key]

    def publish(self, text: str, *, name: str = "CTD_curated_genes_diseases.csv") -> None:
        """Put a release where the source is."""
        (self.source / name).write_text(text, encoding="utf-8")

    def ingest(self) -> None:
        """Run what the release sensor would start."""
        self.run([("ctd.release", None)])

    def tick(self, *groups: str) -> list[PlannedRun]:
        """Return the runs that the automation asks for now, as the daemon would group them."""
        selection = dg.AssetSelection.groups(*groups) if groups else dg.AssetSelection.all()
        result = dg.evaluate_automation_conditions(
            self.defs, self.instance, asset_selection=selection, cursor=self.cursor
        )
        self.cursor = result.cursor
        graph = self.defs.resolve_asset_graph()
        # as the daemon does: a comparison has the key of a variant, but a set of partitions of its own
        wanted: dict[tuple[dg.PartitionsDefinition | None, str | None], list[str]] = {}
        for name in TABLES:
            key = dg.AssetKey(name.split("."))
            for partition in sorted(result.get_requested_partitions(key), key=str):
                wanted.setdefault((graph.get(key).partitions_def, partition), []).append(name)
        return [
            PlannedRun(title=f"automation {partition}", assets=tuple(names), partition=partition)
            for (_, partition), names in wanted.items()
        ]

    def run(self, partitions: Iterable[Partition]) -> None:
        """Materialise partitions by hand, one run each."""
        for name, partition in partitions:
            self.execute(PlannedRun(title=name, assets=(name,), partition=partition))

    def execute(self, planned: PlannedRun) -> None:
        """Execute one run; a failure is kept in ``failed``."""
        done = [(name, planned.partition) for name in planned.assets]
        try:
            execute(
                planned,
                job=self.defs.resolve_implicit_global_asset_job_def(),
                instance=self.instance,
                study=self.micro.study,
            )
        except BioAlignError:
            self.failed += done

    def settle(self, *groups: str, ticks: int = 20) -> list[Partition]:
        """Tick and execute until nothing is asked for; return what was launched, in order."""
        launched: list[Partition] = []
        for _ in range(ticks):
            planned = self.tick(*groups)
            if not planned:
                return launched
            for run in planned:
                launched += [(name, run.partition) for name in run.assets]
                self.execute(run)
        raise AssertionError(f"no end after {ticks} ticks: {launched}")

    def states(self) -> dict[Partition, PartitionState]:
        """Return how every partition stands."""
        found = partition_states(self.defs, instance=self.instance)
        return {(state.asset, state.partition): state for state in found}

    def of_state(self, state: str) -> set[Partition]:
        """Return the partitions in a state."""
        return {key for key, found in self.states().items() if found.state == state}

    def materialisations(self, name: str, partition: str | None = None) -> int:
        """Return how often a partition was materialised."""
        key = dg.AssetKey(name.split("."))
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
        return len(self.instance.fetch_materializations(wanted, limit=100).records)


def release_is_ingested(automated: Automated) -> bool:
    """Whether any release is in force."""
    return automated.micro.instance.get_latest_materialization_event(RELEASE) is not None
