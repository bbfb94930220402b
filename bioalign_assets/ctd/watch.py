"""Look whether a source has another release, at the least cost: nothing is downloaded, nothing is kept.

A URL is asked for its headers; only where these are new is the file itself asked for, and of that no more than
the first block is read, so that a page that asks for a human is never taken for a release.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx

from bioalign_assets.ctd.container import leading_text, refuse_answer
from bioalign_assets.ctd.download import FIRST_BYTES, REQUEST_HEADERS, explained, public_form, refuse_status
from bioalign_assets.ctd.places import form_of, local_file, unreadable
from bioalign_assets.ctd.report_kind import ASSOCIATIONS, ReportKind
from bioalign_assets.ctd.sighting import (
    ETAG,
    MODIFIED,
    STAT,
    Sighting,
    is_unchanged,
    of_content,
    of_demo,
    of_validators,
    stat_of,
    validators_of,
)
from bioalign_assets.errors import SourceError
from bioalign_assets.study.source import DemoRelease
from bioalign_assets.warehouse.hashing import file_sha256

__all__ = ["Sighting", "look"]

_CONDITIONS = {ETAG: "If-None-Match", MODIFIED: "If-Modified-Since"}
_NOT_MODIFIED = 304
_GRACE_S = 0.5  # for the errors of a look that ends on time to come back by themselves


def look(
    source: str,
    *,
    demo_release: DemoRelease,
    known: Sighting | None = None,
    kind: ReportKind = ASSOCIATIONS,
    timeout_s: float = 20.0,
) -> Sighting | None:
    """Return how a source looks now; the signature is that of a fetch, as long as the release is the same.

    :param source: as for ``fetch``
    :param demo_release: what ``demo`` stands for
    :param known: an earlier sighting, which makes the look cheaper. That of another source does no harm.
    :param kind: which report it should be
    :param timeout_s: a server has so many seconds in all, however it spreads its answer over them
    :return: None if a server tells nothing by which two of its answers could be told apart
    :raises SourceError: if there is no such source, it can't be reached, is too slow, or answers with something
        that can't be a CTD table
    """
    form, source = form_of(source, kind=kind)
    if form == "demo":
        return of_demo(demo_release)
    if form == "path":
        return _look_at_file(local_file(source, kind=kind), known=known, kind=kind)
    with explained(public_form(source), kind=kind, timeout_s=timeout_s):
        return _within(timeout_s, lambda: _look_at_url(source, known=known, kind=kind, timeout_s=timeout_s))


def _look_at_file(path: Path, *, known: Sighting | None, kind: ReportKind) -> Sighting:
    try:
        stat = stat_of(path)
        if known is not None and known.validators.get(STAT) == stat:
            return known
        leading_text(path, kind=kind)  # refuses an empty file, a web page, an archive
        digest = file_sha256(path)
        return of_content(digest, place=path.resolve().as_uri(), size=path.stat().st_size, stat=stat)
    except OSError as problem:
        raise unreadable(path, problem=problem, kind=kind) from problem


async def _look_at_url(
    url: str, *, known: Sighting | None, kind: ReportKind, timeout_s: float
) -> Sighting | None:
    client = httpx.AsyncClient(follow_redirects=True, timeout=timeout_s, headers=REQUEST_HEADERS)
    async with asyncio.timeout(timeout_s), client:
        if known is not None and await _head_is_known(
            url, known=known, client=client, patience_s=timeout_s / 2
        ):
            return known
        return await _first_block(url, known=known, client=client, kind=kind)


async def _head_is_known(url: str, *, known: Sighting, client: httpx.AsyncClient, patience_s: float) -> bool:
    """Whether the headers alone say that nothing changed; False also where the server won't tell."""
    try:
        async with asyncio.timeout(patience_s):  # some servers never answer this method
            answer = await client.head(url)
    except (httpx.HTTPError, TimeoutError):
        return False
    is_page = "html" in answer.headers.get("Content-Type", "").lower()
    return (
        answer.is_success
        and not is_page
        and is_unchanged(url, validators=validators_of(answer.headers), known=known)
    )


async def _first_block(
    url: str, *, known: Sighting | None, client: httpx.AsyncClient, kind: ReportKind
) -> Sighting | None:
    """Ask for the file unless it is the known one, see by its first bytes that it is a file, and hang up."""
    is_same_url = known is not None and known.signature.startswith(f"{public_form(url)} ")
    seen = known.validators if known is not None and is_same_url else {}
    conditions = {header: seen[name] for name, header in _CONDITIONS.items() if name in seen}
    subject = public_form(url)
    async with client.stream("GET", url, headers=conditions) as answer:
        if answer.status_code == _NOT_MODIFIED and conditions:
            return known
        refuse_status(answer, subject=subject, kind=kind)
        start = b""
        async for block in answer.aiter_bytes():
            start += block
            if len(start) >= FIRST_BYTES:
                break
        content_type = answer.headers.get("Content-Type", "")
        if not start:
            raise SourceError(subject, found="an empty answer", expected=kind.title, remedy=kind.by_hand)
        refuse_answer(start[:FIRST_BYTES], content_type=content_type, subject=subject, kind=kind)
        validators = validators_of(answer.headers)
    if known is not None and is_unchanged(url, validators=validators, known=known):
        return known
    return of_validators(url, validators=validators)


def _within(timeout_s: float, work: Callable[[], Coroutine[Any, Any, Sighting | None]]) -> Sighting | None:
    """Run a coroutine in a thread and event loop of its own, and wait no longer than ``timeout_s``.

    The coroutine has its own deadline; but a name server that doesn't answer can't be interrupted, and the loop
    would wait for it at its end. The thread is left to that wait, which ends by itself.

    :raises TimeoutError: if it took longer
    """
    done: list[Sighting | None] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(asyncio.run(work()))
        except BaseException as problem:  # noqa: BLE001 - raised in the thread that waits
            failed.append(problem)

    thread = threading.Thread(target=run, name="bioalign-look", daemon=True)
    thread.start()
    thread.join(timeout_s + _GRACE_S)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError
    return done[0]
