import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.report_kind import ASSOCIATIONS
from bioalign_assets.ctd.spreadsheet import DATES, NUMBERS, POSSIBLE_DATES
from bioalign_assets.ctd.table_file import TableFile
from bioalign_assets.errors import ReleaseError
from bioalign_assets_tests.ctd.ctd_files import ROWS, save, table

# What spreadsheets show for SEPT2, MARCH1, DEC1 and RIKEN clones: by program, language, and how the column is formatted
SPOILT = (
    """
2-Sep | 02-Sep | 2-SEP | 2-sep | Sep-02 | SEP-02 | Sep-2 | Sep-14 | 1-Mar | Mar-01 | 1-Dec | 2-Sep-24 | 2-Sep-2024
2-sept | 2-sept. | sept.-02 | sept-02 | 2. Sep | 2. September | 02.Sep | 02SEP2024 | 2 Sep | Sep 2 | Sep. 2 | Sep '24
1-Mrz | 1. M\u00e4r | 1-Dez | 2-ao\u00fbt | 1-d\u00e9c. | 1-f\u00e9vr | 2-set | 2-set. | 1-dic | 1-ene | 1-mrt | 1-maj | 1-mei
2-wrz | 2-pa\u017a | 2 wrze\u015bnia | 2-Z\u00e1\u0159 | 2-szept | 2-Eyl | Eyl-02 | 1-mars | 2. syyskuuta | 2-\u0441\u0435\u043d | 2-\u03a3\u03b5\u03c0
2024-09-02 | 2024-09-02 00:00:00 | 2024-09-02T00:00:00 | 2024/9/2 | 2024.09.02. | 2024-09 | 9/2/2024 | 02/09/24 | 9/2
02.09.2024 | 2.9. | 02-09-24 | 09-02 | 2024\u5e749\u67082\u65e5 | 9\u67082\u65e5 | 9\uc6d4 2\uc77c | September 2, 2024
Monday, September 2, 2024 | lundi 2 septembre 2024 | 2 de septiembre de 2024 | 12:00 | 00:00:00
2-Sep 00:00 | 2-Sep-24 0:00 | 02-Sep-2024 00:00:00 | 2024-Sep-02 | 2 \u0441\u0435\u043d\u0442\u044f\u0431\u0440\u044f 2024 \u0433.
#NV | #WERT! | #BEZUG! | #NOM? | #\u00bfNOMBRE? | #SPILL! | 2E19 | 2,310,009E+19
45537 | 45537.0 | 45.537 | 45537,00 | 2.31E+19 | 2,31E+19 | 2.31e+19 | 2.31E19 | 2E+19 | 1.00E+05 | -1 | #NAME? | #N/A | #####
""".replace("\n", " | ")
    .strip(" |")
    .split(" | ")
)
# Symbols of genes of many species, and names that were given up because of this
GENES = [
    "SEPTIN2",
    "SEPT2",
    "Sept2",
    "sept2",
    "SEP15",
    "MARCH1",
    "MARCHF1",
    "March1",
    "MAR1",
    "MARC1",
    "MARS1",
    "Mars2",
    "MARK1",
    "DEC1",
    "DECR1",
    "OCT4",
    "Oct-TyrR",
    "APR3",
    "MAY",
    "JUN",
    "jun",
    "JUNB",
    "FEB1",
    "NOV",
    "AVR-15",
    "avr-14",
    "mai-2",
    "set-2",
    "SET-24",
    "dic-1",
    "lis-1",
    "gen-1",
    "mag-1",
    "ara-1",
    "AGO2",
    "14-3-3epsilon",
    "14-3-3",
    "7SK",
    "18w",
    "128up",
    "4E-T",
    "5S_rRNA",
    "5-HT1A",
    "4.1G",
    "NKX2-5",
    "HLA-A",
    "IL-6",
    "E2F1",
    "1700001C19RIK",
    "2310009E19Rik",
    "2310009E13",
    "SU(R)",
    "PRR5-ARHGAP8",
    "C9orf72",
    "X#1",
    "NA",
    "null",
    "TRUE",
]


def is_spoilt(symbol):
    return pc.match_substring_regex(pa.array([symbol]), rf"\A(?:{DATES}|{NUMBERS})\z")[0].as_py()


@pytest.mark.parametrize("symbol", SPOILT)
def test_what_a_spreadsheet_made_of_a_symbol_is_refused_with_the_line_and_what_to_do(tmp_path, symbol):
    rows = [ROWS[0], (symbol, *ROWS[1][1:]), ROWS[2]]
    with pytest.raises(ReleaseError) as caught:
        read_associations(save(tmp_path / "a.csv", table(rows)))
    assert f"line 10: found the GeneSymbol {symbol!r}" in str(caught.value)
    assert "Import the columns as text" in str(caught.value)


@pytest.mark.parametrize("symbol", GENES)
def test_a_symbol_of_a_gene_is_none(symbol):
    assert not is_spoilt(symbol)


@pytest.mark.parametrize(
    ("symbol", "may_be"),
    [
        ("SEP-1", True),
        ("jun-1", True),
        ("DEZ-24", True),
        ("mrz-24", True),
        ("okt-10", True),
        ("SET-2", False),
        ("SET-24", False),
        ("AVR-15", False),
        ("SEPT2", False),
    ],
)
def test_what_may_be_a_date_or_a_worms_gene_is_left_to_a_person(symbol, may_be):
    assert not is_spoilt(symbol)
    assert pc.match_substring_regex(pa.array([symbol]), rf"\A{POSSIBLE_DATES}\z")[0].as_py() == may_be


def test_no_symbol_of_a_real_release_is_taken_for_one(real_data):
    files = [*(real_data / "ctd").glob("*genes_diseases*"), *(real_data / "more").glob("*genes_diseases*")]
    assert len(files) == 3
    for file in files:
        batches = TableFile(file, kind=ASSOCIATIONS).batches()
        symbols = pa.concat_arrays([batch["GeneSymbol"] for batch in batches]).unique()
        assert len(symbols) > 9_000
        found = pc.match_substring_regex(symbols, rf"\A(?:{DATES}|{NUMBERS}|{POSSIBLE_DATES})\z")
        assert symbols.filter(found).to_pylist() == []
