import pytest

from bioalign_assets.ctd.diseases import read_diseases
from bioalign_assets.errors import ReleaseError, SourceError
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.ctd.ctd_files import ROWS, block, save, table

COLUMNS = (
    "DiseaseName", "DiseaseID", "AltDiseaseIDs", "Definition", "ParentIDs", "TreeNumbers",
    "ParentTreeNumbers", "Synonyms", "SlimMappings",
)  # fmt: skip
MEDIC = [
    ("Root", "MESH:C", "", "", "", "C", "", "", ""),
    ('"Odd", one', "MESH:D000001", "DO:DOID:1|OMIM:100001", 'Says "x", \n and more', "MESH:C|MESH:D000002",
     "C1|C2/3", "C", "a|b", "Eye disease|Skin disease"),
    ("NA", "OMIM:600001", "", "", "MESH:D000001", "C1/600001", "C1", "", "Eye disease"),
]  # fmt: skip


def test_medic_is_read(tmp_path):
    for name in ("m.csv.gz", "m.csv"):
        diseases = read_diseases(save(tmp_path / name, table(MEDIC, header=block(COLUMNS)))).diseases
        assert diseases.schema.equals(TABLES["ctd.diseases"].arrow)
        assert diseases.to_pylist()[1] == {
            "disease_id": "MESH:D000001",
            "disease_name": '"Odd", one',
            "alternative_ids": ["DO:DOID:1", "OMIM:100001"],
            "parent_ids": ["MESH:C", "MESH:D000002"],
            "tree_numbers": ["C1", "C2/3"],
            "classes": ["Eye disease", "Skin disease"],
        }
        assert diseases["classes"].to_pylist() == [[], ["Eye disease", "Skin disease"], ["Eye disease"]]
        assert diseases["disease_name"].to_pylist() == ["Root", '"Odd", one', "NA"]


def test_columns_that_nobody_reads_may_be_missing(tmp_path):
    kept = [0, 1, 2, 4, 5, 8]
    rows = [[row[i] for i in kept] for row in MEDIC]
    header = block([COLUMNS[i] for i in kept])
    assert read_diseases(save(tmp_path / "m.csv", table(rows, header=header))).diseases.num_rows == 3


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (1, "C000001", "line 12:"),
        (0, "", "DiseaseName"),
        (0, "x\u200by", "characters that nobody sees"),
        (1, "MESH:C", "on line 9 already"),
        (2, "OMIM:600001;OMIM:2", "line 12: found the AltDiseaseIDs"),
        (4, "D000001", "line 12: found the ParentIDs"),
        (5, "C1, C2", "line 12: found the TreeNumbers"),
        (8, "Eye\x00disease", "line 12: found the SlimMappings"),
        (8, "Eye disease\ufe0f", "line 12: found the SlimMappings"),
    ],
)
def test_a_bad_disease_is_named(tmp_path, place, value, named):
    rows = [list(row) for row in MEDIC]
    rows[2][place] = value
    with pytest.raises(ReleaseError) as caught:
        read_diseases(save(tmp_path / "m.csv", table(rows, header=block(COLUMNS))))
    assert named in str(caught.value)
    assert "BIOALIGN_CTD_DISEASES_SOURCE" in str(caught.value)


def test_blanks_in_its_lists_are_mended_and_told(tmp_path):
    rows = [list(row) for row in MEDIC]
    rows[2][8], rows[2][4] = "Eye disease | Skin disease", " MESH:D000001 |MESH:C"
    vocabulary = read_diseases(save(tmp_path / "m.csv", table(rows, header=block(COLUMNS))))
    last = vocabulary.diseases.to_pylist()[2]
    assert (last["classes"], last["parent_ids"]) == (
        ["Eye disease", "Skin disease"],
        ["MESH:D000001", "MESH:C"],
    )
    assert [remark.split(",")[0] for remark in vocabulary.remarks] == [
        "Blanks at the ends of a part of ParentIDs", "Blanks at the ends of a part of SlimMappings",
    ]  # fmt: skip


def test_classes_that_look_alike_are_one(tmp_path):
    rows = [list(row) for row in MEDIC]
    rows[2][8] = "Eye\u00a0disease|Eye  disease|Skin disease "
    vocabulary = read_diseases(save(tmp_path / "m.csv", table(rows, header=block(COLUMNS))))
    assert set(vocabulary.diseases.to_pylist()[2]["classes"]) == {"Eye disease", "Skin disease"}
    assert any("Blanks inside of SlimMappings" in remark for remark in vocabulary.remarks)


def test_associations_are_no_vocabulary(tmp_path):
    with pytest.raises(ReleaseError, match="found CTD's curated gene-disease associations") as caught:
        read_diseases(save(tmp_path / "a.csv", table(ROWS)))
    assert "CTD_diseases.csv.gz" in str(caught.value)
    with pytest.raises(SourceError, match="HTML"):
        read_diseases(save(tmp_path / "b.csv", "<html>"))
