"""What a CTD release costs: plays releases through the real sensor and daemon, and prints what was rerun.

    python -m benchmarks.releases --release ../shared/data/ctd/CTD_curated_genes_diseases.2025-08-27.csv

First the study is built by ``bioalign demo`` from the release. Then the daemon starts, and releases come to the
folder that it watches: the same file, the same with another date, one in which only an OMIM identifier differs
(which no dataset holds), one with about 0.5% of its rows dropped or changed. The
last line says whether what was rerun is what should have been.
"""

import argparse
import csv
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus

from benchmarks.side_by_side import machine
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.definitions import build_defs
from bioalign_assets.execution.instance import dagster_home, open_instance
from bioalign_assets.freshness.history import History
from bioalign_assets.freshness.partition_graph import AssetPartition, PartitionGraph, key_of
from bioalign_assets.freshness.stale import state_of
from bioalign_assets.settings import PROJECT_ROOT, Settings
from bioalign_assets.study import load_study
from bioalign_assets.study.source import DemoRelease

__all__ = ["Played", "another_date", "another_omim_id", "half_a_percent_changed", "play_releases", "table"]

STUDY = Path(__file__).with_suffix(".toml")
_FILE = "CTD_curated_genes_diseases.csv"
QUIET_S = 30.0
"""As long nothing may happen until a release counts as dealt with: several looks of every sensor."""
_LONGEST_S = 3600.0
_LOOK_EVERY_S = 3.0
"""What is stale takes seconds to find out, on cores that have the releases to deal with."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """What one release led to.

    :param runs: runs that the sensors started, with that of the ingestion
    :param rerun: asset partitions that were materialised, the release itself not counted
    :param alone: asset partitions that were built before and left alone
    :param seconds: from the arrival of the file to the end of the last run; 0 where there was none
    """

    release: str
    runs: int
    rerun: int
    alone: int
    seconds: float


def another_date(text: str) -> str:
    """Return a release whose header bears a later year."""
    return re.sub(r"(# Report created: .* )(\d{4})", lambda m: f"{m[1]}{int(m[2]) + 1}", text, count=1)


def half_a_percent_changed(text: str, *, generator: np.random.Generator) -> str:
    """Return a release three years on in which 0.4% of the rows are gone and 0.1% have another article."""
    lines = another_date(another_date(another_date(text))).splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    count = max(1, round(0.001 * (len(lines) - first)))
    chosen = generator.choice(np.arange(first, len(lines)), size=5 * count, replace=False)
    gone, other = set(chosen[count:].tolist()), set(chosen[:count].tolist())
    return "".join(
        _with_another_article(line) if number in other else line
        for number, line in enumerate(lines)
        if number not in gone
    )


def another_omim_id(text: str) -> str:
    """Return a release, two years on, in which one association has another OMIM identifier."""
    lines = another_date(another_date(text)).splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    fields = next(csv.reader([lines[first]]))
    fields[5] = "987654"
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(fields)
    lines[first] = row.getvalue()
    return "".join(lines)


def _with_another_article(line: str) -> str:
    row = line.rstrip("\r\n")
    return f"{row}{'' if row.endswith(',') else '|'}99999999\n"


def play_releases(
    text: str, *, releases: Mapping[str, str], study_file: Path, folder: Path, quiet_s: float = QUIET_S
) -> Iterator[Played]:
    """Build a study from a release, then let releases come while the daemon watches; give each when it is over.

    :param text: of the first release
    :param releases: texts of those that come then, by what they are called
    :param folder: for the warehouse and the releases; empty
    :param quiet_s: as long nothing may happen until a release counts as dealt with
    """
    source = folder / "releases"
    source.mkdir(parents=True)
    settings = Settings(study=str(study_file), warehouse=folder / "warehouse", ctd_source=str(source))
    environment = os.environ | {
        "BIOALIGN_STUDY": settings.study,
        "BIOALIGN_WAREHOUSE": str(settings.warehouse),
        "BIOALIGN_CTD_SOURCE": str(source),
        "DAGSTER_HOME": str(dagster_home(settings.warehouse)),
    }
    publish(text, source=source)
    bioalign = [sys.executable, "-m", "bioalign_assets.cli"]
    subprocess.run([*bioalign, "demo"], env=environment, check=True, stdout=subprocess.DEVNULL)
    with daemon(environment, log=folder / "daemon.log"):
        watcher = _Watcher(settings)
        for name, release in releases.items():
            publish(release, source=source)
            yield watcher.wait(name, quiet_s=quiet_s)


def publish(text: str, *, source: Path) -> None:
    """Put a release into the folder that is watched, whole at once."""
    aside = source / ".incoming"
    aside.write_text(text, encoding="utf-8")
    aside.replace(source / _FILE)


@contextmanager
def daemon(environment: dict[str, str], *, log: Path) -> Iterator[None]:
    """Run Dagster's daemon with the code location, and end both."""
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(PROJECT_ROOT / "workspace.yaml")]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


class _Watcher:
    """Waits until a release is dealt with, and counts what happened."""

    def __init__(self, settings: Settings) -> None:
        self._study = load_study(settings.study)
        defs = build_defs(settings=settings, study=self._study)
        self._graph = PartitionGraph(defs.resolve_asset_graph())
        self._history = History(self._graph)
        self._instance = open_instance(settings.warehouse)
        self._materialised = self._count()
        self._runs = self._instance.get_runs_count()

    def wait(self, release: str, *, quiet_s: float) -> Played:
        """Return what a release led to, when nothing has happened for a while and nothing is stale."""
        started = quiet_since = time.time()
        while time.time() - quiet_since < quiet_s:
            if time.time() - started > _LONGEST_S:
                raise RuntimeError(f"{release}: not dealt with after {_LONGEST_S:g} s")
            time.sleep(_LOOK_EVERY_S)
            if not self._was_seen(since=started) or self._is_busy():
                quiet_since = time.time()
        started_runs = self._instance.get_runs_count() - self._runs
        runs = self._instance.get_run_records(limit=started_runs) if started_runs else []
        materialised = self._count()
        rerun = {key for key, times in materialised.items() if times > self._materialised[key]}
        rerun.discard(AssetPartition("ctd.release", None))
        built = {key for key, times in materialised.items() if times}
        failed = [record.dagster_run.run_id for record in runs if record.dagster_run.is_failure]
        if failed:
            raise RuntimeError(f"{release}: the runs {', '.join(failed)} failed")
        self._materialised, self._runs = materialised, self._runs + len(runs)
        ended = max((record.end_time or 0.0 for record in runs), default=started)
        return Played(
            release=release,
            runs=len(runs),
            rerun=len(rerun),
            alone=len(built) - len(rerun) - 1,
            seconds=ended - started,
        )

    def _was_seen(self, *, since: float) -> bool:
        """Whether the sensor has looked at the source since then: on a busy machine its first look takes a while."""
        return bool(self._looks("new_release", since=since))

    def _looks(self, sensor: str, *, since: float) -> list[InstigatorTick]:
        """Return the looks of a sensor that began after a time, and have ended: before, they may still start a run."""
        for state in self._instance.all_instigator_state():
            if state.instigator_name == sensor:
                origin, selector = state.instigator_origin_id, state.selector_id
                ticks = self._instance.get_ticks(origin, selector, after=since, limit=None)
                return [tick for tick in ticks if tick.end_timestamp is not None]
        return []

    def _is_over(self) -> bool:
        """Whether what reruns tables has looked at how things stand since the last run ended, and asked for nothing."""
        (last,) = self._instance.get_run_records(limit=1, order_by="update_timestamp", ascending=False)
        looks = self._looks("refresh_tables", since=last.end_time or time.time())
        return any(look.status is TickStatus.SKIPPED for look in looks)

    def _is_busy(self) -> bool:
        unfinished = dg.RunsFilter(statuses=[
            dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ])  # fmt: skip
        if self._instance.get_runs_count(unfinished):
            return True
        if not self._study.automation.training:
            # models, and what waits for them, stay stale until a person reruns them
            return not self._is_over()
        self._history.read(instance=self._instance)
        return any(
            state_of(node, graph=self._graph, history=self._history) == "stale" for node in self._graph
        )

    def _count(self) -> Counter[AssetPartition]:
        """Return how often each partition was materialised."""
        return Counter(
            AssetPartition(asset, record.partition_key)
            for asset in self._graph.assets
            for record in self._instance.fetch_materializations(key_of(asset), limit=10_000).records
        )


def table(played: list[Played]) -> str:
    """Return the releases as a Markdown table."""
    lines = [
        "| release | runs started | asset partitions rerun | left alone | seconds |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {each.release} | {each.runs} | {each.rerun} | {each.alone} | {each.seconds:.0f} |"
        for each in played
    ]
    return "\n".join(lines)


def main() -> None:
    """Play the releases and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--release", type=Path, help="a release as .csv; the synthetic one by default")
    parser.add_argument("--study", type=Path, default=STUDY)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first = arguments.release or Path(folder) / "synthetic.csv"
        if arguments.release is None:
            write_demo_release(first, spec=DemoRelease())
        played = []
        text = first.read_text(encoding="utf-8")
        releases = {
            "the same file": text,
            "the same, another date": another_date(text),
            "one OMIM identifier changed": another_omim_id(text),
            "0.5% of the rows changed": half_a_percent_changed(text, generator=np.random.default_rng(42)),
        }
        for each in play_releases(
            text, releases=releases, study_file=arguments.study.absolute(), folder=Path(folder) / "played"
        ):
            print(
                f"{each.release}: {each.runs} runs, {each.rerun} partitions, {each.seconds:.0f} s", flush=True
            )
            played.append(each)
    print(machine())
    print(table(played))
    same, dated, omim, changed = played
    as_it_should = (
        (same.runs, same.rerun, dated.runs, dated.rerun) == (0, 0, 1, 0)
        and 0 < omim.rerun < changed.rerun
        and omim.alone > 0
    )
    print(f"only what is stale was rerun: {'yes' if as_it_should else 'NO'}")
    sys.exit(0 if as_it_should else 1)


if __name__ == "__main__":
    main()
