"""Bad input: one paragraph that says what to do, nothing half-written, and the last good run still there."""

import gzip
import re

import pytest

from bioalign_assets.errors import BioAlignError, ModelError, StudyError
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


def test_a_failed_blocking_check_is_told_in_one_paragraph(good, tmp_path):
    source = release_file(tmp_path / "release.csv")
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines, lines[-1]]), encoding="utf-8")  # one association twice
    with pytest.raises(BioAlignError) as told:
        good.run(ctd_source=str(source), parts=2)
    message = str(told.value)
    assert "ctd/associations distinct_associations: 1 of 401 rows repeat a gene and disease" in message
    assert "make dev" in message
    with open_catalogue(good.root) as connection:
        assert connection.execute(
            "SELECT count(*) FROM curation.pairs WHERE dataset = 'published'"
        ).fetchone() == (800,)
