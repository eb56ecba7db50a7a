"""Warnings about calendars whose dates coincide, move too far or end, found by computing their cycles.

Each calendar that may date several cycles is computed as if it dated all of them, without attributes, and in Berlin's
zone if an attribute names the zone. Callbacks that
need attributes cannot be evaluated then, and nothing is said about their calendars.
Source: docs/contracts/core.md section 1.3; docs/decisions/0056.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.dates import Span, Unit, earlier, moment_at, zone_named
from shared.domain.errors import DateError, Problem
from shared.domain.ids import AccountId, InstanceSid, StrategySid
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Instance, Origin
from shared.domain.planning.cycles import (
    CycleDate,
    CycleError,
    calendar_for,
    coming_cycles,
    without_spread,
)
from shared.domain.planning.offset_dates import is_overdue
from shared.domain.planning.start import NewInstance, blank_instance
from shared.domain.strategy.model import Calendar, Definition, Delta, Strategy
from shared.expressions import spending
from shared.expressions.limits import FORESIGHT_SECONDS

MAX_CYCLES = 300
"""How many cycles of a calendar are computed."""

MAX_ALL_CYCLES = 6000
"""How many cycles of all calendars together are computed."""

SOME_ZONE = "Europe/Berlin"
"""The zone of the computed cycles if an attribute names it. Its clocks change, so the effect on dates is seen."""

_HOURS_OF_DAY = 24
_ENOUGH = 3
_A_WEEK = timedelta(days=7)


def calendar_warnings(
    definition: Definition, *, environment: str, now: datetime, pointer: str = ""
) -> tuple[Problem, ...]:
    """Return warnings about the dates of a definition's calendars, in the order of the calendars.

    ``pointer`` is the pointer of the settings in the request body. There are fewer warnings if the expressions take
    too much time together.
    """
    strategy = Strategy(
        sid=StrategySid("warnings"),
        account_id=AccountId("warnings"),
        name="warnings",
        version=1,
        definition=_in_some_zone(definition),
        environment=environment,
    )
    strategy = without_spread(strategy)
    most = min(MAX_CYCLES, MAX_ALL_CYCLES // max(len(definition.calendars), 1))
    found: list[Problem] = []
    with spending(FORESIGHT_SECONDS) as spent:
        for index, calendar in enumerate(definition.calendars):
            if calendar.run_on_cycle is None:
                alone = replace(calendar, run_on_cycle_callback=None)
                scan = _scan(_with_calendars(strategy, alone), now, most)
                found += _of_calendar(scan, calendar, f"{pointer}/schedule/calendars/{index}")
                found += _of_reminders(scan, calendar, f"{pointer}/schedule/calendars/{index}")
        if all(_is_conditional(calendar) for calendar in definition.calendars):
            found += _of_choice(_scan(strategy, now, most), f"{pointer}/schedule/calendars")
    # Without time, callbacks fail, and what follows from that is not true of the plan.
    return () if spent.is_exhausted else tuple(found)


class _Scan(Struct, frozen=True, kw_only=True):
    """The first cycles of a plan in a zone, and the error that ends it if the settings alone cause it."""

    cycles: list[CycleDate]
    zone: ZoneInfo
    error: CycleError | None = None


def _scan(strategy: Strategy, now: datetime, most: int) -> _Scan:
    # Months of every length follow the 31st, so that each warning is the same on whatever day settings are saved.
    # The last fire of a cron expression may be before that.
    by_cron = any(calendar.cron for calendar in strategy.definition.calendars)
    start = now if by_cron else datetime(now.year + 1, 1, 31, 12, tzinfo=UTC)
    instance, zone = _instance(strategy, start), zone_named(strategy.definition.timezone)
    cycles: list[CycleDate] = []
    try:
        calendar = calendar_for(strategy, instance, cycle=1, date=start, now=start)
        first = CycleDate(cycle=1, moment=moment_at(start, zone), due=start, calendar=calendar)
        for one in islice(coming_cycles(strategy, instance, first, now=start), most):
            # A date that an expression should have given says nothing.
            if one.problem is not None:
                break
            cycles.append(one)
    except CycleError as error:
        # An expression that fails, or a date that does not exist, may be due to the missing attributes.
        return _Scan(cycles=cycles, zone=zone, error=None if error.__cause__ else error)
    return _Scan(cycles=cycles, zone=zone)


def _of_calendar(scan: _Scan, calendar: Calendar, place: str) -> Iterator[Problem]:
    """Yield the warnings about one calendar, computed as if it dated every cycle."""
    if scan.error is not None:
        message = f"{scan.error}: the instance is canceled then (CREATE_CYCLE_ERROR)"
        yield Problem(pointer=place, rule="ends-early", message=message)
    if len(scan.cycles) > 1 and all(one.left_out for one in scan.cycles[1:]):
        message = (
            f"none of {len(scan.cycles) - 1} cycles after the first runs, because none is on a business day"
        )
        yield Problem(pointer=place, rule="never-runs", message=message)
        return
    coinciding = [one for one in scan.cycles if one.left_out and one.left_out.cause is ClosedBy.COINCIDES]
    if coinciding:
        message = (
            f"{len(coinciding)} of {len(scan.cycles)} cycles would be due no later than the one before them and do "
            f"not run (COINCIDES); the first is cycle {coinciding[0].cycle}"
        )
        yield Problem(pointer=place, rule="coincides", message=message)
    far = _moved_too_far(scan.cycles)
    # Days off move a date by some cycles, if it has cycles that coincide.
    if far is not None and (not coinciding or abs(far.due - far.moment.at) >= _A_WEEK):
        message = (
            f"cycle {far.cycle} is planned for {far.moment.at.date()} and due on {far.due.date()}, more than a cycle "
            "away; as many cycles run as scheduleAfter or cron says, wherever a callback moves them"
        )
        yield Problem(pointer=place, rule="moved-far", message=message)
    days = _whole_days(calendar)
    # The first cycle is at the start date, whatever ``resetTo`` says.
    if days and len({one.moment.at.astimezone(scan.zone).hour for one in scan.cycles[1:]}) > 1:
        message = (
            "hours are elapsed time, so the plan runs an hour earlier or later after the clocks change; "
            f"days keep the hour: {days} instead of {days * _HOURS_OF_DAY} hours"
        )
        yield Problem(pointer=f"{place}/scheduleAfter", rule="drifts", message=message)


def _of_reminders(scan: _Scan, calendar: Calendar, place: str) -> Iterator[Problem]:
    """Yield a warning about each leading-up task that is always planned too late to run."""
    runs = [one.due for one in scan.cycles if one.left_out is None]
    for index, entry in enumerate(calendar.leading_up_tasks):
        delta = entry.schedule_before
        is_known = delta.from_attribute is None and delta.retry_event_callback is None
        if entry.run_late or not is_known or len(runs) < _ENOUGH:
            continue
        # A cycle is planned when the one before it has ended.
        if all(_is_too_late(delta, due, scan.zone, planned_at=before) for before, due in pairwise(runs)):
            message = (
                "is further ahead than one cycle, so its date has passed whenever a cycle is planned, and the task is "
                "skipped from the second cycle on; give runLate to run it late, or a shorter time"
            )
            pointer = f"{place}/leadingUpTasks/{index}/scheduleBefore"
            yield Problem(pointer=pointer, rule="always-late", message=message)


def _is_too_late(delta: Delta, due: datetime, zone: ZoneInfo, *, planned_at: datetime) -> bool:
    """Return whether the date of a leading-up task has passed when its cycle, due then, is planned."""
    span = Span(unit=delta.unit, amount=delta.amount, reset_to=delta.reset_to)
    try:
        return is_overdue(earlier(moment_at(due, zone), span, zone).at, now=planned_at)
    except DateError:
        # Without a date, it runs with its main event.
        return False


def _of_choice(scan: _Scan, place: str) -> Iterator[Problem]:
    """Yield a warning if some cycle has no calendar."""
    if scan.error is not None:
        message = (
            f"{scan.error}: the instance is canceled then (CREATE_CYCLE_ERROR); add a calendar for the others"
        )
        yield Problem(pointer=place, rule="ends-early", message=message)


def _in_some_zone(definition: Definition) -> Definition:
    """Return the definition in one zone, if its instances are in several."""
    if definition.zone_attribute is None:
        return definition
    return replace(definition, timezone=SOME_ZONE, zone_attribute=None)


def _with_calendars(strategy: Strategy, *calendars: Calendar) -> Strategy:
    return replace(strategy, definition=replace(strategy.definition, calendars=calendars))


def _instance(strategy: Strategy, start: datetime) -> Instance:
    new = NewInstance(
        sid=InstanceSid("warnings"),
        origin=Origin(strategy_id=strategy.name),
        shard=0,
        attributes={},
        start_date=start,
    )
    return blank_instance(strategy, new, now=start)


def _moved_too_far(cycles: list[CycleDate]) -> CycleDate | None:
    """Return the first cycle that is due before the planned date of the one before it, or after that of the next."""
    for before, one in pairwise(cycles):
        if one.due < before.moment.at:
            return one
        if before.due > one.moment.at and before.left_out is None:
            return before
    return None


def _whole_days(calendar: Calendar) -> int:
    """Return how many whole days a calendar counts in hours, or 0."""
    after = calendar.schedule_after
    if after is None or after.unit is not Unit.HOURS or after.amount % _HOURS_OF_DAY:
        return 0
    return after.amount // _HOURS_OF_DAY


def _is_conditional(calendar: Calendar) -> bool:
    return calendar.run_on_cycle is not None or calendar.run_on_cycle_callback is not None
