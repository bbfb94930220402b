"""The gate: which releases are refused, what is kept of them, and how a person overrules it."""

import gzip
import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pytest

from bioalign_assets.ctd.refused_releases import Objection, keep_aside, kept_aside, was_accepted
from bioalign_assets.ctd.release_gate import InForce, Ingested, Refused, columns_of, in_force_of, ingest
from bioalign_assets.ctd.source import fetched
from bioalign_assets.ctd.synthetic import write_demo_release
from bioalign_assets.errors import ReleaseError, SourceError
from bioalign_assets.study.source import DemoRelease
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.ctd.ctd_files import COLUMNS, DATE, FULL_COLUMNS, block, save, table

MANY = [(f"G{i}", str(i), "Made-up", f"MESH:D{i:06d}", "marker/mechanism", "", "7") for i in range(1, 101)]
EARLIER, LATER = DATE.replace("27", "26"), DATE.replace("27", "28")
SPEC = DemoRelease(genes=40, diseases=20, associations=60)


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "warehouse" / "raw"


def fetching(raw):
    return partial(
        fetched, into=raw / "ctd", demo=partial(write_demo_release, spec=SPEC), stem="demo", timeout_s=5
    )


def bring(source, raw, *, in_force=None, accept=""):
    return ingest(str(source), fetching=fetching(raw), raw=raw, in_force=in_force, accept=accept)


def files_in(folder):
    """All files there, hidden ones and unfinished ones too."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def state_of(ingested: Ingested) -> InForce:
    return InForce(
        sha256=ingested.raw.sha256,
        rows=len(ingested.release.associations),
        columns=columns_of(ingested.raw.path),
        report_created=ingested.release.report_created,
        is_synthetic=ingested.raw.is_synthetic,
    )


@pytest.fixture
def in_force(tmp_path, raw):
    """A release of 100 associations, in force."""
    return state_of(bring(save(tmp_path / "first.csv", table(MANY)), raw))


def with_columns(columns, rows=MANY, **more):
    """Return the text of a file with these columns; those that CTD doesn't have are filled with x."""
    places = {name: place for place, name in enumerate(COLUMNS)}
    filled = [[row[places[name]] if name in places else "x" for name in columns] for row in rows]
    return table(filled, header=block(columns, **more))


ACCEPTABLE = {
    "the same again": table(MANY),
    "the same rows with another header": table(MANY, header=block(terms=9)),
    "newer": table(MANY[:95], header=block(date=LATER)),
    "exactly a fifth fewer": table(MANY[:80]),
    "many more": table([*MANY, *[(f"H{i}", str(1000 + i), *MANY[0][2:]) for i in range(500)]]),
    "without a date": table(MANY, header=block(date=None)),
    "a date that can't be read": table(MANY, header=block(date="some day in August")),
    "columns in another order": with_columns(tuple(reversed(COLUMNS))),
    "the full report": with_columns(FULL_COLUMNS),
    "tab-separated": table(MANY, delimiter="\t"),
    "plain header": table(MANY, header=",".join(COLUMNS) + "\n"),
    "one new word of evidence in a hundred": table([*MANY[:99], (*MANY[99][:4], "inferred", *MANY[99][5:])]),
    "names that differ in case": table([*MANY, ("g0", "1000", *MANY[0][2:])]),
    "a gene of a worm": table([*MANY, ("AVR-15", "1000", *MANY[0][2:])]),
}


@pytest.mark.parametrize("text", ACCEPTABLE.values(), ids=ACCEPTABLE)
def test_a_release_like_the_one_in_force_goes_in(tmp_path, raw, in_force, text):
    result = bring(save(tmp_path / "next.csv", text), raw, in_force=in_force)
    assert isinstance(result, Ingested)
    assert result.overruled == ()
    assert result.raw.path.parent == raw / "ctd" / result.raw.sha256
    assert kept_aside(raw) == []


def with_evidence(word, *, of):
    return table([(*row[:4], word, *row[5:]) if place < of else row for place, row in enumerate(MANY)])


def with_symbol(*symbols):
    return table([*MANY, *[(symbol, str(1000 + at), *MANY[0][2:]) for at, symbol in enumerate(symbols)]])


def without_last_fields(text):
    lines = text.splitlines()
    lines[-3] = lines[-3].rsplit(",", 2)[0]
    return "\n".join(lines)


REFUSED = {
    "more than a fifth fewer": (table(MANY[:79]), "rows", "21% fewer"),
    "a column more": (with_columns((*COLUMNS, "Score")), "columns", "new: 'Score'"),
    "twice the same": (table([*MANY, MANY[3]]), "duplicates", "1 of 101 rows"),
    "older": (table(MANY, header=block(date=EARLIER)), "older", "2025-08-26 18:25"),
    "evidence in another spelling": (
        with_evidence("Marker/Mechanism", of=98),
        "evidence",
        "98 of 100 rows with direct evidence (98.00%) have other words than marker/mechanism and therapeutic ('Marker/Mechanism' in 98.00%)",
    ),
    "a word of evidence that is new in two of a hundred": (
        with_evidence("inferred", of=2),
        "evidence",
        "2.00%",
    ),
    "evidence in another spelling everywhere": (
        with_evidence("Therapeutic", of=100),
        "unreadable",
        "'Therapeutic' in 100.00%",
    ),
    "evidence with another separator": (
        with_evidence("marker/mechanism;therapeutic", of=100),
        "unreadable",
        "'marker/mechanism;therapeutic'",
    ),
    "a symbol in letters of another script": (with_symbol("G\u0410", "GA"), "names", "'GA' and 'G\\u0410'"),
    "symbols with two dashes": (with_symbol("G\u2013A", "G-A"), "names", "'G-A' and 'G\\u2013A'"),
    "symbols that may be dates": (with_symbol("SEP-2", "DEC-1"), "names", "'DEC-1' with the GeneID 1001"),
    "a column less": (with_columns(COLUMNS[:-1]), "unreadable", "PubMedIDs"),
    "a column renamed": (
        table(MANY).replace("GeneSymbol", "Gene_Symbol"),
        "unreadable",
        "'Gene_Symbol' meant",
    ),
    "fields less": (without_last_fields(table(MANY)), "unreadable", "line 106: found 5 fields"),
    "a field of another form": (table([*MANY, ("A", "x", *MANY[0][2:])]), "unreadable", "'x'"),
    "not UTF-8": (table(MANY).encode().replace(b"Made-up", b"Made\xffup", 1), "unreadable", "not UTF-8"),
    "no curated row": (table([(*row[:4], "", *row[5:]) for row in MANY]), "unreadable", "no curated row"),
    "no row": (block(), "unreadable", "no rows"),
}


@pytest.mark.parametrize(("text", "rule", "told"), REFUSED.values(), ids=REFUSED)
def test_a_release_that_looks_wrong_is_kept_aside_with_the_reasons(tmp_path, raw, in_force, text, rule, told):
    kept_before = files_in(raw)
    source = save(tmp_path / "next.csv", text)
    result = bring(source, raw, in_force=in_force)
    assert isinstance(result, Refused)
    assert [objection.rule for objection in result.record.objections] == [rule]
    (record,) = kept_aside(raw)
    assert record == result.record
    assert record.path.read_bytes() == source.read_bytes()
    assert record.folder == raw / "ctd-blocked" / record.sha256
    # what was in force stays as it was, and nothing else is left
    assert files_in(raw) == sorted([*kept_before, record.path, record.folder / "why.json"])
    assert record.accepted_at is None
    assert abs((datetime.now(UTC) - record.refused_at).total_seconds()) < 60
    why = json.loads((record.folder / "why.json").read_text())
    assert {"signature", "sha256", "source", "objections", "refused_at"} <= set(why)
    assert why["source"] == source.as_uri()
    assert why["signature"] == record.signature == f"sha256 {record.sha256}"
    message = str(result.error)
    assert "\n" not in message
    for part in (told, source.as_uri(), str(record.folder), "the last good release stays in force"):
        assert part in message
    assert ("--accept" in message) == (rule != "unreadable") == record.is_readable
    assert result.error.remedy.endswith(".")


NO_FILE = {
    "a web page": (b"<!DOCTYPE html><html>altcha: prove that you are human</html>", "browser"),
    "nothing": (b"", "an empty file"),
    "an archive": (b"PK\x03\x04", "ZIP"),
    "a gzip file that was cut off": (gzip.compress(table(MANY).encode())[:-200], "ends too early"),
}


@pytest.mark.parametrize(("content", "told"), NO_FILE.values(), ids=NO_FILE)
def test_of_a_source_that_gives_no_file_nothing_is_kept(tmp_path, raw, in_force, content, told):
    kept = files_in(raw)
    source = save(tmp_path / "next.csv.gz", content, gz=False)
    with pytest.raises(SourceError, match=told) as caught:
        bring(source, raw, in_force=in_force)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(source.as_uri())
    assert caught.value.remedy.endswith(".")
    assert files_in(raw) == kept


def test_what_goes_in_brings_its_remarks(tmp_path, raw):
    rows = [*MANY[:99], (*MANY[99][:4], "inferred", *MANY[99][5:])]
    result = bring(save(tmp_path / "next.csv", table(rows, header=block(date="some day"))), raw)
    assert result.remarks == (
        "Words of direct evidence that make no positive: 1 time, first on line 108.",
        "1 of 100 rows with direct evidence (1.00%) have other words than marker/mechanism and therapeutic ('inferred' in 1.00%).",
        "Its date can't be told: 'some day' is not of the form 'Wed Aug 27 14:25:10 EDT 2025'.",
    )


def test_everything_that_speaks_against_a_release_is_told(tmp_path, raw, in_force):
    text = with_columns((*COLUMNS, "Score"), rows=[*MANY[:50], MANY[0]], date=EARLIER)
    result = bring(save(tmp_path / "next.csv", text), raw, in_force=in_force)
    rules = {objection.rule for objection in result.record.objections}
    assert rules == {"rows", "columns", "duplicates", "older"}
    for objection in result.record.objections:
        assert objection.text in str(result.error)


def test_the_full_report_does_not_hide_a_new_column(tmp_path, raw, in_force):
    text = with_columns((*FULL_COLUMNS, "Score"))
    result = bring(save(tmp_path / "next.csv", text), raw, in_force=in_force)
    assert [objection.rule for objection in result.record.objections] == ["columns"]


def test_a_column_that_was_there_and_is_gone_is_told(tmp_path, raw):
    first = bring(save(tmp_path / "a.csv", with_columns((*COLUMNS, "Score"))), raw)
    result = bring(save(tmp_path / "b.csv", table(MANY)), raw, in_force=state_of(first))
    assert "gone: 'Score'" in str(result.error)


@pytest.mark.parametrize("is_synthetic", [True, False])
def test_a_change_of_source_is_not_compared(tmp_path, raw, in_force, is_synthetic):
    before = replace(in_force, is_synthetic=is_synthetic, rows=10_000)
    source = "demo" if not is_synthetic else save(tmp_path / "n.csv", table(MANY, header=block(date=EARLIER)))
    assert isinstance(bring(source, raw, in_force=before), Ingested)
    assert isinstance(bring(source, raw, in_force=replace(before, is_synthetic=not is_synthetic)), Refused)
    assert isinstance(bring(source, raw, in_force=None), Ingested)


@pytest.mark.parametrize("before", ["nothing", "synthetic", "real"])
def test_duplicates_always_count(tmp_path, raw, in_force, before):
    state = {"nothing": None, "synthetic": replace(in_force, is_synthetic=True), "real": in_force}[before]
    result = bring(save(tmp_path / "n.csv", table([*MANY, MANY[0]])), raw, in_force=state)
    assert [objection.rule for objection in result.record.objections] == ["duplicates"]
    assert ("nothing is in force yet" in str(result.error)) == (before == "nothing")


def test_the_file_in_force_is_not_judged_anew(tmp_path, raw):
    source = save(tmp_path / "n.csv", table([*MANY, MANY[0]]))
    refused = bring(source, raw)
    accepted = bring(source, raw, accept=refused.record.sha256)
    assert isinstance(bring(source, raw, in_force=state_of(accepted)), Ingested)


def test_what_a_person_accepts_goes_into_force_from_where_it_was_kept(tmp_path, raw, in_force):
    source = save(tmp_path / "next.csv", table(MANY[:50]))
    refused = bring(source, raw, in_force=in_force).record
    source.unlink()  # the source has moved on
    for sha256 in (refused.sha256, f" {refused.sha256.upper()}\n"):
        result = bring(source, raw, in_force=in_force, accept=sha256)
        assert isinstance(result, Ingested)
        assert result.overruled == refused.objections
        assert result.raw.path == raw / "ctd" / refused.sha256 / "next.csv"
        assert (result.raw.source_uri, result.raw.sighting) == (source.as_uri(), refused.sighting)
    (record,) = kept_aside(raw)
    assert record.accepted_at >= record.refused_at
    assert record.model_copy(update={"accepted_at": None}) == refused
    assert was_accepted(refused.sha256, raw=raw)
    assert not was_accepted(in_force.sha256, raw=raw)


def test_only_the_very_file_is_accepted(tmp_path, raw, in_force):
    refused = bring(save(tmp_path / "next.csv", table(MANY[:50])), raw, in_force=in_force).record
    other = save(tmp_path / "other.csv", table(MANY[:40]))
    result = bring(other, raw, in_force=in_force, accept=refused.sha256)
    assert result.raw.sha256 == refused.sha256
    assert isinstance(bring(other, raw, in_force=state_of(result)), Ingested)  # 20% fewer than accepted
    assert isinstance(bring(other, raw, in_force=in_force), Refused)


def test_what_comes_up_again_after_it_was_accepted_is_refused_again(tmp_path, raw, in_force):
    source = save(tmp_path / "next.csv", table(MANY[:50]))
    sha256 = bring(source, raw, in_force=in_force).record.sha256
    bring(source, raw, in_force=in_force, accept=sha256)
    assert isinstance(bring(source, raw, in_force=in_force), Refused)
    (record,) = kept_aside(raw)
    assert record.accepted_at is None


@pytest.mark.parametrize("accept", ["f" * 64, "no such", "../../etc"])
def test_an_unknown_file_can_not_be_accepted(tmp_path, raw, in_force, accept):
    refused = bring(save(tmp_path / "next.csv", table(MANY[:50])), raw, in_force=in_force).record
    with pytest.raises(ReleaseError, match=refused.sha256):
        bring(tmp_path / "next.csv", raw, in_force=in_force, accept=accept)


def test_what_can_not_be_read_can_not_be_accepted(tmp_path, raw, in_force):
    source = save(tmp_path / "next.csv", "a,b\n1,2\n")
    sha256 = bring(source, raw, in_force=in_force).record.sha256
    with pytest.raises(ReleaseError, match="Nobody can accept it"):
        bring(source, raw, in_force=in_force, accept=sha256)
    assert not was_accepted(sha256, raw=raw)


def test_a_refused_file_that_was_changed_is_not_accepted(tmp_path, raw, in_force):
    source = save(tmp_path / "next.csv", table(MANY[:50]))
    record = bring(source, raw, in_force=in_force).record
    record.path.write_text(table(MANY[:49]))
    with pytest.raises(ReleaseError, match="changed since"):
        bring(source, raw, in_force=in_force, accept=record.sha256)


def test_refused_releases_are_told_the_last_one_first(tmp_path, raw, in_force):
    sources = [save(tmp_path / f"{n}.csv", table(MANY[:n])) for n in (10, 20, 30)]
    for source in [*sources, sources[0]]:
        bring(source, raw, in_force=in_force)
    assert [record.path.name for record in kept_aside(raw)] == [
        "10.csv",
        "30.csv",
        "20.csv",
    ]


def test_a_url_is_known_again_by_its_signature(site, raw, in_force):
    url = site.serve_file("/next.csv", table(MANY[:50]).encode(), ETag='"bad"')
    record = bring(url, raw, in_force=in_force).record
    assert record.signature == f"{url} etag bad"


def test_a_folder_that_a_hand_has_changed_is_left_out(tmp_path, raw, in_force):
    folder = raw / "ctd-blocked"
    assert kept_aside(raw) == []
    record = bring(save(tmp_path / "next.csv", table(MANY[:50])), raw, in_force=in_force).record
    (folder / "notes").mkdir()
    (folder / "notes.txt").write_text("mine")
    for name, content in (("a", "{}"), ("b", "no json"), ("c", "[1]")):
        (folder / name).mkdir()
        (folder / name / "why.json").write_text(content)
    assert kept_aside(raw) == [record]


def test_a_refused_file_with_an_awkward_name_is_kept(site, raw, in_force):
    url = site.serve_file("/why.json", table(MANY[:50]).encode())
    record = bring(url, raw, in_force=in_force).record
    assert record.path.read_text() == table(MANY[:50])
    assert kept_aside(raw) == [record]


def test_nothing_is_left_when_keeping_aside_fails(tmp_path, raw):
    with fetching(raw)(str(save(tmp_path / "next.csv", table(MANY)))) as file:
        gone = replace(file, path=tmp_path / "gone.csv")
        with pytest.raises(FileNotFoundError):
            keep_aside(gone, objections=[Objection(rule="rows", text="few")], raw=raw)
    assert files_in(raw) == []


def test_what_a_killed_process_left_beside_the_refused_goes_a_day_later(tmp_path, raw):
    left = raw / "ctd-blocked" / "0.partial"
    left.mkdir(parents=True)
    yesterday = time.time() - 25 * 3600
    os.utime(left, (yesterday, yesterday))
    refused = bring(save(tmp_path / "n.csv", table([*MANY, MANY[0]])), raw).record
    assert list(left.parent.iterdir()) == [refused.folder]


def test_the_release_in_force_is_read_from_its_table(tmp_path, raw):
    schema = TABLES["ctd.release"].arrow
    root = raw.parent
    assert in_force_of(schema.empty_table(), root=root) is None
    ingested = bring(save(tmp_path / "a.csv", with_columns((*FULL_COLUMNS, "Score"))), raw)
    row = {
        "source_uri": "x", "file_name": "a.csv", "sha256": ingested.raw.sha256, "content_sha256": "y", "bytes": 5,
        "raw_path": ingested.raw.path.relative_to(root).as_posix(), "rows": 100, "is_synthetic": False,
        "report_created": ingested.release.report_created, "retrieved_at": ingested.raw.retrieved_at,
    }  # fmt: skip
    rows = pa.Table.from_pylist([row], schema=schema)
    state = state_of(ingested)
    assert in_force_of(rows, root=root) == state
    ingested.raw.path.unlink()
    gone = in_force_of(rows, root=root)
    assert gone == replace(state, columns=frozenset())
    # what can still be compared is
    assert isinstance(bring(save(tmp_path / "b.csv", table(MANY)), raw, in_force=gone), Ingested)
    assert isinstance(bring(save(tmp_path / "c.csv", table(MANY[:50])), raw, in_force=gone), Refused)
