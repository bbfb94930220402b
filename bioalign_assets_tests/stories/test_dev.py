"""What a person does and sees with ``bioalign dev``, in the order in which they would: each test goes on from the last."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import dagster as dg
import psutil
import pytest
from playwright.sync_api import TimeoutError  # noqa: A004 - theirs is another

from bioalign_assets.execution.killed_runs import mend_killed_runs
from bioalign_assets_tests.releases import dated, without_rows
from bioalign_assets_tests.stories.commands import Terminal, are_gone, ending, is_soon, until
from bioalign_assets_tests.stories.served import WAIT_S, Ui

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1800)]


# of the module: a running daemon and webserver would slow down all tests after these
@pytest.fixture(scope="module")
def ui(tmp_path_factory) -> Iterator[Ui]:
    made = Ui(tmp_path_factory.mktemp("ui"))
    try:
        made.until(lambda: bool(made.ask("{ assetNodes { id } }")["assetNodes"]), what="the asset graph")
        made.switch("refresh_tables", on=False)  # what is stale is to be seen first
        made.until_made("ctd/release", beside=[])  # the first release is new
        yield made
    finally:
        made.kill()


@pytest.fixture
def page(browser) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    opened.set_default_timeout(WAIT_S * 1000)
    broken: list[str] = []
    opened.on("pageerror", lambda error: broken.append(str(error)))
    yield opened
    opened.close()
    assert broken == []


ROOMS = ("ctd", "curation", "evaluation", "inference", "models", "report", "study", "training")
CHECKS = (
    "classes_shared", "entities_held_out", "frequencies_match", "label_balance", "no_positive_among_negatives", "no_text_in_both_splits", "schema", "text_form", "unique_pairs",
)  # fmt: skip
TRIES = 8
PATIENCE_S = 30
"""How long one click may take before the page is opened anew"""
FIGURES = ("class_balance", "text_lengths", "entity_frequency", "evidence")


def materialise(page, ui, asset, *, partition=None):
    """Click until a run of an asset is under way, and wait for its end.

    A page that still loads may lose a click: it is opened anew then.
    """
    before = ui.runs(of=asset)
    for _ in range(TRIES):
        with suppress(TimeoutError):
            click_through(page, f"{ui.url}/assets/{asset}", partition=partition)
        if is_soon(lambda: len(ui.runs(of=asset)) > len(before), within_s=2 * PATIENCE_S, every_s=0.5):
            break
    ui.until_made(asset, beside=before)


def click_through(page, address, *, partition):
    page.goto(address)
    page.get_by_role("button", name="Materialize").first.click(timeout=PATIENCE_S * 1000)
    if partition is None:
        return
    select = page.get_by_text("Select a partition or create one")
    select = select.or_(page.get_by_placeholder("Select a partition or create one")).first
    # Dagster asks first where an asset above was never made, whether this partition reads it or not
    sure = page.get_by_role("button", name="Confirm")
    for _ in range(TRIES):
        if sure.is_visible():
            sure.click(timeout=PATIENCE_S * 1000)
        with suppress(TimeoutError):
            select.click(timeout=5_000)
            break
    page.get_by_text(partition, exact=True).first.click(timeout=PATIENCE_S * 1000)
    page.get_by_role("button", name="Launch 1 run").click(timeout=PATIENCE_S * 1000)


def stale(ui, asset, partition=None):
    """Return what the UI itself asks for its marks."""
    path = ", ".join(f'"{part}"' for part in asset.split("/"))
    argument = f'(partition: "{partition}")' if partition else ""
    node = ui.ask(
        f"{{ assetNodeOrError(assetKey: {{path: [{path}]}}) {{ ... on AssetNode {{ staleStatus{argument} }} }} }}"
    )
    return node["assetNodeOrError"]["staleStatus"]


def test_the_lineage_graph_shows_every_room(ui, page, shots):
    page.goto(f"{ui.url}/asset-groups")
    for room in ROOMS:
        page.get_by_text(room, exact=True).first.wait_for()
    page.screenshot(path=shots / "1-lineage.png")


def test_a_person_materialises_a_dataset_and_sees_the_run_succeed(ui, page, shots):
    materialise(page, ui, "ctd/associations")
    materialise(page, ui, "curation/pairs", partition="stable")
    materialise(page, ui, "curation/profile", partition="stable")
    page.goto(f"{ui.url}/runs")
    page.get_by_text("partition: stable").first.wait_for()
    page.screenshot(path=shots / "2-runs.png")
    assert page.get_by_text("Success", exact=True).count() == len(ui.runs())
    page.goto(f"{ui.url}/runs/{ui.runs()[0]['runId']}")
    page.get_by_text("curation__profile").first.wait_for()
    page.screenshot(path=shots / "3-run.png")


def test_the_asset_page_explains_the_table(ui, page, shots):
    page.goto(f"{ui.url}/assets/curation/pairs")
    page.get_by_text("The labelled dataset: curated associations as true statements").first.wait_for()
    page.get_by_text("Official symbol of the gene, exactly as CTD spells it").first.wait_for()
    page.screenshot(path=shots / "4-pairs.png")


def test_the_plots_are_there_and_fit_their_window(ui, page, shots):
    page.goto(f"{ui.url}/assets/curation/profile?view=partitions&partition=stable")
    links = page.get_by_text("[Show Markdown]")
    links.first.wait_for()
    for figure in FIGURES:
        page.locator("tr", has_text=figure).get_by_text("[Show Markdown]").first.click()
        image = page.locator("img[src^='data:image/png']").first
        image.wait_for()
        page.wait_for_function("document.querySelector(\"img[src^='data:image/png']\").naturalWidth > 0")
        drawn, window = (
            image.bounding_box(),
            page.locator("[role=dialog], .bp5-dialog, .bp4-dialog").first.bounding_box(),
        )
        assert drawn["width"] > 300
        assert drawn["x"] + drawn["width"] <= window["x"] + window["width"]
        page.wait_for_timeout(400)  # the window fades in
        page.screenshot(path=shots / f"5-{figure}.png")
        page.keyboard.press("Escape")
        image.wait_for(state="detached")


def test_the_checks_are_there_with_what_they_found(ui, page, shots):
    page.goto(f"{ui.url}/assets/curation/pairs?view=checks")
    page.get_by_text("label_balance", exact=True).first.click()
    page.get_by_text("400 positives and 400 negatives").first.wait_for()
    for check in CHECKS:
        page.get_by_text(check, exact=True).first.wait_for()
    assert page.get_by_text("Succeeded", exact=True).count() == len(CHECKS)
    page.screenshot(path=shots / "6-checks.png")


def test_a_new_release_makes_stale_what_depends_on_it(ui, page, shots):
    assert stale(ui, "ctd/associations") == "FRESH"
    before = ui.runs(of="ctd/release")
    ui.publish(without_rows(dated(ui.first, year=2031), share=0.02, seed=1))
    ui.until_made("ctd/release", beside=before)
    assert stale(ui, "ctd/associations") == "STALE"
    page.goto(f"{ui.url}/assets/ctd/associations")
    page.get_by_text("Unsynced").first.wait_for()
    page.screenshot(path=shots / "7-stale.png")
    materialise(page, ui, "ctd/associations")
    assert stale(ui, "ctd/associations") == "FRESH"
    assert stale(ui, "curation/pairs", "stable") == "STALE"
    page.goto(f"{ui.url}/assets/curation/pairs?view=partitions&partition=stable")
    page.get_by_text("Unsynced").first.wait_for()
    page.screenshot(path=shots / "8-stale-partition.png")


def test_a_refused_release_says_why_and_the_last_one_stands(ui, page, shots):
    before = ui.runs(of="ctd/release")
    ui.publish(without_rows(dated(ui.first, year=2032), share=0.5, seed=1))
    ui.until_made("ctd/release", beside=before, status="FAILURE")
    page.goto(f"{ui.url}/assets/ctd/release?view=checks&checkDetail=acceptable")
    page.get_by_text("fewer looks like a file that was cut off").first.wait_for()
    page.get_by_text("the last good release stays in force everywhere").first.wait_for()
    page.screenshot(path=shots / "9-refused.png")
    assert page.get_by_text("Failed", exact=True).count() == 2  # in the list, and beside its result
    assert page.get_by_text("Succeeded", exact=True).count() == 3
    assert stale(ui, "ctd/associations") == "FRESH"


def test_what_runs_by_itself_is_listed_and_described(ui, page, shots):
    page.goto(f"{ui.url}/automation")
    for name in (
        "ingest_weekly",
        "mend_killed_runs",
        "new_release",
        "refresh_models",
        "refresh_tables",
        "study_file",
    ):
        page.get_by_text(name, exact=True).first.wait_for()
    page.screenshot(path=shots / "10-automation.png")
    page.goto(f"{ui.url}/locations/bioalign/sensors/new_release")
    page.get_by_text("This release was refused and is kept aside").or_(
        page.get_by_text("Looks whether the source has a new CTD release")
    ).first.wait_for()
    page.screenshot(path=shots / "11-sensor.png")


# What runs by itself, and two hands at once


FIRST, SECOND = "tiny-llama@paper", "tiny-llama@again"


def test_the_daemon_reruns_what_is_stale_and_builds_nothing_else(ui):
    """With the sensors that the definitions have: a condition of our own is ignored by any other kind."""
    runs = len(ui.runs())
    ui.switch("refresh_tables", on=True)
    ui.until(lambda: len(ui.runs()) > runs and not ui.micro.of_state("stale"), what="nothing stale")
    missing = ui.micro.of_state("missing")
    assert "curation.pairs[published]" in missing
    assert "report.leaderboard" in missing
    ui.switch("refresh_tables", on=False)


def made(ui, name, partition):
    asked = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name.split(".")), asset_partitions=[partition])
    return ui.micro.instance.fetch_materializations(asked, limit=100).records


def is_training(ui, run):
    return bool(ui.micro.instance.all_logs(run, of_type=dg.DagsterEventType.STEP_START))


def slots(ui):
    return set(ui.micro.instance.event_log_storage.get_concurrency_info("training").active_run_ids)


def training_time(ui, run):
    (step,) = ui.micro.instance.get_run_step_stats(run, ["training__train"])
    return step.start_time, step.end_time


def status(ui, run):
    return ui.micro.instance.get_run_by_id(run).status.value


def test_a_command_beside_the_ui_trains_nothing_twice_and_trainings_take_turns(ui):
    ui.micro.make("curation.pairs[published]", "models.base[tiny-llama]")
    run = ui.launch(FIRST)
    until(lambda: is_training(ui, run), what="a training of the UI")
    assert slots(ui) == {run}
    with ending(
        Terminal(ui.micro, "run", "--variant", FIRST, "--variant", SECOND, "--at-once", "1")
    ) as command:
        again = ui.launch(
            SECOND
        )  # one of the two has to wait for the other's training, and has nothing to do then
        code, printed, drawn = command.end()
    assert code == 0, printed + drawn
    until(lambda: status(ui, again) in {"SUCCESS", "FAILURE"}, what="the run of the UI")
    assert {status(ui, each) for each in (run, again)} == {"SUCCESS"}
    assert len(made(ui, "training.adapter", FIRST)) == 1
    trained = made(ui, "training.adapter", SECOND)
    assert len({record.asset_materialization.tags["dagster/data_version"] for record in trained}) == 1
    by_training = [record for record in trained if "seconds" in record.asset_materialization.metadata]
    assert len(by_training) == 1
    times = sorted(training_time(ui, each) for each in {run, by_training[0].run_id})
    assert times[0][1] <= times[1][0]
    assert slots(ui) == set()
    assert ui.micro.of_state("stale") == set()


def test_a_training_whose_worker_is_killed_is_ended_and_its_slot_freed(ui):
    run = ui.launch(FIRST)
    until(lambda: is_training(ui, run), what="a training")
    (event,) = ui.micro.instance.all_logs(run, of_type=dg.DagsterEventType.RUN_START)
    worker = psutil.Process(event.dagster_event.pid)
    steps = worker.children(recursive=True)
    assert steps
    worker.send_signal(signal.SIGKILL)
    assert are_gone(steps)  # a step does not train on as an orphan
    mend_killed_runs(ui.micro.instance)  # as its sensor does twice a minute
    assert status(ui, run) == "FAILURE"
    assert slots(ui) == set()


def test_it_ends_when_it_is_told_to_with_all_that_it_started(ui):
    """Also where it was started in the background: what it starts does not hear of an interrupt then."""
    run = ui.launch(FIRST)
    until(lambda: is_training(ui, run), what="a training")
    processes = ui.end()
    assert ui.process.returncode == 128 + signal.SIGTERM
    assert are_gone(processes)
    assert status(ui, run) in {"FAILURE", "CANCELED"}
    assert slots(ui) == set()
    assert all(each.is_finished for each in ui.micro.instance.get_runs())
    with pytest.raises(ProcessLookupError):
        os.killpg(ui.process.pid, signal.SIG_DFL)
