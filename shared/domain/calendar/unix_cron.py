"""Unix cron: minute, hour, day of the month, month, day of the week.

croniter searches, and only that: told the local times without any zone, in an expression of plain numbers. Left to
itself it takes 5-5 for every hour, loses count in a range that leads over the end, and fires twice where clocks
go back.
Source: docs/decisions/0018.
"""

import re
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import cast

from croniter import croniter

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

LONGEST_GAP_YEARS = 9
"""No expression that fires at all rests longer: 29 February comes after eight years at the latest."""

_FIELDS = (
    Field(name="the minute", low=0, high=59, size=60, longest_step=60),
    Field(name="the hour", low=0, high=23, size=24, longest_step=24),
    Field(name="the day of the month", low=1, high=31, size=31, longest_step=31),
    Field(name="the month", low=1, high=12, size=12, longest_step=12, names=MONTHS, named="JAN to DEC"),
    Field(
        name="the day of the week",
        low=0,
        high=7,
        size=7,
        longest_step=7,
        names={name: number for number, name in enumerate(WEEKDAYS)},
        named="SUN to SAT",
    ),
)
_HOUR = _FIELDS[1]
_OF_QUARTZ = re.compile(r".*[?#].*|L(?:W|-.*)?|(?:[0-9]+|[A-Z]{3})L|[0-9]+W")
_ONE_MINUTE = timedelta(minutes=1)
_ANY_START = datetime(2026, 1, 1)  # noqa: DTZ001 - wall clock


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixCron:
    """Minutes of the wall clock. expression: of ``*`` and lists of plain numbers, as croniter is told it."""

    expression: str
    every_hour: bool

    @property
    def first_year(self) -> None:
        """It knows no years."""

    def first_from(self, local: datetime) -> datetime | None:
        """The first of them at or after a local time (naive), None where there is none."""
        whole = local.replace(second=0, microsecond=0)
        before = whole if whole < local else whole - _ONE_MINUTE
        search = copy(_search(self.expression))  # it counts along as it goes
        return cast(datetime | None, next(search.all_next(datetime, start_time=before), None))


def unix_cron(fields: Sequence[Word]) -> UnixCron:
    """What five fields say. Raises: CronError: with all that is wrong with them.

    A field is open only where it says ``*``. Where both day fields say more, one of them is enough.
    """
    faults: list[Fault] = []
    found = [_read(field, word, faults) for field, word in zip(_FIELDS, fields, strict=True)]
    if faults:
        raise CronError(*faults)
    texts = ["*" if chosen is None else ",".join(map(str, sorted(chosen))) for chosen in found]
    return UnixCron(expression=" ".join(texts), every_hour=found[1] in (None, _HOUR.all))


def _read(field: Field, word: Word, faults: list[Fault]) -> frozenset[int] | None:
    """The numbers of a field, None where it is open."""
    if any(entry.text == "*" for entry in word.entries()):
        return None
    return frozenset().union(*listed(word, partial(_numbers, field), faults))


def _numbers(field: Field, entry: Word) -> frozenset[int]:
    if _OF_QUARTZ.fullmatch(entry.text):
        raise entry.fault(f"{entry.text!r} is for Quartz expressions, which have six or seven fields")
    return numbers(field, entry)


@lru_cache(maxsize=256)
def _search(expression: str) -> croniter:
    return croniter(expression, _ANY_START, datetime, max_years_between_matches=LONGEST_GAP_YEARS)
