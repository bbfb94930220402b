import io
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.table_file import TableFile, open_table, read_header
from bioalign_assets.errors import ReleaseError, SourceError
from bioalign_assets_tests.ctd.ctd_files import COLUMNS, FULL_COLUMNS, ROWS, block, save, table


def rows_of(path):
    with open_table(path, kind=ASSOCIATIONS) as file:
        return [tuple(row) for _, row in file.rows()]


def lines_of(path):
    with open_table(path, kind=ASSOCIATIONS) as file:
        return [line for line, _ in file.rows()]


def refusal(path, error=ReleaseError):
    """Return the message of the refusal, which must be one paragraph and name the file."""
    with pytest.raises(error) as caught:
        rows_of(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


PLAIN = ",".join(COLUMNS) + "\n"
TABBED = "\t".join(COLUMNS) + "\n"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "liar.csv.gz", "liar.csv"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        (block(), ","),
        (block(lone_hash=False), ","),
        (block(terms=0, date=None), ","),
        (block(terms=70), ","),
        (block(delimiter="\t"), "\t"),
        (PLAIN, ","),
        (TABBED, "\t"),
        ('"' + '","'.join(COLUMNS) + '"\n', ","),
        ("\n\n" + PLAIN, ","),
    ],
)
def test_every_form_gives_the_same_rows(tmp_path, name, end, bom, header, delimiter):
    text = table(header=header, delimiter=delimiter, end=end)
    is_gzip = name.endswith(".gz") != name.startswith("liar")
    path = save(tmp_path / name, bom + text.encode(), gz=is_gzip)
    assert rows_of(path) == list(ROWS)
    assert read_header(path, kind=ASSOCIATIONS).columns == COLUMNS


def test_a_block_padded_by_a_spreadsheet_is_read(tmp_path):
    padded = "".join(
        line + "," * (6 - line.count(",")) + "\n"
        for line in block().replace("terms, of", "terms of").splitlines()
    )
    assert ",,,,,," in padded
    path = save(tmp_path / "a.csv", table(header=padded))
    assert rows_of(path) == list(ROWS)
    assert read_header(path, kind=ASSOCIATIONS).report_created == datetime(
        2025, 8, 27, 18, 25, 10, tzinfo=UTC
    )


def test_a_block_over_a_plain_header_line_is_read(tmp_path):
    path = save(tmp_path / "a.csv", table(header="# kept by hand\n# Report created: nonsense\n" + PLAIN))
    assert rows_of(path) == list(ROWS)
    header = read_header(path, kind=ASSOCIATIONS)
    assert header.report_created is None
    assert "nonsense" in header.report_created_problem


@pytest.mark.parametrize("lone_hash", [True, False])
@pytest.mark.parametrize("symbol", ["#1", "#", "# Fields:", "##"])
def test_a_first_gene_that_begins_with_a_hash_is_a_row(tmp_path, symbol, lone_hash):
    rows = [(symbol, *ROWS[0][1:]), *ROWS]
    path = save(tmp_path / "a.csv", table(rows, header=block(lone_hash=lone_hash)))
    assert rows_of(path) == rows


@pytest.mark.parametrize("header", [block(), block(lone_hash=False), PLAIN])
def test_line_numbers_are_those_of_an_editor(tmp_path, header):
    rows = [ROWS[0], ("A", "1", "two\nlines", "MESH:1", "", "", ""), ROWS[1], ROWS[2]]
    text = table(rows, header=header)
    path = save(tmp_path / "a.csv", text.replace("X#1", "\n\nX#1"))
    editor = path.read_text().split("\n")
    starts = lines_of(path)
    assert [editor[line - 1].split(",")[0] for line in starts] == ["NA", "A", "null", "X#1"]


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
hostile = st.sampled_from(
    ["NA", "NaN", "null", '"', '""', "#", ",", "a,b", 'a"b', '"a"', "# Fields:", "'", " x ", "\ufeff"]
)


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.tuples(texts | hostile, *[texts | hostile | st.just("")] * 6), min_size=1, max_size=5),
    form=st.sampled_from([(block(), ","), (PLAIN, ","), (block(delimiter="\t"), "\t"), (TABBED, "\t")]),
)
def test_any_text_survives(tmp_path_factory, rows, form):
    header, delimiter = form
    path = save(tmp_path_factory.mktemp("t") / "a.csv", table(rows, header=header, delimiter=delimiter))
    assert rows_of(path) == rows


def test_quotes_in_a_tab_separated_file_of_ctd_are_text(tmp_path):
    row = ('"half', "1", 'so "called"', 'a "b" c', '"x" and "y"', "", '5"')
    path = save(tmp_path / "a.tsv", block(delimiter="\t") + "\t".join(row) + "\n")
    assert rows_of(path) == [row]


def test_a_last_row_without_line_end_is_a_row(tmp_path):
    assert rows_of(save(tmp_path / "a.csv", table().rstrip("\n"))) == list(ROWS)


def test_further_columns_are_accepted_and_batches_hold_the_required_ones(tmp_path):
    rows = [(*row[:5], "Chemical", "1.5", *row[5:]) for row in ROWS]
    path = save(tmp_path / "a.csv", table(rows, header=block(FULL_COLUMNS)))
    with open_table(path, kind=ASSOCIATIONS) as file:
        (batch,) = file.batches(skip=lambda row: row[0] == "null")
    assert tuple(batch.columns) == COLUMNS
    assert list(zip(*batch.columns.values(), strict=True)) == [ROWS[0], ROWS[2]]
    assert batch.lines == [9, 11]


def test_columns_are_found_by_name_wherever_they_stand(tmp_path):
    back = [tuple(reversed(row)) for row in ROWS]
    path = save(tmp_path / "a.csv", table(back, header=block(tuple(reversed(COLUMNS)))))
    with open_table(path, kind=ASSOCIATIONS) as file:
        (batch,) = file.batches()
    assert list(zip(*batch.columns.values(), strict=True)) == list(ROWS)


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize(
    "page", ["<!DOCTYPE html><html>…", "\n  <html lang='en'>", "\ufeff<HTML>", "<?xml ?>"]
)
def test_a_web_page_is_named_and_the_way_out_told(tmp_path, page, gz):
    message = refusal(save(tmp_path / "CTD_curated_genes_diseases.csv.gz", page, gz=gz), SourceError)
    assert "HTML" in message
    assert "https://ctdbase.org/downloads/" in message
    assert "BIOALIGN_CTD_SOURCE" in message


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty file"),
        (b"PK\x03\x04rest", "Excel"),
        (b"BZh91AY", "bzip2"),
        ("GeneSymbol".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, data, named):
    assert named in refusal(save(tmp_path / "a.csv", data), SourceError)


def test_an_empty_gzip_is_named(tmp_path):
    assert "empty file" in refusal(save(tmp_path / "a.csv.gz", b""), SourceError)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_gzip_is_named(tmp_path, share):
    rows = [(f"G{i * 7919}", *ROWS[0][1:]) for i in range(20_000)]
    path = save(tmp_path / "a.csv.gz", table(rows))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "gzip file that ends too early" in refusal(path, SourceError)


def test_a_damaged_gzip_is_named(tmp_path):
    path = save(tmp_path / "a.csv.gz", table())
    data = bytearray(path.read_bytes())
    data[-6] ^= 0xFF
    path.write_bytes(data)
    assert "damaged gzip" in refusal(path, SourceError)


@pytest.mark.parametrize("text", [block(), PLAIN, PLAIN.rstrip("\n"), block() + "\n\n"])
def test_a_header_without_rows_is_refused(tmp_path, text):
    assert "no rows" in refusal(save(tmp_path / "a.csv", text))


@pytest.mark.parametrize("text", ["# only\n# comments\n", "# Fields:\n", "#\n" * 20_000])
def test_a_block_without_names_is_refused(tmp_path, text):
    message = refusal(save(tmp_path / "a.csv", text))
    assert "without the names" in message or "no column" in message


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("GeneSymbol", "Gene Symbol", "is 'Gene Symbol' meant?"),
        ("DiseaseID", "DiseaseId", "is 'DiseaseId' meant?"),
        ("PubMedIDs", "pubmed_ids", "is 'pubmed_ids' meant?"),
        ("DirectEvidence", "Organism", "no column DirectEvidence;"),
    ],
)
@pytest.mark.parametrize("header", [block(), PLAIN])
def test_a_renamed_column_is_named_with_what_may_be_meant(tmp_path, old, new, hint, header):
    message = refusal(save(tmp_path / "a.csv", table(header=header.replace(old, new))))
    assert f"no column {old}" in message
    assert hint in message


def test_another_table_is_refused_with_its_columns(tmp_path):
    message = refusal(save(tmp_path / "a.csv", "ChemicalName,ChemicalID,CasRN\na,b,c\n"))
    assert "'ChemicalName', 'ChemicalID', 'CasRN'" in message


def test_a_doubled_column_is_refused(tmp_path):
    rows = [(*row, "1") for row in ROWS]
    assert "more than one column GeneID" in refusal(
        save(tmp_path / "a.csv", table(rows, header=block((*COLUMNS, "GeneID"))))
    )


@pytest.mark.parametrize(("row", "count"), [(("A", "1"), 2), ((*ROWS[0], "more"), 8), (("A",), 1)])
def test_a_row_of_another_width_is_named_by_line_and_count(tmp_path, row, count):
    path = save(tmp_path / "a.csv", table([ROWS[0], row, ROWS[1]]))
    message = refusal(path)
    assert f"{path}, line 10:" in message
    assert f"{count} fields" in message
    assert "7 fields" in message


def test_rows_with_another_delimiter_than_the_header_are_refused(tmp_path):
    assert "1 fields" in refusal(save(tmp_path / "a.csv", block() + "A\t1\tD\tMESH:1\t\t\t\n"))


@pytest.mark.parametrize("filler", [0, 5000])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_bytes_that_are_not_utf8_are_placed(tmp_path, filler, name):
    lines = table([ROWS[0]] * filler or ROWS[:1]).encode()
    number = lines.count(b"\n") + 1
    path = save(tmp_path / name, lines + b"Caf\xe9,1,x,MESH:1,,,\n")
    message = refusal(path)
    assert f"line {number}:" in message
    assert "0xe9 at byte 4 of the line" in message


def test_bytes_that_are_not_utf8_in_the_block_are_placed(tmp_path):
    assert "line 1:" in refusal(save(tmp_path / "a.csv", b"# caf\xe9\n" + table().encode()))


@pytest.mark.parametrize("bad", ['A,1,"open,MESH:1,,,\n', 'A,1,"x" y,MESH:1,,,\n'])
def test_quotes_that_do_not_match_are_placed_where_the_row_starts(tmp_path, bad):
    message = refusal(save(tmp_path / "a.csv", table() + bad + table(header="")))
    assert "line 12:" in message
    assert "quotes" in message


@pytest.mark.parametrize("make", [lambda _: None, Path.mkdir])
def test_what_cannot_be_opened_is_a_source_error(tmp_path, make):
    path = tmp_path / "a.csv"
    make(path)
    assert "BIOALIGN_CTD_SOURCE" in refusal(path, SourceError)


def test_memory_does_not_grow_with_rows_that_are_skipped(tmp_path):
    row = ("GENE", "1", "Some disease", "MESH:D1", "", "Chemical", "12.5", "", "123|456")
    path = save(tmp_path / "a.csv", table([row] * 60_000, header=block(FULL_COLUMNS)))
    with open_table(path, kind=ASSOCIATIONS) as file:
        tracemalloc.start()
        assert list(file.batches(skip=lambda row: not row[4])) == []
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert path.stat().st_size > 2_500_000
    assert peak < 500_000


def test_rows_come_before_the_file_is_read_to_its_end():
    class Endless(io.StringIO):
        """A file whose second million rows must not be asked for."""

        def __init__(self):
            super().__init__(block())
            self.asked = 0

        def __next__(self):
            self.asked += 1
            return "A,1,D,MESH:1,,,\n"

        def readline(self, size=-1):
            return super().readline(size)

    text = Endless()
    rows = TableFile(text, path="endless", kind=ASSOCIATIONS).rows()
    assert [next(rows)[0] for _ in range(3)] == [9, 10, 11]
    assert text.asked == 3
