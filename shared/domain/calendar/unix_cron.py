"""Unix cron: minute, hour, day of the month, month, day of the week (0 or 7 is Sunday).

Source: docs/decisions/0018.
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
from shared.domain.calendar.cron_search import DayRule, LocalTimes, OnDays, OnDaysAndWeekdays, OnWeekdays

_MINUTE = CronField(name="the minute", low=0, high=59, size=60, longest_step=60)
_HOUR = CronField(name="the hour", low=0, high=23, size=24, longest_step=24)
_DAY = CronField(name="the day of the month", low=1, high=31, size=31, longest_step=31)
_MONTH = CronField(
    name="the month", low=1, high=12, size=12, longest_step=12, names=MONTHS, named="JAN to DEC"
)
_WEEKDAY = CronField(
    name="the day of the week",
    low=0,
    high=7,
    size=7,
    longest_step=7,
    names={name: number for number, name in enumerate(WEEKDAYS)},
    named="SUN to SAT",
)
_OF_QUARTZ = re.compile(r".*[?#].*|L(?:W|-.*)?|(?:[0-9]+|[A-Z]{3})L|[0-9]+W")


def unix_cron(fields: Sequence[Word]) -> LocalTimes:
    """Read five fields. Raises: CronError: with everything that is wrong with them."""
    minute, hour, day, month, weekday = fields
    faults: list[Fault] = []
    times = LocalTimes(
        minutes=tuple(sorted(_numbers_of(_MINUTE, minute, faults))),
        hours=tuple(sorted(_numbers_of(_HOUR, hour, faults))),
        days=_day_rules(day, weekday, faults),
        months=tuple(sorted(_numbers_of(_MONTH, month, faults))),
    )
    if faults:
        raise CronError(*faults)
    return times


def _day_rules(day: Word, weekday: Word, faults: list[Fault]) -> tuple[DayRule, ...]:
    """Either day field is enough; if one of them begins with ``*``, both must match.

    So ``0 9 */2 * 1`` fires on Mondays with an odd date, as in Vixie cron and cronie.
    """
    days = OnDays(_numbers_of(_DAY, day, faults))
    weekdays = OnWeekdays(frozenset(number + 1 for number in _numbers_of(_WEEKDAY, weekday, faults)))
    if day.text.startswith("*") or weekday.text.startswith("*"):
        return (OnDaysAndWeekdays(days, weekdays),)
    return days, weekdays


def _numbers_of(field: CronField, word: Word, faults: list[Fault]) -> frozenset[int]:
    return frozenset().union(*read_list(word, partial(_numbers, field), faults))


def _numbers(field: CronField, entry: Word) -> frozenset[int]:
    if _OF_QUARTZ.fullmatch(entry.text):
        raise entry.fault(f"{entry.text!r} is for Quartz expressions, which have six or seven fields")
    return numbers(field, entry)
