"""The vacuum: of each kind what is needed stays, what is not goes, and what is told first is what goes."""

import hashlib
import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from bioalign_assets import cli as module
from bioalign_assets.ctd.previous_release import raw_file_before
from bioalign_assets.ctd.refused_releases import keep_aside, kept_aside, note_acceptance
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.sighting import Sighting
from bioalign_assets.ctd.source import RawFile, keep
from bioalign_assets.errors import WarehouseError
from bioalign_assets.execution.vacuum import KINDS, Place, unneeded
from bioalign_assets.training.checkpoints import held_checkpoints
from bioalign_assets.warehouse.atomic import PARTIAL_SUFFIX, publish_directory
from bioalign_assets.warehouse.hashing import file_sha256
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.micro import release_file
from bioalign_assets_tests.warehouse._make import CHANGES, changes

DAY = 24 * 3600.0
WEEKS = 14 * 24


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path / "warehouse")


def place_of(tables, *, days=0.0, older_than_h=WEEKS):
    """A warehouse, seen so many days from now."""
    return Place(tables=tables, older_than_h=older_than_h, now=time.time() + days * DAY)


def names(kind, tables, **more):
    return [thing.name for thing in KINDS[kind](place_of(tables, **more))]


def sweep(kind, tables, **more):
    for thing in KINDS[kind](place_of(tables, **more)):
        thing.remove()


def contents(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def there(path):
    return sorted(below.name for below in path.iterdir())


def folder(root, name, *, text="content", days_old=0.0):
    path = root / name
    path.mkdir(parents=True)
    (path / "file").write_text(text)
    then = time.time() - days_old * DAY
    os.utime(path, (then, then))
    return path


def adapter_row(path, *, base="b" * 64, variant="m@x"):
    model, experiment = variant.split("@")
    row = {
        "variant": variant, "model": model, "experiment": experiment, "path": path, "sha256": path and Path(path).name,
        "trainable_parameters": 1, "steps": 1, "samples": 1, "peak_memory_bytes": 1, "seconds": 1.0,
        "provenance": json.dumps({"base_weights_sha256": base} if path else {}),
    }  # fmt: skip
    return pa.Table.from_pylist([row], schema=TABLES["training.adapter"].arrow)


def write(tables, table, rows, partition=None):
    tables.write(rows, schema=TABLES[table], partition=partition)


def test_adapters_that_no_young_version_names_go(tables):
    for name in ("replaced", "present", "never-named"):
        folder(tables.root, f"adapters/{name}", days_old=100)
    folder(tables.root, "adapters/just-made")
    folder(tables.root, f"adapters/x{PARTIAL_SUFFIX}", days_old=100)
    for path in ("adapters/replaced", "adapters/present"):
        write(tables, "training.adapter", adapter_row(path), "m@x")
    write(tables, "training.adapter", adapter_row(None, variant="m@untuned"), "m@untuned")
    assert names("adapters", tables) == ["adapters/never-named"]
    # two weeks after it was replaced, and a day after, where that is the limit
    assert names("adapters", tables, days=15) == [
        "adapters/just-made", "adapters/never-named", "adapters/replaced",
    ]  # fmt: skip
    assert names("adapters", tables, older_than_h=0) == ["adapters/never-named"]
    assert "adapters/replaced" in names("adapters", tables, days=1.1, older_than_h=0)
    sweep("adapters", tables, days=15)
    assert there(tables.root / "adapters") == ["present", f"x{PARTIAL_SUFFIX}"]


def test_base_models_stay_for_their_row_and_for_the_adapters_on_them(tables):
    of_adapter = "a" * 64
    for name in ("present", of_adapter, "nobodys"):
        folder(tables.root, f"models/{name}", days_old=100)
    (tables.root / "models" / ".present.lock").touch()
    row = {
        "model": "m", "role": "tuned", "source": "tiny", "repo_id": None, "revision": None, "architecture": "A",
        "parameters": 1, "hidden_size": 1, "layers": 1, "vocabulary": 1, "quantisation": "none", "bytes": 1,
        "weights_sha256": "c" * 64, "path": "models/present", "named_revision": None,
    }  # fmt: skip
    write(tables, "models.base", pa.Table.from_pylist([row], schema=TABLES["models.base"].arrow), "m")
    write(tables, "training.adapter", adapter_row("adapters/x", base=of_adapter), "m@x")
    assert names("base models", tables, days=100) == ["models/nobodys"]
    sweep("base models", tables)
    assert there(tables.root / "models") == [".present.lock", of_adapter, "present"]


def test_reports_that_no_young_version_names_go_and_the_newest_copy_stays(tables):
    for name in ("old", "present"):
        folder(tables.root, f"report/{name}", days_old=100)
        row = {
            "path": f"report/{name}/study.html", "sha256": name, "bytes": 1, "sections": [], "figures": 0, "tables": 1,
            "missing": [],
        }  # fmt: skip
        write(tables, "report.study", pa.Table.from_pylist([row], schema=TABLES["report.study"].arrow))
    (tables.root / "report" / "study.html").write_text("the newest")
    os.utime(tables.root / "report" / "study.html", (0, 0))
    assert names("reports", tables) == []
    sweep("reports", tables, days=15)
    assert there(tables.root / "report") == ["present", "study.html"]


def release(tables, tmp_path, seed):
    """Put a release into force; return the folder of its raw file."""
    file = release_file(tmp_path / f"{seed}.csv.gz", seed=seed)
    kept = tables.root / "raw" / "ctd" / file_sha256(file)
    kept.mkdir(parents=True)
    file = file.rename(kept / file.name)
    read = read_associations(file)
    row = {
        "source_uri": "demo", "file_name": file.name, "raw_path": file.relative_to(tables.root).as_posix(),
        "sha256": kept.name, "content_sha256": read.content_sha256, "bytes": 1, "report_created": None, "rows": 1,
        "is_synthetic": True, "retrieved_at": 0,
    }  # fmt: skip
    write(tables, "ctd.release", pa.Table.from_pylist([row], schema=TABLES["ctd.release"].arrow))
    tables.write(
        read.associations,
        schema=TABLES["ctd.associations"],
        commit_info={"data_version": read.content_sha256},
    )
    os.utime(kept, (0, 0))
    return kept


def test_raw_releases_stay_that_are_in_force_or_were_before(tables, tmp_path):
    first, second, third = (release(tables, tmp_path, seed) for seed in (1, 2, 3))
    assert names("raw releases", tables) == []  # versions of the last two weeks name all
    assert names("raw releases", tables, days=15) == [f"raw/ctd/{first.name}"]
    sweep("table files of old versions", tables, days=15)
    sweep("raw releases", tables, days=15)
    assert sorted(path.name for path in first.parent.iterdir()) == sorted([second.name, third.name])
    # what was in force before is read from it, now that its rows are gone
    assert raw_file_before(tables, raw=first.parent).parent == second


def test_of_disease_vocabularies_the_last_two_stay(tables, tmp_path):
    raw = tables.root / "raw" / "ctd-diseases"
    for name, days_old in (("a", 90), ("b", 60), ("c", 30)):
        folder(tables.root, f"raw/ctd-diseases/{name}", days_old=days_old)
    assert names("raw disease vocabularies", tables) == ["raw/ctd-diseases/a"]
    again = folder(tmp_path, "fetched", text="a release")
    sha256 = file_sha256(again / "file")
    folder(tables.root, f"raw/ctd-diseases/{sha256}", text="a release", days_old=120)
    came = RawFile(
        path=again / "file", source_uri="", file_name="file", sha256=sha256, bytes=1, is_synthetic=False,
        retrieved_at=None, sighting=None,
    )  # fmt: skip
    keep(came, into=raw)  # it is in force again
    assert names("raw disease vocabularies", tables) == ["raw/ctd-diseases/a", "raw/ctd-diseases/b"]


def test_refused_releases_go_unless_a_person_accepted_them_or_still_may(tables, tmp_path):
    raw = tables.root / "raw"
    for name in ("refused", "waiting", "accepted"):
        (tmp_path / name).write_text(name)
        file = RawFile(
            path=tmp_path / name, source_uri="file:///x", file_name="x.csv", sha256=name, bytes=1, is_synthetic=False,
            retrieved_at=None, sighting=Sighting(signature=name, told=name),
        )  # fmt: skip
        record = keep_aside(file, objections=[], raw=raw)
    note_acceptance(record)
    assert names("refused releases", tables, days=13) == []
    sweep("refused releases", tables, days=15)
    assert [left.sha256 for left in kept_aside(raw)] == ["accepted", "waiting"]


def test_a_table_that_can_not_be_read_names_what_nobody_knows_so_nothing_goes(tables):
    folder(tables.root, "adapters/named", days_old=20)
    write(tables, "training.adapter", adapter_row("adapters/named"), "m@x")
    (file,) = tables.folder(TABLES["training.adapter"]).rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(WarehouseError, match="a file that can't be read"):
        names("adapters", tables, days=30)


def test_checkpoints_of_nobody_and_leftovers_go(tables):
    root = tables.root / "checkpoints"
    for key in ("left", "held"):
        with held_checkpoints(root, key=key, name="m@x", every=2, wait_s=0):
            folder(root, f"{key}/checkpoint-2")
    partial = folder(tables.root, f"models/y{PARTIAL_SUFFIX}", days_old=2)
    folder(tables.root, f"models/z{PARTIAL_SUFFIX}")
    (root / "over.lock").touch()
    with held_checkpoints(root, key="held", name="m@x", every=2, wait_s=0):
        sweep("checkpoints of trainings that were not finished", tables, days=15)
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == ["held"]
    assert names("leftovers of killed processes", tables) == [f"models/{partial.name}"]
    left = names("leftovers of killed processes", tables, days=15)
    assert sorted(left, reverse=True) == [
        f"models/z{PARTIAL_SUFFIX}", f"models/y{PARTIAL_SUFFIX}", "checkpoints/over.lock", "checkpoints/left.lock",
    ]  # fmt: skip
    sweep("leftovers of killed processes", tables, days=15)
    assert names("leftovers of killed processes", tables, days=15) == []


def test_table_files_of_old_versions_go(tables):
    for mark in (1, 2):
        tables.write(changes(mark=mark), schema=CHANGES)
    before = contents(tables.root)
    (told,) = KINDS["table files of old versions"](place_of(tables, days=15))
    assert told.name == "ctd.changes: 1 files"
    assert names("table files of old versions", tables) == []
    told.remove()
    (gone,) = before.keys() - contents(tables.root).keys()
    assert gone.endswith(".parquet")
    assert tables.read(CHANGES)["gene_id"].to_pylist() == [2, 2, 2]


def test_what_a_run_makes_again_meanwhile_stays(tables):
    """It is the same content, so it is the same folder, and the row that names it is about to be written."""
    old = folder(tables.root, "adapters/same", days_old=100)
    (found,) = KINDS["adapters"](place_of(tables))
    made = publish_directory(tables.root / "adapters", lambda _: "same")
    found.remove()
    assert made == old
    assert (old / "file").is_file()
    assert names("adapters", tables) == []


def test_a_dry_run_tells_what_a_real_one_removes_and_changes_nothing(tables, monkeypatch, capsys):
    for name in ("adapters/a", "models/b", "report/c"):
        folder(tables.root, name, days_old=100, text="x" * 300_000)
    for mark in (1, 2):
        tables.write(changes(mark=mark), schema=CHANGES)
    monkeypatch.setenv("BIOALIGN_WAREHOUSE", str(tables.root))
    before = contents(tables.root)

    def told(*more):
        capsys.readouterr()
        module.cli(["vacuum", "--older-than-hours", "0", *more], standalone_mode=False)
        return capsys.readouterr().out.splitlines()

    dry = told("--dry-run")
    assert contents(tables.root) == before
    real = told()
    assert dry[:-1] == real[:-1]
    assert "adapters: 1, 0.3 MB" in real
    assert "  adapters/a: 0.3 MB" in real
    assert dry[-1] == "0.9 MB to be freed; nothing was removed (--dry-run)"
    assert real[-1] == "0.9 MB freed"
    assert not any((tables.root / name).exists() for name in ("adapters/a", "models/b", "report/c"))
    assert told() == ["0.0 MB freed"]


def test_an_empty_warehouse_has_nothing_to_remove_and_stays_empty(tables):
    assert set(unneeded(place_of(tables, days=100))) == set(KINDS)
    assert not any(unneeded(place_of(tables, days=100)).values())
    assert not tables.root.exists()
