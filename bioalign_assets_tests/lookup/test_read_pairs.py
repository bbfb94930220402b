"""Files of pairs: whatever the columns are called and in whatever order, or a word about what is wrong."""

import pytest

from bioalign_assets.errors import BioAlignError
from bioalign_assets.lookup.score import read_pairs

GOOD = [("TNF", "Asthma"), ("BRCA1", 'Breast "x", Neoplasms')]


@pytest.mark.parametrize(
    "text",
    [
        'gene,disease\nTNF,Asthma\nBRCA1,"Breast ""x"", Neoplasms"\n',
        'GeneSymbol,DiseaseName\r\nTNF,Asthma\r\nBRCA1,"Breast ""x"", Neoplasms"\r\n',
        '\ufeffdisease_name,more,gene_symbol\nAsthma,1, TNF \n"Breast ""x"", Neoplasms",,BRCA1',
    ],
)
def test_pairs_come_as_they_stand(tmp_path, text):
    path = tmp_path / "pairs.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_pairs(path) == GOOD


def test_a_file_without_rows_has_no_pairs(tmp_path):
    (tmp_path / "pairs.csv").write_text("gene,disease\n")
    assert read_pairs(tmp_path / "pairs.csv") == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"found the columns \(none\)"),
        (b"TNF,Asthma\n", "found the columns TNF, Asthma, expected one of gene"),
        (b"gene,x\nTNF,Asthma\n", "expected one of disease"),
        (b"gene,disease\nTNF,Asthma\n,Asthma\n", "row 2 below the header: found gene '', disease 'Asthma'"),
        (b"gene,disease\nTNF\n", "row 1 below the header: found gene 'TNF', disease ''"),
        (b"gene,disease\n\xff\xfe,x\n", "CSV file in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, content, told):
    path = tmp_path / "pairs.csv"
    path.write_bytes(content)
    with pytest.raises(BioAlignError, match=told) as error:
        read_pairs(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BioAlignError, match="No such file"):
        read_pairs(tmp_path / "none.csv")
