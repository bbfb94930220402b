"""Bad input: one paragraph that says what to do, nothing half-written, and the last good run still there."""

import gzip
import re

import dagster as dg
import pytest

from bioalign_assets.ctd import checks as ctd_checks
from bioalign_assets.ctd.acceptance import blocked_folder, blocked_releases
from bioalign_assets.ctd.sighting import Sighting
from bioalign_assets.ctd.watch import look
from bioalign_assets.definitions import build_defs
from bioalign_assets.errors import BioAlignError, ModelError, ReleaseError, SourceError, StudyError
from bioalign_assets.findings import Finding
from bioalign_assets.study import load_study
from bioalign_assets.warehouse.catalogue import open_catalogue
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.micro import STUDY, Micro, release_file

HTML = b"<!DOCTYPE html><html><head><title>CTD</title></head><body>altcha: prove that you are human</body></html>"


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Micro:
    """A warehouse in which the release and the first dataset were materialised."""
    made = Micro(tmp_path_factory.mktemp("good"))
    made.run(parts=2)
    return made


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> str:
    """The text of a good release."""
    return release_file(tmp_path_factory.mktemp("release") / "release.csv").read_text()


def html_instead_of_gzip(_: str) -> tuple[str, bytes]:
    return "CTD_curated_genes_diseases.csv.gz", HTML


def truncated_gzip(release: str) -> tuple[str, bytes]:
    return "release.csv.gz", gzip.compress(release.encode())[:-200]


def empty_file(_: str) -> tuple[str, bytes]:
    return "release.csv", b""


def missing_column(release: str) -> tuple[str, bytes]:
    return "release.csv", release.replace("DiseaseName,DiseaseID,", "DiseaseID,", 1).encode()


def renamed_column(release: str) -> tuple[str, bytes]:
    return "release.csv", release.replace("GeneSymbol,", "Gene_Symbol,", 1).encode()


def wrong_number_of_fields(release: str) -> tuple[str, bytes]:
    lines = release.splitlines()
    lines[-3] = lines[-3].rsplit(",", 2)[0]
    return "release.csv", "\n".join(lines).encode()


def not_utf8(release: str) -> tuple[str, bytes]:
    return "release.csv", release.encode().replace(b"Synthetic ", b"Synth\xff\xfetic ", 1)


def no_curated_row(release: str) -> tuple[str, bytes]:
    return "release.csv", re.sub(
        r"marker/mechanism\|therapeutic|marker/mechanism|therapeutic", "", release
    ).encode()


def stored(micro: Micro) -> dict[str, object]:
    return {name: micro.tables.read(schema) for name, schema in TABLES.items()}


RELEASE = dg.AssetKey(["ctd", "release"])


def verdicts(micro: Micro) -> list[dg.AssetCheckEvaluation]:
    """All evaluations of the gate, the last one first."""
    return micro.evaluations(dg.AssetCheckKey(RELEASE, "acceptable"))


def refused(micro: Micro):
    return blocked_releases(blocked_folder(micro.root / "raw"))


def in_force(micro: Micro) -> dg.AssetMaterialization:
    return micro.instance.get_latest_materialization_event(RELEASE).asset_materialization


def materialise(micro: Micro, *assets: str, ctd_source=None, accept="", partition=None):
    """Run some assets with the run config that a person writes in the launchpad."""
    defs = build_defs(
        settings=micro.settings.model_copy(update={"ctd_source": ctd_source}), study=micro.study
    )
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=micro.instance,
        asset_selection=[dg.AssetKey(name.split(".")) for name in assets],
        partition_key=partition,
        run_config={"ops": {"ctd__release": {"config": {"accept": accept}}}} if accept else None,
        raise_on_error=False,
    )


def partial_files(micro: Micro) -> list[str]:
    return [
        str(path)
        for path in micro.root.rglob("*")
        if ".partial" in path.name or path.name.startswith(".fetching") or path.name.endswith(".tmp")
    ]


@pytest.mark.parametrize(
    ("make", "found", "to_do"),
    [
        (html_instead_of_gzip, "HTML", "browser"),
        (truncated_gzip, "gzip", None),
        (empty_file, "empty", None),
        (missing_column, "DiseaseName", None),
        (renamed_column, "GeneSymbol", None),
        (wrong_number_of_fields, "fields", None),
        (not_utf8, "UTF-8", None),
        (no_curated_row, "marker/mechanism", None),
    ],
)
def test_a_bad_release_is_told_and_the_last_good_one_stays(good, release, tmp_path, make, found, to_do):
    before = stored(good)
    raw_before = sorted(path.name for path in (good.root / "raw" / "ctd").iterdir())
    name, content = make(release)
    source = tmp_path / name
    source.write_bytes(content)
    with pytest.raises(BioAlignError) as told:
        good.run(ctd_source=str(source), parts=2)
    message = str(told.value)
    assert "\n" not in message
    assert found in message
    assert to_do is None or to_do in message
    assert name in message
    assert told.value.remedy.rstrip().endswith(".")
    assert sorted(path.name for path in (good.root / "raw" / "ctd").iterdir()) == raw_before
    after = stored(good)
    for table, rows in before.items():
        assert after[table].equals(rows), table
    assert partial_files(good) == []
    kept_aside = [record.path.read_bytes() for record in refused(good)]
    assert (content in kept_aside) == isinstance(told.value, ReleaseError)  # of a SourceError nothing is kept
    if isinstance(told.value, ReleaseError):
        assert not verdicts(good)[0].passed
        assert verdicts(good)[0].description == message
    with open_catalogue(good.root) as connection:
        assert connection.execute(
            "SELECT count(*) FROM curation.pairs WHERE dataset = 'published'"
        ).fetchone() == (800,)


def test_after_a_bad_release_a_good_one_runs(good, tmp_path):
    source = release_file(tmp_path / "release.csv.gz", seed=11)
    ids = good.run(ctd_source=str(source), parts=2)
    assert len(ids) == 2
    with open_catalogue(good.root) as connection:
        assert connection.execute("SELECT count(*) FROM ctd.changes WHERE change = 'added'").fetchone()[0] > 0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lerning_rate = 1e-3", ["experiments.paper.lerning_rate", "unknown key", "learning_rate"]),
        ('rank = "high"', ["experiments.paper.rank", "'high'"]),
    ],
)
def test_an_unknown_or_wrong_study_key_is_named(tmp_path, line, told):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace("steps = 3", f"steps = 3\n{line}"), encoding="utf-8")
    with pytest.raises(StudyError) as error:
        load_study(str(path))
    message = str(error.value)
    assert "\n" not in message
    for part in (str(path), *told):
        assert part in message


def test_a_model_that_cannot_be_found_is_told(good, tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(
        huggingface_hub.constants, "HF_HUB_OFFLINE", True
    )  # as on a machine without a network
    study_file = tmp_path / "study.toml"
    study_file.write_text(
        STUDY.replace('tiny = "llama"\npretraining_steps = 2', 'repo_id = "nobody/no-such-model"'),
        encoding="utf-8",
    )
    micro = Micro(tmp_path)
    micro.study = load_study(str(study_file))
    before = stored(good)
    micro.settings, micro.root, micro.tables = good.settings, good.root, good.tables
    with pytest.raises(ModelError) as told:
        micro.run(parts=5)
    message = str(told.value)
    assert "\n" not in message
    for part in ("tiny-llama", "nobody/no-such-model", "BIOALIGN_STUDY=demo needs no hub"):
        assert part in message
    assert stored(good)["models.base"].equals(before["models.base"])
    assert partial_files(good) == []


def test_a_failed_blocking_check_is_told_in_one_paragraph(good, monkeypatch):
    found = Finding(passed=False, summary="17 rows are not as they should be")
    monkeypatch.setattr(ctd_checks, "curated_rows_exist", lambda _: found)
    before = stored(good)["curation.pairs"]
    with pytest.raises(BioAlignError) as told:
        good.run(parts=2)
    message = str(told.value)
    assert "\n" not in message
    assert "ctd/associations curated_rows: 17 rows are not as they should be" in message
    assert "make dev" in message
    assert stored(good)["curation.pairs"].equals(before)


def with_one_association_twice(path):
    source = release_file(path, seed=12)
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines, lines[-1]]), encoding="utf-8")
    return source


@pytest.mark.slow
def test_a_release_that_looks_wrong_never_goes_into_force_until_a_person_says_so(tmp_path):
    house = Micro(tmp_path)
    house.run(parts=2)
    source = with_one_association_twice(tmp_path / "twice.csv")
    before, version = stored(house), in_force(house)
    with pytest.raises(ReleaseError) as told:
        house.run(ctd_source=str(source), parts=2)
    message = str(told.value)
    assert "\n" not in message
    (record,) = refused(house)
    for part in (
        "1 of 401 rows repeat a gene and disease",
        str(record.path.parents[1]),
        f"--accept {record.sha256}",
    ):
        assert part in message
    # the step failed, and Dagster kept what the gate found all the same
    evaluation = verdicts(house)[0]
    assert (evaluation.passed, evaluation.severity, evaluation.blocking) == (
        False,
        dg.AssetCheckSeverity.ERROR,
        False,
    )
    assert evaluation.description == message
    assert evaluation.metadata["kept_aside"].value == str(record.path.parents[1])
    assert evaluation.metadata["associations"].value == 401
    # the other checks are about the release in force, and stand as they did
    for name in ("schema", "one_release", "source_answers"):
        check = dg.AssetCheckKey(dg.AssetKey(["ctd", "release"]), name)
        last = house.instance.event_log_storage.get_latest_asset_check_execution_by_key([check])[check]
        assert last.status.value == "SUCCEEDED", name
    assert in_force(house) == version
    for table, rows in stored(house).items():
        assert rows.equals(before[table]), table
    # a look at the source finds what was refused
    assert look(str(source), demo_release=house.study.demo_release).signature == record.signature
    # what follows the last good release can still be made
    assert materialise(house, "curation.pairs", partition="stable").success

    run = materialise(
        house, "ctd.release", "ctd.associations", "ctd.changes", ctd_source=str(source), accept=record.sha256
    )
    assert run.success
    assert verdicts(house)[0].passed
    assert "Accepted by a person" in verdicts(house)[0].description
    assert stored(house)["ctd.release"]["sha256"].to_pylist() == [record.sha256]
    assert Sighting.from_json(in_force(house).metadata["sighting"].value) == record.sighting
    assert [one.accepted_at is None for one in refused(house)] == [False]
    twice = house.evaluations(
        dg.AssetCheckKey(dg.AssetKey(["ctd", "associations"]), "distinct_associations")
    )[0]
    assert (twice.passed, twice.severity) == (False, dg.AssetCheckSeverity.WARN)  # it was accepted with this
    assert materialise(house, "curation.pairs", partition="published").success
    # fetched again without a word, as the weekly schedule does: in force stays in force
    house.run(ctd_source=str(source), parts=1)
    assert verdicts(house)[0].description == "Nothing speaks against it."


@pytest.mark.slow
def test_an_identical_release_changes_nothing_and_a_refused_one_is_not_the_release_before(tmp_path):
    house = Micro(tmp_path)
    house.run(parts=1)
    first = stored(house)["ctd.associations"]
    source = release_file(tmp_path / "next.csv", seed=11)
    house.run(ctd_source=str(source), parts=1)
    changed = stored(house)["ctd.changes"]
    assert len(changed) > 0
    versions = [in_force(house).tags["dagster/data_version"]]
    with pytest.raises(ReleaseError):
        house.run(ctd_source=str(with_one_association_twice(tmp_path / "twice.csv")), parts=1)
    for _ in range(2):
        house.run(ctd_source=str(source), parts=1)
        versions.append(in_force(house).tags["dagster/data_version"])
    assert len(set(versions)) == 1
    assert stored(house)["ctd.changes"].equals(changed)
    picture = house.instance.get_latest_materialization_event(
        dg.AssetKey(["ctd", "changes"])
    ).asset_materialization
    assert "](data:image/png;base64,iVBOR" in picture.metadata["summary"].value
    house.run(parts=1)  # and back to the demo release
    assert stored(house)["ctd.associations"].equals(first)
    counts = stored(house)["ctd.changes"]["change"].to_pylist()
    before = changed["change"].to_pylist()
    assert (counts.count("added"), counts.count("removed")) == (
        before.count("removed"),
        before.count("added"),
    )


def test_a_source_that_gives_no_release_has_no_verdict(tmp_path):
    house = Micro(tmp_path)
    house.run(parts=1)
    page = tmp_path / "page.csv"
    page.write_bytes(HTML)
    with pytest.raises(SourceError):
        house.run(ctd_source=str(page), parts=1)
    judged = [one for one in verdicts(house) if isinstance(one, dg.AssetCheckEvaluation)]
    # of the page nothing was judged: what was said of the demo release stands, told once more
    assert len(judged) == 2
    assert {(one.passed, one.description) for one in judged} == {(True, judged[-1].description)}
    assert refused(house) == []


def test_the_release_is_told_when_it_was_not_fetched_for_long(tmp_path):
    (spec,) = [spec for spec in Micro(tmp_path).defs.resolve_all_asset_specs() if spec.key == RELEASE]
    policy = spec.freshness_policy
    assert (policy.warn_window.to_timedelta().days, policy.fail_window.to_timedelta().days) == (8, 15)
