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
    ('"Odd", one', "MESH:D000001", "DO:DOID:1|OMIM:1", 'Says "x", \n and more', "MESH:C|MESH:D000002",
     "C1|C2/3", "C", "a|b", "Eye disease|Skin disease"),
    ("NA", "OMIM:600001", "", "", "MESH:D000001", "C1/600001", "C1", "", "Eye disease"),
]  # fmt: skip


def test_medic_is_read(tmp_path):
    for name in ("m.csv.gz", "m.csv"):
        diseases = read_diseases(save(tmp_path / name, table(MEDIC, header=block(COLUMNS))))
        assert diseases.schema.equals(TABLES["ctd.diseases"].arrow)
        assert diseases.to_pylist()[1] == {
            "disease_id": "MESH:D000001",
            "disease_name": '"Odd", one',
            "alternative_ids": ["DO:DOID:1", "OMIM:1"],
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
    assert read_diseases(save(tmp_path / "m.csv", table(rows, header=header))).num_rows == 3


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [(1, "C000001", "line 12:"), (0, "", "DiseaseName"), (1, "MESH:C", "on line 9 already")],
)
def test_a_bad_disease_is_named(tmp_path, place, value, named):
    rows = [list(row) for row in MEDIC]
    rows[2][place] = value
    with pytest.raises(ReleaseError) as caught:
        read_diseases(save(tmp_path / "m.csv", table(rows, header=block(COLUMNS))))
    assert named in str(caught.value)
    assert "BIOALIGN_CTD_DISEASES_SOURCE" in str(caught.value)


def test_associations_are_no_vocabulary(tmp_path):
    with pytest.raises(ReleaseError, match="no column AltDiseaseIDs") as caught:
        read_diseases(save(tmp_path / "a.csv", table(ROWS)))
    assert "CTD_diseases.csv.gz" in str(caught.value)
    with pytest.raises(SourceError, match="HTML"):
        read_diseases(save(tmp_path / "b.csv", "<html>"))
