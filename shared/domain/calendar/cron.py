"""Cron expressions, and when they fire in a zone.

A fixed-time expression leaves out at least one hour. Each of its times fires once on each of its days, whatever the
clocks do: a time in a gap fires at the first instant after the gap, and of a time that occurs twice the first counts.
An interval expression fires in every hour. It fires at every instant at which the clocks show any of its times, so
that it ticks evenly through a change by whole hours.
Source: docs/design.md section 4; docs/contracts/core.md section 4.1; docs/decisions/0018.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from msgspec import Struct

from shared.domain.calendar.cron_fields import CronError, Fault, Word, words
from shared.domain.calendar.dates import Anchor, Moment, moment_at, moment_of, zone_named
from shared.domain.errors import DateError

if TYPE_CHECKING:
    from shared.domain.calendar.cron_search import LocalTimes

MAX_CRON_CHARACTERS = 512
"""The number of characters an expression may have."""

FIRST_YEAR, LAST_YEAR = 2, 9950
"""The years from which fires are computed."""

_UNIX_FIELDS = 5
_QUARTZ_FIELDS = (6, 7)
_EVENTBRIDGE_FIELDS = 6
_EVENTBRIDGE = re.compile(r"[ \t]*cron\((?P<fields>.*)\)[ \t]*", re.IGNORECASE)
_RATE = re.compile(r"[ \t]*rate\(.*\)[ \t]*", re.IGNORECASE)
_LEAST = timedelta(microseconds=1)
_ONE_SECOND = timedelta(seconds=1)
_ONE_DAY = timedelta(days=1)
_ANY_START = datetime(2026, 1, 1)  # noqa: DTZ001 - wall clock


class Cron(Struct, frozen=True, kw_only=True):
    """An expression as it was written, and the local times it names."""

    text: str
    times: "LocalTimes"

    def fires_from(self, at: datetime | None) -> bool:
        """Return whether it fires at or after an instant, or, for None, in any year at all."""
        if at is not None:
            # A day earlier, so that the answer holds in every zone.
            return self.times.first_from(_shown(at - _ONE_DAY, zone_named("UTC"))) is not None
        start = _ANY_START.replace(year=self.times.first_year or _ANY_START.year)
        return self.times.first_from(start) is not None


def read_cron(text: str) -> Cron:
    """Read an expression: five fields are Unix cron, six or seven Quartz, ``cron(...)`` is EventBridge's form.

    Raises: CronError: with everything that is wrong.
    """
    # The readers and the search are loaded with the first expression: strategies without cron save 6 ms of import.
    from shared.domain.calendar.quartz import quartz  # noqa: PLC0415
    from shared.domain.calendar.unix_cron import unix_cron  # noqa: PLC0415

    wrapped = _EVENTBRIDGE.fullmatch(text)
    if wrapped is not None:
        # EventBridge's fields are those of Quartz with a year and without seconds.
        fields = _fields_of_eventbridge(text, *wrapped.span("fields"))
        return Cron(text=text, times=quartz([Word(text="0", offset=fields[0].offset), *fields]))
    if _RATE.fullmatch(text):
        message = "rate(...) is a distance, not a date: write scheduleAfter with its unit and amount instead of cron"
        raise CronError(Fault(message=message, offset=0))
    fields = words(text)
    if len(fields) == _UNIX_FIELDS:
        return Cron(text=text, times=unix_cron(fields))
    if len(fields) not in _QUARTZ_FIELDS:
        message = f"must have 5 fields (Unix cron), or 6 or 7 (Quartz), not {len(fields)}"
        raise CronError(Fault(message=message, offset=0))
    try:
        return Cron(text=text, times=quartz(fields))
    except CronError as error:
        raise _in_another_order(text, fields) or error from None


def _fields_of_eventbridge(text: str, begin: int, end: int) -> list[Word]:
    fields = words(text, begin=begin, end=end)
    if len(fields) != _EVENTBRIDGE_FIELDS:
        message = f"cron(...) must have 6 fields, from the minute to the year, not {len(fields)}"
        raise CronError(Fault(message=message, offset=begin))
    return fields


def _in_another_order(text: str, fields: Sequence[Word]) -> CronError | None:
    """Return the error for six fields in EventBridge's order, which Quartz cannot read, or None for any others."""
    from shared.domain.calendar.quartz import quartz  # noqa: PLC0415

    if len(fields) != _EVENTBRIDGE_FIELDS:
        return None
    try:
        quartz([Word(text="0", offset=0), *fields])
    except CronError:
        return None
    # It is not guessed: ``0 0 6 * ? *`` may also be a Quartz expression with a misplaced question mark.
    message = f"these six fields are in EventBridge's order; if that is meant, write cron({text.strip()})"
    return CronError(Fault(message=message, offset=0))


def first_fire(cron: Cron, at: datetime, zone: ZoneInfo) -> Moment | None:
    """Return the first fire at or after an instant, or None if there is none.

    Raises: DateError: if the instant is naive, or outside the years ``FIRST_YEAR`` to ``LAST_YEAR``.
    """
    if at.tzinfo is None or not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise DateError(f"cron counts from dates of the years {FIRST_YEAR} to {LAST_YEAR}")
    exact = at.astimezone(UTC)
    return _tick(cron, exact, zone) if cron.times.every_hour else _fixed_time(cron, exact, zone)


def next_fire(cron: Cron, after: datetime, zone: ZoneInfo) -> Moment | None:
    """Return the first fire strictly after an instant; otherwise the same as ``first_fire``."""
    return first_fire(cron, after + _LEAST, zone)


def _fixed_time(cron: Cron, at: datetime, zone: ZoneInfo) -> Moment | None:
    """Return the first fixed time whose instant is at or after this one, with that time as its anchor."""
    local = cron.times.first_from(_fired_before(at, zone))
    if local is None:
        return None
    anchor = Anchor(
        year=local.year,
        month=local.month,
        day=local.day,
        hour=local.hour,
        minute=local.minute,
        second=local.second,
    )
    return moment_of(anchor, zone)


def _fired_before(at: datetime, zone: ZoneInfo) -> datetime:
    """Return the local time before which all fixed times have fired by an instant."""
    # If the clocks went back within the day before, they had already shown later times, which have fired.
    before = at - _LEAST
    reached = _shown(before, zone) + _LEAST
    yesterday = before - _ONE_DAY
    if _offset(yesterday, zone) <= _offset(before, zone):
        return reached
    change = _first_change(yesterday, before, zone)
    return reached if change is None else max(reached, _shown(change - _LEAST, zone) + _LEAST)


def _tick(cron: Cron, at: datetime, zone: ZoneInfo) -> Moment | None:
    """Return the first instant, from this one on, at which the clocks show any of the times."""
    # Between two changes of the clocks, local time advances evenly, so each such stretch is searched by itself.
    while True:
        local = cron.times.first_from(_shown(at, zone))
        fire = at + _ONE_DAY if local is None else local.replace(tzinfo=UTC) - _offset(at, zone)
        change = _first_change(at, fire, zone)
        if change is None:
            return None if local is None else moment_at(fire, zone)
        at = change


def _first_change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first instant after ``low``, up to ``high``, with another offset from UTC, or None.

    A change that is reverted within a day would be missed; the zone database has none.
    """
    offset = _offset(low, zone)
    while low < high:
        until = min(low + _ONE_DAY, high)
        if _offset(until, zone) != offset:
            return _change_within(low.replace(microsecond=0), until, zone)
        low = until
    return None


def _change_within(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    # Changes are at whole seconds, so bisecting whole seconds finds the change itself.
    offset = _offset(low, zone)
    high = high.replace(microsecond=0)
    while high - low > _ONE_SECOND:
        middle = low + (high - low) // _ONE_SECOND // 2 * _ONE_SECOND
        low, high = (middle, high) if _offset(middle, zone) == offset else (low, middle)
    return high


def _shown(at: datetime, zone: ZoneInfo) -> datetime:
    """Return the local time of a zone at an instant, as a naive datetime."""
    return at.astimezone(zone).replace(tzinfo=None)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return _shown(at, zone) - at.replace(tzinfo=None)
