import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from bioalign_assets.ctd.release import read_associations
from bioalign_assets.ctd.report_kind import DISEASES
from bioalign_assets.ctd.source_address import public_source
from bioalign_assets.ctd.synthetic import write_demo_diseases, write_demo_release
from bioalign_assets.errors import ReleaseError, SourceError
from bioalign_assets.study.source import DemoRelease
from bioalign_assets_tests.ctd.ctd_files import ROWS, block, fetch, save, table

SPEC = DemoRelease(genes=40, diseases=20, associations=60)


def demo(path):
    write_demo_release(path, spec=SPEC)


def get(source, into, *, verify=read_associations, **more):
    return fetch(source, into=into, demo=demo, stem="demo_release", verify=verify, **more)


@pytest.fixture
def into(tmp_path):
    return tmp_path / "raw" / "ctd"


def left_in(into):
    return sorted(into.iterdir()) if into.exists() else []


def refusal(source, into, error=SourceError, **more):
    """Return the message of the refusal, which must be one paragraph and leave nothing behind."""
    before = left_in(into)
    with pytest.raises(error) as caught:
        get(source, into, **more)
    assert "\n" not in str(caught.value)
    assert ".fetching-" not in str(caught.value)
    assert left_in(into) == before
    return str(caught.value)


@pytest.fixture
def good(tmp_path):
    return save(tmp_path / "CTD_curated_genes_diseases.csv.gz", table())


def test_the_demo_is_written_verified_and_kept(into):
    raw, release = get("demo", into)
    assert raw.path == into / raw.sha256 / "demo_release.csv.gz"
    assert raw.sha256 == sha256(raw.path.read_bytes()).hexdigest()
    assert raw.bytes == raw.path.stat().st_size
    assert raw.is_synthetic
    assert raw.source_uri == "demo"
    assert abs(datetime.now(UTC) - raw.retrieved_at) < timedelta(minutes=5)
    assert release.associations.num_rows == 60
    assert left_in(into) == [raw.path.parent]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv", "a.tsv", "with space, and ü.csv"])
def test_a_file_is_kept_as_it_is(tmp_path, into, name):
    original = save(tmp_path / name, table(delimiter="\t" if name.endswith("tsv") else ","))
    raw, release = get(original, into)
    assert raw.path.read_bytes() == original.read_bytes()
    assert (raw.file_name, raw.path.name) == (name, name)
    assert raw.source_uri == original.as_uri()
    assert not raw.is_synthetic
    assert release.associations.num_rows == len(ROWS)
    assert get(original.as_uri(), into)[0].path == raw.path


def test_gzip_inside_of_gzip_is_told(tmp_path, into):
    twice = save(tmp_path / "a.csv.gz", gzip.compress(table().encode()))
    assert "a gzip file inside of a gzip file" in refusal(twice, into)


def test_a_path_may_start_with_a_tilde_or_be_relative(tmp_path, into, good, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    paths = {get(name, into)[0].path for name in (f"~/{good.name}", good.name, f"  {good}\n")}
    assert len(paths) == 1


def test_a_demo_release_given_as_a_file_is_still_synthetic(tmp_path, into):
    for name in ("d.csv.gz", "d.csv"):
        demo(tmp_path / name)
        assert get(tmp_path / name, into)[0].is_synthetic


def test_the_same_content_is_kept_once(tmp_path, into, good):
    first, _ = get(good, into)
    inode = first.path.stat().st_ino
    again, _ = get(good, into)
    renamed, _ = get(save(tmp_path / "other name.csv.gz", table()), into)
    assert first.path == again.path == renamed.path
    assert renamed.file_name == "other name.csv.gz"
    assert first.path.stat().st_ino == inode
    assert len(left_in(into)) == 1
    get("demo", into)
    assert len(left_in(into)) == 2


def test_a_kept_file_that_was_damaged_is_replaced(into, good):
    kept = get(good, into)[0].path
    kept.write_bytes(b"damaged")
    assert get(good, into)[0].path.read_bytes() == good.read_bytes()


def test_another_kind_of_report_can_be_fetched(tmp_path, into):
    write_demo_diseases(tmp_path / "CTD_diseases.csv.gz", spec=SPEC)
    write_demo_release(tmp_path / "CTD_curated.csv.gz", spec=SPEC)
    raw, size = get(tmp_path, into, verify=lambda path: path.stat().st_size, kind=DISEASES)
    assert raw.file_name == "CTD_diseases.csv.gz"
    assert size == raw.bytes
    assert "BIOALIGN_CTD_DISEASES_SOURCE" in refusal(tmp_path / "no.csv", into, kind=DISEASES)


def test_what_does_not_verify_leaves_nothing_and_is_told_about_the_source(tmp_path, into):
    path = save(tmp_path / "bad.csv", table([("A", "x", *ROWS[0][2:])]))
    assert refusal(path, into, ReleaseError).startswith(f"{path.as_uri()}, line 9: found the GeneID 'x'")


def test_a_truncated_gzip_is_refused_before_anybody_reads_it(tmp_path, into):
    path = save(tmp_path / "a.csv.gz", table([(f"G{i * 7919}", *ROWS[0][1:]) for i in range(20_000)]))
    path.write_bytes(path.read_bytes()[:-9])
    assert "ends too early" in refusal(path, into, verify=pytest.fail)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_nothing_is_left_when_verify_raises_anything(into, good, error):
    def verify(path):
        assert path.read_bytes() == good.read_bytes()
        raise error("stop")

    with pytest.raises(error, match="stop"):
        get(good, into, verify=verify)
    assert left_in(into) == []


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("/no/such/file.csv", "nothing there"),
        ("demoo", "nothing there"),
        ("~nobody-by-this-name/x.csv", "home"),
        ("", "no source"),
        ("ftp://ctdbase.org/x.csv", "scheme 'ftp'"),
        ("s3://key:secret@bucket/x.csv", "scheme 's3'"),
        ("a\0b", "nothing there"),
        ("x" * 5000, "name too long"),
        ("/dev/null", "neither file nor folder"),
    ],
)
def test_a_source_that_is_none_is_refused_with_what_may_stand_there(into, source, named):
    message = refusal(source, into)
    assert named in message.lower()
    assert "folder" in message
    assert "BIOALIGN_CTD_SOURCE" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("demo", "demo"),
        ("file:///data/a@b.csv", "file:///data/a@b.csv"),
        ("https://ctdbase.org/reports/x.csv.gz", "https://ctdbase.org/reports/x.csv.gz"),
        ("https://host:8080/x.csv", "https://host:8080/x.csv"),
        ("https://host/@scope/x.csv", "https://host/@scope/x.csv"),
        ("https://[::1]:80/x", "https://[::1]:80/x"),
        ("https://u:SECRET@host/x?SECRET#SECRET", "https://host/x"),
        ("https://SECRET@host/x", "https://host/x"),
        ("https://u:SE@SECRET@host/x", "https://host/x"),
        ("HTTPS://u:SECRET@host", "HTTPS://host"),
        ("https://host?SECRET", "https://host"),
        ("https://u:SEC/RET@host/x", "https://…"),
        ("https://u:12/SECRET@host/x", "https://…"),
        ("https://u:SEC?RET@host/x", "https://…"),
        ("https://u:SEC#RET@host/x", "https://…"),
        ("https://u:SECRET@ho st/x", "https://…"),
        ("https://u:SECRET/x", "https://…"),
        ("https://u:SECRET@host:port/x", "https://…"),
        ("https://https://u:SECRET@host/x", "https://…"),
        ("s3://key:SECRET@bucket/x?SECRET", "s3://bucket/x"),
        ("https//u:SECRET@host/x", "…@host/x"),
        ("https//host/x?key=SECRET", "https//host/x"),
        ("https:/u:SECRET@host/x", "…@host/x"),
        ("https:u:SECRET@host/x", "…@host/x"),
        ("https:\\\\u:SECRET@host\\x", "…@host\\x"),
        ("www.host.org/x.csv?key=SECRET", "www.host.org/x.csv"),
        ("https//u:SECRET@host/x?next=https://foo", "…@host/x"),
        ("u:SECRET@https://host/x", "…@https://host/x"),
        ("file://u:SECRET@host/x", "file://…"),
        ("u:SECRET@host:/x.csv", "…@host:/x.csv"),
        ("https://SEC/RET@host/x", "https://…"),
    ],
)
def test_a_source_is_shown_without_what_may_be_secret(source, shown):
    assert public_source(source) == shown
    assert "SEC" not in shown


def test_a_path_that_is_there_is_shown_as_it_is(tmp_path):
    odd = tmp_path / "a?b@c#d.csv"
    odd.write_text("x")
    assert public_source(f" {odd} ") == str(odd)
    assert public_source(odd.as_uri()) == odd.as_uri()


@pytest.mark.parametrize("source", ["https:/u:SECRET@h/x", "www.h.org/x?key=SECRET", "u:SECRET@https://h/x"])
def test_an_address_that_is_none_is_refused_without_its_secrets(into, source):
    assert "SECRET" not in refusal(source, into)


def test_a_folder_without_permission_is_refused(tmp_path, into, monkeypatch):
    def forbidden(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", forbidden)  # root may read every folder, so a mode would not do
    with pytest.raises(SourceError, match="Permission denied"):
        get(tmp_path, into)


def dated(folder, name, date, *, mtime=None):
    path = save(folder / name, table([(name, *ROWS[0][1:])], header=block(date=date)))
    if mtime is not None:
        os.utime(path, (mtime, mtime))
    return path


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "downloads"
    made.mkdir()
    return made


def test_in_a_folder_the_newest_release_by_its_own_date_is_taken(folder, into):
    now = time.time()
    dated(folder, "z.csv", "Wed Aug 27 14:25:10 EDT 2025", mtime=now)
    dated(folder, "b.csv.gz", "Tue Sep 30 10:00:00 EDT 2025", mtime=now - 1e6)
    dated(folder, "c.tsv", "Tue Apr 30 10:00:00 EDT 2024", mtime=now + 100)
    assert get(folder, into)[0].file_name == "b.csv.gz"


def test_a_file_without_date_counts_by_its_own_time(folder, into):
    dated(folder, "dated.csv", "Tue Sep 30 10:00:00 EDT 2025")
    old = dated(folder, "plain.csv", None, mtime=datetime(2025, 9, 1, tzinfo=UTC).timestamp())
    assert get(folder, into)[0].file_name == "dated.csv"
    new = datetime(2025, 10, 1, tzinfo=UTC).timestamp()
    os.utime(old, (new, new))
    assert get(folder, into)[0].file_name == "plain.csv"


@pytest.mark.parametrize(
    "name",
    [
        "CTD_curated_genes_diseases.csv.gz.1", "CTD_curated_genes_diseases.csv (1).gz",
        "CTD_curated_genes_diseases(2).csv", "CTD_curated_genes_diseases - Copy.csv.gz",
        "CTD_curated_genes_diseases.csv.txt", "CTD_curated_genes_diseases", "download", "a.csv.bak", "A.CSV.GZ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("gz", [True, False])
def test_the_newest_is_taken_by_its_bytes_whatever_its_name(folder, into, name, gz):
    dated(folder, "CTD_curated_genes_diseases.csv", "Wed Aug 27 14:25:10 EDT 2025")
    text = table([("NEW", *ROWS[0][1:])], header=block(date="Tue Sep 30 10:00:00 EDT 2025"))
    save(folder / name, text, gz=gz)
    raw, release = get(folder, into)
    assert raw.file_name == name
    assert release.associations["gene_symbol"].to_pylist() == ["NEW"]
    assert raw.passed_over == ""


def test_what_may_have_been_meant_and_was_passed_over_is_told(folder, into):
    dated(folder, "old.csv", "Wed Aug 27 14:25:10 EDT 2025")
    save(folder / "CTD_curated_genes_diseases.csv.gz.part", "x")
    save(folder / "CTD_curated_genes_diseases.xlsx", b"PK\x03\x04")
    save(folder / "photo.jpg", b"\xff\xd8\xff")
    told = get(folder, into)[0].passed_over
    assert told.startswith(f"Passed over in {folder}: ")
    assert "CTD_curated_genes_diseases.csv.gz.part (a download that is not finished)" in told
    assert "CTD_curated_genes_diseases.xlsx (a ZIP archive or an Excel workbook)" in told
    assert "photo" not in told
    assert get(folder / "old.csv", into)[0].passed_over == ""


def test_files_that_are_no_release_are_passed_over(folder, into):
    dated(folder, "good.csv", "Tue Apr 30 10:00:00 EDT 2002")
    dated(folder, ".hidden.csv", "Tue Sep 30 10:00:00 EDT 2025")
    save(folder / "notes.txt", "Dear diary")
    dated(folder, "CTD_curated_genes_diseases.csv.gz.crdownload", "Tue Sep 30 10:00:00 EDT 2025")
    save(folder / "page.csv.gz", "<html>", gz=False)
    save(folder / "empty.csv", "")
    save(folder / "other.csv", "ChemicalName,ChemicalID\na,b\n")
    save(folder / "binary.tsv", b"\x00\xff\xfe")
    (folder / "folder.csv").mkdir()
    assert get(folder, into)[0].file_name == "good.csv"


def test_a_folder_without_release_says_what_was_looked_for_and_seen(folder, into):
    assert "a folder without such a file" in refusal(folder, into)
    save(folder / "page.csv.gz", "<html>", gz=False)
    message = refusal(folder, into)
    assert "as .csv or .tsv, gzipped or plain, whatever its name" in message
    assert "page.csv.gz (a web page (HTML))" in message
    for number in range(7):
        save(folder / f"n{number}.csv", "a\n1\n")
    assert "and 3 more" in refusal(folder, into)


def test_the_newest_release_is_not_quietly_replaced_by_an_older_one(folder, into):
    dated(folder, "old.csv", "Wed Aug 27 14:25:10 EDT 2025")
    new = table(
        [(f"G{i}", *ROWS[0][1:]) for i in range(30_000)], header=block(date="Tue Sep 30 10:00:00 EDT 2025")
    )
    path = save(folder / "new.csv.gz", new)
    path.write_bytes(path.read_bytes()[:-100])
    assert "new.csv.gz" in refusal(folder, into)


KILLED = """
import os, signal, sys
from pathlib import Path
from bioalign_assets.ctd.source import fetched
with fetched(sys.argv[1], into=Path(sys.argv[2]), demo=None, stem="x") as raw:
    assert raw.path.exists()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_nothing_looks_kept_and_the_rest_goes_a_day_later(into, good):
    done = subprocess.run([sys.executable, "-c", KILLED, str(good), str(into)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    (rest,) = left_in(into)
    assert rest.name.startswith(".fetching-")
    kept = get(good, into)[0].path
    assert left_in(into) == [rest, kept.parent]
    yesterday = time.time() - 25 * 3600
    for path in (*rest.iterdir(), rest):
        os.utime(path, (yesterday, yesterday))
    get(good, into)
    assert left_in(into) == [kept.parent]


def test_a_long_fetch_that_still_writes_is_not_stale(into, good):
    running = into / ".fetching-by-another"
    running.mkdir(parents=True)
    (running / "growing.csv.gz").write_bytes(b"x")
    yesterday = time.time() - 25 * 3600
    os.utime(running, (yesterday, yesterday))
    get(good, into)
    assert running.exists()


def test_several_fetches_at_once_keep_one_file(into, good):
    together = threading.Barrier(6)
    got, problems = [], []

    def verify(path):
        together.wait(timeout=20)
        return read_associations(path).content_sha256

    def work():
        try:
            got.append(get(good, into, verify=verify))
        except Exception as problem:  # noqa: BLE001 - told to the main thread below
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len({raw.path for raw, _ in got}) == 1
    assert left_in(into) == [got[0][0].path.parent]
    assert got[0][0].path.read_bytes() == good.read_bytes()


def test_a_kept_folder_can_be_entered_by_others(into, good):
    assert get(good, into)[0].path.parent.stat().st_mode & 0o055 == 0o055


def test_a_store_that_cannot_take_the_file_is_an_error(into, good, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert "can't be written" in refusal(good, into)
