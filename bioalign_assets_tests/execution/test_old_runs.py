"""Old runs are deleted, and all that freshness tells stays as it was."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from bioalign_assets.ctd.checks import known_sighting
from bioalign_assets.dagster_private import newest_event_id, run_files
from bioalign_assets.execution.killed_runs import hold_run, marks_folder
from bioalign_assets.execution.marks import let_go
from bioalign_assets.execution.old_runs import delete_run, old_runs
from bioalign_assets_tests.micro import without_pictures

HELD_OUT = "published-entity-held-out"
LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def micro(new_warehouse, tmp_path):
    return new_warehouse.copy(tmp_path)


def by_hand(micro, asset, *, partition=None):
    """Run one asset, whatever its state; return the run's id."""
    done = micro.defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=micro.instance, asset_selection=[dg.AssetKey(asset.split("."))], partition_key=partition,
        raise_on_error=False,
    )  # fmt: skip
    return done.run_id


def told(micro):
    """All that a look and the release watch read off the records."""
    look = micro.look()
    states = {str(node): (look.state(node), look.why(node), look.held_by_checks(node)) for node in look.graph}
    attempts = {asset: look._attempts(asset) for asset in look.graph.assets}
    return states, attempts, known_sighting(micro.instance)


def old(micro, *, before=LATER):
    return [run.run_id for run in old_runs(micro.graph, instance=micro.instance, before=before)]


@pytest.mark.slow
def test_runs_that_nothing_looks_at_go_and_freshness_stays_as_it_was(micro, monkeypatch):
    with without_pictures():
        micro.make("curation.profile[published]")
        read = by_hand(micro, "curation.pairs", partition="published")
        by_hand(micro, "curation.profile", partition="published")
        between = by_hand(micro, "curation.pairs", partition="published")
        newest = by_hand(micro, "curation.pairs", partition="published")
        with monkeypatch.context() as broken:
            broken.setattr("bioalign_assets.curation.assets.build_dataset", None)
            forgotten, last_attempt = (by_hand(micro, "curation.pairs", partition=HELD_OUT) for _ in range(2))
        held = by_hand(micro, "curation.pairs", partition="stable")
        by_hand(micro, "curation.pairs", partition="stable")
    hold_run(micro.instance, held)  # its process has not ended yet
    before, event = told(micro), newest_event_id(micro.instance)
    assert before[0]["curation.profile[published]"][0] == "fresh"
    assert before[1]["curation.pairs"][HELD_OUT][0] == last_attempt
    assert old(micro, before=datetime.now(UTC) - timedelta(hours=1)) == []
    found = old(micro)
    assert {between, forgotten} <= set(found)
    stay = {"read": read, "newest": newest, "last attempt": last_attempt, "held": held}
    assert {name for name, run_id in stay.items() if run_id in found} == set()
    for run in old_runs(micro.graph, instance=micro.instance, before=LATER):
        assert run.bytes > 0
        delete_run(micro.instance, run.run_id)
        assert run_files(micro.instance, run.run_id) == []
        assert micro.instance.get_run_by_id(run.run_id) is None
    assert told(micro) == before
    assert newest_event_id(micro.instance) == event
    let_go(marks_folder(micro.instance), held)
    assert old(micro) == [held]
