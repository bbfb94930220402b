"""The real datasets."""

import pyarrow as pa
import pytest

from bioalign_assets_tests.evaluation._real import read_associations, read_dataset


@pytest.fixture(scope="session")
def associations(real_data) -> pa.Table:
    return read_associations(real_data)


@pytest.fixture(scope="session")
def published(real_data) -> pa.Table:
    return read_dataset("published", real_data)


@pytest.fixture(scope="session")
def held_out(real_data) -> pa.Table:
    return read_dataset("held-out", real_data)


@pytest.fixture(scope="session")
def stable(real_data) -> pa.Table:
    return read_dataset("stable", real_data)
