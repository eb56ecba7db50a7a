"""The local times a cron expression names, and the search for the next of them.

Unix cron and Quartz are read by different rules into the same ``LocalTimes``, so one search serves both.
Source: docs/contracts/process.md sections C.6 and C.7; docs/decisions/0018.
"""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Sequence
from datetime import MAXYEAR, datetime, timedelta

from msgspec import Struct

MAX_GAP_YEARS = 40
"""The longest time between two fires of an expression for any year: a 29 February on a Monday, around 2100."""

HOURS_OF_A_DAY = 24
LAST = -1
"""The value of ``OnWeekdays.nth`` for the last such weekday of a month."""

_ONE_SECOND = timedelta(seconds=1)


class Month(Struct, frozen=True):
    """A month: the weekday of its first day (1 is Sunday, 7 is Saturday) and its number of days."""

    first_weekday: int
    length: int

    def weekday(self, day: int) -> int:
        """Return the weekday of a day, 1 to 7 from Sunday."""
        return (self.first_weekday + day - 2) % 7 + 1

    def nearest_workday(self, day: int) -> int:
        """Return the day from Monday to Friday nearest to a day, in the same month."""
        match self.weekday(day):
            case 7:
                return day - 1 if day > 1 else day + 2
            case 1:
                return day + 1 if day < self.length else day - 2
            case _:
                return day


class OnDays(Struct, frozen=True):
    """These days of the month."""

    days: frozenset[int]

    def of(self, month: Month) -> list[int]:
        """Return the days of a month."""
        return [day for day in self.days if day <= month.length]


class FromLastDay(Struct, frozen=True):
    """The day ``back`` days before the last one, or the workday nearest to it."""

    back: int
    workday: bool

    def of(self, month: Month) -> list[int]:
        """Return the days of a month."""
        day = month.length - self.back
        if day < 1:
            return []
        return [month.nearest_workday(day) if self.workday else day]


class NearestWorkday(Struct, frozen=True):
    """The workday nearest to a day, in months that have that day."""

    day: int

    def of(self, month: Month) -> list[int]:
        """Return the days of a month."""
        return [month.nearest_workday(self.day)] if self.day <= month.length else []


class OnWeekdays(Struct, frozen=True):
    """These days of the week (1 is Sunday); with ``nth``, only the nth of each month, or the ``LAST``."""

    days: frozenset[int]
    nth: int | None = None

    def of(self, month: Month) -> list[int]:
        """Return the days of a month."""
        days = [day for day in range(1, month.length + 1) if month.weekday(day) in self.days]
        match self.nth:
            case None:
                return days
            case -1:
                return days[-1:]
            case nth:
                return days[nth - 1 : nth]


class OnDaysAndWeekdays(Struct, frozen=True):
    """These days of the month, if they are also these days of the week."""

    days: OnDays
    weekdays: OnWeekdays

    def of(self, month: Month) -> list[int]:
        """Return the days of a month."""
        return [day for day in self.days.of(month) if month.weekday(day) in self.weekdays.days]


DayRule = OnDays | FromLastDay | NearestWorkday | OnWeekdays | OnDaysAndWeekdays


class LocalTimes(Struct, frozen=True, kw_only=True):
    """The local times an expression names, whatever the zone; numbers rise.

    A day counts if any rule in ``days`` matches it. ``years`` is None for any year.
    """

    seconds: tuple[int, ...] = (0,)
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[DayRule, ...]
    months: tuple[int, ...]
    years: tuple[int, ...] | None = None

    @property
    def every_hour(self) -> bool:
        """Return whether no hour is left out."""
        return len(self.hours) == HOURS_OF_A_DAY

    @property
    def first_year(self) -> int | None:
        """Return the first of its years, or None for any."""
        return None if self.years is None else self.years[0]

    def first_from(self, local: datetime) -> datetime | None:
        """Return the first of them at or after a local time (naive), or None if there is none."""
        start = local.replace(microsecond=0)
        start += _ONE_SECOND if start < local else timedelta()
        for year in self._years_from(start.year):
            for month in self.months:
                if (year, month) < (start.year, start.month):
                    continue
                for day in self._days_of(year, month):
                    at = self._first_of_day(datetime(year, month, day), start)  # noqa: DTZ001 - wall clock
                    if at is not None:
                        return at
        return None

    def _years_from(self, first: int) -> Sequence[int]:
        if self.years is None:
            return range(first, min(first + MAX_GAP_YEARS, MAXYEAR) + 1)
        return self.years[bisect_left(self.years, first) :]

    def _days_of(self, year: int, month: int) -> list[int]:
        from_monday, length = monthrange(year, month)
        shape = Month((from_monday + 1) % 7 + 1, length)
        return sorted({day for rule in self.days for day in rule.of(shape)})

    def _first_of_day(self, day: datetime, start: datetime) -> datetime | None:
        """Return the first time of a day that is not before ``start``."""
        if day.date() != start.date():
            earliest = (self.hours[0], self.minutes[0], self.seconds[0])
            return None if day < start else _at(day, earliest)
        clock = self._clock_from(start.hour, start.minute, start.second)
        return None if clock is None else _at(day, clock)

    def _clock_from(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        """Return the first time of day at or after this one."""
        if hour in self.hours:
            later = _next(self.seconds, second) if minute in self.minutes else None
            if later is not None:
                return hour, minute, later
            later = _next(self.minutes, minute + 1)
            if later is not None:
                return hour, later, self.seconds[0]
        later = _next(self.hours, hour + 1)
        return None if later is None else (later, self.minutes[0], self.seconds[0])


def _next(rising: tuple[int, ...], least: int) -> int | None:
    place = bisect_left(rising, least)
    return rising[place] if place < len(rising) else None


def _at(day: datetime, clock: tuple[int, int, int]) -> datetime:
    return day.replace(hour=clock[0], minute=clock[1], second=clock[2])
