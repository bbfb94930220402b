"""Four runs and several people's sessions at one warehouse at once, and runs that are killed at any moment."""

import statistics
import time
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pytest
from bioalign_assets.instance import mend_killed_runs, open_instance
from deltalake import DeltaTable

from bioalign_assets.warehouse.catalogue import catalogue_path, open_catalogue, own_catalogue_path
from bioalign_assets.warehouse.conform import conform
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables

from .hands import ASSETS, DATASETS, DIGEST, jobs, materialize, start_people, start_runs, write_studies
from .two_trainings import kill_all

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ROUNDS = 2
KILLS = 4
SEED = 20260401


class Place:
    """A warehouse in which all datasets are, and what each may look like."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "warehouse"
        write_studies(folder)
        self.jobs = jobs(folder)
        materialize(self.jobs[0], root=self.root, assets=("ctd.release", "ctd.associations", "ctd.changes"))
        self.expected: dict[str, set[tuple]] = {name: set() for name in DATASETS}
        for job in self.jobs:
            for name in DATASETS:
                materialize(job, root=self.root, partition=name)
            for row in self.stored():
                self.expected[row[0]].add(row[1:])

    def stored(self) -> list[tuple]:
        with open_catalogue(self.root) as session:
            return session.execute(DIGEST).fetchall()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("hands"))


def run_at_once(place: Place) -> list[dict]:
    """Let four processes run their rounds; return what they noted."""
    processes, go, told = start_runs(place.folder, rounds=ROUNDS)
    go.set()
    noted = [told.get(timeout=240) for _ in processes]
    for process in processes:
        process.join(60)
    assert [one["error"] for one in noted] == [None] * len(noted)
    return noted


def unexplained_waits(noted: list[dict]) -> list[float]:
    """Return for each wait for the catalogue's lock the seconds in which no other run held it."""
    holds = sorted(hold for one in noted for hold in one["held"])
    waits = []
    for began, ended in (wait for one in noted for wait in one["waited"]):
        covered = sum(max(0.0, min(ended, until) - max(began, since)) for since, until in holds)
        waits.append(ended - began - covered)
    return waits


def seconds(noted: list[dict]) -> list[float]:
    return [ended - began for one in noted for began, ended in one["rounds"]]


def test_the_versions_of_a_dataset_differ(place):
    """Else no test here could see a mixture."""
    assert {len(seen) for seen in place.expected.values()} == {2}


def test_people_read_and_write_while_four_runs_materialise(place):
    alone = run_at_once(place)
    people, stop, told = start_people(place.root, place.expected)
    together = run_at_once(place)
    stop.set()
    readers = {one["name"]: one for one in (told.get(timeout=60) for _ in people)}
    for process in people:
        process.join(60)
    for reader in readers.values():
        assert reader["bad"] == [], reader
        assert reader["reads"] >= 5, reader
    # a session that reads its own snapshot or a file of its own is barred by nobody; where one person writes to the
    # file that another would open, DuckDB bars the other until the next commit of a run puts a new file in its place
    assert readers["persistent"]["barred"] == readers["anew"]["barred"] == 0
    assert readers["public"]["reads"] > readers["public"]["barred"]

    for noted in (alone, together):
        # what a run waited for the lock, other runs held it: no reader did. filelock looks again every 50 ms
        assert max(unexplained_waits(noted)) < 2.0
    # five more processes on the same cores slow everything down, but by no more than their share
    assert statistics.median(seconds(together)) < 6 * statistics.median(seconds(alone)) + 2
    assert_whole(place)


def test_a_run_that_is_killed_at_any_moment_can_be_run_again(place):
    random = np.random.default_rng(SEED)
    usual = None
    killed_at_work = 0
    for _ in range(KILLS):
        processes, go, told = start_runs(place.folder, rounds=1)
        victim = int(random.integers(len(DATASETS)))
        after = float(random.uniform(0.02, 1.0)) * (usual or 3.0)
        go.set()
        began = time.monotonic()
        time.sleep(after)
        root = psutil.Process(processes[victim].pid)
        kill_all([*root.children(recursive=True), root])
        others = [told.get(timeout=240) for process in processes if process is not processes[victim]]
        for process in processes:
            process.join(60)
        if {one["partition"] for one in others} != set(DATASETS) - {DATASETS[victim]}:
            continue  # it had just told of its end
        assert [one["error"] for one in others] == [None] * 3
        usual = usual or time.monotonic() - began

        # as it stands, before anything was mended: each dataset is as one of the runs wrote it
        assert all(row[1:] in place.expected[row[0]] for row in place.stored())
        with open_instance(place.root) as instance:
            # a run that was killed between its record and its mark is given time to start; here nobody else is at work
            ended = mend_killed_runs(instance, unmarked_for_s=0)
            killed_at_work += len(ended)
            assert len(ended) <= 1
            assert all(run.is_finished for run in instance.get_runs())
        materialize(place.jobs[0], root=place.root, partition=DATASETS[victim])
        assert_whole(place)
    assert killed_at_work > 0


def assert_whole(place: Place) -> None:
    """Every table, the catalogue over it, and what killed processes left."""
    tables = Tables(place.root)
    stored = place.stored()
    assert [row[0] for row in stored] == sorted(DATASETS)
    assert all(row[1:] in place.expected[row[0]] for row in stored)
    with open_catalogue(place.root) as session:
        catalogued = {name: (version, files) for name, version, files in session.execute(
            "SELECT table_name, delta_version, files FROM catalogued").fetchall()}  # fmt: skip
    assert set(catalogued) == set(TABLES)
    for name, schema in TABLES.items():
        rows = tables.read(schema)
        assert rows.schema.equals(schema.arrow), name
        conform(rows, schema=schema)
        if schema.unique:
            keys = rows.select(list(schema.unique)).to_pandas()
            assert not keys.duplicated().any(), name
        delta = DeltaTable(tables.folder(schema))
        assert catalogued[name] == (delta.version(), len(delta.file_uris())), name
        assert all(Path(uri).is_file() for uri in delta.file_uris())
    for schema in (TABLES[name] for name in ASSETS):
        assert set(tables.read(schema)["dataset"].to_pylist()) == set(DATASETS)
    with duckdb.connect(catalogue_path(place.root), read_only=True) as session:
        assert session.execute(DIGEST).fetchall() == stored
    assert_tidy(place, tables)


def assert_tidy(place: Place, tables: Tables) -> None:
    """Nothing that a killed process left stays for good."""
    places = (own_catalogue_path(place.root).name, catalogue_path(place.root).name)
    left = [
        path.name
        for path in place.root.iterdir()
        if path.name.startswith(tuple(f"{name}." for name in places))
    ]
    assert left == []
    for name in ASSETS:
        delta = DeltaTable(tables.folder(TABLES[name]))
        known = {Path(uri).name for uri in delta.file_uris()}
        # half-written and unlogged files go with the vacuum, which needs them a day old; here it only looks
        gone = {
            Path(path).name
            for path in delta.vacuum(0, dry_run=True, enforce_retention_duration=False, full=True)
        }
        there = {path.name for path in tables.folder(TABLES[name]).rglob("*.parquet")}
        assert there - gone == known, name
