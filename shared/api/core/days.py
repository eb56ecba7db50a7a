"""Dates of requests: a date without time begins in the zone of the plan.

Source: docs/contracts/core.md section 4.
"""

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from shared.api.core.errors import bad_request
from shared.api.http.request import Request
from shared.domain.calendar.dates import start_of, zone_named
from shared.domain.errors import DateError, Problem
from shared.domain.instance.model import Instance
from shared.domain.instance.zone import zone_or_utc
from shared.domain.strategy.model import Json, Strategy


def instant_in_strategy(
    strategy: Strategy, attributes: Mapping[str, Json], day: date | None, *, pointer: str
) -> datetime | None:
    """Return the instant of a date for an instance with these attributes; None stays None. Raises: CoreError (400)."""
    # Attributes without a zone are refused with all other problems.
    zone, _ = zone_or_utc(strategy.definition, attributes)
    return None if day is None else _instant(day, zone, pointer)


def instant_on_instance(
    request: Request, instance: Instance, day: date | None, *, pointer: str
) -> datetime | None:
    """Return the instant of a date for an instance, in the zone of its own schedule if it has one.

    Raises: CoreError (400).
    """
    return None if day is None else required_instant(request, instance, day, pointer=pointer)


def required_instant(request: Request, instance: Instance, day: date, *, pointer: str) -> datetime:
    """Return the same for a date that cannot be left out. Raises: CoreError (400)."""
    # An instant needs no zone, which saves reading the strategy.
    if isinstance(day, datetime):
        return day
    schedule = instance.plan.schedule
    if schedule is not None and schedule.timezone is not None:
        return _instant(day, zone_named(schedule.timezone), pointer)
    strategy = request.ports.strategies.load(instance.strategy_sid, instance.strategy_version)
    zone, _ = zone_or_utc(strategy.definition, instance.attributes)
    return _instant(day, zone, pointer)


def _instant(day: date, zone: ZoneInfo, pointer: str) -> datetime:
    try:
        return start_of(day, zone)
    except DateError as error:
        raise bad_request([Problem(pointer=pointer, rule="date", message=str(error))]) from error
