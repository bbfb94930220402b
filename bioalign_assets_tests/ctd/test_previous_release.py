"""Which release was in force before, over everything that the history of a warehouse can hold."""

from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pytest

from bioalign_assets.ctd.previous_release import created_at, previous_release
from bioalign_assets.errors import WarehouseError
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.ctd.ctd_files import DATE, ROWS, block, fetch, save, table

ASSOCIATIONS, RELEASE = TABLES["ctd.associations"], TABLES["ctd.release"]


class House:
    """A warehouse into which releases come as the assets bring them."""

    def __init__(self, folder):
        self.folder = folder
        self.tables = Tables(folder / "warehouse")
        self.raw = folder / "warehouse" / "raw" / "ctd"
        self.tables.create_all()

    def bring(self, text):
        raw, release = fetch(save(self.folder / "next.csv", text), into=self.raw)
        row = {
            "source_uri": raw.source_uri, "file_name": raw.file_name, "sha256": raw.sha256, "bytes": raw.bytes,
            "raw_path": raw.path.relative_to(self.tables.root).as_posix(),
            "content_sha256": release.content_sha256, "rows": len(release.associations),
            "report_created": release.report_created, "is_synthetic": False, "retrieved_at": raw.retrieved_at,
        }  # fmt: skip
        rows = pa.Table.from_pylist([row], schema=RELEASE.arrow)
        self.tables.write(rows, schema=RELEASE, commit_info={"data_version": f"r-{release.content_sha256}"})
        self.tables.write(
            release.associations, schema=ASSOCIATIONS, commit_info={"data_version": release.content_sha256}
        )
        return release

    def before(self):
        return previous_release(self.tables, raw=self.raw)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def dated(day, rows=ROWS):
    return table(rows, header=block(date=DATE.replace("27", str(day))))


def test_before_the_first_release_there_is_none(house):
    assert house.before() is None
    house.bring(table())
    assert house.before() is None
    house.bring(table())
    assert house.before() is None


def test_the_release_before_is_the_last_one_with_another_content(house):
    first = house.bring(dated(10))
    second = house.bring(dated(11, ROWS[:2]))
    assert house.before().associations.equals(first.associations)
    third = house.bring(dated(12, ROWS[:1]))
    assert house.before().associations.equals(second.associations)
    assert house.before().content_sha256 == second.content_sha256
    assert created_at(third.content_sha256, tables=house.tables) == datetime(
        2025, 8, 12, 18, 25, 10, tzinfo=UTC
    )
    assert created_at(first.content_sha256, tables=house.tables) == datetime(
        2025, 8, 10, 18, 25, 10, tzinfo=UTC
    )
    assert created_at("unknown", tables=house.tables) is None


@pytest.mark.parametrize("times", [1, 5])
def test_fetching_the_same_content_again_changes_nothing(house, times):
    first = house.bring(dated(10))
    house.bring(dated(11, ROWS[:2]))
    for day in range(12, 12 + times):  # weekly, in a file of its own each time
        house.bring(dated(day, ROWS[:2]))
    assert house.before().content_sha256 == first.content_sha256


def test_after_going_back_the_release_before_is_the_one_left(house):
    house.bring(dated(10))
    second = house.bring(dated(11, ROWS[:2]))
    house.bring(dated(10))
    assert house.before().content_sha256 == second.content_sha256


def test_rows_that_were_vacuumed_are_read_again_from_the_raw_file(house):
    first = house.bring(dated(10))
    house.bring(dated(11, ROWS[:2]))
    house.bring(dated(12, ROWS[:2]))
    (house.raw / ("0" * 64)).mkdir()
    (house.raw / ("0" * 64) / "damaged.csv").write_text("damaged")
    assert house.tables.vacuum(older_than_hours=0)["ctd.associations"] > 0
    before = house.before()
    assert before.associations.equals(first.associations)
    assert (
        created_at(first.content_sha256, tables=house.tables) is None
    )  # nobody knows any more, and nobody guesses


def test_rows_that_are_gone_for_good_are_an_error(house):
    house.bring(dated(10))
    house.bring(dated(11, ROWS[:2]))
    house.bring(dated(12, ROWS[:2]))
    house.tables.vacuum(older_than_hours=0)
    for file in house.raw.rglob("*.csv"):
        file.unlink()
    with pytest.raises(WarehouseError, match="vacuumed"):
        house.before()


def test_an_empty_history_has_no_date(tmp_path):
    dated_at = partial(created_at, tables=Tables(tmp_path / "w"))
    assert dated_at("x") is None
