"""The dates of the orders dialect: ISO 8601 with or without an offset, or a distance from now.

``1d`` is tomorrow, from its first moment on; as an end it is the end of tomorrow. ``-2h`` is two hours ago, to the
second, as either end. Where the contract's table and its recommendations differ, the recommendations hold.
Source: contracts/orders.md B.3 "Date language" and B.6.
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
"""What the vendor's schema lets pass."""

MAX_COUNTED = 100_000
"""A distance of more of a unit is refused: no calendar holds it."""

_TERM = re.compile(r"([+-]?)([0-9]+)([smhdwMy])")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})?")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_LATEST_HOUR, _LATEST_MINUTE = 18, 59


class DateLanguageError(Exception):
    """A text is no date of this language."""


class UnknownZoneError(Exception):
    """There is no such time zone."""


class End(Enum):
    """Which end of a time a date is."""

    FROM = auto()
    UNTIL = auto()
    """Of whole days, weeks, months and years the end of the last one: where the next begins."""


def date_of(text: str, *, end: End, now: datetime, zone: str | None, past: bool = False) -> datetime:
    """The instant a text stands for. zone: a name, which beats the text's own offset; without both it is UTC.

    past: a distance without a sign goes back. Raises: DateLanguageError; UnknownZoneError.
    """
    named = None if zone is None else zone_of(zone)
    found = PATTERN.fullmatch(text)
    if found is None:
        raise DateLanguageError(f"{text[:64]!r} is no date and no distance as 1d, -2h or 0")
    where = named or _offset(found["offset"])
    try:
        if found["zero"] is not None:
            return now
        if found["relative"] is not None:
            return _at_a_distance(_counted(found["relative"], past=past), end=end, now=now, zone=where)
        return _written(found, where)
    except (ValueError, OverflowError, DateError) as error:
        raise DateLanguageError(f"{text[:64]!r} is no date of a calendar") from error


def zone_of(name: str) -> tzinfo:
    """The zone of a name. Raises: UnknownZoneError."""
    try:
        return zone_named(name)
    except DateError as error:
        raise UnknownZoneError(f"unknown time zone {name[:64]!r}") from error


def local_instant(local: datetime, zone: tzinfo) -> datetime:
    """The instant at which the clocks of a zone show a date and time: in a gap the first after it."""
    asked = Anchor(
        year=local.year,
        month=local.month,
        day=local.day,
        hour=local.hour,
        minute=local.minute,
        second=local.second,
        microsecond=local.microsecond,
    )
    if isinstance(zone, timezone):
        return local.replace(tzinfo=zone).astimezone(UTC)
    return moment_of(asked, zone).at  # type: ignore[arg-type]


def _offset(text: str | None) -> tzinfo:
    """The zone of an offset; UTC where there is none. Raises: DateLanguageError."""
    found = _OFFSET.fullmatch(text or "")
    if found is None:
        return UTC
    hours, minutes = int(found[2]), int(found[3] or 0)
    if hours > _LATEST_HOUR or minutes > _LATEST_MINUTE:
        raise DateLanguageError(f"{text} is no offset from UTC")
    by = timedelta(hours=hours, minutes=minutes)
    return timezone(-by if found[1] == "-" else by)


def _written(found: re.Match[str], zone: tzinfo) -> datetime:
    part = (found["part"] or "").ljust(6, "0")
    local = datetime.combine(date.fromisoformat(found["date"]), time.fromisoformat(found["time"]))
    return local_instant(local.replace(microsecond=int(part)), zone)


def _counted(text: str, *, past: bool) -> Mapping[str, int]:
    """How many of each unit; of one that comes twice the first counts, and a sign holds for its own term."""
    counted: dict[str, int] = {}
    for sign, amount, unit in _TERM.findall(text):
        number = int(amount)
        if number > MAX_COUNTED:
            raise DateLanguageError(f"{amount}{unit} is too far away")
        counted.setdefault(unit, -number if sign == "-" or (past and not sign) else number)
    return counted


def _at_a_distance(counted: Mapping[str, int], *, end: End, now: datetime, zone: tzinfo) -> datetime:
    elapsed = timedelta(seconds=sum(counted.get(unit, 0) * each for unit, each in _SECONDS.items()))
    whole = [unit for unit in "yMwd" if unit in counted]
    if not whole:
        return now + elapsed
    day = now.astimezone(zone).date() + relativedelta(
        years=counted.get("y", 0), months=counted.get("M", 0), weeks=counted.get("w", 0)
    )
    day = _beginning(day, whole) + timedelta(days=counted.get("d", 0))
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
    """The first day of the smallest of the years, months and weeks that were named."""
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
