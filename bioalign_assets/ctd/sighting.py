"""How a source looks at one moment: a signature that stays the same as long as its release does.

A fetch (``source``) takes it along; a look takes it at the least cost: nothing is downloaded, nothing is kept. A URL
is asked for its headers; only where these are new is the file itself asked for, and of that no more than the first
block is read, so that a page that asks for a human is never taken for a release.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter

from bioalign_assets.ctd.container import leading_text, refuse_answer
from bioalign_assets.ctd.download import FIRST_BYTES, REQUEST_HEADERS, explained, refuse_status
from bioalign_assets.ctd.report_kind import ASSOCIATIONS, ReportKind
from bioalign_assets.ctd.source_address import form_of, local_file, public_source, unreadable
from bioalign_assets.study.source import DemoRelease
from bioalign_assets.warehouse.hashing import file_sha256

__all__ = [
    "Sighting",
    "is_unchanged",
    "look",
    "of_content",
    "of_demo",
    "of_validators",
    "stat_of",
    "validators_of",
]

_ETAG, _MODIFIED, _LENGTH, _STAT = "etag", "last_modified", "length", "stat"
_HEADERS = {_ETAG: "ETag", _MODIFIED: "Last-Modified", _LENGTH: "Content-Length"}
_CONDITIONS = {_ETAG: "If-None-Match", _MODIFIED: "If-Modified-Since"}
_NOT_MODIFIED = 304
_GRACE_S = 0.5  # for the errors of a look that ends on time to come back by themselves
# what servers append to the tag of a file when they compress it on its way (Apache, nginx, Jetty)
_ENCODED = re.compile(r"[-;]+(?:gzip|br|zstd|deflate)$")


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """How a source looked.

    :param signature: the same for the same release at the source; of a file, by its content
    :param told: one line for people, without secrets
    :param validators: what a later look compares with: ``etag``, ``last_modified``, ``length`` of a URL as the
        server gave them; ``stat`` of a local file
    """

    signature: str
    told: str
    validators: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the sighting as one line of JSON."""
        return _AS_JSON.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "Sighting":
        """Return the sighting that ``to_json`` wrote.

        :raises ValueError: if the text is not one
        """
        return _AS_JSON.validate_json(text)


_AS_JSON = TypeAdapter(Sighting)


def validators_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those of an answer's headers by which two answers are told apart.

    :param headers: of any mapping whose ``get`` does not mind case, such as ``httpx.Headers``
    """
    found = {name: (headers.get(header) or "").strip() for name, header in _HEADERS.items()}
    return {name: value for name, value in found.items() if value}


def of_validators(url: str, *, validators: Mapping[str, str]) -> Sighting | None:
    """Return how a URL looked by an answer's validators; None where the server told none.

    The signature prefers the ETag; else it is the time of the last change with the length; else the length.
    """
    if not validators:
        return None
    place = public_source(url)
    if tag := _plain_tag(validators.get(_ETAG, "")):
        mark = f"etag {tag}"
    else:
        mark = "; ".join(
            f"{name} {validators[name]}" for name in (_MODIFIED, _LENGTH) if validators.get(name)
        )
    length = validators.get(_LENGTH, "")
    told = [
        f"last modified {validators[_MODIFIED]}" if _MODIFIED in validators else "",
        f"{int(length):,} bytes" if length.isdecimal() else "",
        f"ETag {validators[_ETAG]}" if _ETAG in validators else "",
    ]
    return Sighting(
        signature=f"{place} {mark}",
        told=f"{place}: {', '.join(filter(None, told))}",
        validators=dict(validators),
    )


def is_unchanged(url: str, *, validators: Mapping[str, str], known: Sighting) -> bool:
    """Return whether an answer's validators are those of a known sighting of the same URL.

    Only what both have counts, for a server may tell more to one method than to another: the ETag alone where
    both have one, else the time of the last change and the length.
    """
    if not known.signature.startswith(f"{public_source(url)} "):
        return False
    tags = [_plain_tag(seen.get(_ETAG, "")) for seen in (validators, known.validators)]
    if all(tags):
        return tags[0] == tags[1]
    shared = [name for name in (_MODIFIED, _LENGTH) if name in validators and name in known.validators]
    return bool(shared) and all(validators[name] == known.validators[name] for name in shared)


def _plain_tag(tag: str) -> str:
    """Return an ETag without quotes, the mark of a weak one, and the encoding that a server appended."""
    return _ENCODED.sub("", tag.strip().removeprefix("W/").strip(' "')).strip('"')


def of_demo(spec: DemoRelease) -> Sighting:
    """Return how the demo release looks: by the settings that it is drawn from."""
    digest = sha256(spec.model_dump_json().encode()).hexdigest()
    told = f"the demo release: {spec.associations:,} synthetic associations, seed {spec.seed}"
    return Sighting(signature=f"demo {digest}", told=told)


def of_content(digest: str, *, place: str, size: int, stat: str = "") -> Sighting:
    """Return how a file looks, by the SHA-256 of its bytes.

    :param place: where it is, as it may be shown
    :param size: in bytes
    :param stat: of the file, so that a later look can spare reading it
    """
    told = f"{place}: {size:,} bytes, SHA-256 {digest[:12]}…"
    return Sighting(signature=f"sha256 {digest}", told=told, validators={_STAT: stat} if stat else {})


def stat_of(path: Path) -> str:
    """Return what the file system tells of a file's content: it differs after every write.

    The time of the last change of state is used, for that of the last change of content can be set by hand.
    """
    stat = path.stat()
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_ctime_ns}"


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
    with explained(public_source(source), kind=kind, timeout_s=timeout_s):
        return _within(timeout_s, lambda: _look_at_url(source, known=known, kind=kind, timeout_s=timeout_s))


def _look_at_file(path: Path, *, known: Sighting | None, kind: ReportKind) -> Sighting:
    try:
        stat = stat_of(path)
        if known is not None and known.validators.get(_STAT) == stat:
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
    is_same_url = known is not None and known.signature.startswith(f"{public_source(url)} ")
    seen = known.validators if known is not None and is_same_url else {}
    conditions = {header: seen[name] for name, header in _CONDITIONS.items() if name in seen}
    subject = public_source(url)
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
