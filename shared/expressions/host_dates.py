"""Host functions for dates. All use the given IANA zone and keep the wall-clock time.

A local time inside a gap (clocks go forward) moves to the first instant after it; of a local time that occurs twice
(clocks go back) the first counts. Results outside the years 1 to 9999 are refused.
Source: docs/expressions.md.
"""

import re
from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_TOKENS = re.compile(r"YYYY|MM|DD|HH|mm|ss")
_DIRECTIVES = {
    "YYYY": "{0.year:04}",
    "MM": "{0.month:02}",
    "DD": "{0.day:02}",
    "HH": "{0.hour:02}",
    "mm": "{0.minute:02}",
    "ss": "{0.second:02}",
}
_MAX_PATTERN_CHARACTERS = 100
_LAST_DAY = 31


def with_day(date: datetime, day: int, zone: str) -> datetime:
    """Return ``date`` on the given day (1 to 31) of its local month, or on the last day if the month is shorter."""
    if not 1 <= day <= _LAST_DAY:
        raise ValueError(f"withDay: the day must be 1 to 31, not {day}")
    tz = _zone(zone)
    local = _local(date, tz)
    return _instant(local.replace(day=min(day, monthrange(local.year, local.month)[1])), tz)


def add_months(date: datetime, months: int, zone: str) -> datetime:
    """Return ``date`` moved by a number of months (back if negative), the day clamped to the month."""
    tz = _zone(zone)
    local = _local(date, tz)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    _require_year(year)
    last = monthrange(year, month + 1)[1]
    return _instant(local.replace(year=year, month=month + 1, day=min(local.day, last)), tz)


def add_days(date: datetime, days: int, zone: str) -> datetime:
    """Return ``date`` moved by a number of local days (back if negative)."""
    tz = _zone(zone)
    try:
        later = _local(date, tz) + timedelta(days=days)
    except OverflowError:
        raise ValueError("the date is outside the years 1 to 9999") from None
    return _instant(later, tz)


def start_of_day(date: datetime, zone: str) -> datetime:
    """Return the first instant of the local day of ``date``."""
    tz = _zone(zone)
    return _instant(_local(date, tz).replace(hour=0, minute=0, second=0, microsecond=0), tz)


def format_date(date: datetime, pattern: str, zone: str) -> str:
    """Return ``pattern`` with YYYY, MM, DD, HH, mm and ss replaced by the local date and time."""
    if len(pattern) > _MAX_PATTERN_CHARACTERS:
        raise ValueError(f"formatDate: the pattern is longer than {_MAX_PATTERN_CHARACTERS} characters")
    local = _local(date, _zone(zone))
    return _TOKENS.sub(lambda token: _DIRECTIVES[token[0]].format(local), pattern)


def iso_date(date: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds and ``Z``: ``2026-03-01T09:00:00.000Z``. Microseconds are cut off."""
    return date.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone '{name[:64]}'") from None


def _local(date: datetime, tz: ZoneInfo) -> datetime:
    """Return the wall clock of ``date`` in the zone, as a naive datetime."""
    try:
        return date.astimezone(tz).replace(tzinfo=None, fold=0)
    except OverflowError:
        raise ValueError("the date is outside the years 1 to 9999") from None


def _instant(local: datetime, tz: ZoneInfo) -> datetime:
    """Return the instant, in UTC, at which the wall clock of the zone shows ``local``."""
    try:
        instant = local.replace(tzinfo=tz).astimezone(UTC)
        shown = instant.astimezone(tz).replace(tzinfo=None)
    except OverflowError:
        raise ValueError("the date is outside the years 1 to 9999") from None
    return instant if shown == local else _end_of_gap(local, tz)


def _end_of_gap(local: datetime, tz: ZoneInfo) -> datetime:
    """Return the first instant after the gap that contains ``local``, found by bisection."""
    # With the offset that applies after the gap, the local time is an instant before it, and vice versa.
    before = local.replace(tzinfo=tz, fold=1, microsecond=0).astimezone(UTC)
    after = local.replace(tzinfo=tz, microsecond=0).astimezone(UTC)
    new_offset = after.astimezone(tz).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(tz).utcoffset() == new_offset:
            after = middle
        else:
            before = middle
    return after


def _require_year(year: int) -> None:
    if not MINYEAR <= year <= MAXYEAR:
        raise ValueError("the date is outside the years 1 to 9999")
