"""Download one file over HTTP, whole or not at all, and say in plain words why it did not work.

Where the file goes and whether it is kept is the business of ``source``; ``watch`` asks the same servers in
the same way, without downloading.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from bioalign_assets.ctd.container import refuse_answer
from bioalign_assets.ctd.report_kind import ReportKind
from bioalign_assets.ctd.source_address import public_source
from bioalign_assets.errors import SourceError
from bioalign_assets.terminal import terminal

__all__ = [
    "FIRST_BYTES",
    "REQUEST_HEADERS",
    "download",
    "explained",
    "file_name_of",
    "refuse_status",
]

FIRST_BYTES = 512
"""So many bytes tell a web page from a table."""
REQUEST_HEADERS = {
    # asked for as it is: a .csv.gz that arrives "content-encoded" would be unpacked on its way
    "Accept-Encoding": "identity",
    "User-Agent": "bioalign (gene-disease study platform)",
}
# at the level INFO it logs each address that it asks, as a whole
logging.getLogger("httpx").setLevel(logging.WARNING)
_HINTS = {
    401: "The server asks for a login.",
    403: "The server refuses scripts or this network.",
    404: "The address is wrong or the file has moved.",
    429: "The server asks to come back later: wait before the next attempt.",
    503: "The server is down or under maintenance: try again later.",
}


def file_name_of(url: str, *, stem: str) -> str:
    """Return the last part of the URL's path as a safe file name, or the stem if it has none."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", unquote(urlsplit(url).path).rpartition("/")[2])
    name = name.lstrip(".")[-120:]
    return name if name.strip("_-.") else stem


def download(url: str, *, to: Path, kind: ReportKind, timeout_s: float) -> Mapping[str, str]:
    """Write what the URL answers to a file, with a progress bar on a terminal.

    Redirects are followed. A web page is refused at its first bytes, before the rest is fetched.

    :param to: file to write; on an error it may be left unfinished, the caller removes it
    :param timeout_s: longest silence of the server in seconds, while connecting or between two blocks
    :return: the headers of the answer
    :raises SourceError: for every way in which that can fail
    """
    subject = public_source(url)
    try:
        with (
            explained(subject, kind=kind, timeout_s=timeout_s),
            httpx.Client(follow_redirects=True, timeout=timeout_s, headers=REQUEST_HEADERS) as client,
            client.stream("GET", url) as response,
        ):
            refuse_status(response, subject=subject, kind=kind)
            _write(response, to=to, subject=subject, kind=kind)
            return response.headers
    except OSError as problem:  # httpx wraps the network's: this is the disk
        found = f"{to.parent} can't be written ({problem.strerror or problem})"
        raise _failed(
            subject, found=found, hint="Check its free space and permissions.", kind=kind
        ) from problem


def refuse_status(response: httpx.Response, *, subject: str, kind: ReportKind) -> None:
    """Raise if the status of an answer is not one of success.

    :raises SourceError: with the status and what it means
    """
    if response.is_success:
        return
    raise _failed(
        subject,
        found=f"the answer {response.status_code} {response.reason_phrase}".rstrip(),
        hint=_HINTS.get(response.status_code, ""),
        kind=kind,
    )


@contextmanager
def explained(subject: str, *, kind: ReportKind, timeout_s: float) -> Iterator[None]:
    """Tell what goes wrong between us and a server in plain words.

    :param timeout_s: after how long a timeout is raised inside, in seconds
    :raises SourceError: in place of httpx's errors
    """
    try:
        yield
    except (httpx.TimeoutException, TimeoutError) as problem:
        raise _failed(
            subject,
            found=f"no answer for {timeout_s:g} s",
            hint="The server or the network is slow: try again later.",
            kind=kind,
        ) from problem
    except httpx.ConnectError as problem:
        hint = "Check the host name, the network and its proxy."
        raise _failed(subject, found=f"no connection ({problem})", hint=hint, kind=kind) from problem
    except httpx.RemoteProtocolError as problem:
        if "location header" in str(problem):  # it quotes an address
            raise _failed(subject, found="a redirect to a broken address", hint="", kind=kind) from None
        found = f"a download that was cut off ({problem})"
        raise _failed(subject, found=found, hint="Try again.", kind=kind) from problem
    except (httpx.InvalidURL, UnicodeError):
        # its text quotes the URL, and so would the record of its cause
        hint = "Correct the URL; special signs in a user name or password are written as %40 and the like."
        raise _failed(subject, found="a broken URL", hint=hint, kind=kind) from None
    except httpx.HTTPError as problem:
        raise _failed(subject, found=str(problem) or type(problem).__name__, hint="", kind=kind) from problem


def _write(response: httpx.Response, *, to: Path, subject: str, kind: ReportKind) -> None:
    announced = response.headers.get("Content-Length", "")
    total = int(announced) if announced.isdecimal() else None
    console = Console(file=terminal())
    columns = (
        TextColumn("fetching {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    start = b""
    content_type = response.headers.get("Content-Type", "")
    with (
        to.open("wb") as file,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task(to.name, total=total)
        for block in response.iter_bytes():
            if len(start) < FIRST_BYTES:
                start = (start + block)[:FIRST_BYTES]
                # what the server calls it is only weighed against enough bytes to know better
                named = content_type if len(start) == FIRST_BYTES else ""
                refuse_answer(start, content_type=named, subject=subject, kind=kind)
            file.write(block)
            progress.update(task, completed=response.num_bytes_downloaded)
    if 0 < len(start) < FIRST_BYTES:
        refuse_answer(start, content_type=content_type, subject=subject, kind=kind)
    # counted as they came over the wire, so that this holds for an encoded answer too
    if total is not None and response.num_bytes_downloaded != total:
        found = f"{response.num_bytes_downloaded:,} of {total:,} bytes"
        raise _failed(subject, found=found, hint="The download was cut off: try again.", kind=kind)


def _failed(subject: str, *, found: str, hint: str, kind: ReportKind) -> SourceError:
    remedy = f"{hint} Or do it by hand: {kind.by_hand}".lstrip()
    return SourceError(subject, found=found, expected=f"{kind.title} for download", remedy=remedy)
