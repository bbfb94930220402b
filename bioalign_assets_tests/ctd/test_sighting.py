"""Looking at a source: the same signature as a fetch, at the least cost, and no page taken for a release."""

import gzip
import os
import socket
import threading
from functools import partial

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.ctd import sighting
from bioalign_assets.ctd.sighting import Sighting, is_unchanged, look, of_demo, of_validators, validators_of
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.errors import SourceError
from bioalign_assets.study.source import DemoRelease
from bioalign_assets_tests.ctd.ctd_files import DATE, ROWS, block, fetch, save, table

SPEC = DemoRelease(genes=40, diseases=20, associations=60)
GOOD = gzip.compress(table().encode(), mtime=0)
BIG = table([(f"G{i * 7919}", *ROWS[0][1:]) for i in range(60_000)]).encode()
NAME = "/reports/CTD_curated_genes_diseases.csv.gz"
AUGUST, SEPTEMBER = "Wed, 27 Aug 2025 18:25:10 GMT", "Tue, 30 Sep 2025 14:00:00 GMT"
CAPTCHA = b"<!DOCTYPE html><html><script src=altcha.js>"
LATER = DATE.replace("27", "28")


def see(source, **more):
    return look(str(source), demo_release=SPEC, **more)


def get(source, into):
    demo = partial(write_demo_release, spec=SPEC)
    return fetch(source, into=into, demo=demo, timeout_s=5, demo_sighting=of_demo(SPEC))[0]


def refusal(source, **more):
    with pytest.raises(SourceError) as caught:
        see(source, **more)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy.endswith(".")
    return str(caught.value)


TOLD = {
    "etag": {"ETag": '"abc"', "Last_Modified": AUGUST},
    "weak": {"ETag": 'W/"abc-gzip"'},
    "modified": {"Last_Modified": AUGUST},
    "length": {},
}


@pytest.mark.parametrize(
    ("headers", "head"), [*((headers, True) for headers in TOLD.values()), (TOLD["etag"], False)]
)
def test_a_look_after_a_fetch_has_its_signature(site, tmp_path, headers, head):
    url = site.serve_file(NAME, GOOD, head=head, **headers)
    fetched = get(url, tmp_path / "raw").sighting
    assert see(url).signature == fetched.signature
    assert see(url, known=Sighting.from_json(fetched.to_json())) == fetched


@pytest.mark.parametrize("headers", list(TOLD.values())[:3], ids=list(TOLD)[:3])
def test_another_release_has_another_signature(site, tmp_path, headers):
    known = get(site.serve_file(NAME, GOOD, **headers), tmp_path / "raw").sighting
    other = {"ETag": '"def"'} if "ETag" in headers else {"Last_Modified": SEPTEMBER}
    url = site.serve_file(NAME, GOOD, **(headers | other))
    seen = see(url, known=known)
    assert seen.signature != known.signature
    assert seen == see(url)
    assert get(url, tmp_path / "raw").sighting == seen


def test_where_only_the_length_is_told_another_length_is_another_release(site):
    known = see(site.serve_file(NAME, GOOD))
    assert see(site.serve_file(NAME, GOOD + b"x"), known=known).signature != known.signature


def test_an_unchanged_url_costs_one_head_request(site):
    url = site.serve_file(NAME, GOOD, ETag='"abc"')
    known = see(url)
    site.methods.clear()
    assert see(url, known=known) is known
    assert site.methods == ["HEAD"]


@pytest.mark.parametrize("status", [403, 501])
def test_where_head_is_refused_a_condition_asks_for_the_file(site, status):
    url = site.serve_file(NAME, GOOD, head=False, ETag='"abc"', Last_Modified=AUGUST)
    site.heads[NAME] = lambda handler: handler.send_error(status)
    known = see(url)
    site.methods.clear()
    assert see(url, known=known) is known
    assert site.methods == ["HEAD", "GET"]
    assert site.sent == len(GOOD)  # of the first look; the second one was answered with 304


def test_a_head_that_is_hung_up_on_or_never_answered_is_no_harm(site):
    url = site.serve_file(NAME, GOOD, ETag='"abc"')
    known = see(url)

    def hang_up(handler):
        handler.close_connection = True

    site.heads[NAME] = hang_up
    assert see(url, known=known) is known
    site.heads[NAME] = lambda _: site.closing.wait(20)
    assert see(url, known=known, timeout_s=2) is known


def test_a_condition_that_only_knows_the_time_is_asked_too(site):
    url = site.serve_file(NAME, GOOD, head=False, Last_Modified=AUGUST)
    known = see(url)
    sent = site.sent
    assert see(url, known=known) is known
    assert site.sent == sent


def test_no_more_than_the_beginning_of_the_file_is_fetched(site):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("ETag", '"big"')
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        handler.wfile.write(BIG[:2000])
        handler.wfile.flush()
        site.closing.wait(20)

    site.pages[NAME] = answer
    seen = see(site.url + NAME)
    assert seen.signature.endswith("etag big")
    assert "1,099,511,627,776 bytes" in seen.told


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        ({}, "text/html; charset=utf-8"),
        ({"ETag": '"x"'}, "application/gzip"),
        ({"Last_Modified": SEPTEMBER}, ""),
    ],
)
def test_the_page_that_asks_for_a_human_is_never_a_new_release(site, headers, content_type):
    known = see(site.serve_file(NAME, GOOD, ETag='"abc"', Last_Modified=AUGUST))
    url = site.serve_file(NAME, CAPTCHA, Content_Type=content_type, **headers)
    message = refusal(url, known=known)
    assert "HTML" in message
    assert "https://ctdbase.org/downloads/" in message


def test_a_page_that_does_not_start_like_one_is_known_by_its_type(site, tmp_path):
    url = site.serve_file(NAME, b"Please enable JavaScript to go on", ETag='"x"', Content_Type="text/html")
    assert "text/html" in refusal(url)
    with pytest.raises(SourceError, match="text/html"):
        get(url, tmp_path)
    json = site.serve_file(NAME, b'{"error": "rate"}', ETag='"x"', Content_Type="application/json")
    assert "JSON" in refusal(json)


def test_a_page_inside_gzip_is_found(site):
    assert "HTML" in refusal(site.serve_file(NAME, gzip.compress(CAPTCHA), ETag='"x"'))


@pytest.mark.parametrize(
    "body", [GOOD, table().encode(), table(header="").encode(), table(header=block()).encode()]
)
def test_a_table_that_a_server_calls_a_page_is_seen_as_it_is_fetched(site, tmp_path, body):
    url = site.serve_file("/a.csv", body, Content_Type="text/html", ETag='"abc"')
    if body.startswith(b"NA,"):  # no header at all: neither a look nor a fetch takes it
        assert "text/html" in refusal(url)
    else:
        assert see(url).signature == get(url, tmp_path).sighting.signature


def test_an_empty_answer_is_refused(site):
    assert "empty" in refusal(site.serve_file(NAME, b"", ETag='"x"'))


def test_what_a_server_refuses_is_told(site):
    known = see(site.serve_file(NAME, GOOD, ETag='"abc"'))
    url = site.serve(NAME, b"sorry", status=503)
    site.heads.clear()
    for message in (refusal(url), refusal(url, known=known)):
        assert "503" in message
        assert "try again later" in message
        assert message.startswith(url)


def test_a_304_that_nobody_asked_for_is_refused(site):
    assert "304" in refusal(site.serve(NAME, status=304))


def test_a_server_that_tells_nothing_has_no_signature(site, tmp_path):
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(GOOD)

    site.pages[NAME] = answer
    url = site.url + NAME
    assert see(url) is None
    fetched = get(url, tmp_path)
    assert fetched.sighting.signature == f"sha256 {fetched.sha256}"
    assert see(url, known=fetched.sighting) is None


@pytest.mark.parametrize(
    ("where", "has_known"), [("headers", False), ("body", True), ("silence", False), ("silence", True)]
)
def test_a_server_that_drips_ends_the_look_on_time(site, where, has_known):
    known = see(site.serve_file(NAME, GOOD, ETag='"abc"')) if has_known else None

    def drip(handler):
        if where == "silence":
            site.closing.wait(20)
            return
        start = (
            b"HTTP/1.1 200 OK\r\nX-Slow: " if where == "headers" else b"HTTP/1.1 200 OK\r\nETag: 1\r\n\r\n"
        )
        handler.wfile.write(start)
        for _ in range(200):
            handler.wfile.write(b"#")
            handler.wfile.flush()
            if site.closing.wait(0.05):
                return

    site.pages[NAME] = drip
    site.heads[NAME] = drip
    message = refusal(site.url + NAME, known=known, timeout_s=0.5)
    assert "no answer for 0.5 s" in message
    assert "try again later" in message


def test_a_name_server_that_hangs_ends_the_look_on_time(site, monkeypatch):
    may_answer, was_waited_for = threading.Event(), []

    def hang(*_, **__):
        if not may_answer.wait(120):
            was_waited_for.append(True)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        assert "no answer for 0.2 s" in refusal("http://ctd.invalid/x.csv", timeout_s=0.2)
        assert not was_waited_for
    finally:
        may_answer.set()


def test_secrets_in_a_url_are_neither_kept_nor_told(site):
    plain = site.serve_file(NAME, GOOD, ETag='"abc"')
    url = plain.replace("http://", "http://me:hush@") + "?signature=hush"
    assert "hush" not in see(url).to_json()
    assert "hush" not in refusal(url.replace(NAME, "/gone.csv"))
    assert see(url, known=see(plain)) == see(plain)


def test_the_sighting_of_another_url_is_not_taken_for_this_one(site):
    known = see(site.serve_file("/a.csv.gz", GOOD, ETag='"abc"'))
    seen = see(site.serve_file("/b.csv.gz", GOOD, ETag='"abc"'), known=known)
    assert seen.signature != known.signature
    assert seen.signature.startswith(f"{site.url}/b.csv.gz")


@pytest.mark.parametrize("source", ["ftp://ctdbase.org/x.csv", "/no/such/folder", "http://"])
def test_a_source_that_is_none_is_refused(source):
    assert "BIOALIGN_CTD_SOURCE" in refusal(source)


def test_the_demo_is_known_by_its_settings(tmp_path):
    fetched = get("demo", tmp_path)
    assert see("demo") == see(" demo\n", known=fetched.sighting) == fetched.sighting
    other = look("demo", demo_release=SPEC.model_copy(update={"seed": 7}))
    assert other.signature != fetched.sighting.signature


def test_a_file_is_known_by_its_content(tmp_path):
    path = save(tmp_path / "a.csv.gz", table())
    fetched = get(path, tmp_path / "raw").sighting
    assert see(path) == see(path.as_uri()) == see(path, known=fetched) == fetched
    renamed = path.rename(tmp_path / "b.csv.gz")
    assert see(renamed, known=fetched).signature == fetched.signature
    save(renamed, table(ROWS[:2]))
    assert see(renamed, known=fetched).signature != fetched.signature


def test_a_write_is_noticed_whatever_the_times_say(tmp_path):
    path = save(tmp_path / "a.csv", table())
    known = see(path)
    stat = path.stat()
    changed = table().replace("Made-up", "Made-UP")
    path.write_text(changed)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert see(path, known=known).signature != known.signature


def test_an_unchanged_file_is_not_read(tmp_path, monkeypatch):
    path = save(tmp_path / "a.csv", table())
    known = see(path)

    def read(path):
        raise AssertionError(path)

    monkeypatch.setattr(sighting, "file_sha256", read)
    assert see(path, known=known) is known
    with pytest.raises(AssertionError):
        see(path)


def test_a_folder_looks_as_its_newest_report(tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    old = save(folder / "z.csv", table())
    before = see(folder)
    assert before == see(old)
    new = save(folder / "a.csv.gz", table(ROWS[:2], header=block(date=LATER)))
    save(folder / "page.csv", "<html>")
    after = see(folder, known=before)
    assert after == see(new) == get(folder, tmp_path / "raw").sighting
    assert after.signature != before.signature
    save(folder / "older.csv", table(ROWS[:1], header=block(date=DATE.replace("2025", "2020"))))
    assert see(folder, known=after) == after


@pytest.mark.parametrize(("text", "found"), [("<html>", "HTML"), ("", "empty")])
def test_a_file_that_is_no_table_is_refused(tmp_path, text, found):
    assert found in refusal(save(tmp_path / "a.csv", text))


def test_a_file_that_is_not_ctd_s_is_sighted_for_the_gate_to_judge(tmp_path):
    assert see(save(tmp_path / "a.csv", "a,b\n1,2\n")).signature.startswith("sha256 ")


def test_a_look_may_stand_in_a_running_event_loop(site):
    import asyncio

    url = site.serve_file(NAME, GOOD, ETag='"abc"')

    async def inside():
        return see(url)

    assert asyncio.run(inside()) == see(url)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"signature": "a"}', '{"validators": 3}'])
def test_what_is_no_sighting_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own errors are ValueErrors with other words
        Sighting.from_json(text)


texts = st.text(max_size=20)


@settings(deadline=None)
@given(texts, texts, st.dictionaries(texts, texts, max_size=4))
def test_a_sighting_survives_json(signature, told, validators):
    sighting = Sighting(signature=signature, told=told, validators=validators)
    assert "\n" not in sighting.to_json()
    assert Sighting.from_json(sighting.to_json()) == sighting


tags = st.from_regex(r"[a-f0-9]{1,12}(-[a-f0-9]{1,6})?", fullmatch=True)


@settings(deadline=None)
@given(tags, tags)
def test_etags_are_told_apart_whatever_a_server_does_around_them(one, other):
    def seen(tag):
        headers = httpx.Headers({"ETag": tag, "Content-Length": "5"})
        return of_validators("https://h/x", validators=validators_of(headers))

    plain = seen(f'"{one}"')
    for form in (f'W/"{one}"', f'"{one}-gzip"', f'W/"{one}--gzip"', f'"{one};br"', f'"{one}"-gzip'):
        assert seen(form).signature == plain.signature
        assert is_unchanged("https://h/x", validators=seen(form).validators, known=plain)
    assert (seen(f'"{other}"').signature == plain.signature) == (one == other)


def test_nothing_shared_is_nothing_known():
    known = Sighting(signature="https://h/x etag a", told="", validators={"etag": '"a"'})
    assert not is_unchanged("https://h/x", validators={"length": "5"}, known=known)
    assert not is_unchanged("https://h/x", validators={}, known=known)
    assert of_validators("https://h/x", validators={}) is None
