"""The dates of the orders dialect: ISO 8601 with or without an offset, or a distance from now.

``1d`` is the first moment of tomorrow; as an end it is the end of tomorrow. ``-2h`` is two hours ago, to the second,
for both ends. If the contract's table and its recommendations differ, the recommendations apply.
Source: docs/contracts/orders.md B.3 "Date language" and B.6.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from enum import Enum, auto

from dateutil.relativedelta import relativedelta

from shared.domain.calendar.dates import Anchor, moment_of, zone_named
from shared.domain.errors import DateError

PATTERN = re.compile(
    r"(?P<value>(?P<zero>[+-]?0)|(?P<relative>(?:[+-]?[0-9]+[smhdwMy])+)"
    r"|(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})(?:[,.](?P<part>[0-9]{1,3}))?)"
    r"(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
"""The pattern of the vendor's schema."""

MAX_COUNTED = 100_000
"""The maximum number of a unit in a distance. Larger ones leave the calendar."""

_TERM = re.compile(r"([+-]?)([0-9]+)([smhdwMy])")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})?")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_LATEST_HOUR, _LATEST_MINUTE = 18, 59


class DateLanguageError(Exception):
    """A text is not a date of this language."""


class UnknownZoneError(Exception):
    """A time zone does not exist."""


class End(Enum):
    """The end of a range that a date is."""

    FROM = auto()
    UNTIL = auto()
    """If the distance is in days, weeks, months or years, it is the end of the last one."""


def date_of(text: str, *, end: End, now: datetime, zone: str | None, past: bool = False) -> datetime:
    """Return the instant of a text.

    A named ``zone`` takes precedence over the text's own offset; without both it is UTC. If ``past``, distances
    without a sign go back.
    Raises: DateLanguageError; UnknownZoneError.
    """
    named = None if zone is None else zone_of(zone)
    match = PATTERN.fullmatch(text)
    if match is None:
        raise DateLanguageError(f"{text[:64]!r} is not a date or a distance like 1d, -2h or 0")
    where = named or _offset(match["offset"])
    try:
        if match["zero"] is not None:
            return now
        if match["relative"] is not None:
            return _at_a_distance(_counted(match["relative"], past=past), end=end, now=now, zone=where)
        return _written(match, where)
    except (ValueError, OverflowError, DateError) as error:
        raise DateLanguageError(f"{text[:64]!r} does not exist in the calendar") from error


def zone_of(name: str) -> tzinfo:
    """Return the zone of a name. Raises: UnknownZoneError."""
    try:
        return zone_named(name)
    except DateError as error:
        raise UnknownZoneError(f"unknown time zone {name[:64]!r}") from error


def local_instant(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant at which a zone's clocks show a date and time; in a gap, the first instant after it."""
    anchor = Anchor(
        year=local.year,
        month=local.month,
        day=local.day,
        hour=local.hour,
        minute=local.minute,
        second=local.second,
        microsecond=local.microsecond,
    )
    # A fixed offset has no gaps, so it needs no search.
    if isinstance(zone, timezone):
        return local.replace(tzinfo=zone).astimezone(UTC)
    return moment_of(anchor, zone).at  # type: ignore[arg-type]


def _offset(text: str | None) -> tzinfo:
    """Return the zone of an offset, UTC if there is none. Raises: DateLanguageError."""
    match = _OFFSET.fullmatch(text or "")
    if match is None:
        return UTC
    hours, minutes = int(match[2]), int(match[3] or 0)
    if hours > _LATEST_HOUR or minutes > _LATEST_MINUTE:
        raise DateLanguageError(f"{text} is not an offset from UTC")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if match[1] == "-" else offset)


def _written(match: re.Match[str], zone: tzinfo) -> datetime:
    part = (match["part"] or "").ljust(6, "0")
    local = datetime.combine(date.fromisoformat(match["date"]), time.fromisoformat(match["time"]))
    return local_instant(local.replace(microsecond=int(part)), zone)


def _counted(text: str, *, past: bool) -> Mapping[str, int]:
    """Return the number of each unit. If a unit repeats, the first one counts. A sign applies to its own term only."""
    counted: dict[str, int] = {}
    for sign, amount, unit in _TERM.findall(text):
        number = int(amount)
        if number > MAX_COUNTED:
            raise DateLanguageError(f"{amount}{unit} is too far away")
        counted.setdefault(unit, -number if sign == "-" or (past and not sign) else number)
    return counted


def _at_a_distance(counted: Mapping[str, int], *, end: End, now: datetime, zone: tzinfo) -> datetime:
    # Hours, minutes and seconds are elapsed time; days and more are calendar time, so that they begin at midnight.
    elapsed = timedelta(seconds=sum(counted.get(unit, 0) * each for unit, each in _SECONDS.items()))
    whole = [unit for unit in "yMwd" if unit in counted]
    if not whole:
        return now + elapsed
    day = now.astimezone(zone).date() + relativedelta(
        years=counted.get("y", 0), months=counted.get("M", 0), weeks=counted.get("w", 0)
    )
    day = _beginning(day, whole) + timedelta(days=counted.get("d", 0))
    # The end of a range is where the next day, week, month or year begins.
    if end is End.UNTIL:
        day += _PERIODS[whole[-1]]
    return local_instant(datetime.combine(day, time()), zone) + elapsed


_PERIODS: Mapping[str, relativedelta] = {
    "y": relativedelta(years=1),
    "M": relativedelta(months=1),
    "w": relativedelta(weeks=1),
    "d": relativedelta(days=1),
}


def _beginning(day: date, units: list[str]) -> date:
    """Return the first day of the smallest of the years, months and weeks that were named."""
    smallest = next((unit for unit in reversed(units) if unit != "d"), None)
    match smallest:
        case "y":
            return day.replace(month=1, day=1)
        case "M":
            return day.replace(day=1)
        case "w":
            return day - timedelta(days=day.weekday())
        case _:
            return day
