import gzip
import socket
import time

import pytest

from bioalign_assets.ctd.download import file_name_of
from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.source_address import public_source
from bioalign_assets.errors import ReleaseError, SourceError
from bioalign_assets_tests.ctd.ctd_files import ROWS, fetch, table

GOOD = gzip.compress(table().encode(), mtime=0)
BIG = gzip.compress(table([(f"G{i * 7919}", *ROWS[0][1:]) for i in range(20_000)]).encode(), mtime=0)
NAME = "/reports/CTD_curated_genes_diseases.csv.gz"


@pytest.fixture
def into(tmp_path):
    return tmp_path / "raw"


def get(url, into, *, timeout_s=5.0, verify=read_associations):
    return fetch(url, into=into, verify=verify, timeout_s=timeout_s)


def refusal(url, into, error=SourceError, **more):
    """Return the message of the refusal, which must be one paragraph and leave nothing behind."""
    with pytest.raises(error) as caught:
        get(url, into, **more)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(public_source(url))
    assert list(into.iterdir()) == []
    return str(caught.value)


def test_a_good_file_is_kept_byte_for_byte(site, into):
    raw, release = get(site.serve(NAME, GOOD), into)
    assert raw.path.read_bytes() == GOOD
    assert raw.path == into / raw.sha256 / "CTD_curated_genes_diseases.csv.gz"
    assert raw.source_uri == site.url + NAME
    assert not raw.is_synthetic
    assert release.associations.num_rows == len(ROWS)
    assert get(site.url + NAME, into)[0].path == raw.path
    assert len(list(into.iterdir())) == 1


def test_a_server_that_says_content_encoding_gives_the_text(site, into):
    raw, release = get(site.serve(NAME, GOOD, Content_Encoding="gzip"), into)
    assert raw.path.read_bytes() == table().encode()
    assert release.associations.num_rows == len(ROWS)


def test_the_file_is_asked_for_as_it_is(site, into):
    def answer(handler):
        asked.append(handler.headers["Accept-Encoding"])
        site.serve("/plain", GOOD)
        site.pages["/plain"](handler)

    asked = []
    site.pages[NAME] = answer
    get(site.url + NAME, into)
    assert asked == ["identity"]


def test_an_answer_without_length_is_accepted(site, into):
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BIG)

    site.pages[NAME] = answer
    assert get(site.url + NAME, into)[0].bytes == len(BIG)


def test_redirects_are_followed_and_the_name_is_the_one_asked_for(site, into):
    site.serve("/elsewhere", GOOD)
    raw, _ = get(site.serve(NAME, status=302, Location="/elsewhere"), into)
    assert raw.file_name == "CTD_curated_genes_diseases.csv.gz"
    assert site.asked == [NAME, "/elsewhere"]


def test_redirects_in_a_circle_are_refused(site, into):
    assert "redirects" in refusal(site.serve(NAME, status=302, Location=NAME), into)


@pytest.mark.parametrize("content_type", ["text/html", "application/gzip"])
def test_the_captcha_page_is_told_with_the_way_by_hand(site, into, content_type):
    page = b"<!DOCTYPE html><html><script src=altcha.js>"
    message = refusal(site.serve(NAME, page, Content_Type=content_type), into)
    assert "HTML" in message
    assert "asks for a human" in message
    assert "https://ctdbase.org/downloads/" in message
    assert "BIOALIGN_CTD_SOURCE" in message


def test_a_page_is_refused_before_the_rest_of_it_is_fetched(site, into):
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"<html>" + b" " * 1000)
        handler.wfile.flush()
        site.closing.wait(20)

    site.pages[NAME] = answer
    start = time.monotonic()
    assert "HTML" in refusal(site.url + NAME, into, timeout_s=30)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("status", "hint"),
    [(404, "has moved"), (503, "try again later"), (403, "refuses"), (429, "wait"), (500, "500")],
)
def test_http_errors_are_told_with_their_status(site, into, status, hint):
    message = refusal(site.serve(NAME, b"sorry", status=status), into)
    assert str(status) in message
    assert hint in message


def test_an_empty_answer_is_refused(site, into):
    assert "empty" in refusal(site.serve(NAME, b""), into)


@pytest.mark.parametrize("sent", [10, len(BIG) // 2, len(BIG) - 1])
def test_a_body_shorter_than_announced_is_refused(site, into, sent):
    url = site.serve(NAME, BIG[:sent], Content_Length=str(len(BIG)))
    assert "cut off" in refusal(url, into, verify=lambda _: None)


def test_a_table_that_does_not_verify_is_told_about_the_url(site, into):
    message = refusal(site.serve("/x.csv", table([("A", "zero", *ROWS[0][2:])]).encode()), into, ReleaseError)
    assert message.startswith(f"{site.url}/x.csv, line 9:")


@pytest.mark.parametrize("after", [0, 5000])
def test_a_silent_server_times_out(site, into, after):
    def answer(handler):
        if after:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(BIG)))
            handler.end_headers()
            handler.wfile.write(BIG[:after])
            handler.wfile.flush()
        site.closing.wait(20)

    site.pages[NAME] = answer
    start = time.monotonic()
    assert "no answer for 0.3 s" in refusal(site.url + NAME, into, timeout_s=0.3)
    assert time.monotonic() - start < 10


def test_an_unknown_host_is_told(site, into, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    message = refusal("http://ctd.invalid/x.csv", into)
    assert "no connection" in message
    assert "Name or service not known" in message
    assert "Check the host name" in message


@pytest.mark.parametrize("url", ["http://", "http://[::1/x.csv", "https://:99999/x", "http://a b/x"])
def test_a_broken_url_is_told(into, url):
    with pytest.raises(SourceError) as caught:
        get(url, into)
    assert "\n" not in str(caught.value)
    assert list(into.iterdir()) == []


def test_secrets_in_a_url_are_neither_kept_nor_told(site, into):
    url = site.serve(NAME, GOOD).replace("http://", "http://me:hush@") + "?signature=hush"
    assert "hush" not in get(url, into)[0].source_uri
    with pytest.raises(SourceError) as caught:
        get(url.replace(NAME, "/gone.csv"), into)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://ctdbase.org/reports/CTD_x.csv.gz", "CTD_x.csv.gz"),
        ("https://ctdbase.org/reports/CTD_x.csv.gz?a=b/c#d", "CTD_x.csv.gz"),
        ("https://ctdbase.org/", "release"),
        ("https://ctdbase.org", "release"),
        ("https://h/a/..", "release"),
        ("https://h/%2e%2e%2fetc%2fpasswd", "passwd"),
        ("https://h/.fetching-x.csv", "fetching-x.csv"),
        ("https://h/a%20b%00c.csv", "a_b_c.csv"),
        ("https://h/" + "x" * 500 + ".csv", "x" * 116 + ".csv"),
    ],
)
def test_file_names_are_safe(url, name):
    assert file_name_of(url, stem="release") == name
