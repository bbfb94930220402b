"""What a disk says, by whatever library it comes, is one paragraph; other errors are none of a disk's."""

import errno
import os
import sqlite3

import pytest
from deltalake.exceptions import DeltaError

from bioalign_assets.errors import DiskFullError, WarehouseError
from bioalign_assets.warehouse.disk import disk_error, existing_parent, why_not_written


def of_system(number):
    return OSError(number, os.strerror(number), "/some/where")


def behind(error, *, how):
    """Return an error that came of another, or was raised while that was handled."""
    outer = RuntimeError("a library's words")
    setattr(outer, {"cause": "__cause__", "context": "__context__"}[how], error)
    return outer


FULL = [
    of_system(errno.ENOSPC),
    of_system(errno.EDQUOT),
    sqlite3.OperationalError("database or disk is full"),
    DeltaError("Generic LocalFileSystem error: No space left on device (os error 28)"),
]
REFUSED = [
    of_system(errno.EROFS),
    of_system(errno.EACCES),
    of_system(errno.EPERM),
    sqlite3.OperationalError("attempt to write a readonly database"),
    sqlite3.OperationalError("unable to open database file"),
    sqlite3.OperationalError("disk I/O error"),
    sqlite3.DatabaseError("database disk image is malformed"),
]


@pytest.mark.parametrize("how", ["itself", "cause", "context"])
@pytest.mark.parametrize(
    ("errors", "told", "kind"), [(FULL, "a full disk", DiskFullError), (REFUSED, "can't be", WarehouseError)]
)
def test_a_disk_that_is_full_or_refuses_is_told_in_one_paragraph(tmp_path, errors, told, kind, how):
    for error in errors:
        found = disk_error(
            error if how == "itself" else behind(error, how=how), folder=tmp_path / "not" / "there"
        )
        assert type(found) is kind
        assert told in str(found)
        assert "\n" not in str(found)
        assert "BIOALIGN_WAREHOUSE" in found.remedy
        where = "/some/where" if isinstance(error, OSError) else str(tmp_path)
        assert found.subject.startswith(where)


def test_any_error_of_the_system_is_a_paragraph(tmp_path):
    error = of_system(errno.EIO)
    assert "Input/output error" in str(disk_error(error, folder=tmp_path))
    assert "Input/output error" in str(disk_error(behind(error, how="cause"), folder=tmp_path))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("ours"),
        KeyError("No space left on device"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        TimeoutError(errno.ETIMEDOUT, "timed out"),
        OSError("We couldn't connect to a hub"),
    ],
)
def test_what_is_no_disks_stays_as_it_is(tmp_path, error):
    assert disk_error(error, folder=tmp_path) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_an_error_of_ours_while_a_disks_was_handled_stays_as_it_is(tmp_path, number):
    ours = KeyError("ours")
    ours.__context__ = of_system(number)
    assert disk_error(ours, folder=tmp_path) is None
    hidden = RuntimeError("a library's words")
    hidden.__context__, hidden.__suppress_context__ = of_system(number), True
    assert disk_error(hidden, folder=tmp_path) is None


def test_sqlites_word_for_anything_is_a_full_disk_where_it_is_full(tmp_path, monkeypatch):
    error = sqlite3.OperationalError("disk I/O error")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 4096})())
    assert isinstance(disk_error(error, folder=tmp_path), DiskFullError)


def test_whether_a_folder_can_be_written_is_tried_and_leaves_nothing(tmp_path, monkeypatch):
    assert why_not_written(tmp_path / "not" / "there") == ""
    assert list(tmp_path.iterdir()) == []
    assert existing_parent(tmp_path / "not" / "there") == tmp_path

    def full(*_, **__):
        raise of_system(errno.ENOSPC)

    monkeypatch.setattr("os.fsync", full)
    assert why_not_written(tmp_path) == "No space left on device"
