"""What all sections of a study file have in common: they are frozen, and each setting says what reads it.

What a setting is read by becomes stale when it changes (``inputs.py``). A setting that says nothing would be one whose
change goes unnoticed, so a section with such a one can't even be imported.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["ReadBy", "Reader", "Spec", "not_read", "unknown_name"]


class Reader(StrEnum):
    """A kind of step that reads settings; each is an asset ``study/<name>``, on which those steps depend."""

    DATASETS = "datasets"
    MODELS = "models"
    TRAINING = "training"
    INFERENCE = "inference"
    EVALUATION = "evaluation"
    LINKS = "links"


@dataclass(frozen=True)
class ReadBy:
    """Says in a setting's annotation what reads it: ``rank: Annotated[int, ReadBy(Reader.TRAINING)]``."""

    readers: tuple[Reader, ...]

    def __init__(self, *readers: Reader) -> None:
        """Take what reads the setting; what nothing reads says :func:`not_read`."""
        if not readers:
            raise TypeError("name what reads the setting, or say not_read(why)")
        object.__setattr__(self, "readers", readers)


@dataclass(frozen=True)
class _NotRead:
    why: str
    readers: tuple[Reader, ...] = ()


def not_read(why: str) -> Any:
    """Say in a setting's annotation that no table depends on it.

    :param why: so, in words: the next one who reads it is to be convinced
    """
    if not why:
        raise TypeError("say why no table depends on the setting")
    return _NotRead(why)


class Spec(BaseModel):
    """A section of a study file, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """See that each setting says what reads it.

        :raises TypeError: if one doesn't
        """
        silent = [name for name in cls.model_fields if cls._said(name) is None]
        if silent:
            raise TypeError(
                f"{cls.__name__}: {', '.join(silent)}: say what reads it: Annotated[…, ReadBy(…)] or not_read(why)"
            )

    @classmethod
    def _said(cls, name: str) -> ReadBy | _NotRead | None:
        said = [part for part in cls.model_fields[name].metadata if isinstance(part, (ReadBy, _NotRead))]
        return said[0] if said else None

    @classmethod
    def settings_read_by(cls, reader: Reader) -> tuple[str, ...]:
        """Return the names of the settings that a kind of step reads, in order."""
        found = ((name, cls._said(name)) for name in cls.model_fields)
        return tuple(name for name, said in found if said is not None and reader in said.readers)

    def as_run(self) -> dict[str, Any]:
        """Return the settings as plain values, each as it works: two that come to the same are equal here."""
        return self.model_dump(mode="json")

    def read_by(self, reader: Reader) -> dict[str, Any]:
        """Return those settings that a kind of step reads."""
        settings = self.as_run()
        return {name: settings[name] for name in self.settings_read_by(reader) if name in settings}


def unknown_name(key: str, value: object, *, allowed: Iterable[str]) -> str:
    """Return in words that a setting names something that there isn't, with what there is."""
    names = list(allowed)
    close = difflib.get_close_matches(str(value), names, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{key} = {value!r}: allowed are {', '.join(names)}{hint}"
