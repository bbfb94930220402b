"""Dagster's SQLite databases in the process of the tests: their connections are kept, and the disk is not waited for.

For each of the forty events of a small run Dagster makes some ten connections, each through an engine of its own, and
waits until the disk has what it wrote. Where connections are kept and nothing is waited for, such a run takes two fifths
of the processor time and a quarter of the wall time; what is stored is the same. Other processes, which the stories
start, do as they always do.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from sqlalchemy.pool import QueuePool

_MOST = 16  # databases that are held open: a run has one of its own


class _Engines:
    """The engines of the databases that were used last."""

    def __init__(self, create: Callable[..., sqlalchemy.Engine]) -> None:
        self._create = create
        self._kept: OrderedDict[tuple[str, object], tuple[sqlalchemy.Engine, Callable[[], None]]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def __call__(self, url: str, **options: Any) -> sqlalchemy.Engine:
        """Return the engine of a database, the same as long as its file is the same."""
        with self._lock:
            key = (url, _file(url))
            if key not in self._kept:
                engine = self._create(url, **{**options, "poolclass": QueuePool})
                sqlalchemy.event.listen(engine, "connect", _no_waiting)
                self._kept[key] = (engine, engine.dispose)
                engine.dispose = lambda: None  # Dagster does so after each connection
            self._kept.move_to_end(key)
            self.close(but=_MOST)
            return self._kept[key][0]

    def close(self, *, but: int) -> None:
        """Close all but those that were used last."""
        while len(self._kept) > but:
            _, (_, dispose) = self._kept.popitem(last=False)
            dispose()


def _file(url: str) -> object:
    try:
        stat = os.stat(url.removeprefix("sqlite:///"))  # noqa: PTH116 - called very often
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _no_waiting(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@contextmanager
def kept_open() -> Iterator[None]:
    """Keep connections as long as this block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        made = []
        for module in (sqlite_event_log, sqlite_run_storage):
            made.append(_Engines(module.create_engine))
            patch.setattr(module, "create_engine", made[-1])
        yield
        for engines in made:
            engines.close(but=0)
