"""Local dates in an IANA zone: what a plan asks for, and the instant it stands for.

Not every date on a wall clock exists: 31 February does not, nor 02:30 on the night the clocks go forward. So
a ``Moment`` keeps two things: ``asked``, the local date before anything was bent, and ``at``, the instant it
came to. Calendar arithmetic goes on from ``asked``; that is why the 31st comes back after February.
Source: design.md section 4, contracts/core.md section 3.1.
"""

import re
from calendar import monthrange
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from shared.domain.errors import DateError

_ONE_SECOND = timedelta(seconds=1)
_END_OF_DAY_HOUR = 24

# No dots: no path leaves the zone directory. `right/` counts leap seconds; `localtime` is the machine's own.
_ZONE_NAME = re.compile(r"(?!posix/|right/|localtime$|posixrules$)[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_INSTANT = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<minute>[0-9]{2}:[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?(?P<offset>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)"
)


class _Calendar:
    """What no calendar of ours can hold (a year 10000, a 30 February written out) is a DateError."""

    def __enter__(self) -> None:
        """Nothing to prepare. A plain class: on the hot path a generator costs three times as much."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ValueError | OverflowError):
            raise DateError(f"no such date: {error}") from error


class Unit(StrEnum):
    """What a span is counted in. Years, months and days keep wall-clock time; hours, minutes and seconds elapse."""

    YEARS = "years"
    MONTHS = "months"
    DAYS = "days"
    HOURS = "hours"
    MINUTES = "minutes"
    SECONDS = "seconds"


_MONTHS_IN = {Unit.YEARS: 12, Unit.MONTHS: 1}
_SECONDS_IN = {Unit.HOURS: 3600, Unit.MINUTES: 60, Unit.SECONDS: 1}
_PARTS = ("year", "month", "day", "hour", "minute", "second", "microsecond")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetTo:
    """The parts of the local date to overwrite once the span has been counted; None leaves a part alone.

    month: 1 to 12. day: 1 to 31, clamped to the month when it is resolved, asked for as written.
    hour: 0 to 24, where 24 is hour 0 of the next day. minute: 0 to 59.
    With hour or minute, seconds and below become 0; hour alone keeps the minute, minute alone the hour.
    """

    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None


KEEP_ALL = ResetTo()


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A distance between two dates: ``amount`` (>= 0) units, then ``reset_to``."""

    unit: Unit
    amount: int
    reset_to: ResetTo = KEEP_ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The local date and time a plan asks for; the day (to 31) may exceed the month, the hour may be 24."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    microsecond: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An instant (``at``, aware, UTC) and the local date it was asked as."""

    at: datetime
    asked: Asked


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The IANA zone of that name, exactly as the database spells it.

    Raises: DateError for any other text: misspelt, empty, a directory, a path, a zone of this machine.
    """
    if _ZONE_NAME.fullmatch(name):
        with suppress(KeyError, ValueError, OSError):  # unknown, not a zone file, a directory
            return ZoneInfo(name)
    raise DateError(f"{name[:64]!r} is not a time zone of the IANA database")


def moment_at(at: datetime, zone: ZoneInfo) -> Moment:
    """The moment of an instant; it is asked as what the clocks of the zone show then.

    Raises: DateError for a naive ``at``, or where the local date leaves the years 1 to 9999.
    """
    with _Calendar():
        exact, local = _utc(at), at.astimezone(zone)
        return Moment(at=exact, asked=Asked(**{part: getattr(local, part) for part in _PARTS}))


def moment_of(asked: Asked, zone: ZoneInfo) -> Moment:
    """The moment an asked local date stands for.

    The day clamps to the month; hour 24 is hour 0 of the next day; a time in a gap is the first instant after
    the gap; a time that comes twice is the first of the two.
    Raises: DateError where the date leaves the years 1 to 9999.
    """
    with _Calendar():
        rolls = asked.hour == _END_OF_DAY_HOUR
        clock = time(0 if rolls else asked.hour, asked.minute, asked.second, asked.microsecond)
        local = datetime.combine(_clamped(asked) + timedelta(days=rolls), clock)
        at = local.replace(tzinfo=zone).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) != local:
            at = _end_of_gap(local, zone)
        return Moment(at=at, asked=asked)


def later(anchor: Moment, span: Span, zone: ZoneInfo) -> Moment:
    """The moment one span after the anchor: count, then reset, then resolve.

    Years and months count from the asked month and keep the asked day and time: 31 Jan, 28 Feb, 31 Mar.
    Days count from the asked date, clamped, and keep the asked time: 02:30 is 02:30 again after the gap.
    Hours and minutes elapse from the true instant, and what is asked becomes what the clocks then show.
    Raises: DateError where the date leaves the years 1 to 9999.
    """
    return _moved(anchor, span, span.amount, zone)


def earlier(anchor: Moment, span: Span, zone: ZoneInfo) -> Moment:
    """The moment one span before the anchor; in everything else as ``later``, the reset too comes last."""
    return _moved(anchor, span, -span.amount, zone)


def shifted(anchor: Moment, by: timedelta, zone: ZoneInfo) -> Moment:
    """The moment ``by`` of elapsed time after the anchor (before it, if negative), asked for anew."""
    with _Calendar():
        return moment_at(anchor.at + by, zone)


def parse_instant(text: str) -> datetime:
    """The instant, in UTC, of an RFC 3339 or extended ISO-8601 date and time that carries its offset.

    Seconds may be left out; digits below a microsecond are dropped; a leap second is the next second.
    Raises: DateError for anything else: no offset, a date alone, a day the month has not.
    """
    if (found := _INSTANT.fullmatch(text)) is None:
        raise DateError(f"{text[:64]!r} is not a date and time with an offset, as 2026-01-31T10:00:00Z")
    leap = found["second"] == "60"
    second, fraction = "59" if leap else found["second"] or "00", (found["fraction"] or "")[:6].ljust(6, "0")
    offset = found["offset"].upper().replace("Z", "+00:00")
    with _Calendar():
        at = datetime.fromisoformat(
            f"{found['date']}T{found['minute']}:{second}.{fraction}{offset}"
        ).astimezone(UTC)
        if leap and (at.hour, at.minute) != (23, 59):
            raise DateError(f"{text!r} is not a leap second: those end a day of UTC")
        return at + _ONE_SECOND if leap else at


def format_instant(at: datetime) -> str:
    """The instant as stored and sent: UTC, milliseconds (the rest is cut off), ``Z``.

    Raises: DateError for a naive ``at``.
    """
    with _Calendar():
        return f"{_utc(at).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise DateError(f"{at.isoformat()} has no offset from UTC")
    return at.astimezone(UTC)


def _moved(anchor: Moment, span: Span, amount: int, zone: ZoneInfo) -> Moment:
    with _Calendar():
        if span.unit in _SECONDS_IN:
            moment = moment_at(anchor.at + timedelta(seconds=amount * _SECONDS_IN[span.unit]), zone)
            if span.reset_to == KEEP_ALL:  # the exact instant: resolving could fall back to the first of two
                return moment
            return moment_of(_reset(moment.asked, span.reset_to), zone)
        if amount == 0 and span.reset_to == KEEP_ALL:
            return anchor
        return moment_of(_reset(_counted(anchor.asked, span.unit, amount), span.reset_to), zone)


def _counted(asked: Asked, unit: Unit, amount: int) -> Asked:
    """The asked date moved by years, months or days, its asked time as it was."""
    if unit == Unit.DAYS:
        counted = _clamped(asked) + timedelta(days=amount)
        return replace(asked, year=counted.year, month=counted.month, day=counted.day)
    counted = date(asked.year, asked.month, 1) + relativedelta(months=amount * _MONTHS_IN[unit])
    return replace(asked, year=counted.year, month=counted.month)


def _clamped(asked: Asked) -> date:
    return date(asked.year, asked.month, min(asked.day, monthrange(asked.year, asked.month)[1]))


def _reset(asked: Asked, to: ResetTo) -> Asked:
    if to == KEEP_ALL:
        return asked
    parts = {part: wanted for part in _PARTS[1:5] if (wanted := getattr(to, part)) is not None}
    if "hour" in parts or "minute" in parts:
        parts |= {"second": 0, "microsecond": 0}
    return replace(asked, **parts)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clocks show more than ``local``, a time they never show.

    Read with the offset before the gap, ``local`` lies after the change; read with the one after, before it.
    Changes fall on whole seconds, so halving the seconds in between finds the change itself.
    """
    before, after = (local.replace(tzinfo=zone, fold=fold, microsecond=0).astimezone(UTC) for fold in (1, 0))
    while after - before > _ONE_SECOND:
        middle = before + timedelta(seconds=(after - before) // _ONE_SECOND // 2)
        over = middle.astimezone(zone).replace(tzinfo=None) > local
        before, after = (before, middle) if over else (middle, after)
    return after
