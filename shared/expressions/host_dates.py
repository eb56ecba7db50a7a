"""Host functions for dates. All use the given IANA zone and keep the wall-clock time.

A local time inside a gap (clocks go forward) moves to the first instant after it; of a local time that occurs twice
(clocks go back) the first counts. Results outside the years 1 to 9999 are refused.
Source: docs/expressions.md.
"""

from calendar import monthrange
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.expressions.moments import MomentPatternError, read_date, write_date

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
    """Return the local date and time in the format of the pattern; see ``moments``."""
    tz = _zone(zone)
    _local(date, tz)
    try:
        return write_date(pattern, date.astimezone(tz))
    except MomentPatternError as error:
        raise ValueError(f"formatDate: {error}") from None


def parse_date(text: str, pattern: str, zone: str = "UTC") -> datetime:
    """Return the date that a text holds in the format of the pattern, local in the zone unless it holds an offset."""
    tz = _zone(zone)
    try:
        date = read_date(text, pattern)
    except ValueError as error:
        raise ValueError(f"parseDate: {error}") from None
    if date.tzinfo is None:
        return _instant(date, tz)
    try:
        return date.astimezone(UTC)
    except OverflowError:
        raise ValueError("the date is outside the years 1 to 9999") from None


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
