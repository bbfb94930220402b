"""How a source looked at one moment: a signature that stays the same as long as its release does.

Here is what a sighting is made of, for each form of source. Who looks, and how, is in ``watch`` (without
fetching) and ``source`` (while fetching); both must come to the same signature.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Self

from bioalign_assets.ctd.download import public_form
from bioalign_assets.study.source import DemoRelease

__all__ = ["Sighting", "is_unchanged", "of_content", "of_demo", "of_validators", "stat_of", "validators_of"]

ETAG, MODIFIED, LENGTH, STAT = "etag", "last_modified", "length", "stat"
_HEADERS = {ETAG: "ETag", MODIFIED: "Last-Modified", LENGTH: "Content-Length"}
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
        return json.dumps(
            {"signature": self.signature, "told": self.told, "validators": dict(self.validators)},
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the sighting that ``to_json`` wrote.

        :raises ValueError: if the text is not one
        """
        try:
            content = json.loads(text)
            validators = {str(name): str(value) for name, value in content["validators"].items()}
            return cls(signature=str(content["signature"]), told=str(content["told"]), validators=validators)
        except (KeyError, TypeError, AttributeError) as problem:
            raise ValueError(f"no sighting: {text[:200]!r}") from problem


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
    place = public_form(url)
    if tag := _plain_tag(validators.get(ETAG, "")):
        mark = f"etag {tag}"
    else:
        mark = "; ".join(f"{name} {validators[name]}" for name in (MODIFIED, LENGTH) if validators.get(name))
    length = validators.get(LENGTH, "")
    told = [
        f"last modified {validators[MODIFIED]}" if MODIFIED in validators else "",
        f"{int(length):,} bytes" if length.isdecimal() else "",
        f"ETag {validators[ETAG]}" if ETAG in validators else "",
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
    if not known.signature.startswith(f"{public_form(url)} "):
        return False
    tags = [_plain_tag(seen.get(ETAG, "")) for seen in (validators, known.validators)]
    if all(tags):
        return tags[0] == tags[1]
    shared = [name for name in (MODIFIED, LENGTH) if name in validators and name in known.validators]
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
    return Sighting(signature=f"sha256 {digest}", told=told, validators={STAT: stat} if stat else {})


def stat_of(path: Path) -> str:
    """Return what the file system tells of a file's content: it differs after every write.

    The time of the last change of state is used, for that of the last change of content can be set by hand.
    """
    stat = path.stat()
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_ctime_ns}"
