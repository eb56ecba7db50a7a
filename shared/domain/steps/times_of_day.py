"""The times of day at which retries are allowed.

Source: docs/contracts/core.md section 3.6; docs/design.md section 5.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.domain.calendar.dates import Anchor, moment_at, moment_of
from shared.domain.errors import DateError


def next_time_of_day(at: datetime, times: Sequence[time], zone: ZoneInfo) -> datetime:
    """Return the first instant, ``at`` or later, at which the clocks of the zone show one of the times.

    ``times`` are sorted and not empty. A time in a gap is the first instant after the gap; of a time that occurs twice
    only the first counts.
    Raises: DateError: if there is none before the year 10000.
    """
    local = moment_at(at, zone).anchor
    today = date(local.year, local.month, local.day)
    # From yesterday on, because a gap over midnight moves a time of yesterday to today.
    instants = (_instant(today, days, each, zone) for days in (-1, 0, 1) for each in times)
    return next(instant for instant in instants if instant >= at)


def _instant(today: date, days: int, at: time, zone: ZoneInfo) -> datetime:
    try:
        day = today + timedelta(days=days)
    except OverflowError as error:
        raise DateError(f"no such date: {error}") from error
    anchor = Anchor(year=day.year, month=day.month, day=day.day, hour=at.hour, minute=at.minute)
    return moment_of(anchor, zone).at
