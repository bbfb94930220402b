"""Questions to the warehouse: the queries of the docs, the command sql, and the files that export writes."""

import csv
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from bioalign_assets.curation.paper_files import write_paper_files
from bioalign_assets.errors import CurationError, WarehouseError
from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.warehouse.catalogue import open_catalogue
from bioalign_assets.warehouse.export import export_database
from bioalign_assets.warehouse.questions import answers
from bioalign_assets.warehouse.schemas import TABLES

QUERIES = re.findall(
    r"^## (\d+\. [^\n]+)\n+```sql\n(.*?)```",
    (PROJECT_ROOT / "docs" / "queries.md").read_text(),
    re.DOTALL | re.MULTILINE,
)
MAY_BE_EMPTY = ("What the last release changed",)  # there was one release


def test_there_are_twelve_queries():
    assert len(QUERIES) == 12


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_query_of_the_docs_gives_rows(micro, title, query):
    with open_catalogue(micro.root) as connection:
        rows = connection.execute(query).fetchall()
    assert rows or any(part in title for part in MAY_BE_EMPTY), title
    for row in rows:
        assert len(row) >= 2


def test_nearest_neighbours_are_sorted_and_in_range(micro):
    (query,) = [query for title, query in QUERIES if "Nearest" in title]
    with open_catalogue(micro.root) as connection:
        similarities = [row[-1] for row in connection.execute(query).fetchall()]
    assert similarities == sorted(similarities, reverse=True)
    assert all(-1.0001 <= similarity <= 1.0001 for similarity in similarities)


def test_csv_has_all_rows_and_a_table_the_first(micro):
    query = "SELECT row_number, text FROM curation.pairs WHERE dataset = 'stable'"
    with open_catalogue(micro.root) as connection:
        (told,) = answers(connection, query, as_csv=True)
        rows = list(csv.reader(told.splitlines()))
        assert rows[0] == ["row_number", "text"]
        assert len(rows) == 801
        (drawn,) = answers(connection, query)
        assert "row_number" in drawn


def test_the_command_answers_one_question_or_a_script_and_never_writes(bioalign):
    asked = bioalign("sql", "--csv", "SELECT count(*) AS pairs FROM curation.pairs WHERE dataset = 'stable'")
    assert (asked.status, asked.out.strip()) == (0, "pairs\n800")
    assert bioalign("sql", "--csv", typed="SELECT 1 AS a; SELECT 2 AS b;").out.split() == ["a", "1", "b", "2"]
    for wrong, told in (
        ("SELECT nonsense", "nonsense"),
        ("CREATE TABLE report.mine (a INT)", "found CREATE"),
    ):
        refused = bioalign("sql", wrong)
        assert refused.status == 1
        assert told in refused.err
        assert "Traceback" not in refused.err
    half = bioalign("sql", typed="SELECT 'first'; DROP VIEW ctd.changes;")
    assert (half.status, half.out) == (1, "")
    assert "SQL statement 2 of 2: found DROP" in half.err


def test_an_export_is_one_file_of_real_tables(micro, tmp_path):
    target = tmp_path / "results" / "study.duckdb"
    counts = export_database(micro.tables, to=target)
    moved = target.rename(tmp_path / "moved.duckdb")  # it needs nothing beside it
    with duckdb.connect(moved, read_only=True) as connection:
        for name, schema in TABLES.items():
            (rows,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
            assert rows == counts[name] == len(micro.tables.read(schema)), name
        kinds = connection.execute("SELECT DISTINCT table_type FROM information_schema.tables").fetchall()
        assert kinds == [("BASE TABLE",)]
        (meaning,) = connection.execute(
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'pairs' AND column_name = 'gene_id'"
        ).fetchone()
        assert "NCBI" in meaning
    assert [path.name for path in target.parent.iterdir()] == []


def test_an_export_does_not_replace_a_file(micro, tmp_path):
    target = tmp_path / "study.duckdb"
    target.write_text("mine")
    with pytest.raises(WarehouseError, match="there already"):
        export_database(micro.tables, to=target)
    assert target.read_text() == "mine"


def test_an_export_of_a_moment_has_the_tables_of_that_moment(micro, tmp_path):
    schema = TABLES["curation.pairs"]
    commits = [commit for commit in micro.tables.commits(schema) if commit.get("data_version")]
    first = datetime.fromtimestamp(int(commits[-1]["timestamp"]) / 1000, UTC)
    counts = export_database(micro.tables, to=tmp_path / "then.duckdb", as_of=first)
    assert counts["curation.pairs"] == 800  # the first dataset alone
    assert counts["report.leaderboard"] == 0
    with pytest.raises(WarehouseError, match="no rows at"):
        export_database(micro.tables, to=tmp_path / "never.duckdb", as_of=first - timedelta(days=365))
    assert not (tmp_path / "never.duckdb").exists()


def test_paper_files_have_the_papers_layout(micro, tmp_path):
    pairs = micro.tables.read(TABLES["curation.pairs"], partitions=["published"])
    assert write_paper_files(pairs, folder=tmp_path) == {"train_pairs.csv": 640, "test_pairs.csv": 160}
    with (tmp_path / "test_pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["GeneSymbol", "DiseaseName", "text", "PubMedIDs", "label"]
    kept = [row for row in pairs.sort_by("row_number").to_pylist() if row["split"] == "test"]
    assert [row["text"] for row in rows] == [row["text"] for row in kept]
    assert [row["PubMedIDs"] for row in rows] == ["|".join(row["pubmed_ids"]) for row in kept]


def test_paper_files_are_of_one_dataset(micro, tmp_path):
    with pytest.raises(CurationError, match="exactly one dataset"):
        write_paper_files(micro.tables.read(TABLES["curation.pairs"]), folder=tmp_path)
    with pytest.raises(CurationError, match="exactly one dataset"):
        write_paper_files(TABLES["curation.pairs"].arrow.empty_table(), folder=tmp_path)


def test_the_published_test_file_comes_out_byte_for_byte(real_data: Path, tmp_path):
    from bioalign_assets.ctd.release import read_associations
    from bioalign_assets.curation.dataset import build_dataset
    from bioalign_assets.study.datasets import DatasetSpec

    (release,) = (real_data / "ctd").glob("CTD_curated_genes_diseases.*.csv")
    spec = DatasetSpec(name="published", sampler="published", split="pair")
    write_paper_files(build_dataset(read_associations(release).associations, spec=spec), folder=tmp_path)
    published = (real_data / "published" / "test_pairs.csv").read_bytes().replace(b"\r\n", b"\n")
    assert (tmp_path / "test_pairs.csv").read_bytes() == published
