"""Business days, and the conventions by which a date that is none moves to one.

Only the due date moves. A plan continues from the unadjusted date and its anchor, so it never drifts.
The conventions are those of the ISDA Definitions ("Business Day Convention"); ``skip`` is ours.
Source: docs/design.md section 4; docs/decisions/0058-business-days-come-from-the-holidays-package.md
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import assert_never
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.dates import Moment, moment_at, moment_of
from shared.domain.calendar.public_holidays import holiday_name
from shared.domain.errors import DateError, shortened

MAX_DAYS_MOVED = 1000
"""How far a date is moved at most, in days: further than the dates that can be given, with the weekends among them."""

MAX_DATES = 400
"""How many holidays or closed days can be given as dates."""

_END_OF_DAY_HOUR = 24
_MAX_ENTRY_SHOWN = 40
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Convention(StrEnum):
    """The rule for a date that is not a business day. Source: ISDA Definitions, "Business Day Convention"."""

    FOLLOWING = "following"
    """It moves to the first business day after it."""
    PRECEDING = "preceding"
    """It moves to the first business day before it."""
    MODIFIED_FOLLOWING = "modifiedFollowing"
    """As ``following``, or as ``preceding`` if that would be in another month."""
    SKIP = "skip"
    """There is no date. Not a convention of ISDA's."""


class Weekday(StrEnum):
    """The days of the week, in the order of ``date.weekday()``."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_WEEK = tuple(Weekday)

WEEKEND = frozenset({Weekday.SATURDAY, Weekday.SUNDAY})
"""The weekend if none is given."""


class BusinessDays(Struct, frozen=True, kw_only=True):
    """Which days are business days, and the convention for a date that is not on one.

    A business day is no day of the ``weekend``, no public holiday of ``country`` and ``subdivision``, none of
    ``holidays``, and none of the dates in the instance attribute that ``closed`` names. ``country`` is a code of
    ISO 3166-1, None for no public holidays. ``subdivision`` is the code of a part of it, None for the whole country.
    """

    convention: Convention
    weekend: frozenset[Weekday] = WEEKEND
    country: str | None = None
    subdivision: str | None = None
    holidays: frozenset[date] = frozenset()
    closed: str | None = None


class Adjusted(Struct, frozen=True, kw_only=True):
    """A date after the convention was applied.

    ``at`` is None if the convention skips the date. ``why`` says in words why the unadjusted date is no business day,
    None if it is one.
    """

    at: datetime | None
    why: str | None = None


def adjust(
    rule: BusinessDays, moment: Moment, zone: ZoneInfo, *, closed: frozenset[date] = frozenset()
) -> Adjusted:
    """Return the date of a moment after the rule's convention was applied. The moment itself stays as it is.

    The day that counts is the one that the clocks of the zone show at ``moment.at``. A moved date keeps the time of
    day of the anchor: a time in a gap of its own day is itself again on another day. ``closed`` are the dates in the
    attribute that the rule names.
    Raises: DateError: if there is no business day within ``MAX_DAYS_MOVED`` days, the holiday data does not have the
        place, or the date would be outside the years 1 to 9999.
    """
    days = _Days(rule=rule, closed=closed)
    day = day_of(moment.at, zone)
    cause = days.why_not(day)
    if cause is None:
        return Adjusted(at=moment.at)
    why = f"{_in_words(day)} is {cause}"
    match rule.convention:
        case Convention.SKIP:
            return Adjusted(at=None, why=why)
        case Convention.FOLLOWING:
            at = days.first_from(moment, day, zone, step=1)
        case Convention.PRECEDING:
            at = days.first_from(moment, day, zone, step=-1)
        case Convention.MODIFIED_FOLLOWING:
            at = days.first_from(moment, day, zone, step=1, within_month=True)
            if at is None:
                at = days.first_from(moment, day, zone, step=-1)
                why = f"{why}, and the business day after it is in another month"
        case _:
            assert_never(rule.convention)
    if at is None:
        raise DateError(f"{why}, and there is no business day within {MAX_DAYS_MOVED} days of it")
    return Adjusted(at=at, why=why)


def closed_dates(text: str) -> frozenset[date]:
    """Return the dates of a text such as ``2026-12-24, 2026-12-31``; an empty text has none.

    Raises: DateError: naming the entry that is not a date, or if there are more than ``MAX_DATES``.
    """
    if not text.strip():
        return frozenset()
    entries = [entry.strip() for entry in text.split(",")]
    if len(entries) > MAX_DATES:
        raise DateError(f"has {len(entries)} dates; at most {MAX_DATES} are allowed")
    return frozenset(read_day(entry) for entry in entries)


def read_day(text: str) -> date:
    """Return the plain date of a text such as ``2026-12-24``. Raises: DateError."""
    if _DATE.fullmatch(text):
        with suppress(ValueError):  # 30 February
            return date.fromisoformat(text)
    raise DateError(f"{shortened(text, _MAX_ENTRY_SHOWN)!r} is not a date such as 2026-12-24")


class _Days(Struct, frozen=True, kw_only=True):
    """The business days of a rule and one instance."""

    rule: BusinessDays
    closed: frozenset[date]

    def why_not(self, day: date) -> str | None:
        """Return why a day is no business day, such as ``a weekend day``, or None if it is one."""
        rule = self.rule
        # The public holidays are last, because looking up the first one loads the package.
        if _WEEK[day.weekday()] in rule.weekend:
            return "a weekend day"
        if day in rule.holidays:
            return "a holiday of the calendar"
        if day in self.closed:
            return "a closed day of this customer"
        if rule.country is None or (name := holiday_name(rule.country, rule.subdivision, day)) is None:
            return None
        place = rule.country if rule.subdivision is None else f"{rule.country}-{rule.subdivision}"
        return f"{name} in {place}"

    def first_from(
        self, moment: Moment, day: date, zone: ZoneInfo, *, step: int, within_month: bool = False
    ) -> datetime | None:
        """Return the instant on the first business day after a day, or before it; None if there is none."""
        for candidate in _days_from(day, step):
            if within_month and candidate.month != day.month:
                return None
            if self.why_not(candidate) is not None:
                continue
            at = _on(moment, candidate, zone)
            # A zone that crosses the date line leaves out a day: the time is then on the day after it.
            if day_of(at, zone) == candidate:
                return at
        return None


def _days_from(day: date, step: int) -> Iterator[date]:
    try:
        for distance in range(1, MAX_DAYS_MOVED + 1):
            yield day + timedelta(days=step * distance)
    except OverflowError as error:
        raise DateError(f"no such date: {error}") from error


def _on(moment: Moment, day: date, zone: ZoneInfo) -> datetime:
    """Return the instant on a day at the moment's time of day."""
    hour = 0 if moment.anchor.hour == _END_OF_DAY_HOUR else moment.anchor.hour
    anchor = replace(moment.anchor, year=day.year, month=day.month, day=day.day, hour=hour)
    return moment_of(anchor, zone).at


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """Return the local day of an instant."""
    local = moment_at(at, zone).anchor
    return date(local.year, local.month, local.day)


def _in_words(day: date) -> str:
    # Not ``strftime``: its names depend on the locale of the process.
    return f"{_WEEK[day.weekday()].title()} {day.day} {_MONTHS[day.month - 1]} {day.year}"
