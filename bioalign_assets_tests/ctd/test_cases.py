"""Files as people had them: each is read as it should be, or told as what it is with the way out."""

import pytest

from bioalign_assets.ctd.release import read_usable_release
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.source_address import local_file
from bioalign_assets.errors import BioAlignError

REFUSED = {
    "evidence-spelling/evid_case.csv": "no curated row: 0 of 2 rows have direct evidence that is known",
    "header-lost/grep_v_hash.csv": "line 1: found a row where the names of the columns should stand",
    "spreadsheet-dates/dates_dmy.csv": "line 4: found the GeneSymbol '2-Sep'",
    "spreadsheet-dates/dates_iso.csv": "line 4: found the GeneSymbol '2024-09-02'",
    "spreadsheet-dates/dates_upper.csv": "line 4: found the GeneSymbol '2-SEP'",
    "spreadsheet-dates/riken_float.csv": "line 4: found the GeneSymbol '2.31E+19'",
    "xml-form/CTD_curated_genes_diseases.xml": "found an XML file",
}
READ = {
    "evidence-padded/evid_pipe_space.csv": [["marker/mechanism", "therapeutic"]],
    "header-lost/ctd_batch.tsv": [["therapeutic"]],
    "header-lost/fields_inline.csv": [["marker/mechanism"]],
    "header-lost/tail28_sed2d.csv": [["marker/mechanism"]],
}


@pytest.mark.parametrize(("name", "told"), REFUSED.items(), ids=REFUSED)
def test_what_can_not_be_read_is_told(cases, name, told):
    with pytest.raises(BioAlignError) as caught:
        read_usable_release(cases / name)
    assert told in str(caught.value)
    assert ASSOCIATIONS.by_hand in str(caught.value)


@pytest.mark.parametrize(("name", "evidence"), READ.items(), ids=READ)
def test_what_can_be_read_is(cases, name, evidence):
    assert read_usable_release(cases / name).associations["direct_evidence"].to_pylist() == evidence


def test_the_newest_file_of_a_folder_is_taken_whatever_its_name(cases):
    newest = local_file(str(cases / "wget-suffix" / "folder"), kind=ASSOCIATIONS)
    assert newest.name == "CTD_curated_genes_diseases.csv.gz.1"
