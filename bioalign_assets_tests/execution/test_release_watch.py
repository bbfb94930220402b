"""What the sensor does about a source: a new release once, the same never again, and plain words when it is silent."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pytest

from bioalign_assets.automation.sensors import source_events
from bioalign_assets.ctd.checks import known_sighting
from bioalign_assets.definitions import build_defs
from bioalign_assets.errors import BioAlignError
from bioalign_assets.execution.release_watch import RELEASE, Memory, decide
from bioalign_assets.execution.runs import PlannedRun, execute
from bioalign_assets.freshness.settings_assets import observe_settings
from bioalign_assets_tests.micro import Micro
from bioalign_assets_tests.releases import dated, first_release, without_rows

CAPTCHA = b"<!DOCTYPE html><html><body>altcha: prove that you are human</body></html>"


class Site:
    """A web site with one release on it."""

    def __init__(self) -> None:
        self.content = b""
        self.etag = '"1"'
        self.status = 200
        self.kind = "text/csv"
        self.requests: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, *, with_body: bool) -> None:
                site.requests.append(self.command)
                self.send_response(site.status)
                self.send_header("ETag", site.etag)
                self.send_header("Content-Type", site.kind)
                self.send_header("Content-Length", str(len(site.content)))
                self.end_headers()
                if with_body:
                    self.wfile.write(site.content)

            def do_HEAD(self) -> None:
                self.answer(with_body=False)

            def do_GET(self) -> None:
                self.answer(with_body=True)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/CTD_curated_genes_diseases.csv"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def publish(self, text: str, *, etag: str) -> None:
        self.content, self.etag, self.status, self.kind = text.encode(), etag, 200, "text/csv"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.server.shutdown()


class Watched:
    """A study whose source is watched, with the sensor's ticks made by hand."""

    def __init__(self, micro: Micro, source: str) -> None:
        self.study = micro.study
        self.settings = micro.settings.model_copy(update={"ctd_source": source})
        self.instance = micro.instance
        observe_settings(self.study, instance=self.instance)
        self.defs = build_defs(settings=self.settings, study=self.study)
        self.job = self.defs.resolve_implicit_global_asset_job_def()
        self.cursor: str | None = None
        self.skipped = ""

    def tick(self) -> list[dg.RunRequest]:
        """Evaluate the real sensor as the daemon does; its events are recorded."""
        sensor = self.defs.resolve_sensor_def("new_release")
        repository = self.defs.get_repository_def()
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=repository, sensor_name="new_release"
        )
        result = sensor.evaluate_tick(context)
        self.cursor = result.cursor
        self.skipped = result.skip_message or ""
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        return list(result.run_requests or [])

    def follow(self, request: dg.RunRequest) -> None:
        """Execute what the sensor asked for."""
        execute(
            PlannedRun(title="ingest", assets=("ctd.release",), tags=request.tags),
            job=self.job,
            instance=self.instance,
            study=self.study,
        )

    def check(self) -> dg.AssetCheckEvaluation | None:
        """Return the last evaluation of the check on the source."""
        key = dg.AssetCheckKey(RELEASE, "source_answers")
        records = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
        return records[0].event.asset_check_evaluation if records else None


@pytest.fixture
def micro(new_warehouse, tmp_path) -> Micro:
    return new_warehouse.copy(tmp_path)


@pytest.fixture
def watched(micro, tmp_path, site) -> Watched:
    site.publish(first_release(tmp_path), etag='"one"')
    return Watched(micro, site.url)


def test_a_new_release_starts_one_run_and_the_same_never_another(watched, site, tmp_path):
    (request,) = watched.tick()
    assert [key.path for key in request.asset_selection] == [["ctd", "release"]]
    assert (
        watched.tick()[0].run_key == request.run_key
    )  # not launched yet: the same request, which Dagster knows
    watched.follow(request)
    assert watched.tick() == []
    assert "No new release" in watched.skipped
    watched.cursor = None  # a sensor that was reset, or an instance that only ran the demo
    assert watched.tick() == []
    site.publish(without_rows(first_release(tmp_path), share=0.01, seed=1), etag='"two"')
    (second,) = watched.tick()
    assert second.run_key != request.run_key
    assert second.tags != request.tags


def test_a_release_that_comes_back_is_ingested_again(watched, site, tmp_path):
    first = first_release(tmp_path)
    (request,) = watched.tick()
    watched.follow(request)
    site.publish(without_rows(first, share=0.01, seed=1), etag='"two"')
    (second,) = watched.tick()
    watched.follow(second)
    site.publish(first, etag='"one"')
    (third,) = watched.tick()
    assert third.run_key != request.run_key
    assert third.tags == request.tags
    watched.follow(third)
    assert watched.tick() == []


def test_a_look_downloads_nothing(watched, site):
    (request,) = watched.tick()
    watched.follow(request)
    site.requests.clear()
    watched.tick()
    assert site.requests == ["HEAD"]


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda site: setattr(site, "status", 503), "503"),
        (lambda site: site.server.server_close() or site.server.shutdown(), "connection"),
        (
            lambda site: (
                setattr(site, "content", CAPTCHA), setattr(site, "kind", "text/html"), setattr(site, "etag", '"c"')
            ),
            "HTML",
        ),
    ],
)  # fmt: skip
def test_a_silent_source_is_a_skipped_tick_and_after_three_a_failed_check(
    watched, site, tmp_path, break_it, told
):
    (request,) = watched.tick()
    watched.follow(request)
    break_it(site)
    for _ in range(2):
        assert watched.tick() == []
        assert told in watched.skipped
        assert watched.check().passed
    assert watched.tick() == []
    failed = watched.check()
    assert not failed.passed
    assert "3" in failed.description
    assert "download" in failed.description
    assert "BIOALIGN_CTD_SOURCE" in failed.description
    assert known_sighting(watched.instance) is not None


def test_a_source_that_answers_again_passes_the_check_again(watched, site, tmp_path):
    (request,) = watched.tick()
    watched.follow(request)
    site.status = 503
    for _ in range(4):
        watched.tick()
    assert not watched.check().passed
    site.status = 200
    assert watched.tick() == []
    assert watched.check().passed
    assert json.loads(watched.cursor)["misses"] == 0


def test_a_refused_release_is_not_tried_again_and_the_tick_says_why(watched, site, tmp_path):
    (request,) = watched.tick()
    watched.follow(request)
    site.publish(without_rows(first_release(tmp_path), share=0.5, seed=1), etag='"half"')
    (second,) = watched.tick()
    with pytest.raises(BioAlignError, match="20%"):
        watched.follow(second)
    assert watched.tick() == []
    assert "refused" in watched.skipped
    assert "20%" in watched.skipped
    site.publish(dated(first_release(tmp_path), year=2031), etag='"three"')
    assert len(watched.tick()) == 1


def test_a_run_that_ends_during_a_look_starts_no_other(watched, monkeypatch):
    (request,) = watched.tick()
    run = watched.instance.create_run_for_job(watched.job, tags=request.tags)

    def and_the_run_ends(folder):
        watched.instance.report_run_failed(run)  # it wrote why just after the folder was read
        return []

    monkeypatch.setattr("bioalign_assets.execution.release_watch.kept_aside", and_the_run_ends)
    assert watched.tick() == []
    assert run.run_id in watched.skipped


def test_a_run_that_fails_is_tried_three_times_in_all(watched, site):
    keys = set()
    for _ in range(3):
        (request,) = watched.tick()
        keys.add(request.run_key)
        site.content, whole = CAPTCHA, site.content  # between the look and the download
        with pytest.raises(BioAlignError):
            watched.follow(request)
        site.content = whole
    assert len(keys) == 3
    assert watched.tick() == []
    assert "3 runs failed" in watched.skipped


@pytest.mark.parametrize(
    "text", [None, "", "no json", "[]", "7", '{"misses": "many"}', '{"seen": "no sighting"}']
)
def test_a_cursor_that_cannot_be_read_starts_anew(watched, text):
    watched.cursor = text
    assert len(watched.tick()) == 1


def test_memory_survives_its_text():
    memory = Memory(seen='{"a": 1}', misses=2)
    assert Memory.from_json(memory.to_json()) == memory


def test_a_folder_is_watched_by_its_newest_report(micro, tmp_path):
    folder = tmp_path / "releases"
    folder.mkdir()
    first = first_release(tmp_path)
    (folder / "a.csv").write_text(dated(first, year=2020), encoding="utf-8")
    watched = Watched(micro, str(folder))
    (request,) = watched.tick()
    watched.follow(request)
    assert watched.tick() == []
    (folder / "older.csv").write_text(
        without_rows(dated(first, year=2019), share=0.1, seed=1), encoding="utf-8"
    )
    assert watched.tick() == []
    (folder / "newer.csv").write_text(dated(first, year=2021), encoding="utf-8")
    assert len(watched.tick()) == 1


def test_an_emptied_folder_is_told(micro, tmp_path):
    watched = Watched(micro, str(tmp_path / "nowhere"))
    assert watched.tick() == []
    assert "nowhere" in watched.skipped
    memory = Memory(misses=2)
    decision = decide(watched.study, settings=watched.settings, instance=watched.instance, memory=memory)
    (event,) = source_events(decision)
    assert not event.passed
