"""The dates of a plan. Simulation, forecast and the running engine use the same functions.

Source: docs/design.md section 4; docs/contracts/core.md sections 3.1 and 3.2.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.business_days import Convention, day_of
from shared.domain.calendar.cron import Cron, first_fire, next_fire
from shared.domain.calendar.dates import (
    KEEP_ALL,
    Moment,
    format_instant,
    in_zone,
    later,
    moment_at,
    moment_of,
    start_of,
    zone_named,
)
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.errors import DateError, RitornelloError
from shared.domain.instance.attributes import adjusted, date_attribute
from shared.domain.instance.due import spread as spread_of
from shared.domain.instance.event import Move
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Instance
from shared.domain.instance.scope import instant, is_true, scope, span_of
from shared.domain.instance.skipped import Skipped
from shared.domain.instance.zone import own_zone, zone_of
from shared.domain.planning.missed_dates import RuleFor
from shared.domain.strategy.model import Calendar, Definition, Delta, OnResume, Strategy
from shared.expressions import EvaluationError

MAX_MISSED_DATES = 1000
"""The most cycles that are examined to find the one with which a plan continues."""

MAX_LEFT_OUT = 20_000
"""The most cycles in a row that do not run: two weeks of a plan by the minute."""

LONG = timedelta(days=366)
"""How long ``MAX_MISSED_DATES`` cycles that do not run must last at least to show that none ever will."""

MISSED = "skipped: its date has passed"
"""Why a missed date does not run."""


class CycleError(RitornelloError):
    """The next cycle cannot be dated. The instance is canceled with CREATE_CYCLE_ERROR."""

    code = "CREATE_CYCLE_ERROR"


class TooManyMissedError(CycleError):
    """More dates were missed, or coincide, than are examined."""

    code = "TOO_MANY_MISSED_DATES"


class LeftOut(Struct, frozen=True, kw_only=True):
    """Why a cycle does not run: it coincides with another, or its date is no business day."""

    cause: ClosedBy
    why: str


class CycleDate(Struct, frozen=True, kw_only=True):
    """A dated cycle.

    ``moment`` is its planned date, from which the next one is computed. ``due`` is when it runs, and ``move`` is set
    if that is another date. ``left_out`` says why it does not run at all, None if it does; it is then due as planned.
    ``problem`` describes a callback that failed and was ignored.
    """

    cycle: int
    moment: Moment
    due: datetime
    calendar: Calendar
    move: Move | None = None
    left_out: LeftOut | None = None
    problem: str | None = None

    @property
    def spread_seconds(self) -> int:
        """Return by how much the due date is later only to spread the load."""
        return 0 if self.move is None else self.move.spread_seconds

    @property
    def latest(self) -> datetime:
        """Return the later one of planned and due date, which an end date limits, before it is spread."""
        return max(self.moment.at, self.due - timedelta(seconds=self.spread_seconds))


class Outlook(Struct, frozen=True, kw_only=True):
    """How a plan continues. ``coming`` is None if it has ended. ``skipped`` are the cycles before it.

    ``is_part`` means that so many dates were missed that ``coming`` will be replaced, too.
    """

    coming: CycleDate | None
    skipped: Skipped | None = None
    is_part: bool = False


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
    moment, problem = _moment(strategy, instance, instance.start_date, cycle=1), None
    if strategy.definition.initial_delay is not None:
        moment, problem = _dated(
            strategy, instance, strategy.definition.initial_delay, moment, cycle=1, now=now
        )
    if calendar.cron is not None:
        moment = _first_fire(strategy, instance, calendar.cron, moment.at, cycle=1)
    dated = CycleDate(cycle=1, moment=moment, due=moment.at, calendar=calendar, problem=problem)
    on_day, rule = _on_business_day(strategy, instance, dated), calendar.business_days
    if rule is None or on_day.due >= min(moment.at, instance.start_date):
        return _spread_out(strategy, instance, on_day)
    # Before the start date it would be missed at once.
    rule = replace(rule, convention=Convention.FOLLOWING)
    dated = replace(dated, calendar=replace(calendar, business_days=rule))
    dated = replace(_on_business_day(strategy, instance, dated), calendar=calendar)
    return _spread_out(strategy, instance, dated)


def following(strategy: Strategy, instance: Instance, *, now: datetime) -> CycleDate | None:
    """Return the cycle after the plan's, whose planned date is strictly after that of the plan.

    It is left out if it would be due no later than the last cycle that runs.
    Return None if a cron expression, or the instance's own schedule, has no further date: the plan ends.
    Raises: CycleError: if the cycle cannot be dated, or the plan has no date yet.
    """
    number, moment = instance.plan.cycle + 1, instance.plan.moment
    if moment is None:
        raise CycleError(f"cycle {number} follows no date")
    schedule = instance.plan.schedule
    if schedule is not None:
        base, _ = _base(strategy, instance, moment, elapses=own_dates_are_fixed(schedule))
        fire = _own_fire(strategy, instance, schedule, after=base.at)
        if fire is None:
            return None
        calendar = calendar_for(strategy, instance, cycle=number, date=moment.at, now=now)
        return CycleDate(cycle=number, moment=fire, due=fire.at, calendar=calendar)
    calendar = calendar_for(strategy, instance, cycle=number, date=moment.at, now=now)
    base, before = _base(strategy, instance, moment, elapses=elapses(calendar))
    planned, problem = _next_date(strategy, instance, calendar, base, cycle=number, now=now)
    if planned is None:
        return None
    # A plan whose dates do not rise would never end.
    if planned.at <= base.at:
        raise CycleError(
            f"cycle {number} would be at {planned.at.isoformat()}, not after cycle {instance.plan.cycle}"
        )
    dated = CycleDate(cycle=number, moment=planned, due=planned.at, calendar=calendar, problem=problem)
    dated = _on_business_day(strategy, instance, _moved(strategy, instance, dated, now=now))
    # Equal dates are spread alike, unless the last one was spread under other settings, or has been shifted since.
    dated = _checked(dated, before=before - timedelta(seconds=instance.plan.spread_seconds))
    return _checked(_spread_out(strategy, instance, dated), before=before)


def dated_again(
    strategy: Strategy, instance: Instance, calendar: Calendar, *, now: datetime
) -> CycleDate | None:
    """Return the open cycle as the attributes of the instance date it now; None as ``first_cycle`` does.

    A cycle after the first keeps its planned date unless it counts from an attribute.
    Raises: CycleError: if it cannot be dated.
    """
    plan, moment = instance.plan, instance.plan.moment
    if moment is None or plan.cycle == 1:
        blank = replace(instance, plan=replace(plan, moment=None, moved_to=None, spread_seconds=0))
        return first_cycle(strategy, blank, now=now)
    # Callbacks see the cycle before, as they did when it was dated.
    earlier, problem = replace(instance, plan=replace(plan, cycle=plan.cycle - 1)), None
    after = calendar.schedule_after
    if after is not None and after.from_attribute is not None:
        moment, problem = _dated(strategy, earlier, after, moment, cycle=plan.cycle, now=now)
    dated = CycleDate(cycle=plan.cycle, moment=moment, due=moment.at, calendar=calendar, problem=problem)
    dated = _on_business_day(strategy, earlier, _moved(strategy, earlier, dated, now=now))
    return _spread_out(strategy, earlier, dated)


def without_spread(strategy: Strategy) -> Strategy:
    """Return a strategy that does not spread due dates, for an instance whose sid is not known yet."""
    calendars = tuple(replace(one, spread_minutes=None) for one in strategy.definition.calendars)
    return replace(strategy, definition=replace(strategy.definition, calendars=calendars))


def elapses(calendar: Calendar) -> bool:
    """Return whether a calendar counts elapsed time, so that its dates are the same in every zone."""
    after = calendar.schedule_after
    if after is None:
        return calendar.cron is not None and calendar.cron.times.every_hour
    return after.unit.elapses and after.reset_to == KEEP_ALL and after.from_attribute is None


def own_dates_are_fixed(schedule: OwnSchedule) -> bool:
    """Return whether the dates of an instance's own schedule are the same whatever zone the plan has."""
    expression = schedule.expression
    return schedule.timezone is not None or expression is None or expression.times.every_hour


def _base(
    strategy: Strategy, instance: Instance, moment: Moment, *, elapses: bool
) -> tuple[Moment, datetime]:
    """Return the planned date from which the next cycle is counted, and the due date after which it runs.

    After a change of the zone, the open cycle counts as dated in the new one, at the same local time. Else a plan for
    the 1st would run again on the same 1st if its customer moves to the west. Raises: CycleError.
    """
    try:
        return in_zone_of_plan(strategy, instance, moment, elapses=elapses)
    except DateError as error:
        raise CycleError(f"cycle {instance.plan.cycle + 1}: {error}") from error


def in_zone_of_plan(
    strategy: Strategy, instance: Instance, moment: Moment, *, elapses: bool
) -> tuple[Moment, datetime]:
    """Return the planned and the due date of the open cycle, as if it had been dated in the zone of its plan.

    With ``elapses`` they are the same in every zone. Raises: DateError.
    """
    plan = instance.plan
    due = plan.due or moment.at
    if plan.dated_in is None or elapses:
        return moment, due
    zone = zone_of(strategy, instance)
    base = moment_of(moment.anchor, zone)
    return base, base.at if due == moment.at else in_zone(due, zone_named(plan.dated_in), zone)


def counted_in_zone(strategy: Strategy, instance: Instance, *, now: datetime) -> Instance:
    """Return an instance whose last cycle is dated in the zone of its plan, because the next one counts from it.

    Raises: CycleError.
    """
    plan, moment = instance.plan, instance.plan.moment
    if plan.dated_in is None or moment is None:
        return instance
    is_fixed = (
        elapses(calendar_for(strategy, instance, cycle=plan.cycle + 1, date=moment.at, now=now))
        if plan.schedule is None
        else own_dates_are_fixed(plan.schedule)
    )
    base, due = _base(strategy, instance, moment, elapses=is_fixed)
    dated = plan.at_cycle(plan.cycle, base, due=due, spread_seconds=plan.spread_seconds)
    return replace(instance, plan=replace(dated, dated_in=None))


def coming_cycles(
    strategy: Strategy, instance: Instance, first: CycleDate | None, *, now: datetime
) -> Iterator[CycleDate]:
    """Yield ``first`` and the cycles after it, up to the instance's end date. Raises: CycleError.

    Cycles that are left out are among them. Callbacks see the instance as it will be then, with its cycle and date.
    """
    dated = first
    if dated is not None:
        # Cycles that are left out do not change when the last one was due, and more than one may coincide with it.
        instance = counted_in_zone(strategy, instance, now=now)
    while dated is not None and (instance.plan.end_date is None or dated.latest <= instance.plan.end_date):
        yield dated
        due, spread = dated.due, dated.spread_seconds
        if dated.left_out is not None:
            due, spread = instance.plan.due or due, instance.plan.spread_seconds
        plan = instance.plan.at_cycle(dated.cycle, dated.moment, due=due, spread_seconds=spread)
        instance = replace(instance, plan=plan)
        dated = following(strategy, instance, now=now)


def outlook(
    strategy: Strategy,
    instance: Instance,
    coming: CycleDate | None,
    *,
    now: datetime,
    rule_for: RuleFor,
    missed: tuple[datetime, ...] = (),
    in_parts: bool = False,
) -> Outlook:
    """Return how the plan continues from ``coming`` under the rules for missed dates.

    A date equal to ``now`` is not missed. Under ``last``, the latest of consecutive dates under that rule runs.
    ``missed`` are missed dates before ``coming`` that do not run either. With ``in_parts``, a thousand missed dates are
    enough for now: the plan continues with the next one, which ``catch_up`` replaces before it runs if it was missed,
    too. Raises: CycleError, TooManyMissedError.
    """
    cycles = coming_cycles(strategy, instance, coming, now=now)
    dated, passed, latest, last_missed, count = next(cycles, None), list[CycleDate](), None, -1, len(missed)
    missed_before_last = -1
    while dated is not None:
        if dated.left_out is None:
            rule = None if dated.due >= now else rule_for(dated.due).value
            if rule in (None, OnResume.ALL) or (rule is OnResume.SKIP and latest is not None):
                break
            count, missed_before_last, last_missed = count + 1, last_missed, len(passed)
            latest = None if rule is OnResume.SKIP else last_missed
        passed.append(dated)
        if in_parts and count > MAX_MISSED_DATES + 1:
            # A later date has passed, too, so that this one is replaced, also under ``skip``.
            coming, before = passed[missed_before_last], passed[:missed_before_last]
            return Outlook(coming=coming, skipped=_range(before, missed, rule_for), is_part=True)
        if count > MAX_MISSED_DATES and not in_parts:
            raise TooManyMissedError(f"more than {MAX_MISSED_DATES} planned dates were missed")
        if _none_runs(passed, since=last_missed + 1):
            raise TooManyMissedError(f"more than {MAX_MISSED_DATES} planned dates do not run")
        try:
            dated = next(cycles, None)
        except CycleError:
            # If a missed date runs, the error recurs after it.
            if latest is None:
                raise
            dated = None
    if latest is None:
        return Outlook(coming=dated, skipped=_range(passed, missed, rule_for))
    return Outlook(coming=passed[latest], skipped=_range(passed[:latest], missed, rule_for))


def _none_runs(passed: list[CycleDate], *, since: int) -> bool:
    """Return whether so many cycles from an index on do not run that none ever will.

    A long holiday of a dense plan has many, but ends.
    """
    count = len(passed) - since
    if count <= MAX_MISSED_DATES:
        return False
    return count > MAX_LEFT_OUT or passed[-1].moment.at - passed[since].moment.at > LONG


def missed_under(rule_for: RuleFor, dates: Iterable[datetime]) -> str:
    """Return why missed dates do not run, with the rules for them."""
    return f"{MISSED} ({', '.join(dict.fromkeys(rule_for(date).text for date in dates))})"


def _range(passed: list[CycleDate], missed_before: tuple[datetime, ...], rule_for: RuleFor) -> Skipped | None:
    """Return the cycles that do not run as one range. If any of them was missed, that is its cause."""
    if not passed:
        return None
    first, last, latest = passed[0], passed[-1], max(passed, key=lambda one: one.due)
    missed = [*missed_before, *(one.due for one in passed if not one.left_out)]
    # Dates that no business day follows yet are not missed, but do not run either.
    trailing = [one.left_out for one in takewhile(lambda one: one.left_out is not None, reversed(passed))]
    reasons = [missed_under(rule_for, missed)] if missed else []
    if trailing and trailing[-1] is not None:
        more = f"; and {len(trailing) - 1} more" if len(trailing) > 1 else ""
        reasons.append(f"{trailing[-1].why}{more}")
    return Skipped(
        task=first.calendar.task,
        first_cycle=first.cycle,
        last_cycle=last.cycle,
        first_at=min(one.due for one in passed),
        last_at=latest.due,
        spread_seconds=latest.spread_seconds,
        moment=last.moment,
        cause=first.left_out.cause if first.left_out and not missed else ClosedBy.LATE_PLAN,
        why="; then ".join(reasons),
    )


def _moved(strategy: Strategy, instance: Instance, dated: CycleDate, *, now: datetime) -> CycleDate:
    """Return a cycle with the date that its calendar's callback gives. Raises: CycleError."""
    source = dated.calendar.next_cycle_date_callback
    if source is None:
        return dated
    due = _date_from_callback(strategy, instance, source, dated, now=now)
    if due == dated.moment.at:
        return dated
    move = Move(planned=dated.moment.at, why=f"nextCycleDateCallback of calendar {dated.calendar.key}")
    return replace(dated, due=due, move=move)


def _on_business_day(strategy: Strategy, instance: Instance, dated: CycleDate) -> CycleDate:
    """Return a cycle on a business day of its calendar, or left out. Raises: CycleError."""
    rule = dated.calendar.business_days
    if rule is None:
        return dated
    try:
        zone = zone_of(strategy, instance)
        # The planned moment keeps a time of day that its own day does not have.
        due = moment_at(dated.due, zone) if dated.move else dated.moment
        day, note = adjusted(instance, rule, due, zone)
    except DateError as error:
        raise CycleError(f"businessDays of cycle {dated.cycle}: {error}") from error
    dated = replace(dated, problem=dated.problem or note)
    if day.why is None:
        return dated
    if day.at is None:
        left_out = LeftOut(cause=ClosedBy.NO_BUSINESS_DAY, why=f"skipped: {day.why}")
        return replace(dated, due=dated.moment.at, move=None, left_out=left_out)
    if day.at == dated.moment.at:  # back to where the callback has moved it from
        return replace(dated, due=day.at, move=None)
    why = day.why if dated.move is None else f"{dated.move.why}; {day.why}"
    return replace(dated, due=day.at, move=Move(planned=dated.moment.at, why=why))


def _spread_out(strategy: Strategy, instance: Instance, dated: CycleDate) -> CycleDate:
    """Return a cycle that is due later by the instance's own part of the spread, on the same local day.

    Raises: CycleError.
    """
    minutes = dated.calendar.spread_minutes
    if minutes is None or dated.left_out is not None:
        return dated
    try:
        window = left_of_day(dated.due, zone_of(strategy, instance))
    except DateError as error:
        raise CycleError(f"spreadMinutes of cycle {dated.cycle}: {error}") from error
    # Whole seconds, so that dates are shown as they are. The end of the day is the next day already.
    window = min(timedelta(minutes=minutes), window)
    seconds = int(spread_of(instance.sid) * window.total_seconds())
    if not seconds:
        return dated
    own = f"spread over {minutes} {'minute' if minutes == 1 else 'minutes'}"
    why = own if dated.move is None else f"{dated.move.why}; {own}"
    move = Move(planned=dated.moment.at, why=why, spread_seconds=seconds)
    return replace(dated, due=dated.due + timedelta(seconds=seconds), move=move)


def left_of_day(at: datetime, zone: ZoneInfo) -> timedelta:
    """Return how long the local day of an instant still lasts. Raises: DateError: if no day follows."""
    try:
        return start_of(day_of(at, zone) + timedelta(days=1), zone) - at
    except OverflowError as error:
        raise DateError(f"no such date: {error}") from error


def _checked(dated: CycleDate, *, before: datetime) -> CycleDate:
    """Return a cycle, left out if it would be due no later than the last one that runs, which is due ``before``."""
    if dated.left_out or dated.due > before:
        return dated
    why = f"skipped: cycle {dated.cycle} would be due on {format_instant(dated.due)}, and one that is due on "
    why += f"{format_instant(before)} is before it"
    left_out = LeftOut(cause=ClosedBy.COINCIDES, why=why)
    return replace(dated, due=dated.moment.at, move=None, left_out=left_out)


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
    moment = _moment(strategy, instance, begins, cycle=1)
    if schedule.expression is not None and not schedule.at_once:
        fire = _own_fire(strategy, instance, schedule, after=None)
        if fire is None:
            return None
        moment = fire
    return CycleDate(cycle=1, moment=moment, due=moment.at, calendar=calendar)


def _own_fire(
    strategy: Strategy, instance: Instance, schedule: OwnSchedule, *, after: datetime | None
) -> Moment | None:
    """Return the first fire of an instance's own expression after a planned date, or None."""
    if schedule.expression is None or (schedule.is_single and after is not None):
        return None
    opens_at = schedule.opens_at or instance.start_date
    try:
        zone = own_zone(strategy, instance, schedule)
        if after is None or after < opens_at:
            return first_fire(schedule.expression, opens_at, zone)
        return next_fire(schedule.expression, after, zone)
    except DateError as error:
        raise CycleError(f"{schedule.cron}: {error}") from error


def _first_fire(strategy: Strategy, instance: Instance, cron: Cron, base: datetime, *, cycle: int) -> Moment:
    """Return the first fire at or after an instant. Raises: CycleError: if there is none."""
    try:
        fire = first_fire(cron, base, zone_of(strategy, instance))
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
        fire = next_fire(calendar.cron, before.at, zone_of(strategy, instance))
    except DateError as error:
        raise CycleError(f"cycle {cycle}: {error}") from error
    if fire is None:
        # No fire at all since the start date is an error, not the end of the plan.
        _first_fire(strategy, instance, calendar.cron, instance.start_date, cycle=cycle)
    return fire, None


def _dated(
    strategy: Strategy, instance: Instance, delta: Delta, base: Moment, *, cycle: int, now: datetime
) -> tuple[Moment, str | None]:
    try:
        zone = zone_of(strategy, instance)
        if delta.from_attribute is not None:
            base = moment_at(date_attribute(instance, delta.from_attribute, zone), zone)
        span, problem = span_of(
            delta, scope_for(delta, strategy, instance, cycle=cycle, date=base.at, now=now)
        )
        return later(base, span, zone), problem
    except DateError as error:
        raise CycleError(f"cycle {cycle}: {error}") from error


def _date_from_callback(
    strategy: Strategy, instance: Instance, source: str, dated: CycleDate, *, now: datetime
) -> datetime:
    """Return the date that a calendar's callback gives a cycle. The planned date stays."""
    variables = scope(strategy, instance, now=now, cycle=dated.cycle, date=dated.moment.at)
    try:
        # In the plan's zone, a date may be outside the years that exist.
        return _moment(strategy, instance, instant(source, variables), cycle=dated.cycle).at
    except EvaluationError as error:
        raise CycleError(f"nextCycleDateCallback of cycle {dated.cycle}: {error}") from error


def _moment(strategy: Strategy, instance: Instance, at: datetime, *, cycle: int) -> Moment:
    try:
        return moment_at(at, zone_of(strategy, instance))
    except DateError as error:
        raise CycleError(f"cycle {cycle}: {error}") from error
