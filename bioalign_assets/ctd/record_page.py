"""CTD's page about one gene or disease."""

from urllib.parse import quote

__all__ = ["record_page"]


def record_page(kind: str, identifier: str) -> str:
    """Return the address of a record's page at CTD, as CTD's terms want it linked.

    :param kind: ``gene`` or ``disease``
    :param identifier: GeneID, or MESH:… or OMIM:…
    """
    return f"https://ctdbase.org/detail.go?type={kind}&acc={quote(identifier, safe=':')}"
