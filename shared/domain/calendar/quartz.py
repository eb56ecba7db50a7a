"""Quartz cron: second, minute, hour, day of the month, month, day of the week (1 is Sunday), optionally year.

Source: docs/contracts/process.md sections C.6 and C.7; docs/decisions/0018.
"""

import re
from collections.abc import Sequence
from functools import partial

from shared.domain.calendar.cron_fields import (
    MONTHS,
    WEEKDAYS,
    CronError,
    CronField,
    Fault,
    Word,
    numbers,
    read_list,
)
from shared.domain.calendar.cron_search import (
    LAST,
    DayRule,
    FromLastDay,
    LocalTimes,
    NearestWorkday,
    OnDays,
    OnWeekdays,
)

_SECOND = CronField(name="the second", low=0, high=59, size=60, longest_step=59, bare_step=True)
_MINUTE = CronField(name="the minute", low=0, high=59, size=60, longest_step=59, bare_step=True)
_HOUR = CronField(name="the hour", low=0, high=23, size=24, longest_step=23, bare_step=True)
_DAY = CronField(name="the day of the month", low=1, high=31, size=31, longest_step=31, bare_step=True)
_MONTH = CronField(
    name="the month",
    low=1,
    high=12,
    size=12,
    longest_step=12,
    names=MONTHS,
    named="JAN to DEC",
    names_step=False,
    bare_step=True,
)
_WEEKDAY = CronField(
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
    bare_step=True,
)
_YEAR = CronField(
    name="the year", low=1970, high=2099, size=130, longest_step=129, wraps=False, bare_step=True
)

_FROM_LAST = re.compile(r"L(?:-(?P<back>[0-9]+))?(?P<weekday>W)?")
_NEAREST = re.compile(r"(?P<day>[0-9]+)W")
_LAST_WEEKDAY = re.compile(r"(?P<day>[0-9]+|[A-Z]{2,3})L")
_NTH_WEEKDAY = re.compile(r"(?P<day>[0-9]+|[A-Z]{2,3})#(?P<nth>[0-9]+)")
_MAX_BACK = 30
_WEEKS = 5
_SATURDAY = 7


def quartz(fields: Sequence[Word]) -> LocalTimes:
    """Read six or seven fields. Raises: CronError: with everything that is wrong with them."""
    second, minute, hour, day, month, weekday, *year = fields
    faults: list[Fault] = []
    times = LocalTimes(
        seconds=_rising(_SECOND, second, faults),
        minutes=_rising(_MINUTE, minute, faults),
        hours=_rising(_HOUR, hour, faults),
        days=_day_rules(day, weekday, faults),
        months=_rising(_MONTH, month, faults),
        years=_rising(_YEAR, year[0], faults) if year and year[0].text != "*" else None,
    )
    if faults:
        raise CronError(*faults)
    return times


def _rising(field: CronField, word: Word, faults: list[Fault]) -> tuple[int, ...]:
    return tuple(sorted(frozenset().union(*read_list(word, partial(numbers, field), faults))))


def _day_rules(day: Word, weekday: Word, faults: list[Fault]) -> tuple[DayRule, ...]:
    if (day.text == "?") == (weekday.text == "?"):
        message = "either the day of the month or the day of the week must be ?, and not both"
        faults.append(Fault(message=message, offset=weekday.offset))
        return ()
    if weekday.text == "?":
        return tuple(read_list(day, _day_rule, faults))
    return tuple(read_list(weekday, partial(_weekday_rule, alone=len(weekday.entries()) == 1), faults))


def _day_rule(entry: Word) -> DayRule:
    if match := _FROM_LAST.fullmatch(entry.text):
        back = int(match["back"] or 0)
        if back > _MAX_BACK:
            raise entry.fault(f"L- goes back 0 to {_MAX_BACK} days, not {back}")
        return FromLastDay(back, match["weekday"] is not None)
    if match := _NEAREST.fullmatch(entry.text):
        return NearestWorkday(_DAY.number(match["day"], entry))
    return OnDays(numbers(_DAY, entry))


def _weekday_rule(entry: Word, *, alone: bool) -> DayRule:
    """Read one entry. ``alone`` says whether it is the only one, which entries with L or # must be."""
    last, nth = _LAST_WEEKDAY.fullmatch(entry.text), _NTH_WEEKDAY.fullmatch(entry.text)
    if not alone and (last or nth or entry.text == "L"):
        raise entry.fault(f"{entry.text!r} must be the only entry, not part of a list")
    if entry.text == "L":
        return OnWeekdays(frozenset({_SATURDAY}))
    if last:
        return OnWeekdays(frozenset({_WEEKDAY.number(last["day"], entry)}), LAST)
    if nth:
        if not 1 <= int(nth["nth"]) <= _WEEKS:
            raise entry.fault(f"# must be followed by 1 to {_WEEKS}, not {nth['nth']}")
        return OnWeekdays(frozenset({_WEEKDAY.number(nth["day"], entry)}), int(nth["nth"]))
    return OnWeekdays(numbers(_WEEKDAY, entry))
