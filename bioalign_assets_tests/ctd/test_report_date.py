import locale
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioalign_assets.ctd.report_date import format_report_date, parse_report_date


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Wed Aug 27 14:25:10 EDT 2025", datetime(2025, 8, 27, 18, 25, 10, tzinfo=UTC)),
        ("Mon Dec 01 23:59:59 EST 2025", datetime(2025, 12, 2, 4, 59, 59, tzinfo=UTC)),
        (" Mon Dec  1 09:00:00 UTC 2025 ", datetime(2025, 12, 1, 9, 0, 0, tzinfo=UTC)),
        ("Jan 05 01:02:03 PST 2026", datetime(2026, 1, 5, 9, 2, 3, tzinfo=UTC)),
    ],
)
def test_a_date_becomes_a_moment_in_utc(text, moment):
    assert parse_report_date(text) == (moment, "")
    assert parse_report_date(text)[0].tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Wed Aug 27 14:25:10 CEST 2025", "time zone 'CEST'"),
        ("Mi Mär 27 14:25:10 EDT 2025", "not of the form"),
        ("Wed Xyz 27 14:25:10 EDT 2025", "month"),
        ("Sun Feb 30 14:25:10 EST 2025", "no date"),
        ("Sun Jan 01 00:00:00 GMT 0000", "no date"),
        ("2025-08-27", "not of the form"),
        ("", "not of the form"),
    ],
)
def test_a_date_that_cannot_be_told_is_none_with_its_reason(text, reason):
    moment, problem = parse_report_date(text)
    assert moment is None
    assert reason in problem


@settings(deadline=None)
@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001 - placed below
    st.integers(-14, 14),
)
def test_what_is_written_is_read_back(moment, hours):
    moment = moment.replace(microsecond=0, tzinfo=timezone(timedelta(hours=hours)))
    assert parse_report_date(format_report_date(moment)) == (moment, "")


def test_the_locale_does_not_matter():
    before = locale.setlocale(locale.LC_TIME)
    usable = []
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "C"):
        try:
            locale.setlocale(locale.LC_TIME, name)
        except locale.Error:
            continue
        usable.append(name)
        assert parse_report_date("Wed May 27 14:25:10 EDT 2025")[1] == ""
        assert format_report_date(datetime(2025, 5, 27, tzinfo=UTC)).startswith("Mon May 26")
    locale.setlocale(locale.LC_TIME, before)
    assert usable


def test_a_moment_without_time_zone_is_not_written():
    with pytest.raises(ValueError, match="no time zone"):
        format_report_date(datetime(2025, 5, 27))  # noqa: DTZ001 - the point
