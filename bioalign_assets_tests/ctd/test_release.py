from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.ctd import table_file
from bioalign_assets.ctd.columns import Remarks, split_lists
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.errors import ReleaseError
from bioalign_assets.warehouse.hashing import content_hash
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.ctd.ctd_files import COLUMNS, FULL_COLUMNS, ROWS, block, save, table

INFERRED = ("A", "not even a number", "D", "MESH:D1", "", "Chemical", "3.5", "", "9")


def refusal(path, error=ReleaseError):
    with pytest.raises(error) as caught:
        read_associations(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_field(column, value, *, row=1):
    rows = [list(fields) for fields in ROWS]
    rows[row][COLUMNS.index(column)] = value
    return rows


def test_rows_become_typed_columns(tmp_path):
    release = read_associations(save(tmp_path / "a.csv.gz", table()))
    assert release.associations.schema.equals(TABLES["ctd.associations"].arrow)
    assert release.associations.to_pylist() == [
        {
            "row_number": number,
            "gene_symbol": row[0],
            "gene_id": int(row[1]),
            "disease_name": row[2],
            "disease_id": row[3],
            "direct_evidence": row[4].split("|"),
            "omim_ids": row[5].split("|") if row[5] else [],
            "pubmed_ids": row[6].split("|") if row[6] else [],
        }
        for number, row in enumerate(ROWS)
    ]
    assert release.report_created == datetime(2025, 8, 27, 18, 25, 10, tzinfo=UTC)
    assert release.report_created_problem == ""
    assert release.inferred_rows_skipped == 0
    assert release.content_sha256 == content_hash(release.associations, schema=TABLES["ctd.associations"])


def test_the_content_hash_is_that_of_the_rows_alone(tmp_path):
    forms = [
        table(),
        table(header=block(date="Mon Dec 01 23:59:59 EST 2025", terms=50)),
        table(delimiter="\t", end="\r\n"),
    ]
    hashes = {
        read_associations(save(tmp_path / f"{i}.csv", form)).content_sha256 for i, form in enumerate(forms)
    }
    assert len(hashes) == 1
    other = [
        table(tuple(reversed(ROWS))),
        table(ROWS[:2]),
        table(with_field("PubMedIDs", "1")),
        table(with_field("GeneSymbol", "Null")),
        table(with_field("OmimIDs", "")),
    ]
    others = {
        read_associations(save(tmp_path / f"o{i}.csv", text)).content_sha256 for i, text in enumerate(other)
    }
    assert len(others) == len(other)
    assert not hashes & others


def test_a_file_without_date_has_none(tmp_path):
    release = read_associations(save(tmp_path / "a.csv", table(header=block(date=None))))
    assert (release.report_created, release.report_created_problem) == (None, "")
    odd = read_associations(
        save(tmp_path / "b.csv", table(header=block(date="Wed Aug 27 14:25:10 XYZ 2025")))
    )
    assert odd.report_created is None
    assert "XYZ" in odd.report_created_problem


def test_inferred_rows_of_the_full_report_are_counted_and_left_out(tmp_path):
    curated = [(*row[:5], "", "", *row[5:]) for row in ROWS]
    full = [INFERRED, curated[0], INFERRED, INFERRED, curated[1], curated[2]]
    release = read_associations(save(tmp_path / "full.csv.gz", table(full, header=block(FULL_COLUMNS))))
    assert release.inferred_rows_skipped == 3
    alone = read_associations(save(tmp_path / "curated.csv", table()))
    assert release.content_sha256 == alone.content_sha256
    message = refusal(save(tmp_path / "none.csv", table([INFERRED] * 3, header=block(FULL_COLUMNS))))
    assert "3 inferred rows" in message


def test_without_inference_columns_a_row_without_evidence_stays(tmp_path):
    release = read_associations(save(tmp_path / "a.csv", table(with_field("DirectEvidence", ""))))
    assert release.associations["direct_evidence"].to_pylist()[1] == []
    assert release.inferred_rows_skipped == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("GeneID", "0"),
        ("GeneID", "-5"),
        ("GeneID", "12.0"),
        ("GeneID", "1.2E+05"),
        ("GeneID", "1 2"),
        ("GeneID", ""),
        ("GeneID", "MESH:D1"),
        ("GeneID", "9" * 30),
        ("GeneID", "٣"),
        ("GeneID", "12\n3"),
        ("DiseaseID", "D000001"),
        ("DiseaseID", "mesh:D000001"),
        ("DiseaseID", "MESH:"),
        ("DiseaseID", "DOID:12"),
        ("DiseaseID", ""),
        ("DiseaseID", "MESH:D1|OMIM:2"),
        ("GeneSymbol", ""),
        ("GeneSymbol", "2-Sep"),
        ("DiseaseName", ""),
        ("PubMedIDs", "1.23E+07"),
        ("PubMedIDs", "12;34"),
        ("PubMedIDs", "0"),
        ("PubMedIDs", "1" * 11),
        ("OmimIDs", "6.00001E+05"),
        ("OmimIDs", "MIM:600001"),
        ("OmimIDs", "60001"),
        ("DirectEvidence", "marker/\x00mechanism"),
        ("GeneSymbol", "TP\u200b53"),
        ("GeneSymbol", "T\x00"),
        ("GeneSymbol", "T\ufeffP"),
        ("GeneSymbol", "T\tP\n53"),
        ("GeneSymbol", "T\u2060P"),
        ("DiseaseName", "two\nlines"),
        ("DiseaseName", "soft\xadhyphen"),
        ("DiseaseName", "right\u202eleft"),
        ("DiseaseName", "\ue000private"),
        ("DiseaseID", "MESH:D00\u200b1"),
    ],
)
def test_a_bad_field_is_named_by_line(tmp_path, column, value):
    path = save(tmp_path / "a.csv", table(with_field(column, value)))
    message = refusal(path)
    assert f"{path}, line 10:" in message
    assert f"the {column} {value!r}" in message


@pytest.mark.parametrize(
    "value", ["x\u115f", "x\u3164y", "x\ufe0f", "x\U000e0100", "x\u2800y", "x\ufffdy", "x\u2065", "x\ufff0"]
)
def test_what_is_drawn_as_nothing_is_told_by_its_number(tmp_path, value):
    for column in ("GeneSymbol", "DiseaseName"):
        message = refusal(save(tmp_path / "a.csv", table(with_field(column, value))))
        assert f"the {column} {value!a}" in message
        assert "characters that nobody sees" in message


def test_each_refused_value_is_named_by_line(tmp_path):
    rows = [[*ROWS[0][:6], ids] for ids in ("1", "x|2|y", "3", "z", *["w"] * 5)]
    message = refusal(save(tmp_path / "a.csv", table(rows)))
    assert (
        "line 10: found the PubMedIDs 'x' (line 10: 'y'; line 12: 'z'; line 13: 'w'; line 14: 'w'; 3 more"
        in message
    )


MENDED = {
    "blanks around the bar": (
        "DirectEvidence",
        "marker/mechanism |\ttherapeutic",
        ["marker/mechanism", "therapeutic"],
    ),
    "a blank at the end of a word": ("DirectEvidence", "therapeutic ", ["therapeutic"]),
    "no-break blanks around an article": ("PubMedIDs", "\u00a012|\u200234 ", ["12", "34"]),
    "nothing between two bars": ("OmimIDs", "|600001||600002|", ["600001", "600002"]),
    "nothing but a blank": ("OmimIDs", " ", []),
    "blanks around an identifier": ("DiseaseID", " MESH:D1\u3000", "MESH:D1"),
    "blanks around a number": ("GeneID", " 12\n", 12),
    "blanks around a symbol": ("GeneSymbol", "\u2003TP53\r\n", "TP53"),
    "a no-break blank inside of a name": ("DiseaseName", "Made-up\u00a0disease", "Made-up disease"),
    "two blanks inside of a name": ("DiseaseName", "Made-up  disease", "Made-up disease"),
    "a letter and its accent apart": ("DiseaseName", "Se\u0301zary", "S\u00e9zary"),
}
_COLUMN = {
    "DirectEvidence": "direct_evidence", "PubMedIDs": "pubmed_ids", "OmimIDs": "omim_ids", "DiseaseID": "disease_id",
    "GeneID": "gene_id", "GeneSymbol": "gene_symbol", "DiseaseName": "disease_name",
}  # fmt: skip


@pytest.mark.parametrize(("column", "value", "read"), MENDED.values(), ids=MENDED)
def test_what_can_only_be_meant_one_way_is_mended_and_told(tmp_path, column, value, read):
    release = read_associations(save(tmp_path / "a.csv", table(with_field(column, value))))
    assert release.associations[_COLUMN[column]].to_pylist()[1] == read
    assert release.remarks
    assert all(column in remark and remark.endswith("first on line 10.") for remark in release.remarks)
    good = read_associations(save(tmp_path / "b.csv", table()))
    assert good.remarks == ()
    # and the rest of the rows is what it was
    others = release.associations.drop_columns(_COLUMN[column])
    assert others.equals(good.associations.drop_columns(_COLUMN[column]))


def test_remarks_count_over_all_blocks_and_name_the_first_line(tmp_path, monkeypatch):
    monkeypatch.setattr(table_file, "_BLOCK_BYTES", 1000)
    rows = [ROWS[0]] * 60 + [(*ROWS[0][:4], "therapeutic ", *ROWS[0][5:])] * 70
    release = read_associations(save(tmp_path / "a.csv", table(rows)))
    assert release.remarks == (
        "Blanks at the ends of a part of DirectEvidence, taken away: 70 times, first on line 69.",
    )


def test_unknown_evidence_stays_as_it_is_and_is_told(tmp_path):
    rows = [*ROWS, *[(*ROWS[0][:4], "Marker/Mechanism|therapeutic", *ROWS[0][5:])] * 2]
    release = read_associations(save(tmp_path / "a.csv", table(rows)))
    assert release.associations["direct_evidence"].to_pylist()[-1] == ["Marker/Mechanism", "therapeutic"]
    assert release.remarks == ("Words of direct evidence that make no positive: 2 times, first on line 12.",)


@pytest.mark.parametrize("is_full_report", [True, False])
def test_over_many_blocks_rows_and_lines_are_counted_on(tmp_path, monkeypatch, is_full_report):
    monkeypatch.setattr(table_file, "_BLOCK_BYTES", 1000)
    rows, columns = [ROWS[0]] * 200, COLUMNS
    if is_full_report:
        rows = [row for one in rows for row in (INFERRED, (*one[:5], "", "", *one[5:]))]
        columns = FULL_COLUMNS
    path = save(tmp_path / "a.csv", table(rows, header=block(columns)))
    release = read_associations(path)
    assert release.associations["row_number"].to_pylist() == list(range(200))
    assert release.inferred_rows_skipped == len(rows) - 200
    bad = list(rows[-1])
    bad[3] = "D1"
    path = save(tmp_path / "a.csv", table([*rows, rows[0], bad], header=block(columns)))
    assert f"line {8 + len(rows) + 2}: found the DiseaseID 'D1'" in refusal(path)


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("ab|"), max_size=6), max_size=8))
def test_lists_are_split_as_in_python(fields):
    expected = [[part for part in field.split("|") if part] for field in fields]
    rows, remarks = np.arange(len(fields)), Remarks()
    split = split_lists(pa.array(fields, type=pa.string()), column="X", rows=rows, remarks=remarks)
    split.validate(full=True)
    assert split.to_pylist() == expected
    assert split.slice(1).to_pylist() == expected[1:]


def test_the_real_release(real_data):
    release = read_associations(real_data / "ctd" / "CTD_curated_genes_diseases.2025-08-27.csv")
    assert release.content_sha256 == "4f49b51b014bb4f51ba162208048bf578ddd736951a144a02f40e362fd75ad99"
    rows = release.associations
    assert rows.num_rows == 34_222
    assert release.report_created == datetime(2025, 8, 27, 18, 25, 10, tzinfo=UTC)
    assert pc.count_distinct(rows["gene_symbol"]).as_py() == 9_111
    assert pc.count_distinct(rows["disease_name"]).as_py() == 5_858
    assert Counter(map(tuple, rows["direct_evidence"].to_pylist())) == {
        ("marker/mechanism",): 31_986,
        ("therapeutic",): 1_928,
        ("marker/mechanism", "therapeutic"): 308,
    }
    lengths = pc.list_value_length(rows["pubmed_ids"])
    assert pc.max(lengths).as_py() == 84
    assert pc.sum(pc.greater(lengths, 1)).as_py() == 3_605
    assert round(pc.mean(lengths).as_py(), 2) == 1.09
