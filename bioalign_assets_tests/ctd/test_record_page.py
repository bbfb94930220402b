"""Links to CTD's pages."""

import pytest

from bioalign_assets.ctd.record_page import record_page


@pytest.mark.parametrize(
    ("kind", "identifier", "address"),
    [
        ("gene", "672", "https://ctdbase.org/detail.go?type=gene&acc=672"),
        ("disease", "OMIM:1234", "https://ctdbase.org/detail.go?type=disease&acc=OMIM:1234"),
        ("disease", 'MESH:D1"&x=<', "https://ctdbase.org/detail.go?type=disease&acc=MESH:D1%22%26x%3D%3C"),
    ],
)
def test_a_record_is_linked_whatever_its_identifier_holds(kind, identifier, address):
    assert record_page(kind, identifier) == address
