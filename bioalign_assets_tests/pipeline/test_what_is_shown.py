"""What commands show and keep: no secret of a source, and titles and paths as they are.

A password and a token in the address of a source are in no output, no table, no log and no database of Dagster's.
"""

import sys
from pathlib import Path

import dagster as dg
import pytest

from bioalign_assets import cli
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.ctd.conftest import site  # noqa: F401 - a fixture of that room
from bioalign_assets_tests.micro import Micro, release_file, without_pictures
from bioalign_assets_tests.pipeline.test_bad_input import STUDY

PASSWORD, TOKEN = "pl4nt3d-p4ssw0rd", "pl4nt3d-t0k3n"


def secrets_in(folder: Path) -> list[str]:
    """Return the files with a planted secret, by their bytes."""
    return [
        f"{path}: {secret}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for secret in (PASSWORD, TOKEN)
        if secret.encode() in path.read_bytes()
    ]


def with_secrets(url: str, *, query: str = f"?token={TOKEN}#{TOKEN}") -> str:
    return url.replace("http://", f"http://somebody:{PASSWORD}@") + query


@pytest.fixture
def command(monkeypatch, capsys):
    """Return what runs a command in this process, and gives all that it printed."""

    def run(house: Micro, *arguments: str) -> str:
        monkeypatch.setenv("BIOALIGN_STUDY", str(house.study_file))
        monkeypatch.setenv("BIOALIGN_WAREHOUSE", str(house.root))
        monkeypatch.setenv("BIOALIGN_CTD_SOURCE", house.settings.ctd_source)
        monkeypatch.setattr(sys, "argv", ["bioalign", *arguments])
        capsys.readouterr()
        cli._run()
        printed = "".join(capsys.readouterr())
        assert "Traceback" not in printed
        return printed

    return run


@pytest.mark.parametrize(
    "command_line", [("demo",), ("doctor",), ("status",), ("models",), ("refresh", "--no-training")]
)
def test_what_rich_would_take_for_its_marks_is_text(tmp_path, command, command_line):
    text = STUDY.replace('"Bad input"', '"A [/x] study [bold"').replace(
        'tiny = "llama"', 'repo_id = "a/b"\nrevision = "[/x]"'
    )
    house = Micro(tmp_path, text=text)
    house.use(ctd_source=str(tmp_path / "[/x]" / "no[/bold].csv"))
    told = command(house, *command_line)
    if command_line[0] in ("demo", "doctor"):
        assert "A [/x] study [bold" in told
    if command_line[0] in ("demo", "refresh"):
        assert "no[/bold].csv" in told.replace("\n", "")


@pytest.mark.slow
def test_a_planted_secret_is_nowhere(site, tmp_path, command):  # noqa: F811
    first = release_file(tmp_path / "first.csv").read_bytes()
    good = with_secrets(site.serve_file("/CTD_curated_genes_diseases.csv", first, ETag='"1"'))
    bad = [
        with_secrets(site.url + "/gone.csv"),
        with_secrets(site.serve("/page.csv", b"<html>prove that you are human</html>")),
        with_secrets(site.serve("/columns.csv", first.replace(b"GeneSymbol,", b"Gene_Symbol,", 1))),
        with_secrets("http://127.0.0.1:9/refused.csv"),
        with_secrets("http://127.0.0.1:no-port/x.csv"),
        f"http://somebody:{PASSWORD}/{TOKEN}@127.0.0.1/x.csv",
        f"http://somebody:{PASSWORD}@[::1/x.csv?{TOKEN}",
        f"https//somebody:{PASSWORD}@127.0.0.1/x.csv",
        f"ftp://somebody:{PASSWORD}@127.0.0.1/x.csv?{TOKEN}",
    ]
    study = tmp_path / "study"
    study.mkdir()
    house = Micro(study, text=STUDY)
    house.use(ctd_source=good)
    told = []
    with without_pictures():
        house.make("ctd.changes", "curation.profile[stable]")
        told.append(repr(house.workplace))
        for source in (good, *bad, good):
            house.use(ctd_source=source)
            told += [f"{step} {step.error!r}" for step in house.walk("ctd.changes")]
            sensor = house.defs.resolve_sensor_def("new_release")
            context = dg.build_sensor_context(instance=house.instance, definitions=house.defs)
            tick = sensor.evaluate_tick(context)
            told.append(f"{tick.skip_message} {tick.cursor} {tick.run_requests} {tick.asset_events}")
    assert "No new release" in told[-1]
    # a server that tells nothing of its file
    house.use(ctd_source=with_secrets(site.serve("/silent.csv", first, Content_Length="")))
    told.append(command(house, "refresh", "--no-training"))
    house.use(ctd_source=good)
    for arguments in (
        ("refresh", "--no-training"), ("status",), ("doctor",), ("leaderboard",), ("init",), ("models",),
        ("sql", "SELECT * FROM ctd.release"), ("sql", "--csv", "SELECT * FROM ctd.release"), ("report",),
    ):  # fmt: skip
        told.append(command(house, *arguments))
    for source in bad:
        house.use(ctd_source=source)
        told.append(command(house, "demo"))
        assert "CTD release: " in told[-1]
    told += [str(house.tables.read(schema).to_pylist()) for schema in TABLES.values()]
    assert [text for text in told if PASSWORD in text or TOKEN in text] == []
    assert secrets_in(tmp_path / "study") == []
    # what was looked through is what would have held it
    assert site.url in "".join(told)
    assert any(site.url.encode() in path.read_bytes() for path in house.root.rglob("*.db"))
