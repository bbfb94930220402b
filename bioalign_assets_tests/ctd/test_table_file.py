import itertools
import re
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import reading
from bioalign_assets.ctd import table_file
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.table_file import TableFile
from bioalign_assets.ctd.table_header import read_header
from bioalign_assets.errors import BioAlignError, ReleaseError, SourceError
from bioalign_assets_tests.ctd.ctd_files import COLUMNS, FULL_COLUMNS, ROWS, block, save, table


def rows_of(path):
    batches = TableFile(path, kind=ASSOCIATIONS).batches()
    return [row for batch in batches for row in zip(*(column.to_pylist() for column in batch), strict=True)]


def refusal(path, error=ReleaseError):
    """Return the message of the refusal, which must be one paragraph and name the file."""
    with pytest.raises(error) as caught:
        rows_of(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def outcome(path):
    try:
        return rows_of(path)
    except BioAlignError as refused:
        return str(refused)


@pytest.fixture
def blocks(monkeypatch):
    """Make the blocks that are read at once so small that a few rows are many of them."""

    def sized(count):
        monkeypatch.setattr(table_file, "_BLOCK_BYTES", count)

    return sized


PLAIN = ",".join(COLUMNS) + "\n"
TABBED = "\t".join(COLUMNS) + "\n"
FORMS = [
    (block(), ","),
    (block(lone_hash=False), ","),
    (block(terms=0, date=None), ","),
    (block(terms=70), ","),
    (block(delimiter="\t"), "\t"),
    (PLAIN, ","),
    (TABBED, "\t"),
    ('"' + '","'.join(COLUMNS) + '"\n', ","),
    ("\n\n" + PLAIN, ","),
]


@pytest.mark.parametrize(("header", "delimiter"), FORMS)
def test_every_form_gives_the_same_rows(tmp_path, header, delimiter):
    for end, bom, gz in itertools.product(["\n", "\r\n", "\r"], [b"", b"\xef\xbb\xbf"], [True, False]):
        text = table(header=header, delimiter=delimiter, end=end)
        path = save(tmp_path / "may-lie.csv.gz", bom + text.encode(), gz=gz)
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
    file = TableFile(path, kind=ASSOCIATIONS)
    assert [editor[line - 1].split(",")[0] for line in file.lines_of(range(4)).values()] == [
        "NA",
        "A",
        "null",
        "X#1",
    ]


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
hostile = st.sampled_from(
    ["NA", "NaN", "null", '"', '""', "#", ",", "a,b", 'a"b', '"a"', "# Fields:", "'", " x ", "\ufeff"]
)


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(st.tuples(texts | hostile, *[texts | hostile | st.just("")] * 6), min_size=1, max_size=5),
    form=st.sampled_from([(block(), ","), (PLAIN, ","), (block(delimiter="\t"), "\t"), (TABBED, "\t")]),
)
def test_any_text_survives(tmp_path_factory, rows, form):
    header, delimiter = form
    path = save(tmp_path_factory.mktemp("t") / "a.csv", table(rows, header=header, delimiter=delimiter))
    assert rows_of(path) == rows


signs = st.sampled_from(["a", ",", '"', "\n", "\r\n", "\r", "\t", "#", "\ufeff", "\0", "é", "\u2028"])
cells = st.lists(signs, max_size=4).map("".join)
plain = cells.map(lambda text: "".join(sign for sign in text if sign not in ',"\r\n\t'))
quoted = cells.map(lambda text: '"{}"'.format(text.replace('"', '""')))
fields = st.lists(plain | quoted, min_size=7, max_size=7)
odd_fields = st.lists(plain | quoted | cells, min_size=6, max_size=8)


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(fields | fields | odd_fields, max_size=6),
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r", "\n\n", ""]), min_size=6, max_size=6),
    delimiter=st.sampled_from([",", ",", "\t"]),
    damage=st.none() | st.none() | st.tuples(st.integers(0, 200), st.sampled_from([b"\xff", b"\xc3"])),
    block_bytes=st.sampled_from([16, 64, 1 << 20]),
)
def test_what_pyarrow_reads_and_refuses_is_what_csv_does(
    tmp_path_factory, rows, ends, delimiter, damage, block_bytes
):
    body = "".join(delimiter.join(row) + end for row, end in zip(rows, ends, strict=False)).encode()
    if damage is not None:
        body = body[: damage[0]] + damage[1] + body[damage[0] :]
    path = save(
        tmp_path_factory.mktemp("t") / "a.csv", (PLAIN if delimiter == "," else TABBED).encode() + body
    )
    with patch.object(table_file, "_BLOCK_BYTES", block_bytes):
        found = outcome(path)
    with patch.object(TableFile, "_parsed", side_effect=table_file._Odd):
        assert found == outcome(path)


@pytest.mark.parametrize(
    "body",
    [
        'A,1,x,MESH:1,,,"open',
        'A,1,x,MESH:1,,,"open\nA,1,x,MESH:1,,,\n',
        'A,1,ab",""x,,cd",\n',  # the quotes of the text beside hide that a closed field goes on
        'A,1,5" long,MESH:1,,,"5"" wide"\n',
        'A,1,x"",MESH:1,,"",""""\n',
        '"A","1","x"y",MESH:1,,,"\n',
    ],
)
def test_hard_quotes_are_read_or_refused_as_csv_does(tmp_path, body):
    path = save(tmp_path / "a.csv", PLAIN + body)
    with patch.object(TableFile, "_parsed", side_effect=table_file._Odd):
        expected = outcome(path)
    assert outcome(path) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_good_release_is_read_by_pyarrow_alone(tmp_path, blocks, end, delimiter):
    """Also over blocks that cut through rows, quoted line ends and quotes, and without a line end at the end."""
    rows = [(f'G"{i}', str(i), "a\n,\r\nb", 'x"', "", "é", '"') for i in range(200)]
    rows = [("A", "1", "x" * 3000, *ROWS[0][3:]), *rows] if delimiter == "," else ROWS * 70
    body = table(rows, header="", delimiter=delimiter, end=end).removesuffix(end)
    path = save(tmp_path / "a.csv", block(delimiter=delimiter) + body)
    for size in (4001, 9973, len(body.encode()), 1 << 20):
        blocks(size)
        with patch.object(TableFile, "_rows", side_effect=AssertionError):
            assert rows_of(path) == list(rows)


def test_quotes_in_a_tab_separated_file_of_ctd_are_text(tmp_path):
    row = ('"half', "1", 'so "called"', 'a "b" c', '"x" and "y"', "", '5"')
    path = save(tmp_path / "a.tsv", block(delimiter="\t") + "\t".join(row) + "\n")
    assert rows_of(path) == [row]


def test_columns_are_found_by_name_wherever_they_stand_and_further_ones_are_accepted(tmp_path):
    names = (*reversed(FULL_COLUMNS), "note", "note")
    rows = [(*reversed((*row[:5], "Chemical", "1.5", *row[5:])), "", "") for row in ROWS]
    assert rows_of(save(tmp_path / "a.csv", table(rows, header=block(names)))) == list(ROWS)


def test_a_field_that_is_too_long_to_be_one_is_named(tmp_path):
    rows = [ROWS[0], ("A", "1", "x" * 140_000, *ROWS[0][3:])]
    message = refusal(save(tmp_path / "a.csv", table(rows)))
    assert "line 10:" in message
    assert "a field of more than 131,072 characters" in message


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize(
    "page", ["<!DOCTYPE html><html>…", "\n  <html lang='en'>", "\ufeff<HTML>", "<?xml ?><!DOCTYPE html>"]
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
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Excel workbook of the old form"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "pointer of Git LFS"),
        (b'<?xml version="1.0" encoding="UTF-8"?>\n<Rows><Row/></Rows>', "an XML file"),
        (b"<Rows><Row><GeneID>1</GeneID></Row></Rows>", "an XML file"),
        (b'{"GeneSymbol": "A"}', "JSON"),
        (b'[\n  {\n "GeneSymbol": "A"}]', "JSON"),
        (b"../../.git/annex/objects/x", "git-annex"),
        (b"PK\x05\x06\x00", "empty ZIP"),
        (b"%PDF-1.7", "PDF"),
        (b"PAR1xx", "Parquet"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"a.csv".ljust(257, b"\x00") + b"ustar  \x00", "tar archive"),
        ("GeneSymbol".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, data, named):
    assert named in refusal(save(tmp_path / "a.csv", data), SourceError)


def test_an_empty_gzip_is_named(tmp_path):
    assert "empty file" in refusal(save(tmp_path / "a.csv.gz", b""), SourceError)


def test_a_truncated_gzip_is_named(tmp_path):
    path = save(tmp_path / "a.csv.gz", table([(f"G{i * 7919}", *ROWS[0][1:]) for i in range(3000)]))
    for size in (path.stat().st_size - 9, path.stat().st_size // 2):
        path.write_bytes(path.read_bytes()[:size])
        assert "gzip file that ends too early" in refusal(path, SourceError)


def test_rows_come_before_the_file_is_read_to_its_end(tmp_path, blocks):
    """So memory does not grow with the file."""
    blocks(1000)
    path = save(tmp_path / "a.csv", table([ROWS[0]] * 300 + [("A", "1")]))
    batches = TableFile(path, kind=ASSOCIATIONS).batches()
    assert 0 < len(next(batches)) < 20
    with pytest.raises(ReleaseError, match="line 309"):
        list(batches)


def test_a_damaged_gzip_is_named(tmp_path):
    path = save(tmp_path / "a.csv.gz", table())
    data = bytearray(path.read_bytes())
    data[-6] ^= 0xFF
    path.write_bytes(data)
    assert "damaged gzip" in refusal(path, SourceError)


@pytest.mark.parametrize("text", [block(), PLAIN, PLAIN.rstrip("\n"), block() + "\n\n"])
def test_a_header_without_rows_is_refused(tmp_path, text):
    assert "no rows" in refusal(save(tmp_path / "a.csv", text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# only\n# comments\n", "2 lines of '#' without the names"),
        ("# Fields:\n", "1 lines of '#' without the names"),
        (f"#{'x' * 998}\n" * 5_000, "4195 lines of '#'"),
    ],
)
def test_a_block_without_names_is_refused(tmp_path, text, told):
    assert told in refusal(save(tmp_path / "a.csv", text))


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
    assert f"the columns on line {1 if header is PLAIN else 7} are" in message


def test_another_table_is_refused_with_its_columns(tmp_path):
    message = refusal(save(tmp_path / "a.csv", "Name,Age,Place\na,b,c\n"))
    assert "'Name', 'Age', 'Place'" in message


OTHERS = {
    "semicolons": (PLAIN.replace(",", ";"), "separated by semicolons"),
    "semicolons in the block": (block().replace(",", ";"), "separated by semicolons"),
    "bars": (PLAIN.replace(",", "|"), "separated by vertical bars"),
    "blanks": (PLAIN.replace(",", "  "), "separated by blanks"),
    "chemicals": ("# Fields:\n# ChemicalName,ChemicalID,CasRN,Definition\n#\n", "CTD_chemicals"),
    "chemicals and genes": (
        "ChemicalName,ChemicalID,CasRN,GeneSymbol,GeneID,Interaction\n",
        "CTD_chem_gene_ixns",
    ),
    "chemicals and diseases": (
        "ChemicalName,ChemicalID,CasRN,DiseaseName,DiseaseID\n",
        "CTD_chemicals_diseases",
    ),
    "genes": ("GeneSymbol\tGeneName\tGeneID\tAltGeneIDs\n", "CTD_genes"),
    "MEDIC": ("DiseaseName,DiseaseID,AltDiseaseIDs,ParentIDs,TreeNumbers,SlimMappings\n", "MEDIC"),
    "no names": ("A,1,Made-up,MESH:D000001,marker/mechanism,,3\n", "line 1: found a row where the names"),
    "no names, tabs": ("A\t1\tMade-up\tOMIM:600001\ttherapeutic\t\t3\n", "found a row where the names"),
    "no names below remarks": ("# kept by hand\n#\nA,1,D,MESH:C000001,,,3\n", "line 3: found a row where"),
}


@pytest.mark.parametrize(("text", "told"), OTHERS.values(), ids=OTHERS)
def test_a_table_that_is_plainly_something_else_is_told_as_that(tmp_path, text, told):
    message = refusal(save(tmp_path / "a.csv", text + "1,2,3\n" * 3))
    assert told in message
    assert "https://ctdbase.org/downloads/" in message
    assert "no column" not in message


HEADERS = {
    "the names alone behind #": f"# {PLAIN}",
    "without a blank": f"#{PLAIN}",
    "quoted": '"# ' + '","'.join(COLUMNS) + '"\n',
    "on the line that says Fields": f"# Fields: {PLAIN}",
    "below terms": f"# terms\n#\n# {PLAIN}#\n",
    "below a date": f"# Report created: Wed Aug 27 14:25:10 EDT 2025\n# {PLAIN}",
    "with a mark of UTF-8": f"\ufeff# {PLAIN}",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_line_with_a_hash_that_holds_all_names_is_the_header(tmp_path, header, delimiter):
    path = save(tmp_path / "a.csv", table(header=header.replace(",", delimiter), delimiter=delimiter))
    assert rows_of(path) == list(ROWS)


def test_names_behind_a_hash_that_a_spreadsheet_padded_are_read_with_their_rows(tmp_path):
    padded = "".join(f"{line},\n" for line in table(header=f"# {PLAIN}").splitlines() if '"' not in line)
    assert len(rows_of(save(tmp_path / "a.csv", padded))) == padded.count("\n") - 1


def test_the_table_of_a_batch_query_is_read(tmp_path):
    rows = [("asked", *row) for row in ROWS]
    text = table(rows, header=f"# Input\t{TABBED}", delimiter="\t")
    assert rows_of(save(tmp_path / "a.tsv", text)) == list(ROWS)


@pytest.mark.parametrize("place", ["the first", "below the header", "the third", "over many lines"])
@pytest.mark.parametrize("gz", [True, False])
def test_a_row_without_an_end_is_refused_before_it_fills_the_memory(tmp_path, place, gz):
    long = ("x" * 8 if place != "over many lines" else '"x\n",') * 8_000_000
    text = {
        "the first": long,
        "below the header": PLAIN + long,
        "the third": table(header=PLAIN) + long,
        "over many lines": PLAIN + long,
    }[place]
    path = save(tmp_path / "a.csv", text, gz=gz)
    tracemalloc.start()
    message = refusal(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "a row of more than 1,048,576 characters" in message
    line = {"the first": 1, "below the header": 2, "the third": 5, "over many lines": 2}[place]
    assert f"line {line}: " in message
    assert peak < 36e6  # the text has 40 MB and more


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


@pytest.mark.parametrize(("filler", "name"), [(0, "a.csv"), (5000, "a.csv.gz")])
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


def test_the_benchmark_ends_with_its_ratio(capsys):
    reading.main(["--source", "synthetic", "--rows", "200", "--repeats", "1"])
    told = capsys.readouterr().out
    assert "equal rows: yes" in told
    assert re.fullmatch(r"ratio \d+\.\d+", told.splitlines()[-1])
