"""A small study's page, made once for all tests that only look at it."""

import pytest

from bioalign_assets.report.page import Page, study_page
from bioalign_assets.warehouse.tables import Tables
from bioalign_assets_tests.report._page import STUDY, write_study


@pytest.fixture(scope="session")
def tables(tmp_path_factory) -> Tables:
    return write_study(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def page(tables) -> Page:
    return study_page(tables, study=STUDY)
