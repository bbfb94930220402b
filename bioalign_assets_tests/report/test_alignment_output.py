"""What the terminal says of alignment, before the ranking."""

import shutil
import sys

import pytest

from bioalign_assets import cli
from bioalign_assets.warehouse.catalogue import rebuild_catalogue
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.report._make import alignment
from bioalign_assets_tests.report._page import rows_of


@pytest.fixture
def copied(tables, tmp_path):
    shutil.copytree(tables.root, tmp_path / "copy")
    return Tables(tmp_path / "copy")


@pytest.fixture
def printed(copied, monkeypatch, capsys):
    def run():
        rebuild_catalogue(copied)
        monkeypatch.setenv("BIOALIGN_WAREHOUSE", str(copied.root))
        monkeypatch.setattr(sys, "argv", ["bioalign", "leaderboard"])
        assert cli._run() == 0
        return capsys.readouterr().out

    return run


def test_the_alignment_of_every_contestant_stands_before_the_ranking(copied, printed):
    gone = [alignment("gone", "paper", 0.5)]  # a variant that no study file names any more
    copied.write(
        rows_of("evaluation.graph_alignment", gone), schema=TABLES["evaluation.graph_alignment"], partition="gone@paper"
    )  # fmt: skip
    text = printed()
    before, _, ranking = text.partition("Leaderboard: test set published")
    assert "popularity" in ranking
    title, heading, *lines = [line for line in before.split("\n") if line.strip(" ─")]
    assert title.startswith("Does the geometry agree with the graph?")
    assert heading.split()[0] == "contestant"
    rows = [line.replace(", input embeddings", "'s-input").split() for line in lines[:-2]]
    assert [row[0] for row in rows] == [
        "transe", "llama@paper", "llama@paper-43", "bio@untuned", "llama@untuned", "names-lsa", "bio's-input",
        "llama's-input", "random",
    ]  # fmt: skip
    assert " ".join(rows[1]) == "llama@paper 0.090 [0.080, 0.100] 0.005 0.030 -> 0.090 0.002 900"
    assert " ".join(rows[4]) == "llama@untuned 0.030 [0.020, 0.040] 0.005 900"
    assert " ".join(lines[-2:]).startswith(
        "For 2 of 2 tuned models, yes: tuning moved the geometry of llama@paper and"
    )


def test_where_nothing_was_measured_the_ranking_stands_alone(copied, printed):
    for name in TABLES:
        if name.startswith("evaluation.graph_alignment"):
            shutil.rmtree(copied.folder(TABLES[name]))
    text = printed()
    assert "geometry" not in text
    assert "popularity" in text
