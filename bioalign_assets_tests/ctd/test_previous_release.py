"""Which release was in force before, over everything that the history of a warehouse can hold."""

from datetime import UTC, datetime

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
    for _ in range(2):
        house.bring(table())
        assert house.before() is None
    assert created_at("unknown", tables=house.tables) is None


def test_the_release_before_is_the_last_one_with_another_content(house):
    first = house.bring(dated(10))
    second = house.bring(dated(11, ROWS[:2]))
    assert house.before().associations.equals(first.associations)
    for day in range(12, 15):  # the same weekly, in a file of its own each time
        house.bring(dated(day, ROWS[:2]))
    assert house.before().content_sha256 == first.content_sha256
    third = house.bring(dated(15, ROWS[:1]))
    assert house.before().associations.equals(second.associations)
    assert house.before().content_sha256 == second.content_sha256
    for release, day in ((first, 10), (third, 15)):
        moment = datetime(2025, 8, day, 18, 25, 10, tzinfo=UTC)
        assert created_at(release.content_sha256, tables=house.tables) == moment
    house.bring(dated(10))  # and back
    assert house.before().content_sha256 == third.content_sha256


def test_rows_that_were_vacuumed_are_read_again_from_the_raw_file_or_gone_for_good(house):
    first = house.bring(dated(10))
    house.bring(dated(11, ROWS[:2]))
    house.bring(dated(12, ROWS[:2]))
    (house.raw / ("0" * 64)).mkdir()
    (house.raw / ("0" * 64) / "damaged.csv").write_text("damaged")
    assert house.tables.vacuum(older_than_hours=0)["ctd.associations"] > 0
    assert house.before().associations.equals(first.associations)
    # nobody knows its date any more, and nobody guesses
    assert created_at(first.content_sha256, tables=house.tables) is None
    for file in house.raw.rglob("*.csv"):
        file.unlink()
    with pytest.raises(WarehouseError, match="vacuumed"):
        house.before()
