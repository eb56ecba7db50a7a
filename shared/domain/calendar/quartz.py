"""Quartz cron: second, minute, hour, day of the month, month, day of the week (1 is Sunday), year if wanted.

Source: contracts/process.md sections C.6 and C.7; docs/decisions/0018.
"""

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta
from functools import partial

from shared.domain.calendar.cron_fields import (
    MONTHS,
    WEEKDAYS,
    CronError,
    Fault,
    Field,
    Word,
    listed,
    numbers,
)

LONGEST_GAP_YEARS = 40
"""No expression for any year that fires at all rests longer: a 29 February that is a Monday, around 2100."""

_SECOND = Field(name="the second", low=0, high=59, size=60, longest_step=59)
_MINUTE = Field(name="the minute", low=0, high=59, size=60, longest_step=59)
_HOUR = Field(name="the hour", low=0, high=23, size=24, longest_step=23)
_DAY = Field(name="the day of the month", low=1, high=31, size=31, longest_step=31)
_MONTH = Field(
    name="the month",
    low=1,
    high=12,
    size=12,
    longest_step=12,
    names=MONTHS,
    named="JAN to DEC",
    names_step=False,
)
_WEEKDAY = Field(
    name="the day of the week",
    low=1,
    high=7,
    size=7,
    longest_step=7,
    names={
        **{name: number for number, name in enumerate(WEEKDAYS, start=1)},
        **{name[:2]: number for number, name in enumerate(WEEKDAYS, start=1)},
    },
    named="SUN to SAT",
    names_step=False,
)
_YEAR = Field(name="the year", low=1970, high=2099, size=130, longest_step=129, wraps=False)

_FROM_LAST = re.compile(r"L(?:-(?P<back>[0-9]+))?(?P<weekday>W)?")
_NEAREST = re.compile(r"(?P<day>[0-9]+)W")
_LAST_WEEKDAY = re.compile(r"(?P<day>[0-9]+|[A-Z]{2,3})L")
_NTH_WEEKDAY = re.compile(r"(?P<day>[0-9]+|[A-Z]{2,3})#(?P<nth>[0-9]+)")
_MOST_BACK = 30
_WEEKS = 5
_SATURDAY, _LAST = 7, -1
_ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Month:
    """A month. first: the weekday of its first day, 1 for Sunday."""

    first: int
    length: int

    def weekday(self, day: int) -> int:
        return (self.first + day - 2) % 7 + 1

    def nearest_weekday(self, day: int) -> int:
        """The day from Monday to Friday nearest to a day, in the same month."""
        match self.weekday(day):
            case 7:
                return day - 1 if day > 1 else day + 2
            case 1:
                return day + 1 if day < self.length else day - 2
            case _:
                return day


@dataclass(frozen=True, slots=True, kw_only=True)
class _Days:
    """These days of the month."""

    days: frozenset[int]

    def of(self, month: _Month) -> list[int]:
        return [day for day in self.days if day <= month.length]


@dataclass(frozen=True, slots=True, kw_only=True)
class _FromLast:
    """So many days before the last one, or the weekday nearest to that."""

    back: int
    weekday: bool

    def of(self, month: _Month) -> list[int]:
        day = month.length - self.back
        if day < 1:
            return []
        return [month.nearest_weekday(day) if self.weekday else day]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nearest:
    """The weekday nearest to a day, in months that have it."""

    day: int

    def of(self, month: _Month) -> list[int]:
        return [month.nearest_weekday(self.day)] if self.day <= month.length else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weekdays:
    """These days of the week. nth: only the nth of the month, or the last."""

    days: frozenset[int]
    nth: int | None = None

    def of(self, month: _Month) -> list[int]:
        found = [day for day in range(1, month.length + 1) if month.weekday(day) in self.days]
        match self.nth:
            case None:
                return found
            case -1:
                return found[-1:]
            case nth:
                return found[nth - 1 : nth]


_DayRule = _Days | _FromLast | _Nearest | _Weekdays


@dataclass(frozen=True, slots=True, kw_only=True)
class Quartz:
    """Seconds of the wall clock; numbers rise. years: None for any."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[_DayRule, ...]
    months: tuple[int, ...]
    years: tuple[int, ...] | None

    @property
    def every_hour(self) -> bool:
        """Whether no hour is left out."""
        return len(self.hours) == _HOUR.size

    @property
    def first_year(self) -> int | None:
        """The first of its years, None for any."""
        return None if self.years is None else self.years[0]

    def first_from(self, local: datetime) -> datetime | None:
        """The first of them at or after a local time (naive), None where there is none."""
        start = local.replace(microsecond=0)
        start += _ONE_SECOND if start < local else timedelta()
        for year in self._years(start.year):
            for month in self.months:
                if (year, month) < (start.year, start.month):
                    continue
                for day in self._days(year, month):
                    found = self._first_of(datetime(year, month, day), start)  # noqa: DTZ001 - wall clock
                    if found is not None:
                        return found
        return None

    def _years(self, first: int) -> Sequence[int]:
        if self.years is None:
            return range(first, min(first + LONGEST_GAP_YEARS, MAXYEAR) + 1)
        return self.years[bisect_left(self.years, first) :]

    def _days(self, year: int, month: int) -> list[int]:
        monday_first, length = monthrange(year, month)
        here = _Month(first=(monday_first + 1) % 7 + 1, length=length)
        return sorted({day for rule in self.days for day in rule.of(here)})

    def _first_of(self, day: datetime, start: datetime) -> datetime | None:
        """The first time of a day that is not before the start."""
        if day.date() != start.date():
            earliest = (self.hours[0], self.minutes[0], self.seconds[0])
            return None if day < start else _at(day, earliest)
        clock = self._clock_from(start.hour, start.minute, start.second)
        return None if clock is None else _at(day, clock)

    def _clock_from(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        """The first time of day at or after this one."""
        if hour in self.hours:
            later = _next(self.seconds, second) if minute in self.minutes else None
            if later is not None:
                return hour, minute, later
            later = _next(self.minutes, minute + 1)
            if later is not None:
                return hour, later, self.seconds[0]
        later = _next(self.hours, hour + 1)
        return None if later is None else (later, self.minutes[0], self.seconds[0])


def quartz(fields: Sequence[Word]) -> Quartz:
    """What six or seven fields say. Raises: CronError: with all that is wrong with them."""
    second, minute, hour, day, month, weekday, *year = fields
    faults: list[Fault] = []
    found = Quartz(
        seconds=_rising(_SECOND, second, faults),
        minutes=_rising(_MINUTE, minute, faults),
        hours=_rising(_HOUR, hour, faults),
        days=_day_rules(day, weekday, faults),
        months=_rising(_MONTH, month, faults),
        years=_rising(_YEAR, year[0], faults) if year and year[0].text != "*" else None,
    )
    if faults:
        raise CronError(*faults)
    return found


def _rising(field: Field, word: Word, faults: list[Fault]) -> tuple[int, ...]:
    return tuple(sorted(frozenset().union(*listed(word, partial(numbers, field), faults))))


def _day_rules(day: Word, weekday: Word, faults: list[Fault]) -> tuple[_DayRule, ...]:
    if (day.text == "?") == (weekday.text == "?"):
        message = "either the day of the month or the day of the week must be ?, and not both"
        faults.append(Fault(message=message, offset=weekday.offset))
        return ()
    if weekday.text == "?":
        return tuple(listed(day, _day_rule, faults))
    return tuple(listed(weekday, partial(_weekday_rule, alone=len(weekday.entries()) == 1), faults))


def _day_rule(entry: Word) -> _DayRule:
    if found := _FROM_LAST.fullmatch(entry.text):
        back = int(found["back"] or 0)
        if back > _MOST_BACK:
            raise entry.fault(f"L- goes back 0 to {_MOST_BACK} days, not {back}")
        return _FromLast(back=back, weekday=found["weekday"] is not None)
    if found := _NEAREST.fullmatch(entry.text):
        return _Nearest(day=_DAY.number(found["day"], entry))
    return _Days(days=numbers(_DAY, entry))


def _weekday_rule(entry: Word, *, alone: bool) -> _DayRule:
    """alone: whether it is the only entry, as those with L or # must be."""
    last, nth = _LAST_WEEKDAY.fullmatch(entry.text), _NTH_WEEKDAY.fullmatch(entry.text)
    if not alone and (last or nth or entry.text == "L"):
        raise entry.fault(f"{entry.text!r} must stand alone, not in a list")
    if entry.text == "L":
        return _Weekdays(days=frozenset({_SATURDAY}))
    if last:
        return _Weekdays(days=frozenset({_WEEKDAY.number(last["day"], entry)}), nth=_LAST)
    if nth:
        if not 1 <= int(nth["nth"]) <= _WEEKS:
            raise entry.fault(f"after # comes 1 to {_WEEKS}, not {nth['nth']}")
        return _Weekdays(days=frozenset({_WEEKDAY.number(nth["day"], entry)}), nth=int(nth["nth"]))
    return _Weekdays(days=numbers(_WEEKDAY, entry))


def _next(rising: tuple[int, ...], least: int) -> int | None:
    place = bisect_left(rising, least)
    return rising[place] if place < len(rising) else None


def _at(day: datetime, clock: tuple[int, int, int]) -> datetime:
    return day.replace(hour=clock[0], minute=clock[1], second=clock[2])
