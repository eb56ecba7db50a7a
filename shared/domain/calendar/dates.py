"""Local dates in an IANA zone, and their instants.

Some wall-clock dates do not exist: 31 February, or 02:30 in the night when the clocks go forward. A ``Moment``
therefore keeps two values: the anchor, which is the local date before any clamp or gap, and ``at``, the instant.
Calendar arithmetic continues from the anchor, so the 31st returns after February.
Source: docs/design.md section 4, docs/contracts/core.md section 3.1.
"""

import re
from calendar import monthrange
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from msgspec import Struct
from msgspec.structs import replace

from shared.domain.errors import DateError

_ONE_SECOND = timedelta(seconds=1)
_END_OF_DAY_HOUR = 24

# No dots: no path leaves the zone directory. `right/` counts leap seconds; `localtime` is the machine's own.
_ZONE_NAME = re.compile(r"(?!posix/|right/|localtime$|posixrules$)[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<minute>[0-9]{2}:[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?(?P<offset>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)"
)

DATE_FORMS = "a date such as 2026-01-31, or a date and time with an offset such as 2026-01-31T10:00:00Z"
"""The forms in which data holds a date."""


# A plain class, because a generator costs three times as much on the hot path.
class _Calendar:
    """Turns errors of ``datetime`` (a year 10000, a 30 February) into DateError."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ValueError | OverflowError):
            raise DateError(f"no such date: {error}") from error


class Unit(StrEnum):
    """The unit of a span. Years, months and days keep wall-clock time; hours, minutes and seconds are elapsed time."""

    YEARS = "years"
    MONTHS = "months"
    DAYS = "days"
    HOURS = "hours"
    MINUTES = "minutes"
    SECONDS = "seconds"

    @property
    def elapses(self) -> bool:
        """Return whether it counts elapsed time, which is the same in every zone."""
        return self in _SECONDS_IN


_MONTHS_IN = {Unit.YEARS: 12, Unit.MONTHS: 1}
_SECONDS_IN = {Unit.HOURS: 3600, Unit.MINUTES: 60, Unit.SECONDS: 1}
_PARTS = ("year", "month", "day", "hour", "minute", "second", "microsecond")


class ResetTo(Struct, frozen=True, kw_only=True):
    """The parts of the local date to overwrite after the span was added; None keeps a part.

    ``month`` is 1 to 12, ``minute`` 0 to 59. ``day`` is 1 to 31 and is clamped to the month when the date is resolved.
    ``hour`` is 0 to 24, and 24 means hour 0 of the next day. If hour or minute is given, seconds and below become 0;
    hour alone keeps the minute, minute alone keeps the hour.
    """

    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None


KEEP_ALL = ResetTo()


class Span(Struct, frozen=True, kw_only=True):
    """A distance between two dates: ``amount`` (>= 0) units, then ``reset_to``."""

    unit: Unit
    amount: int
    reset_to: ResetTo = KEEP_ALL


class Anchor(Struct, frozen=True, kw_only=True):
    """A local date and time before any clamp or gap; the day (up to 31) may exceed the month, the hour may be 24."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    microsecond: int = 0


class Moment(Struct, frozen=True, kw_only=True):
    """An instant (``at``, aware, UTC) and the local date it was computed from."""

    at: datetime
    anchor: Anchor


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """Return the IANA zone with exactly this name.

    Raises: DateError: for any other text, such as a misspelling, a directory, a path, or a zone of this machine.
    """
    if _ZONE_NAME.fullmatch(name):
        with suppress(KeyError, ValueError, OSError):  # unknown, not a zone file, a directory
            return ZoneInfo(name)
    raise DateError(f"{name[:64]!r} is not a time zone of the IANA database")


def moment_at(at: datetime, zone: ZoneInfo) -> Moment:
    """Return the moment of an instant; its local date is the one the clocks of the zone show.

    Raises: DateError: if ``at`` is naive, or the local date is outside the years 1 to 9999.
    """
    with _Calendar():
        exact, local = _utc(at), at.astimezone(zone)
        return Moment(at=exact, anchor=Anchor(**{part: getattr(local, part) for part in _PARTS}))


def moment_of(anchor: Anchor, zone: ZoneInfo) -> Moment:
    """Return the moment of a local date.

    The day is clamped to the month; hour 24 is hour 0 of the next day; a time in a gap becomes the first instant after
    the gap; of a time that occurs twice the first counts.
    Raises: DateError: if the date is outside the years 1 to 9999.
    """
    with _Calendar():
        rolls = anchor.hour == _END_OF_DAY_HOUR
        clock = time(0 if rolls else anchor.hour, anchor.minute, anchor.second, anchor.microsecond)
        local = datetime.combine(_clamped(anchor) + timedelta(days=rolls), clock)
        at = local.replace(tzinfo=zone).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) != local:
            at = _end_of_gap(local, zone)
        return Moment(at=at, anchor=anchor)


def later(base: Moment, span: Span, zone: ZoneInfo) -> Moment:
    """Return the moment one span after another: add, then reset, then resolve.

    Years and months count from the anchor's month and keep its day and time: 31 Jan, 28 Feb, 31 Mar.
    Days count from the clamped anchor and keep its time: 02:30 is 02:30 again on the day after a gap.
    Hours, minutes and seconds elapse from the instant, and the anchor becomes the local time then.
    Raises: DateError: if the date is outside the years 1 to 9999.
    """
    return _moved(base, span, span.amount, zone)


def earlier(base: Moment, span: Span, zone: ZoneInfo) -> Moment:
    """Return the moment one span before another; otherwise as ``later``, with the reset applied last."""
    return _moved(base, span, -span.amount, zone)


def shifted(base: Moment, by: timedelta, zone: ZoneInfo) -> Moment:
    """Return the moment after ``by`` of elapsed time (before it, if negative), with a new anchor."""
    with _Calendar():
        return moment_at(base.at + by, zone)


def in_zone(at: datetime, zone: ZoneInfo, other: ZoneInfo) -> datetime:
    """Return the instant at which clocks in ``other`` show the date and time that those in ``zone`` show at ``at``.

    Raises: DateError: if the date is outside the years 1 to 9999.
    """
    return moment_of(moment_at(at, zone).anchor, other).at


def parse_instant(text: str) -> datetime:
    """Return the instant, in UTC, of an RFC 3339 or extended ISO-8601 date and time with an offset.

    Seconds may be left out; digits below a microsecond are dropped; a leap second is the next second.
    Raises: DateError: if the text has no offset, is a date alone, or names a day that the month does not have.
    """
    if (match := _INSTANT.fullmatch(text)) is None:
        raise DateError(f"{text[:64]!r} is not a date and time with an offset such as 2026-01-31T10:00:00Z")
    leap = match["second"] == "60"
    second, fraction = "59" if leap else match["second"] or "00", (match["fraction"] or "")[:6].ljust(6, "0")
    offset = match["offset"].upper().replace("Z", "+00:00")
    with _Calendar():
        at = datetime.fromisoformat(
            f"{match['date']}T{match['minute']}:{second}.{fraction}{offset}"
        ).astimezone(UTC)
        if leap and (at.hour, at.minute) != (23, 59):
            raise DateError(f"{text!r} is not a leap second: leap seconds end a day of UTC")
        return at + _ONE_SECOND if leap else at


def parse_date(text: str, zone: ZoneInfo) -> datetime:
    """Return the instant of a text that ``parse_instant`` reads, or of a date: the start of its day in the zone.

    Raises: DateError.
    """
    return start_of(parse_day_or_instant(text), zone)


def parse_day_or_instant(text: str) -> date:
    """Return the datetime, in UTC, of a text that ``parse_instant`` reads, or the plain date of a date without time.

    Raises: DateError.
    """
    if _DATE.fullmatch(text) is None:
        if _INSTANT.fullmatch(text) is None:
            raise DateError(f"{text[:64]!r} is not {DATE_FORMS}")
        return parse_instant(text)
    with _Calendar():
        return date.fromisoformat(text)


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a plain date in the zone. An instant (a ``datetime``) is returned as it is.

    Raises: DateError: if the instant is outside the years 1 to 9999.
    """
    if isinstance(day, datetime):
        return day
    return moment_of(Anchor(year=day.year, month=day.month, day=day.day), zone).at


def format_instant(at: datetime) -> str:
    """Return the instant as it is stored and sent: UTC, milliseconds (the rest is cut off), ``Z``.

    Raises: DateError: if ``at`` is naive, or outside the years 1 to 9999 in UTC.
    """
    try:
        text = _utc(at).isoformat(timespec="milliseconds")
    except OverflowError as error:
        raise DateError(f"no such date: {error}") from error
    return f"{text.removesuffix('+00:00')}Z"


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise DateError(f"{at.isoformat()} has no offset from UTC")
    return at.astimezone(UTC)


def _moved(base: Moment, span: Span, amount: int, zone: ZoneInfo) -> Moment:
    with _Calendar():
        if span.unit in _SECONDS_IN:
            moment = moment_at(base.at + timedelta(seconds=amount * _SECONDS_IN[span.unit]), zone)
            if span.reset_to == KEEP_ALL:  # the exact instant: resolving could fall back to the first of two
                return moment
            return moment_of(_reset(moment.anchor, span.reset_to), zone)
        if amount == 0 and span.reset_to == KEEP_ALL:
            return base
        return moment_of(_reset(_counted(base.anchor, span.unit, amount), span.reset_to), zone)


def _counted(anchor: Anchor, unit: Unit, amount: int) -> Anchor:
    """Return the anchor moved by years, months or days, with its time unchanged."""
    if unit == Unit.DAYS:
        counted = _clamped(anchor) + timedelta(days=amount)
        return replace(anchor, year=counted.year, month=counted.month, day=counted.day)
    counted = date(anchor.year, anchor.month, 1) + relativedelta(months=amount * _MONTHS_IN[unit])
    return replace(anchor, year=counted.year, month=counted.month)


def _clamped(anchor: Anchor) -> date:
    return date(anchor.year, anchor.month, min(anchor.day, monthrange(anchor.year, anchor.month)[1]))


def _reset(anchor: Anchor, to: ResetTo) -> Anchor:
    if to == KEEP_ALL:
        return anchor
    parts = {part: wanted for part in _PARTS[1:5] if (wanted := getattr(to, part)) is not None}
    if "hour" in parts or "minute" in parts:
        parts |= {"second": 0, "microsecond": 0}
    return replace(anchor, **parts)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the clocks show more than ``local``, a time they never show."""
    # With the offset from before the gap, ``local`` is after the change; with the offset from after it, before the
    # change. Changes are at whole seconds, so bisecting the seconds finds the change itself.
    before, after = (local.replace(tzinfo=zone, fold=fold, microsecond=0).astimezone(UTC) for fold in (1, 0))
    while after - before > _ONE_SECOND:
        middle = before + timedelta(seconds=(after - before) // _ONE_SECOND // 2)
        over = middle.astimezone(zone).replace(tzinfo=None) > local
        before, after = (before, middle) if over else (middle, after)
    return after
