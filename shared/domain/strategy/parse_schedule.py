"""Parsing distances in time, and calendars.

Source: docs/contracts/core.md sections 2.2 (TimeDelta), 3.1, 3.2 and 4.1; docs/design.md section 4.
"""

from collections.abc import Container
from datetime import UTC, datetime
from functools import partial

from shared.domain.calendar.business_days import BusinessDays
from shared.domain.calendar.cron import Cron, read_cron
from shared.domain.calendar.cron_fields import CronError
from shared.domain.calendar.dates import KEEP_ALL, ResetTo, Span, Unit, later, moment_at, zone_named
from shared.domain.errors import DateError
from shared.domain.strategy.model import Calendar, Delta, LeadingUpTask, LifecycleTask
from shared.domain.strategy.parse_business_days import business_days, business_days_of_retry
from shared.domain.strategy.parse_texts import callback
from shared.domain.strategy.reader import Reader
from shared.domain.strategy.variables import RESET_BOUNDS
from shared.expressions import ResultType
from shared.expressions.problems import caret_at_offset

_PLACEHOLDER = Delta(unit=Unit.DAYS, amount=1)
_UTC = zone_named("UTC")
_NEW_YEAR = moment_at(datetime(2026, 1, 1, tzinfo=UTC), _UTC)


def schedule(
    reader: Reader, *, tasks: Container[str], now: datetime | None
) -> tuple[Delta | None, tuple[Calendar, ...]]:
    """Return the initial delay and the calendars.

    A cron expression must fire after ``now``; None skips that check.
    """
    initial_delay = reader.part("initialDelay", delta)
    calendars = reader.parts("calendars", partial(_calendar, tasks=tasks, now=now))
    # Each planned date must be later than the one before it. Settings that break this for certain are refused here.
    for index, calendar in enumerate(calendars):
        reason = _why_not_rising(calendar, calendars)
        if reason is not None:
            reader.problem("calendars", "not-rising", reason, below=f"/{index}/scheduleAfter")
    return initial_delay, calendars


def lifecycle_task(reader: Reader, *, tasks: Container[str]) -> LifecycleTask:
    """Read a task of ``onCreateTasks`` or ``onCancelTasks``."""
    return LifecycleTask(
        task=reader.reference("task", tasks, "there is no task"),
        delay_by=reader.part("delayBy", delta),
        manual_trigger=reader.flag("manualTrigger"),
        create_if=callback(reader, "createIf", ResultType.BOOL),
    )


def delta(reader: Reader) -> Delta:
    """Read a distance in time that leads to any day, or return a harmless one if anything in it is wrong."""
    if reader.has("businessDays"):
        message = "is only for scheduleBefore and retryAfter; cycles have the businessDays of their calendar"
        reader.problem("businessDays", "exclusive", message)
    return _delta(reader, None)


def retry_delta(reader: Reader) -> Delta:
    """Read the delay of a retry; otherwise like ``delta``."""
    return _delta(reader, reader.part("businessDays", business_days_of_retry))


def bare_retry_delta(reader: Reader) -> Delta:
    """Read the delay of a retry that has only unit, amount and business days."""
    return Delta(
        unit=reader.choice("unit", Unit),
        amount=reader.whole("amount"),
        business_days=reader.part("businessDays", business_days_of_retry),
    )


def passes_time(distance: Delta) -> bool:
    """Return whether a delta may lead to another date than its base date."""
    return (
        distance.amount > 0
        or distance.reset_to != KEEP_ALL
        or distance.from_attribute is not None
        or distance.retry_event_callback is not None
    )


def _delta(reader: Reader, days: BusinessDays | None) -> Delta:
    # Unit and amount are required even with a callback, because they are used if the callback fails.
    distance = Delta(
        unit=reader.choice("unit", Unit),
        amount=reader.whole("amount"),
        from_attribute=reader.optional_text("from"),
        reset_to=reader.part("resetTo", _reset_to) or KEEP_ALL,
        retry_event_callback=callback(reader, "retryEventCallback", ResultType.MAP),
        business_days=days,
    )
    return distance if reader.is_sound else _PLACEHOLDER


def _reset_to(reader: Reader) -> ResetTo:
    return ResetTo(**{name: reader.optional_whole(name) for name in RESET_BOUNDS})


def _calendar(reader: Reader, *, tasks: Container[str], now: datetime | None) -> Calendar:
    """Read a calendar, dated by ``cron`` or by ``scheduleAfter``."""
    return Calendar(
        key=reader.text("key"),
        task=reader.reference("task", tasks, "there is no task"),
        cron=_cron(reader, now),
        schedule_after=reader.part("scheduleAfter", delta),
        run_on_cycle=reader.optional_whole("runOnCycle"),
        run_on_cycle_callback=callback(reader, "runOnCycleCallback", ResultType.BOOL),
        next_cycle_date_callback=callback(reader, "nextCycleDateCallback", ResultType.TIMESTAMP),
        business_days=reader.part("businessDays", business_days),
        spread_minutes=reader.optional_whole("spreadMinutes"),
        leading_up_tasks=reader.parts("leadingUpTasks", partial(_leading_up, tasks=tasks)),
    )


def _cron(reader: Reader, now: datetime | None) -> Cron | None:
    """Read a cron expression, or None. Whether it ever fires is checked later."""
    text = reader.optional_text("cron")
    if text is None:
        return None
    try:
        cron = read_cron(text)
    except CronError as error:
        for fault in error.faults:
            reader.problem("cron", "cron", fault.message, caret=caret_at_offset(text, fault.offset))
        return None
    reader.later(partial(_check_fires, reader, cron, now))
    return cron


def _check_fires(reader: Reader, cron: Cron, now: datetime | None) -> None:
    if not cron.fires_from(None):
        reader.problem("cron", "never-fires", "never fires: there is no such date")
    elif not cron.fires_from(now):
        reader.problem("cron", "never-fires", "has no further date: the last one has passed")


def _leading_up(reader: Reader, *, tasks: Container[str]) -> LeadingUpTask:
    return LeadingUpTask(
        task=reader.reference("task", tasks, "there is no task"),
        schedule_before=reader.part("scheduleBefore", _leading_up_delta) or _PLACEHOLDER,
        run_late=reader.flag("runLate"),
    )


def _leading_up_delta(reader: Reader) -> Delta:
    return _delta(reader, reader.part("businessDays", business_days))


def _why_not_rising(calendar: Calendar, calendars: tuple[Calendar, ...]) -> str | None:
    """Return why a cycle would not be later than the previous one, or None if that is not certain.

    Three cases are certain: a delta of zero, unless it dates no cycle (cycle 1 is at the start date); a delta that
    follows itself and counts from an attribute, which gives every cycle the same date; and one that follows itself and
    leads back to its own date, for example one day and then the 5th of the month.
    """
    distance = calendar.schedule_after
    if distance is None or calendar.run_on_cycle == 1:
        return None
    if not passes_time(distance):
        only = (
            ""
            if calendar.next_cycle_date_callback is None
            else "; nextCycleDateCallback moves the due date only"
        )
        return f"each cycle must be later than the one before it; a delta of 0 is not{only}"
    if distance.retry_event_callback is not None or not _follows_itself(calendar, calendars):
        return None
    if distance.from_attribute is not None:
        return (
            "counts every cycle from the same date, so the third cycle could not be later than the second; "
            "leave out from, or limit the calendar with runOnCycle"
        )
    return _why_it_returns(distance)


def _why_it_returns(distance: Delta) -> str | None:
    """Return why a delta that follows itself leads to no later date, or None if it does."""
    try:
        once = later(_NEW_YEAR, span := _span(distance), _UTC)
        again = later(once, span, _UTC)
    except DateError as error:
        return f"no cycle can be dated with this: {error}"
    if again.at <= once.at:
        return "each cycle must be later than the one before it; this delta returns to the same date"
    return None


def _follows_itself(calendar: Calendar, calendars: tuple[Calendar, ...]) -> bool:
    """Return whether this calendar dates all cycles from some cycle on."""
    unconditional = [c for c in calendars if c.run_on_cycle is None and c.run_on_cycle_callback is None]
    return calendar in unconditional[:1] and all(c.run_on_cycle_callback is None for c in calendars)


def _span(distance: Delta) -> Span:
    return Span(unit=distance.unit, amount=distance.amount, reset_to=distance.reset_to)
