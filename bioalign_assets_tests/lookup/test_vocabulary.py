"""Names and identifiers as people type them, and what CTD has curated about a pair."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.errors import BioAlignError
from bioalign_assets.lookup.vocabulary import vocabulary_of
from bioalign_assets.warehouse.schemas import TABLES

ROWS = [
    ("TNF", 7124, "Asthma", "MESH:D001249", ["therapeutic"], ["2", "1"]),
    ("TNF", 7124, "Asthma", "MESH:D001249", ["marker/mechanism"], ["1", "3"]),
    ("TNF", 7124, "Breast Neoplasms", "MESH:D001943", ["marker/mechanism"], []),
    ("BRCA1", 672, "Breast Neoplasms", "MESH:D001943", ["marker/mechanism"], ["9"]),
    ("Brca1", 12189, "Alzheimer disease 2", "OMIM:104310", ["marker/mechanism"], []),
    ("NA", 5, "NAN", "MESH:D9", ["marker/mechanism"], []),
]


def associations(rows=ROWS):
    names = ("gene_symbol", "gene_id", "disease_name", "disease_id", "direct_evidence", "pubmed_ids")
    dicts = [
        dict(zip(names, row, strict=True)) | {"row_number": number, "omim_ids": []}
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(dicts, schema=TABLES["ctd.associations"].arrow)


@pytest.fixture(scope="module")
def vocabulary():
    return vocabulary_of(associations())


@pytest.mark.parametrize(
    ("typed", "name", "identifier"),
    [
        ("TNF", "TNF", "7124"), ("tnf", "TNF", "7124"), (" Tnf ", "TNF", "7124"), ("7124", "TNF", "7124"),
        ("BRCA1", "BRCA1", "672"), ("Brca1", "Brca1", "12189"), ("NA", "NA", "5"), ("5", "NA", "5"),
    ],
)  # fmt: skip
def test_a_gene_is_found_by_symbol_and_identifier(vocabulary, typed, name, identifier):
    found = vocabulary.gene(typed)
    assert (found.name, found.identifier) == (name, identifier)
    assert found.link == f"https://ctdbase.org/detail.go?type=gene&acc={identifier}"


@pytest.mark.parametrize(
    "typed", ["Asthma", "ASTHMA", "asthma", "MESH:D001249", "mesh:d001249", "D001249", "d001249"]
)
def test_a_disease_is_found_by_name_and_identifier(vocabulary, typed):
    found = vocabulary.disease(typed)
    assert (found.name, found.identifier) == ("Asthma", "MESH:D001249")
    assert found.link == "https://ctdbase.org/detail.go?type=disease&acc=MESH:D001249"


def test_an_omim_identifier_needs_no_prefix(vocabulary):
    assert (
        vocabulary.disease("104310").name == vocabulary.disease("OMIM:104310").name == "Alzheimer disease 2"
    )


def test_a_name_that_differs_from_several_in_capitals_alone_is_told(vocabulary):
    with pytest.raises(BioAlignError, match=r"'brca1'.*several in the release: BRCA1, Brca1"):
        vocabulary.gene("brca1")


@pytest.mark.parametrize("typed", ["", "  ", "\t"])
def test_nothing_is_told(vocabulary, typed):
    with pytest.raises(BioAlignError, match="found nothing"):
        vocabulary.disease(typed)


def test_what_the_release_does_not_have_keeps_its_name_and_gets_suggestions(vocabulary):
    found = vocabulary.disease("Breast Neoplasm")
    assert (found.name, found.identifier, found.link) == ("Breast Neoplasm", None, None)
    assert found.close == ("Breast Neoplasms",)
    assert vocabulary.gene("xyzzy").close == ()


@settings(deadline=None)
@given(typed=st.text(min_size=1).filter(str.strip))
def test_any_text_is_a_gene_or_none(vocabulary, typed):
    found = vocabulary.gene(typed) if typed.strip().casefold() != "brca1" else vocabulary.gene("BRCA1")
    assert found.identifier in {None, "7124", "672", "12189", "5"}


def test_rows_of_one_pair_are_one_association(vocabulary):
    found = vocabulary.associations["TNF", "Asthma"]
    assert found.direct_evidence == ("therapeutic", "marker/mechanism")
    assert found.pubmed_ids == ("2", "1", "3")
    assert ("TNF", "NAN") not in vocabulary.associations


def test_popularity_counts_diseases(vocabulary):
    assert vocabulary.popularity["TNF"] == 2
    assert vocabulary.popularity["BRCA1"] == 1


def test_no_associations_are_told():
    with pytest.raises(BioAlignError, match="bioalign demo"):
        vocabulary_of(associations([]))
