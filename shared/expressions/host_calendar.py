"""Host functions for weekdays, times of day, texts and ids, with the names of 8x8's script helpers.

Source: docs/expressions.md; docs/contracts/automation.md A.2.
"""

import re
from datetime import UTC, date, datetime, time
from hashlib import sha256
from zoneinfo import ZoneInfo

from shared.expressions.windows_zones import IANA_OF

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_DATE_CHARACTERS = 64
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def string_contains(text: str, value: str, ignore_case: bool = False) -> bool:  # noqa: FBT001, FBT002 - as it is called
    """Return whether ``text`` contains ``value``; case matters unless ``ignore_case`` is true."""
    return value.casefold() in text.casefold() if ignore_case else value in text


def is_time_of_day_between(at: str, first: str, last: str, zone: str) -> bool:
    """Return whether an instant (ISO 8601; UTC if it has no offset) is between two times of day in a zone.

    Both times are included, to the second. If the first is later than the last, the range spans midnight. Times are
    ``HH:mm`` or ``HH:mm:ss``; the zone is a Windows id or an IANA name.
    """
    since, until = _time(first), _time(last)
    found = _local(_instant("isTimeOfDayBetween", at), _zone(zone)).replace(microsecond=0)
    if since <= until:
        return since <= found <= until
    return found >= since or found <= until


def is_day_of_week(on: str, day: str) -> bool:
    """Return whether a date, or the local date of an instant (ISO 8601), is that day of the week, in any case."""
    if day.lower() not in _DAYS:
        raise ValueError(f"isDayOfWeek: {day[:64]!r} is not a day of the week")
    found = _day(on) if _DATE.fullmatch(on) else _instant("isDayOfWeek", on).date()
    return _DAYS[found.weekday()] == day.lower()


def uuid_of(text: str) -> str:
    """Return a UUID (version 8, RFC 9562) derived from a text: equal texts give equal UUIDs."""
    value = int.from_bytes(sha256(text.encode()).digest()[:16], "big") & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    found = f"{value:032x}"
    return f"{found[:8]}-{found[8:12]}-{found[12:16]}-{found[16:20]}-{found[20:]}"


def _time(text: str) -> time:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"isTimeOfDayBetween: {text[:64]!r} is not a time of day such as 09:00:00")
    return time(int(match[1]), int(match[2]), int(match[3] or 0))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"isDayOfWeek: {text!r} is not a date") from None


def _instant(function: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text if len(text) <= _MAX_DATE_CHARACTERS else "")
    except ValueError:
        raise ValueError(f"{function}: {text[:64]!r} is not a date and time in ISO 8601") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _local(at: datetime, zone: ZoneInfo) -> time:
    try:
        return at.astimezone(zone).time()
    except OverflowError:
        raise ValueError("the date is outside the years 1 to 9999") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(IANA_OF.get(name, name))
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone '{name[:64]}'") from None
