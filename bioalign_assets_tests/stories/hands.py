"""Processes at one warehouse: runs that materialise partitions, and people's DuckDB sessions that read on.

Nothing is replaced by a double: the runs are Dagster runs of the real definitions, in processes of their own.
"""

import multiprocessing
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from bioalign_assets.execution.instance import open_instance
from bioalign_assets.settings import Settings
from bioalign_assets.study import load_study
from bioalign_assets.warehouse import catalogue
from bioalign_assets.warehouse.catalogue import catalogue_path, open_catalogue
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.stories.commands import LONGEST_S

DATASETS = ("first", "second", "third")
ASSETS = ("curation.pairs", "evaluation.baselines")  # not the profile: it draws plots for most of its time
VERSIONS = (1, 2)
"""Seeds of the datasets: each run writes other rows than the run before, so that a mixture shows."""

# as the executor starts its steps: a fork server that has imported what starts no threads
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(
    ["bioalign_assets.execution.forkserver_imports", "dagster", "dagster_duckdb"]
)

_STUDY = """
title = "Many hands"

[source]
ctd = "demo"

[demo_release]
genes = 60
diseases = 30
associations = 250

[models.tiny-llama]
tiny = "llama"
pretraining_steps = 2

{datasets}
[experiments.untuned]
evaluate_on = ["first"]

[evaluation]
resamples = 100
prompts = ["unseen"]
"""
DIGEST = """
SELECT dataset, count(*), sum(label), md5(string_agg(concat_ws('|', row_number, pair_id, label, split), ' ' ORDER BY row_number))
FROM curation.pairs GROUP BY dataset ORDER BY dataset
"""
"""What is stored of each dataset: rows, true statements, and a hash of all."""
Digests = Mapping[str, set[tuple]]


def write_studies(folder: Path) -> None:
    """Write the study files, each with a version's seeds; once, before any process reads them."""
    for version in VERSIONS:
        datasets = "".join(
            f'[datasets.{name}]\nsampler = "published"\nsplit = "pair"\nseed = {10 * version + number}\n\n'
            for number, name in enumerate(DATASETS)
        )
        _study(folder, version=version).write_text(_STUDY.format(datasets=datasets), encoding="utf-8")


def _study(folder: Path, *, version: int) -> Path:
    return folder / f"hands-{version}.toml"


def jobs(folder: Path) -> list[Any]:
    """Return the job of all assets, for each version of the study."""
    from bioalign_assets.definitions import build_defs

    made = []
    for version in VERSIONS:
        file = _study(folder, version=version)
        # of one study, whose file was changed
        settings = Settings(study=str(folder / "hands.toml"), warehouse=folder / "warehouse")
        defs = build_defs(settings=settings, study=load_study(str(file)))
        made.append(defs.resolve_implicit_global_asset_job_def())
    return made


def materialize(
    job: Any, *, root: Path, assets: tuple[str, ...] = ASSETS, partition: str | None = None
) -> str:
    """Execute one run; return its id."""
    import dagster as dg

    with open_instance(root) as instance:
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name.split(".")) for name in assets],
            partition_key=partition,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=True,
        )
    return result.run_id


def run_on(folder: Path, partition: str, rounds: int, ready: Any, go: Any, told: Any) -> None:
    """Materialise a partition again and again, each time as the other version; tell how often, and what went wrong."""
    noted: dict[str, Any] = {"partition": partition, "rounds": 0, "error": None}
    try:
        versions = jobs(folder)
        ready.release()
        go.wait()
        for number in range(rounds):
            materialize(versions[number % len(versions)], root=folder / "warehouse", partition=partition)
            noted["rounds"] += 1
            told.put(dict(noted))
    except BaseException as error:  # noqa: BLE001 - told to the test, which fails
        noted["error"] = f"{type(error).__name__}: {error}"
        ready.release()
        told.put(noted)


def start_runs(folder: Path, *, rounds: int) -> tuple[dict[str, Any], Any, Any]:
    """Start a process for each dataset; return them, the event that sets them off, and the queue they tell to."""
    ready, go = FORKSERVER.Semaphore(0), FORKSERVER.Event()
    told = {
        name: FORKSERVER.Queue() for name in DATASETS
    }  # one each: who is killed while telling spoils a queue
    processes = {
        name: FORKSERVER.Process(target=run_on, args=(folder, name, rounds, ready, go, told[name]))
        for name in DATASETS
    }
    for process in processes.values():
        process.start()
    for _ in processes:
        assert ready.acquire(timeout=LONGEST_S)
    return processes, go, told


# People's sessions


def read_persistently(root: Path, expected: Digests, stop: Any, told: Any, ready: Any) -> None:
    """One read-only session, opened once: it must go on seeing what it saw first."""

    def read(noted: dict[str, Any], session: Any) -> None:
        rows = session.execute(DIGEST).fetchall()
        _check(rows, expected, noted)
        if rows != noted.setdefault("first", rows):
            noted["bad"].append("the snapshot changed")

    with duckdb.connect(catalogue_path(root), read_only=True) as session:
        _loop("persistent", read, session, stop=stop, told=told, ready=ready)


def read_anew(root: Path, expected: Digests, stop: Any, told: Any, ready: Any) -> None:
    """A session opened anew for each reading: a whole state, never older than the one before."""
    versions: dict[str, int] = {}

    def read(noted: dict[str, Any], _session: None) -> None:
        with open_catalogue(root) as session:
            _check(session.execute(DIGEST).fetchall(), expected, noted)
            found = session.execute("SELECT table_name, delta_version FROM catalogued").fetchall()
            for name, version in found:
                session.execute(f"SELECT count(*) FROM {name}").fetchone()
                if version < versions.get(name, 0):
                    noted["bad"].append(f"{name} went back to version {version}")
                versions[name] = version
            if {name for name, _ in found} != set(TABLES):
                noted["bad"].append(f"tables {found}")

    _loop("anew", read, None, stop=stop, told=told, ready=ready)


def read_public_anew(root: Path, expected: Digests, stop: Any, told: Any, ready: Any) -> None:
    """The same of the file for people, where a person's session that writes may bar another person's."""

    def read(noted: dict[str, Any], _session: None) -> None:
        try:
            with duckdb.connect(catalogue_path(root), read_only=True) as session:
                _check(session.execute(DIGEST).fetchall(), expected, noted)
        except duckdb.IOException as error:
            if "Could not set lock on file" not in str(error):
                raise
            noted["barred"] += 1

    _loop("public", read, None, stop=stop, told=told, ready=ready)


def read_and_write(root: Path, expected: Digests, stop: Any, told: Any, ready: Any) -> None:
    """A session opened to read and write and kept open, which keeps notes in a table of its own."""

    def read(noted: dict[str, Any], session: Any) -> None:
        session.execute("INSERT INTO notes SELECT count(*) FROM notes")
        (kept,) = session.execute("SELECT count(*) FROM notes").fetchone()
        if kept != noted["reads"] + 1:
            noted["bad"].append(f"{kept} notes after {noted['reads'] + 1}")
        _check(session.execute(DIGEST).fetchall(), expected, noted)

    with duckdb.connect(catalogue_path(root)) as session:
        session.execute("CREATE TABLE notes (number BIGINT)")
        _loop("writer", read, session, stop=stop, told=told, ready=ready)


def read_by_cli(root: Path, expected: Digests, stop: Any, told: Any, ready: Any) -> None:
    """DuckDB's own command line, a process for each reading."""

    def read(noted: dict[str, Any], _session: None) -> None:
        command = ["duckdb", "-readonly", "-csv", "-noheader", str(catalogue_path(root)), DIGEST]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if "Could not set lock on file" in done.stderr:
            noted["barred"] += 1
            return
        rows = [tuple(line.split(",")) for line in done.stdout.split()]
        _check([(name, int(n), int(true), digest) for name, n, true, digest in rows], expected, noted)

    _loop("cli", read, None, stop=stop, told=told, ready=ready)


def people() -> list[Any]:
    """Return what the sessions do that this machine can have."""
    found = [read_and_write, read_persistently, read_anew, read_public_anew]
    return [*found, read_by_cli] if shutil.which("duckdb") else found


def start_people(root: Path, expected: Digests) -> tuple[list[Any], Any, Any]:
    """Start the sessions; return their processes, the event that stops them, and the queue they tell to."""
    stop, told = FORKSERVER.Event(), FORKSERVER.Queue()
    processes = []
    for read in people():
        # one after another: DuckDB itself bars who would write from a file that somebody reads, and the other way
        if processes:
            catalogue.rebuild_catalogue(catalogue.Tables(root))
        ready = FORKSERVER.Semaphore(0)
        process = FORKSERVER.Process(target=read, args=(root, expected, stop, told, ready))
        process.start()
        assert ready.acquire(timeout=LONGEST_S), read.__name__
        processes.append(process)
    return processes, stop, told


def _loop(name: str, read: Any, session: Any, *, stop: Any, told: Any, ready: Any) -> None:
    noted: dict[str, Any] = {"name": name, "reads": 0, "barred": 0, "bad": []}
    ready.release()
    try:
        while not stop.is_set():
            read(noted, session)
            noted["reads"] += 1
            time.sleep(0.1)  # a person, not a load generator
    except Exception as error:  # noqa: BLE001 - told to the test, which fails
        noted["bad"].append(f"{type(error).__name__}: {error}")
    told.put(noted)


def _check(rows: list[tuple], expected: Digests, noted: dict[str, Any]) -> None:
    if [row[0] for row in rows] != sorted(expected):
        noted["bad"].append(f"datasets {[row[0] for row in rows]}")
    noted["bad"] += [f"half a dataset: {row}" for row in rows if row[1:] not in expected.get(row[0], set())]
    noted["bad"] += [f"not balanced: {row}" for row in rows if 2 * row[2] != row[1]]
