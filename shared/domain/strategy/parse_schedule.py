"""Reading distances in time, and the calendars made of them.

Source: contracts/core.md sections 2.2 (TimeDelta), 3.1, 3.2 and 4.1; design section 4.
"""

from collections.abc import Container
from datetime import UTC, datetime
from functools import partial

from shared.domain.calendar.cron import LONGEST_CRON, Cron, read_cron
from shared.domain.calendar.cron_fields import CronError
from shared.domain.calendar.dates import KEEP_ALL, ResetTo, Span, Unit, later, moment_at, zone_named
from shared.domain.errors import DateError
from shared.domain.strategy.model import Calendar, Delta, LeadingUpTask, LifecycleTask
from shared.domain.strategy.parse_texts import callback
from shared.domain.strategy.reader import LONGEST_KEY, Reader
from shared.domain.strategy.variables import RESET_BOUNDS
from shared.expressions import ResultType
from shared.expressions.problems import caret_at_offset

LARGEST_AMOUNT = 1_000_000
"""No delta counts more units than this."""

MAX_LEADING_UP = 20
"""Leading-up tasks of a calendar at most."""

MAX_CYCLE = 1_000_000_000
"""``runOnCycle`` at most."""

_STAND_IN = Delta(unit=Unit.DAYS, amount=1)
_UTC = zone_named("UTC")
_NEW_YEAR = moment_at(datetime(2026, 1, 1, tzinfo=UTC), _UTC)


def schedule(
    reader: Reader, *, tasks: Container[str], now: datetime | None
) -> tuple[Delta | None, tuple[Calendar, ...]]:
    """The initial delay and the calendars, whose cycles must rise as far as it can be seen.

    now: from when on a cron expression must still fire; None for whenever.
    """
    initial_delay = reader.one("initialDelay", delta)
    calendars = reader.many("calendars", partial(_calendar, tasks=tasks, now=now), required=True)
    for index, calendar in enumerate(calendars):
        wrong = _not_rising(calendar, calendars)
        if wrong is not None:
            reader.problem("calendars", "not-rising", wrong, below=f"/{index}/scheduleAfter")
    return initial_delay, calendars


def lifecycle_task(reader: Reader, *, tasks: Container[str]) -> LifecycleTask:
    """A task of ``onCreateTasks`` or ``onCancelTasks``."""
    return LifecycleTask(
        task=reader.reference("task", tasks, "there is no task"),
        delay_by=reader.one("delayBy", delta),
        manual_trigger=reader.flag("manualTrigger"),
        create_if=callback(reader, "createIf", ResultType.BOOL),
    )


def delta(reader: Reader) -> Delta:
    """A distance in time; a harmless one where anything about it is wrong.

    Unit and amount are needed even beside a callback, for when that fails.
    """
    told = reader.told
    bare = bare_delta(reader)
    found = Delta(
        unit=bare.unit,
        amount=bare.amount,
        from_attribute=reader.optional_text("from", longest=LONGEST_KEY),
        reset_to=reader.one("resetTo", _reset_to) or KEEP_ALL,
        retry_event_callback=callback(reader, "retryEventCallback", ResultType.MAP),
    )
    return found if reader.told == told else _STAND_IN


def bare_delta(reader: Reader) -> Delta:
    """A distance in time of unit and amount alone."""
    amount = reader.whole("amount", 0, LARGEST_AMOUNT, required=True)
    return Delta(
        unit=reader.choice("unit", Unit, required=True) or _STAND_IN.unit,
        amount=_STAND_IN.amount if amount is None else amount,
    )


def passes_time(distance: Delta) -> bool:
    """Whether a delta may lead to another date than its anchor; False where it visibly cannot."""
    return (
        distance.amount > 0
        or distance.reset_to != KEEP_ALL
        or distance.from_attribute is not None
        or distance.retry_event_callback is not None
    )


def _reset_to(reader: Reader) -> ResetTo:
    return ResetTo(**{name: reader.whole(name, low, high) for name, (low, high) in RESET_BOUNDS.items()})


def _calendar(reader: Reader, *, tasks: Container[str], now: datetime | None) -> Calendar:
    """A calendar, dated by ``cron`` or by ``scheduleAfter``.

    A ``runOnCycleCallback`` beside ``runOnCycle`` would never be asked, so it is refused.
    """
    reader.optional_text("description", may_be_empty=True)
    calendar = Calendar(
        key=reader.key(),
        task=reader.reference("task", tasks, "there is no task"),
        cron=_cron(reader, now),
        schedule_after=reader.one("scheduleAfter", delta, required=not reader.has("cron")),
        run_on_cycle=reader.whole("runOnCycle", 1, MAX_CYCLE),
        run_on_cycle_callback=callback(reader, "runOnCycleCallback", ResultType.BOOL),
        next_cycle_date_callback=callback(reader, "nextCycleDateCallback", ResultType.TIMESTAMP),
        leading_up_tasks=reader.many(
            "leadingUpTasks", partial(_leading_up, tasks=tasks), most=MAX_LEADING_UP
        ),
    )
    if reader.has("cron") and reader.has("scheduleAfter"):
        reader.problem("cron", "exclusive", "does not go with scheduleAfter: one of them dates the cycles")
    if reader.has("runOnCycle") and reader.has("runOnCycleCallback"):
        message = "is never asked: runOnCycle beside it decides alone"
        reader.problem("runOnCycleCallback", "exclusive", message)
    return calendar


def _cron(reader: Reader, now: datetime | None) -> Cron | None:
    """A cron expression that fires, or None."""
    text = reader.optional_text("cron", longest=LONGEST_CRON)
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
        reader.problem("cron", "never-fires", "fires no more: its last date has passed")


def _leading_up(reader: Reader, *, tasks: Container[str]) -> LeadingUpTask:
    return LeadingUpTask(
        task=reader.reference("task", tasks, "there is no task"),
        schedule_before=reader.one("scheduleBefore", delta, required=True) or _STAND_IN,
    )


def _not_rising(calendar: Calendar, calendars: tuple[Calendar, ...]) -> str | None:
    """Why a cycle would not be later than the one before it; None where that cannot be seen.

    Seen are a delta that leads nowhere, unless it dates no cycle (cycle 1 is at the start date), and one that
    comes back to its own date when it follows itself, as one day and then the 5th of the month.
    """
    distance = calendar.schedule_after
    if distance is None or calendar.next_cycle_date_callback is not None or calendar.run_on_cycle == 1:
        return None
    if not passes_time(distance):
        return "a cycle must be later than the one before it, this is 0 later"
    computed = distance.from_attribute is not None or distance.retry_event_callback is not None
    if computed or not _follows_itself(calendar, calendars):
        return None
    try:
        once = later(_NEW_YEAR, span := _span(distance), _UTC)
        again = later(once, span, _UTC)
    except DateError as error:
        return f"no cycle can be dated with this: {error}"
    if again.at <= once.at:
        return "a cycle must be later than the one before it, this comes back to the same date"
    return None


def _follows_itself(calendar: Calendar, calendars: tuple[Calendar, ...]) -> bool:
    """Whether in the end every cycle is this calendar's: it is the first with neither number nor callback."""
    unconditional = [c for c in calendars if c.run_on_cycle is None and c.run_on_cycle_callback is None]
    return calendar in unconditional[:1] and all(c.run_on_cycle_callback is None for c in calendars)


def _span(distance: Delta) -> Span:
    return Span(unit=distance.unit, amount=distance.amount, reset_to=distance.reset_to)
