"""What a fetched file is by its bytes: gzip or plain, and nothing that is no table.

Here stands everything below the level of lines: magic bytes, decompression, and the errors of both. A name
may lie (browsers unpack ``.gz`` and keep the name), bytes don't.
"""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from bioalign_assets.ctd.report_kind import ReportKind
from bioalign_assets.errors import SourceError
from bioalign_assets.terminal import terminal

__all__ = ["check_container", "leading_text", "open_container", "refuse_answer", "refuse_by_first_bytes"]

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_OTHERS = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"PK\x05\x06": "an empty ZIP archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old form",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x1f\x9d": "a file of the program compress",
    b"\x04\x22\x4d\x18": "an LZ4 file",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF document",
    b"{\\rtf": "a text document (RTF)",
    b"\x89HDF": "an HDF5 file",
    b"RDX": "a file of R",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"\xff\xfe": "UTF-16 text, as spreadsheets save it",
    b"\xfe\xff": "UTF-16 text, as spreadsheets save it",
}
_PAGES = ("text/html", "application/xhtml", "application/json", "application/problem+json")
_BLOCK = 1 << 20
_SHOW_PROGRESS_FROM = 64 << 20


def refuse_by_first_bytes(start: bytes, *, subject: str, kind: ReportKind, is_unpacked: bool = False) -> None:
    """Raise if a file that starts with these bytes can't be a CTD table, neither plain nor gzipped.

    :param start: the first bytes, a few hundred are enough
    :param is_unpacked: they stood in a gzip file
    :raises SourceError: for an empty file, a web page, an archive, UTF-16 and the like, told as what it is
    """
    told = _what_else(start, is_unpacked=is_unpacked)
    if told is not None:
        found, remedy = told
        expected = f"{kind.title} as comma- or tab-separated text, gzipped or plain"
        raise SourceError(subject, found=found, expected=expected, remedy=f"{remedy} {kind.by_hand}".lstrip())


def _what_else(start: bytes, *, is_unpacked: bool) -> tuple[str, str] | None:
    """Return what a file is that can't be a table, and what to do; None if it can be one."""
    if not start:
        return "an empty file", ""
    if is_unpacked and start.startswith(_GZIP):
        return "a gzip file inside of a gzip file", "Unpack it once (gunzip), or take the original."
    if start[257:262] == b"ustar":
        return "a tar archive", "Unpack it, or take the original."
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            return what, "Unpack it or save it as CSV in UTF-8, or take the original."
    return _what_text(start.removeprefix(_BOM).lstrip())


def _what_text(text: bytes) -> tuple[str, str] | None:
    """Return what a text is that is no table, and what to do; None if it can be one."""
    if re.match(rb"(?:\.\./)*\.git/annex/|/annex/objects/", text):
        return (
            "a pointer of git-annex in the place of a file",
            "Run `git annex get` in the repository that it came from, or take the original.",
        )
    if text.startswith(_LFS_POINTER):
        return (
            "a pointer of Git LFS in the place of a file",
            "Run `git lfs pull` in the repository that it came from, or take the original.",
        )
    if text.lower().startswith((b"<?xml", b"<rows", b"<row>")) and b"html" not in text.lower():
        return "an XML file", "CTD gives the same report as CSV and TSV: take one of these."
    if text.startswith(b"<"):
        return (
            "a web page (HTML)",
            "CTD answers scripts with a page that asks for a human, under the status 200 of a good answer.",
        )
    if re.match(rb"[{\[]\s*[\"{\[]", text):
        return "JSON", "CTD gives the same as CSV and TSV: take one of these."
    return None


def refuse_answer(start: bytes, *, content_type: str, subject: str, kind: ReportKind) -> None:
    """Raise if a server's answer can't be a CTD table, by its first bytes and by what the server calls it.

    A table that a server calls a web page is still one: bytes that begin as a table does are believed more.

    :param start: the first bytes, a few hundred are enough
    :param content_type: the header ``Content-Type``; may be empty
    :raises SourceError: as ``refuse_by_first_bytes``, also for what stands inside a gzip file
    """
    refuse_by_first_bytes(start, subject=subject, kind=kind)
    if start.startswith(_GZIP):
        with suppress(zlib.error):  # damage is told once the whole file is here
            inside = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(start, 512)
            if inside:
                refuse_by_first_bytes(inside, subject=subject, kind=kind, is_unpacked=True)
        return
    text = start.removeprefix(_BOM).decode("utf-8", errors="replace")
    is_table = text.startswith("#") or any(name in text for name in kind.columns)
    if content_type.strip().lower().startswith(_PAGES) and not is_table:
        raise SourceError(
            subject,
            found=f"an answer of the type {content_type.partition(';')[0].strip()} that starts with {text[:60]!r}",
            expected=f"{kind.title} as comma- or tab-separated text, gzipped or plain",
            remedy=f"The server answers scripts with something else than the file. {kind.by_hand}",
        )


@contextmanager
def open_container(path: Path, *, kind: ReportKind, show_progress: bool = False) -> Iterator[BinaryIO]:
    """Yield the file's uncompressed bytes as a stream; errors of reading it are told as SourceError.

    :param path: a gzipped or plain file
    :param show_progress: show a bar on a terminal while a file of 64 MiB or more is read
    :raises SourceError: if it can't be read, is empty, a web page or an archive, or if its gzip is truncated
        or damaged (also while the caller reads from the stream)
    """
    subject = str(path)
    try:
        with path.open("rb") as raw:
            start = raw.read(512)
            raw.seek(0)
            refuse_by_first_bytes(start, subject=subject, kind=kind)
            is_large = path.stat().st_size >= _SHOW_PROGRESS_FROM
            with _watched(raw, path=path, show=show_progress and is_large) as watched:
                if not start.startswith(_GZIP):
                    yield watched
                    return
                with gzip.GzipFile(fileobj=watched, mode="rb") as unpacked:
                    stream = io.BufferedReader(cast("io.RawIOBase", unpacked), _BLOCK)
                    start = stream.peek(512)[:512]
                    refuse_by_first_bytes(start, subject=subject, kind=kind, is_unpacked=True)
                    yield stream
    except EOFError as problem:
        raise _broken_gzip(subject, found="a gzip file that ends too early", kind=kind) from problem
    except (gzip.BadGzipFile, zlib.error) as problem:
        raise _broken_gzip(subject, found=f"a damaged gzip file ({problem})", kind=kind) from problem
    except OSError as problem:
        reason = problem.strerror or str(problem)
        remedy = f"Check that {kind.setting} names a file that exists and that you may read."
        raise SourceError(subject, found=reason, expected="a file to read", remedy=remedy) from problem


@contextmanager
def _watched(raw: BinaryIO, *, path: Path, show: bool) -> Iterator[BinaryIO]:
    console = Console(file=terminal())
    if not (show and console.is_terminal):
        yield raw
        return
    columns = (
        TextColumn("reading {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with (
        Progress(*columns, console=console, transient=True) as progress,
        progress.wrap_file(raw, total=path.stat().st_size, description=path.name) as watched,
    ):
        yield watched


def _broken_gzip(subject: str, *, found: str, kind: ReportKind) -> SourceError:
    remedy = f"The download was cut off or changed on its way: fetch it again. {kind.by_hand}"
    return SourceError(subject, found=found, expected="a whole gzip file", remedy=remedy)


def check_container(path: Path, *, kind: ReportKind) -> None:
    """Read a gzip file through to its checksum; look at the start of a plain one.

    :raises SourceError: as ``open_container``
    """
    with open_container(path, kind=kind) as stream:
        if isinstance(stream, io.BufferedReader) and isinstance(stream.raw, gzip.GzipFile):
            while stream.read(_BLOCK):
                pass


def leading_text(path: Path, *, kind: ReportKind, size: int = 4096) -> str:
    """Return the first ``size`` uncompressed bytes as text, whatever they hold."""
    with open_container(path, kind=kind) as stream:
        return stream.read(size).decode("utf-8", errors="replace")
