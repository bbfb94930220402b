"""Three runs and several people's sessions at one warehouse at once; one of the runs is killed in the midst of it."""

from pathlib import Path

import duckdb
import psutil
import pytest
from deltalake import DeltaTable

from bioalign_assets.execution.instance import open_instance, see_that_it_belongs
from bioalign_assets.execution.killed_runs import mend_killed_runs
from bioalign_assets.warehouse.catalogue import catalogue_path, open_catalogue, own_catalogue_path
from bioalign_assets.warehouse.conform import conform
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.stories.commands import LONGEST_S, until
from bioalign_assets_tests.stories.hands import (
    ASSETS,
    DATASETS,
    DIGEST,
    jobs,
    materialize,
    start_people,
    start_runs,
    write_studies,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROUNDS = 2


class Place:
    """A warehouse in which all datasets are, and what each may look like."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "warehouse"
        write_studies(folder)
        see_that_it_belongs(self.root, study=str(folder / "hands.toml"))
        self.jobs = jobs(folder)
        materialize(self.jobs[0], root=self.root, assets=("ctd.release", "ctd.associations", "ctd.changes"))
        self.expected: dict[str, set[tuple]] = {name: set() for name in DATASETS}
        for job, assets in zip(self.jobs, (("curation.pairs",), ASSETS), strict=True):
            for name in DATASETS:
                materialize(job, root=self.root, assets=assets, partition=name)
            for row in self.stored():
                self.expected[row[0]].add(row[1:])

    def stored(self) -> list[tuple]:
        with open_catalogue(self.root) as session:
            return session.execute(DIGEST).fetchall()


def test_people_read_and_write_while_runs_materialise_and_one_is_killed(tmp_path):
    place = Place(tmp_path)
    assert {len(seen) for seen in place.expected.values()} == {2}  # else nothing here could see a mixture
    people, stop, told_by_people = start_people(place.root, place.expected)
    processes, go, told = start_runs(place.folder, rounds=ROUNDS)
    victim, *others = DATASETS
    go.set()
    assert told[victim].get(timeout=LONGEST_S)["error"] is None
    until(lambda: at_work(place) > 0, what="its second run")
    kill(processes[victim])
    ended = [[told[name].get(timeout=LONGEST_S) for _ in range(ROUNDS)][-1] for name in others]
    assert [(one["rounds"], one["error"]) for one in ended] == [(ROUNDS, None)] * len(others)

    # as it stands, before anything was mended: each dataset is as one of the runs wrote it
    assert all(row[1:] in place.expected[row[0]] for row in place.stored())
    with open_instance(place.root) as instance:
        # a run that was killed between its record and its mark is given time to start; here nobody else is at work
        assert len(mend_killed_runs(instance, unmarked_for_s=0)) <= 1
        assert all(run.is_finished for run in instance.get_runs())
    materialize(place.jobs[0], root=place.root, partition=victim)

    stop.set()
    readers = {one["name"]: one for one in (told_by_people.get(timeout=LONGEST_S) for _ in people)}
    for process in [*people, *processes.values()]:
        process.join(60)
    for reader in readers.values():
        assert reader["bad"] == [], reader
        assert reader["reads"] > 0, reader
    # a session that reads its own snapshot or a file of its own is barred by nobody; where one person writes to the
    # file that another would open, DuckDB bars the other until the next commit of a run puts a new file in its place
    assert readers["persistent"]["barred"] == readers["anew"]["barred"] == 0
    assert readers["public"]["reads"] > readers["public"]["barred"]
    assert_whole(place)


def at_work(place: Place) -> int:
    with open_instance(place.root) as instance:
        return sum(run.status.value == "STARTED" for run in instance.get_runs())


def kill(process) -> None:
    root = psutil.Process(process.pid)
    for each in [*root.children(recursive=True), root]:
        each.kill()
    process.join(60)


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
