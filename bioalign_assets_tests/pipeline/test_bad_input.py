"""Bad releases through the whole pipeline: told in one paragraph, nothing half-written, the last good one in force.

What each kind of bad file is told by, and the rules of the gate, are in the tests of the room ctd.
"""

import json
from collections.abc import Iterator

import dagster as dg
import pytest

from bioalign_assets.ctd import checks as ctd_checks
from bioalign_assets.errors import ReleaseError, SourceError, WarehouseError
from bioalign_assets.execution.uses import refresh
from bioalign_assets.findings import Finding
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.micro import Micro, release_file, without_pictures

STUDY = """
title = "Bad input"

[demo_release]
genes = 150
diseases = 80
associations = 400

[models.tiny-llama]
tiny = "llama"

[datasets.stable]
sampler = "stable"
split = "pair"

[experiments.untuned]
evaluate_on = ["stable"]
"""
HTML = b"<!DOCTYPE html><html><head><title>CTD</title></head><body>altcha: prove that you are human</body></html>"
RELEASE = dg.AssetKey(["ctd", "release"])
PAIRS = "curation.pairs[stable]"


@pytest.fixture(scope="module", autouse=True)
def _no_pictures() -> Iterator[None]:
    with without_pictures():
        yield


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Micro:
    """A warehouse with a release in force. Tests don't change it."""
    made = Micro(tmp_path_factory.mktemp("good"), text=STUDY)
    made.make("ctd.changes")
    return made


def contents(micro: Micro) -> dict[str, object]:
    """All rows, the number of commits of each table, and the names of all raw files of releases."""
    return {
        "rows": {name: micro.tables.read(schema).to_pylist() for name, schema in TABLES.items()},
        "commits": {name: len(micro.tables.commits(schema)) for name, schema in TABLES.items()},
        "raw": sorted(path.name for path in (micro.root / "raw" / "ctd").iterdir()),
        "half-written": [
            path
            for path in micro.root.rglob("*")
            if ".partial" in path.name or path.name.startswith(".fetching") or path.name.endswith(".tmp")
        ],
    }


def verdicts(micro: Micro) -> list[dg.AssetCheckEvaluation]:
    """All evaluations of the gate, the last one first."""
    found = micro.evaluations(dg.AssetCheckKey(RELEASE, "acceptable"))
    return [each for each in found if isinstance(each, dg.AssetCheckEvaluation)]  # not those that are planned


def in_force(micro: Micro) -> dg.AssetMaterialization:
    return micro.instance.get_latest_materialization_event(RELEASE).asset_materialization


def kept_aside(micro: Micro) -> dict[str, bytes]:
    """The refused files by their hash."""
    folder = micro.root / "raw" / "ctd-blocked"
    return {path.parents[1].name: path.read_bytes() for path in folder.glob("*/file/*")}


def fetch_again(micro: Micro) -> bool:
    """Run all of the release as the weekly schedule does, whatever is known of it; return whether that succeeded."""
    return (
        micro.defs.resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=micro.instance,
            asset_selection=[dg.AssetKey(["ctd", name]) for name in ("release", "associations", "changes")],
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        .success
    )


def html_instead_of_a_table(_: str) -> tuple[str, bytes]:
    return "CTD_curated_genes_diseases.csv.gz", HTML


def renamed_column(release: str) -> tuple[str, bytes]:
    return "release.csv", release.replace("GeneSymbol,", "Gene_Symbol,", 1).encode()


@pytest.mark.parametrize(
    ("spoil", "kind", "found"),
    [(html_instead_of_a_table, SourceError, "HTML"), (renamed_column, ReleaseError, "GeneSymbol")],
)
def test_a_bad_release_is_told_and_the_last_good_one_stays(good, tmp_path, spoil, kind, found):
    before, judged = contents(good), len(verdicts(good))
    name, content = spoil(release_file(tmp_path / "release.csv").read_text())
    (tmp_path / "bad").mkdir()
    source = tmp_path / "bad" / name
    source.write_bytes(content)
    good.use(ctd_source=str(source))
    with pytest.raises(kind) as told:
        good.make("ctd.changes")
    message = str(told.value)
    assert "\n" not in message
    assert found in message
    assert name in message
    assert contents(good) == before
    is_judged = (
        kind is ReleaseError
    )  # of a source that gives no release there is no verdict, and nothing is kept
    assert (content in kept_aside(good).values()) == is_judged
    assert len(verdicts(good)) == judged + is_judged
    assert (verdicts(good)[0].description == message) == is_judged


def test_a_release_that_looks_wrong_never_goes_into_force_until_a_person_says_so(good, tmp_path):
    house = good.copy(tmp_path / "house")
    source = release_file(tmp_path / "twice.csv", seed=12)
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines, lines[-1]]), encoding="utf-8")
    house.use(ctd_source=str(source))
    before, version = contents(house), in_force(house)
    refused, made = house.walk(PAIRS)
    (sha256,) = (found for found, content in kept_aside(house).items() if content == source.read_bytes())
    message = str(refused.error)
    assert "\n" not in message
    for part in ("1 of 401 rows repeat a gene and disease", f"ctd-blocked/{sha256}", f"--accept {sha256}"):
        assert part in message
    # the step failed, and Dagster kept what the gate found all the same
    verdict = verdicts(house)[0]
    found = (verdict.passed, verdict.severity, verdict.blocking, verdict.description)
    assert found == (False, dg.AssetCheckSeverity.ERROR, False, message)
    assert verdict.metadata["associations"].value == 401
    assert in_force(house) == version
    # the other checks are about the release in force, and stand as they did
    for name in ("schema", "one_release", "source_answers"):
        check = dg.AssetCheckKey(RELEASE, name)
        last = house.instance.event_log_storage.get_latest_asset_check_execution_by_key([check])[check]
        assert last.status.value == "SUCCEEDED", name
    # what follows the last good release was made all the same, and of the refused one nothing is anywhere
    assert (made.title, made.outcome) == (PAIRS.replace("[", " ["), "made")
    after = contents(house)
    for part in ("rows", "commits"):
        assert {n: v for n, v in after[part].items() if n != "curation.pairs"} == {
            n: v for n, v in before[part].items() if n != "curation.pairs"
        }
    assert (after["raw"], after["half-written"]) == (before["raw"], [])
    # it is not tried again
    assert [step.outcome for step in house.walk(PAIRS)] == ["looked"]

    accepted, *steps = refresh(house.workplace, training=False, accept=sha256, at_once=1)
    assert (accepted.title, accepted.outcome) == ("ctd.release", "changed")
    assert {(step.title, step.outcome) for step in steps} == {
        ("ctd.associations", "changed"),
        ("ctd.changes", "changed"),
        ("curation.pairs [stable]", "changed"),
    }
    assert verdicts(house)[0].passed
    assert "Accepted by a person" in verdicts(house)[0].description
    assert house.tables.read(TABLES["ctd.release"])["sha256"].to_pylist() == [sha256]
    assert (
        json.loads(in_force(house).metadata["sighting"].value)["signature"]
        == verdict.metadata["signature"].value
    )
    twice = house.evaluations(
        dg.AssetCheckKey(dg.AssetKey(["ctd", "associations"]), "distinct_associations")
    )[0]
    assert (twice.passed, twice.severity) == (False, dg.AssetCheckSeverity.WARN)  # it was accepted with this

    # fetched again: in force stays in force, nothing changes, and the one before stays the one before
    rows, version = contents(house)["rows"], in_force(house).tags["dagster/data_version"]
    assert {row["change"] for row in rows["ctd.changes"]} >= {"added", "removed"}
    assert fetch_again(house)
    assert verdicts(house)[0].description == "Nothing speaks against it."
    assert in_force(house).tags["dagster/data_version"] == version
    for name in ("ctd.associations", "ctd.changes"):
        assert house.tables.read(TABLES[name]).to_pylist() == rows[name]
    assert house.of_state("stale") == set()


def test_where_a_fetch_gives_no_release_what_was_said_of_the_one_in_force_stands(good, tmp_path):
    house = good.copy(tmp_path / "house")
    page = tmp_path / "page.csv"
    page.write_bytes(HTML)
    house.use(ctd_source=str(page))
    assert not fetch_again(house)
    # of the page nothing was judged: the last verdict is told once more
    last, before = verdicts(house)[:2]
    assert (last.passed, last.description) == (before.passed, before.description)


def test_a_failed_blocking_check_is_told_in_one_paragraph_and_holds_what_follows(tmp_path, monkeypatch):
    found = Finding(passed=False, summary="17 rows are not as they should be")
    monkeypatch.setattr(ctd_checks, "curated_rows_exist", lambda _: found)
    house = Micro(tmp_path, text=STUDY)
    made, failed, waits = house.walk(PAIRS)
    assert (made.title, failed.title, waits.title) == (
        "ctd.release",
        "ctd.associations",
        PAIRS.replace("[", " ["),
    )
    assert isinstance(failed.error, WarehouseError)
    message = str(failed.error)
    assert "\n" not in message
    assert "ctd/associations curated_rows: 17 rows are not as they should be" in message
    assert "`bioalign dev`" in message
    assert waits.outcome == "waits"
    assert "17 rows are not as they should be" in waits.why
    assert len(house.tables.read(TABLES["curation.pairs"])) == 0


def test_the_release_is_told_when_it_was_not_fetched_for_long(good):
    (spec,) = [spec for spec in good.defs.resolve_all_asset_specs() if spec.key == RELEASE]
    policy = spec.freshness_policy
    assert (policy.warn_window.to_timedelta().days, policy.fail_window.to_timedelta().days) == (8, 15)
