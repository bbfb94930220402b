"""The moment in ``# Report created: Wed Aug 27 14:25:10 EDT 2025``, read and written without the locale.

``strptime`` would take month names from the machine's language and can't place EDT; so both are tables here.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

__all__ = ["format_report_date", "parse_report_date"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# CTD's server stands in North Carolina; the other zones of the United States cost nothing to know.
_HOURS_FROM_UTC = {
    "UTC": 0, "GMT": 0, "EDT": -4, "EST": -5, "CDT": -5, "CST": -6,
    "MDT": -6, "MST": -7, "PDT": -7, "PST": -8,
}  # fmt: skip
_PATTERN = re.compile(
    r"(?:[A-Za-z]{3} +)?(?P<month>[A-Za-z]{3}) +(?P<day>\d{1,2}) +"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2}) +(?P<zone>[A-Za-z]+) +(?P<year>\d{4})"
)


def parse_report_date(text: str) -> tuple[datetime | None, str]:
    """Return the moment in UTC and an empty text, or None and the reason why it can't be told.

    A date that can't be read is no reason to refuse a release: the date orders releases and is shown, it is
    not part of the data. So the reason comes back for the caller to show, and no time zone is ever guessed.

    :param text: what follows ``# Report created:``
    """
    found = _PATTERN.fullmatch(text.strip())
    if found is None:
        return None, f"{text.strip()!r} is not of the form 'Wed Aug 27 14:25:10 EDT 2025'"
    month, zone = found["month"].capitalize(), found["zone"].upper()
    if month not in _MONTHS:
        return None, f"{found['month']!r} is not an English month name"
    if zone not in _HOURS_FROM_UTC:
        return None, f"the time zone {found['zone']!r} is not one that we know"
    clock = (int(found["hour"]), int(found["minute"]), int(found["second"]))
    try:
        local = datetime(
            int(found["year"]), _MONTHS.index(month) + 1, int(found["day"]), *clock,
            tzinfo=timezone(timedelta(hours=_HOURS_FROM_UTC[zone])),
        )  # fmt: skip
        return local.astimezone(UTC), ""
    except (ValueError, OverflowError) as problem:
        return None, f"{text.strip()!r} is no date: {problem}"


def format_report_date(moment: datetime) -> str:
    """Return the moment as CTD writes it, in Eastern Standard Time, to the second.

    :param moment: an aware datetime
    :raises ValueError: if it has no time zone
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    local = moment.astimezone(timezone(timedelta(hours=_HOURS_FROM_UTC["EST"])))
    day = f"{_DAYS[local.weekday()]} {_MONTHS[local.month - 1]} {local.day:02d}"
    return f"{day} {local:%H:%M:%S} EST {local.year:04d}"
