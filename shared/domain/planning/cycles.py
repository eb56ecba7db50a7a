"""The dates of a plan. Simulation, forecast and the running engine use the same functions.

Source: docs/design.md section 4; docs/contracts/core.md sections 3.1 and 3.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.calendar.cron import Cron, first_fire, next_fire
from shared.domain.calendar.dates import Moment, later, moment_at
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import DateError, RitornelloError
from shared.domain.instance.attributes import date_attribute
from shared.domain.instance.model import Instance
from shared.domain.instance.scope import instant, is_true, scope, span_of
from shared.domain.instance.skipped import Skipped
from shared.domain.strategy.model import Calendar, Definition, Delta, OnResume, Strategy
from shared.expressions import EvaluationError

MAX_MISSED_DATES = 1000
"""The most missed dates that are examined to find the date from which a plan continues."""


class CycleError(RitornelloError):
    """The next cycle cannot be dated. The instance is canceled with CREATE_CYCLE_ERROR."""

    code = "CREATE_CYCLE_ERROR"


class TooManyMissedError(CycleError):
    """More dates were missed than are examined."""

    code = "TOO_MANY_MISSED_DATES"


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleDate:
    """A dated cycle. ``problem`` describes a callback that failed and was ignored."""

    cycle: int
    moment: Moment
    calendar: Calendar
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How a plan continues. ``coming`` is None if it has ended. ``skipped`` are the missed dates that do not run."""

    coming: CycleDate | None
    skipped: Skipped | None = None


def first_cycle(strategy: Strategy, instance: Instance, *, now: datetime) -> CycleDate | None:
    """Return cycle 1, or None if the instance's own schedule has no date.

    Its date is the start date plus ``initialDelay``, or a cron calendar's first fire at or after that. With an own
    schedule, it is the start date or the first fire of the schedule.
    Raises: CycleError: if it cannot be dated.
    """
    calendar = calendar_for(strategy, instance, cycle=1, date=instance.start_date, now=now)
    if instance.plan.schedule is not None:
        return _own_first(strategy, instance, instance.plan.schedule, calendar)
    # ``scheduleAfter`` applies from cycle 2 on.
    moment, problem = _moment(strategy, instance.start_date, cycle=1), None
    if strategy.definition.initial_delay is not None:
        moment, problem = _dated(
            strategy, instance, strategy.definition.initial_delay, moment, cycle=1, now=now
        )
    if calendar.cron is not None:
        moment = _first_fire(strategy, calendar.cron, moment.at, cycle=1)
    return CycleDate(cycle=1, moment=moment, calendar=calendar, problem=problem)


def following(
    strategy: Strategy, instance: Instance, *, cycle: int, moment: Moment, now: datetime
) -> CycleDate | None:
    """Return the cycle after ``cycle``, with a date strictly after ``moment``, the planned date of ``cycle``.

    Return None if a cron expression, or the instance's own schedule, has no further date: the plan ends.
    Raises: CycleError: if the cycle cannot be dated.
    """
    number = cycle + 1
    if instance.plan.schedule is not None:
        fire = _own_fire(strategy, instance, instance.plan.schedule, after=moment.at)
        if fire is None:
            return None
        calendar = calendar_for(strategy, instance, cycle=number, date=moment.at, now=now)
        return CycleDate(cycle=number, moment=fire, calendar=calendar)
    calendar = calendar_for(strategy, instance, cycle=number, date=moment.at, now=now)
    dated, problem = _next_date(strategy, instance, calendar, moment, cycle=number, now=now)
    if dated is None:
        return None
    if calendar.next_cycle_date_callback is not None:
        dated = _date_from_callback(
            strategy, instance, calendar.next_cycle_date_callback, dated, cycle=number, now=now
        )
    # A plan whose dates do not rise would never end.
    if dated.at <= moment.at:
        raise CycleError(f"cycle {number} would be at {dated.at.isoformat()}, not after cycle {cycle}")
    return CycleDate(cycle=number, moment=dated, calendar=calendar, problem=problem)


def coming_cycles(
    strategy: Strategy, instance: Instance, first: CycleDate | None, *, now: datetime
) -> Iterator[CycleDate]:
    """Yield ``first`` and the cycles after it, up to the instance's end date. Raises: CycleError.

    Callbacks see the instance as it will be then, with its cycle and date.
    """
    dated = first
    while dated is not None and (instance.plan.end_date is None or dated.moment.at <= instance.plan.end_date):
        yield dated
        plan = replace(instance.plan, cycle=dated.cycle, moment=dated.moment)
        instance = replace(instance, plan=plan)
        dated = following(strategy, instance, cycle=dated.cycle, moment=dated.moment, now=now)


def outlook(
    strategy: Strategy,
    instance: Instance,
    coming: CycleDate | None,
    *,
    now: datetime,
    on_late: OnResume,
    walked: int = 0,
) -> Outlook:
    """Return how the plan continues from ``coming`` under a rule for missed dates.

    A date equal to ``now`` is not missed. ``walked`` counts missed dates that were examined before.
    Raises: CycleError, TooManyMissedError.
    """
    cycles = coming_cycles(strategy, instance, coming, now=now)
    dated = next(cycles, None)
    if on_late is OnResume.ALL:
        return Outlook(coming=dated)
    missed: list[CycleDate] = []
    while dated is not None and dated.moment.at < now:
        if walked + len(missed) == MAX_MISSED_DATES:
            raise TooManyMissedError(f"more than {MAX_MISSED_DATES} planned dates were missed")
        missed.append(dated)
        try:
            dated = next(cycles, None)
        except CycleError:
            if on_late is OnResume.SKIP:
                raise
            # Only ``skip`` needs this date. Otherwise the one before it runs, and the error recurs after it.
            dated = None
    if on_late is OnResume.SKIP or not missed:
        return Outlook(coming=dated, skipped=_range(missed))
    return Outlook(coming=missed[-1], skipped=_range(missed[:-1]))


def _range(skipped: list[CycleDate]) -> Skipped | None:
    if not skipped:
        return None
    return Skipped(
        task=skipped[0].calendar.task,
        first_cycle=skipped[0].cycle,
        last_cycle=skipped[-1].cycle,
        first_at=skipped[0].moment.at,
        last_at=skipped[-1].moment.at,
    )


def calendar_for(
    strategy: Strategy, instance: Instance, *, cycle: int, date: datetime, now: datetime
) -> Calendar:
    """Return the calendar of a cycle: by its exact number, else by callback, else the first with neither.

    ``date`` is the previous planned date (the start date for cycle 1), which the callbacks see.
    Raises: CycleError: if no calendar matches, or a callback cannot be evaluated.
    """
    calendars = strategy.definition.calendars
    for calendar in calendars:
        if calendar.run_on_cycle == cycle:
            return calendar
    for calendar in calendars:
        if calendar.run_on_cycle_callback is not None and calendar.run_on_cycle is None:
            variables = scope(strategy, instance, now=now, cycle=cycle, date=date)
            try:
                if is_true(calendar.run_on_cycle_callback, variables):
                    return calendar
            except EvaluationError as error:
                raise CycleError(f"runOnCycleCallback of {calendar.key}: {error}") from error
    for calendar in calendars:
        if calendar.run_on_cycle is None and calendar.run_on_cycle_callback is None:
            return calendar
    raise CycleError(f"no calendar for cycle {cycle}")


def is_dated_by_cron(definition: Definition, instance: Instance) -> bool:
    """Return whether a cron expression has, or may have, dated the instance's open cycle."""
    if instance.plan.schedule is not None:
        return instance.plan.schedule.cron is not None
    # The callbacks are not evaluated again: they could choose differently today. Any candidate with cron counts.
    exact = [calendar for calendar in definition.calendars if calendar.run_on_cycle == instance.plan.cycle]
    others = [calendar for calendar in definition.calendars if calendar.run_on_cycle is None]
    plain = [calendar for calendar in others if calendar.run_on_cycle_callback is None]
    candidates = exact[:1] or [calendar for calendar in others if calendar not in plain[1:]]
    return any(calendar.cron for calendar in candidates)


def scope_for(
    delta: Delta, strategy: Strategy, instance: Instance, *, cycle: int, date: datetime, now: datetime
) -> dict[str, object] | None:
    """Return the variables of a delta's callback, or None if it has no callback, because building them is costly."""
    if delta.retry_event_callback is None:
        return None
    return scope(strategy, instance, now=now, cycle=cycle, date=date)


def _own_first(
    strategy: Strategy, instance: Instance, schedule: OwnSchedule, calendar: Calendar
) -> CycleDate | None:
    """Return the first date of an instance's own schedule, or None if it has no date."""
    # An instance with a single date is for one run of one task, so leading-up tasks are left out.
    if schedule.is_single:
        calendar = replace(calendar, leading_up_tasks=())
    begins = instance.start_date if schedule.at_once else schedule.opens_at or instance.start_date
    moment = _moment(strategy, begins, cycle=1)
    if schedule.expression is not None and not schedule.at_once:
        fire = _own_fire(strategy, instance, schedule, after=None)
        if fire is None:
            return None
        moment = fire
    return CycleDate(cycle=1, moment=moment, calendar=calendar)


def _own_fire(
    strategy: Strategy, instance: Instance, schedule: OwnSchedule, *, after: datetime | None
) -> Moment | None:
    """Return the first fire of an instance's own expression after a planned date, or None."""
    if schedule.expression is None or (schedule.is_single and after is not None):
        return None
    zone, opens_at = schedule.zone(strategy.definition.zone), schedule.opens_at or instance.start_date
    try:
        if after is None or after < opens_at:
            return first_fire(schedule.expression, opens_at, zone)
        return next_fire(schedule.expression, after, zone)
    except DateError as error:
        raise CycleError(f"{schedule.cron}: {error}") from error


def _first_fire(strategy: Strategy, cron: Cron, base: datetime, *, cycle: int) -> Moment:
    """Return the first fire at or after an instant. Raises: CycleError: if there is none."""
    try:
        fire = first_fire(cron, base, strategy.definition.zone)
    except DateError as error:
        raise CycleError(f"cycle {cycle}: {error}") from error
    if fire is None:
        raise CycleError(f"cycle {cycle}: cron {cron.text!r} has no further date")
    return fire


def _next_date(
    strategy: Strategy, instance: Instance, calendar: Calendar, before: Moment, *, cycle: int, now: datetime
) -> tuple[Moment | None, str | None]:
    """Return a calendar's date after the previous one, or None after the last fire of its expression."""
    if calendar.schedule_after is not None:
        return _dated(strategy, instance, calendar.schedule_after, before, cycle=cycle, now=now)
    if calendar.cron is None:
        raise CycleError(f"cycle {cycle}: calendar {calendar.key} has neither scheduleAfter nor cron")
    try:
        fire = next_fire(calendar.cron, before.at, strategy.definition.zone)
    except DateError as error:
        raise CycleError(f"cycle {cycle}: {error}") from error
    if fire is None:
        # No fire at all since the start date is an error, not the end of the plan.
        _first_fire(strategy, calendar.cron, instance.start_date, cycle=cycle)
    return fire, None


def _dated(
    strategy: Strategy, instance: Instance, delta: Delta, base: Moment, *, cycle: int, now: datetime
) -> tuple[Moment, str | None]:
    zone = strategy.definition.zone
    try:
        if delta.from_attribute is not None:
            base = moment_at(date_attribute(instance, delta.from_attribute, zone), zone)
        span, problem = span_of(
            delta, scope_for(delta, strategy, instance, cycle=cycle, date=base.at, now=now)
        )
        return later(base, span, zone), problem
    except DateError as error:
        raise CycleError(f"cycle {cycle}: {error}") from error


def _date_from_callback(
    strategy: Strategy, instance: Instance, source: str, computed: Moment, *, cycle: int, now: datetime
) -> Moment:
    """Return the callback's date. The plan's anchor is kept only if the callback returns the computed date."""
    variables = scope(strategy, instance, now=now, cycle=cycle, date=computed.at)
    try:
        at = instant(source, variables)
    except EvaluationError as error:
        raise CycleError(f"nextCycleDateCallback of cycle {cycle}: {error}") from error
    return computed if at == computed.at else _moment(strategy, at, cycle=cycle)


def _moment(strategy: Strategy, at: datetime, *, cycle: int) -> Moment:
    try:
        return moment_at(at, strategy.definition.zone)
    except DateError as error:
        raise CycleError(f"cycle {cycle}: {error}") from error
