"""The continuation of a plan: opening cycles, and catching up after missed dates.

Source: docs/design.md section 4; docs/contracts/core.md section 3.2.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.business_days import Convention, day_of
from shared.domain.calendar.dates import Moment, moment_at, shifted
from shared.domain.instance.attributes import adjusted
from shared.domain.instance.due import spread as spread_of
from shared.domain.instance.event import Event, EventKind, EventStatus, Move
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus
from shared.domain.instance.skipped import Skipped
from shared.domain.instance.verdict import ENGINE, Actor, Change
from shared.domain.instance.zone import zone_of
from shared.domain.planning.closing import add_event, cancel_instance, close, close_all, complete_if_done
from shared.domain.planning.cycles import (
    CycleDate,
    CycleError,
    Outlook,
    counted_in_zone,
    elapses,
    first_cycle,
    following,
    in_zone_of_plan,
    left_of_day,
    missed_under,
    outlook,
    own_dates_are_fixed,
)
from shared.domain.planning.missed_dates import EVERY, MissedRule, RuleFor, missed_rules
from shared.domain.planning.offset_dates import LeadingUpDate, is_overdue, leading_up_date
from shared.domain.planning.skipping import next_to_skip
from shared.domain.strategy.model import Calendar, LeadingUpTask, OnResume, Strategy

MAX_PARTS = 50
"""The most parts that are looked ahead: fifty thousand missed dates, of a plan by the minute those of a month."""

MAIN_CLOSED = "its main event has closed"
"""Why a leading-up event that has not begun does not run any more."""


class Replanned(Struct, frozen=True, kw_only=True):
    """A continued plan, and the dates that were skipped.

    ``by_operator`` are cycles before those, which an operator had skipped. ``is_part`` means that so many dates were
    missed that the open main event will be replaced, too, before it runs.
    """

    change: Change
    skipped: Skipped | None = None
    by_operator: Skipped | None = None
    is_part: bool = False


def open_cycle(strategy: Strategy, instance: Instance, dated: CycleDate, *, now: datetime) -> Change:
    """Open a cycle: add its main event and its leading-up events.

    A leading-up event that is left out closes at once, so that the history has the reason: its date has passed, or is
    no business day.
    """
    on_call = instance.plan.schedule is not None and instance.plan.schedule.on_call
    onhold = strategy.definition.manual_trigger or on_call
    key = dated.calendar.key if len(strategy.definition.calendars) > 1 else None
    plan = instance.plan.at_cycle(
        dated.cycle, dated.moment, due=dated.due, spread_seconds=dated.spread_seconds
    )
    plan = replace(plan, calendar=key)
    change = Change(instance=replace(instance, plan=plan, updated_at=now))
    for entry in dated.calendar.leading_up_tasks:
        ahead = leading_up_date(strategy, change.instance, entry, dated, now=now)
        with_event = _with_event(
            change.instance, EventKind.LEADING_UP, entry.task, ahead, now=now, onhold=onhold
        )
        change = change.then(Change(instance=with_event))
        if ahead.left_out is not None:
            skipped, why, cause = with_event.events[-1], ahead.left_out.why, ahead.left_out.cause
            closed = close(with_event, skipped, EventStatus.CANCELED, now=now, why=why, cause=cause)
            change = change.then(closed)
    main = _with_event(change.instance, EventKind.MAIN, dated.calendar.task, dated, now=now, onhold=onhold)
    return change.then(Change(instance=main))


def _with_event(
    instance: Instance,
    kind: EventKind,
    task: str,
    dated: CycleDate | LeadingUpDate,
    *,
    now: datetime,
    onhold: bool,
) -> Instance:
    """Return the instance with one more event of its plan."""
    at = dated.due if isinstance(dated, CycleDate) else dated.at
    planned = add_event(instance, kind, task, at, now=now, onhold=onhold, problem=dated.problem)
    return planned.with_event(replace(planned.events[-1], move=dated.move))


def plan_next(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned:
    """Plan the cycle after the current one, whose main event has closed.

    Without a next cycle the plan ends. If the next cycle cannot be dated, the instance is canceled with
    CREATE_CYCLE_ERROR.
    """
    if instance.plan.moment is None or instance.plan.has_ended:
        return Replanned(change=complete_if_done(instance, now=now))
    return continue_plan(strategy, instance, now=now)


def continue_plan(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned:
    """Plan the next cycle, or the first one, of an instance without an open cycle."""
    if instance.plan.to_skip:
        return _after_skipped(strategy, instance, now=now)
    date = first_cycle if instance.plan.moment is None else following
    try:
        instance = counted_in_zone(strategy, instance, now=now)
        coming = date(strategy, instance, now=now)
        by, rule_for = _missed_by(instance, now), missed_rules(strategy, instance)
        ahead = outlook(strategy, instance, coming, now=by, rule_for=rule_for, in_parts=True)
    except CycleError as error:
        return Replanned(change=cycle_failed(strategy, instance, error, now=now))
    return continue_from(strategy, instance, ahead, now=now)


def _after_skipped(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned:
    """Record the cycles that an operator had skipped before they were planned, and plan the next one."""
    try:
        skipped = next_to_skip(strategy, instance, instance.plan.to_skip, now=now)
    except CycleError as error:
        return Replanned(change=cycle_failed(strategy, instance, error, now=now))
    change = Change(instance=replace(instance, plan=replace(instance.plan, to_skip=0)))
    if skipped is not None:
        change = _record_skipped(change.instance, skipped, now=now)
    planned = continue_plan(strategy, change.instance, now=now)
    return replace(planned, change=change.then(planned.change), by_operator=skipped)


def continue_from(strategy: Strategy, instance: Instance, ahead: Outlook, *, now: datetime) -> Replanned:
    """Continue the plan as an outlook says: record skipped dates, then open the next cycle or end the plan."""
    change = Change(instance=instance)
    if ahead.skipped is not None:
        change = _record_skipped(instance, ahead.skipped, now=now)
    opened = _opened(strategy, change.instance, ahead.coming, now=now)
    return Replanned(change=change.then(opened), skipped=ahead.skipped, is_part=ahead.is_part)


def catch_up(
    strategy: Strategy,
    instance: Instance,
    *,
    now: datetime,
    paused: Instance | None = None,
    by: Actor = ENGINE,
) -> Replanned:
    """Apply the rules for missed dates to an open main event that has not begun.

    The event is replaced if a later date under the same rule has passed as well, or, under ``skip``, if it fell due
    during a pause. An event that is merely late still runs. So does an event on hold, or queued by an operator.

    ``paused`` is the instance before a resume, and ``by`` the actor of the resume. Raises: CycleError.
    """
    rule_for, missed_by = missed_rules(strategy, instance, paused=paused), _missed_by(instance, now)
    unchanged = Replanned(change=Change(instance=instance))
    main, moment = instance.main_event, instance.plan.moment
    if main is None or moment is None or main.has_begun or main.status is not EventStatus.PENDING:
        return unchanged
    rule = rule_for(main.date)
    if main.date >= missed_by or rule.value is OnResume.ALL:
        return unchanged
    must_go = rule.value is OnResume.SKIP and rule.is_of_pause
    # Unless the event must be skipped, an error in the date after it is no reason to give it up.
    coming, later = _later(strategy, instance, now=now, needed=must_go)
    if not must_go and not _is_replaced(rule, later, rule_for, now=missed_by):
        return unchanged
    # An operator is told if a resume would skip too many dates. The engine skips them part by part.
    ahead = outlook(
        strategy,
        instance,
        coming,
        now=missed_by,
        rule_for=rule_for,
        missed=(main.date,),
        in_parts=paused is None and instance.status is InstanceStatus.ACTIVE,
    )
    last = ahead.skipped
    skipped = Skipped(
        task=main.task,
        first_cycle=instance.plan.cycle,
        last_cycle=instance.plan.cycle if last is None else last.last_cycle,
        first_at=main.date,
        last_at=main.date if last is None else max(main.date, last.last_at),
        spread_seconds=0 if last is None else last.spread_seconds,
        moment=moment if last is None else last.moment,
        cause=ClosedBy.LATE_PLAN,
        why=missed_under(rule_for, [main.date]) if last is None else last.why,
    )
    replanned = _replace_main(strategy, instance, main, skipped, ahead.coming, now=now, by=by)
    return replace(replanned, is_part=ahead.is_part)


def catch_up_wholly(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned:
    """Apply ``catch_up`` to every part of the missed dates, as the claims of a runner do, but at most ``MAX_PARTS``.

    Raises: CycleError.
    """
    return _with_other_parts(strategy, catch_up(strategy, instance, now=now), now=now)


def plan_next_wholly(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned:
    """Apply ``plan_next``, and ``catch_up`` to the other parts of the missed dates, but at most ``MAX_PARTS``."""
    planned = plan_next(strategy, instance, now=now)
    try:
        return _with_other_parts(strategy, planned, now=now)
    except CycleError as error:
        failed = cycle_failed(strategy, planned.change.instance, error, now=now)
        return replace(planned, change=planned.change.then(failed), is_part=False)


def _with_other_parts(strategy: Strategy, planned: Replanned, *, now: datetime) -> Replanned:
    """Return the plan after the other parts of the missed dates, which are one range together. Raises: CycleError."""
    for _ in range(MAX_PARTS - 1):
        if not planned.is_part or planned.skipped is None:
            break
        first, more = planned.skipped, catch_up(strategy, planned.change.instance, now=now)
        whole = replace(more.skipped or first, first_cycle=first.first_cycle, first_at=first.first_at)
        planned = replace(
            planned, change=planned.change.then(more.change), skipped=whole, is_part=more.is_part
        )
    return planned


def _missed_by(instance: Instance, now: datetime) -> datetime:
    """Return the instant before which a date was missed: a date that a scheduled cancellation bars is not missed."""
    return now if instance.cancellation is None else min(now, instance.cancellation.at)


def _is_replaced(rule: MissedRule, later: CycleDate | None, rule_for: RuleFor, *, now: datetime) -> bool:
    """Return whether a missed event is not run because of a later date that was missed, too."""
    if later is None or later.due >= now:
        return False
    return rule.value is OnResume.SKIP or rule_for(later.due).value is rule.value


def shift(
    strategy: Strategy, instance: Instance, span: timedelta, *, now: datetime, by: Actor = ENGINE
) -> Change:
    """Move the plan and the planned events of its open cycle by elapsed time.

    If it is the only date that was late before, the main event moves to now. A due date that is spread stays on the
    local day of the date before it is spread.
    A main event that would be on no business day moves to the next one; there is always one, also under ``skip``.
    A cycle that is moved past the end date is closed. Raises: DateError: if a date cannot be represented, or there is
    no business day.
    """
    moment, zone = instance.plan.moment, zone_of(strategy, instance)
    if moment is None:
        return Change(instance=instance)
    main, due = instance.main_event, instance.plan.due or moment.at
    by_plan, by_due = span, span
    if main is not None and is_planned(main):
        # It moves with its plan from where it is, also if the zone has changed since it was dated.
        moment = moment_at(moment.at, zone)
        if main.status is EventStatus.PENDING and due < now - span:
            # If it was merely late before the pause, the pause must not become the reason why it is missed.
            _, later = _later(strategy, instance, now=now, needed=False)
            span = now - due if later is None or later.due >= now - span else span
        by_plan, by_due = _with_spread(instance, due, span, zone, now=now)
    else:
        moment, due = dated_in_present_zone(strategy, instance, moment)
    events = tuple(
        _shifted(event, by_due, zone, planned_by=by_plan if event.is_main else by_due)
        if is_planned(event)
        else event
        for event in instance.events
    )
    due, planned = shifted(moment_at(due, zone), by_due, zone).at, shifted(moment, by_plan, zone)
    spread = instance.plan.spread_seconds + int((by_due - by_plan).total_seconds())
    plan = instance.plan.at_cycle(instance.plan.cycle, planned, due=due, spread_seconds=spread)
    moved = replace(instance, plan=plan, events=events, updated_at=now)
    moved = _on_next_business_day(strategy, moved)
    main = moved.main_event
    if main is None or not is_planned(main) or not is_past_end(moved):
        return Change(instance=moved)
    return end_before(strategy, moved, main, now=now, why="shifted past the end date", by=by)


def _with_spread(
    instance: Instance, due: datetime, span: timedelta, zone: ZoneInfo, *, now: datetime
) -> tuple[timedelta, timedelta]:
    """Return by how much the plan and its due date move, so that the spread leaves the due date on its local day.

    If it would not, the due date gets the instance's part of what is left of the day, but is not moved before now. If
    the day is over, the plan continues from now. Raises: DateError.
    """
    moved = shifted(moment_at(due, zone), span, zone).at
    begin = before_spread = moved - timedelta(seconds=instance.plan.spread_seconds)
    day = day_of(before_spread, zone)
    if day_of(moved, zone) == day:
        return span, span
    # What is on hold, or one of several missed dates, stays overdue.
    if before_spread < now <= moved:
        # In whole seconds, as every spread.
        begin += timedelta(seconds=ceil((now - before_spread).total_seconds()))
    if day_of(begin, zone) != day:
        return span + (begin - before_spread), span
    part = timedelta(seconds=int(spread_of(instance.sid) * left_of_day(begin, zone).total_seconds()))
    return span, span + (begin + part - moved)


def dated_in_present_zone(strategy: Strategy, instance: Instance, moment: Moment) -> tuple[Moment, datetime]:
    """Return the planned and the due date of the open cycle, from which the next one is counted. Raises: DateError."""
    calendar, own = calendar_of(strategy, instance), instance.plan.schedule
    is_fixed = calendar is not None and elapses(calendar) if own is None else own_dates_are_fixed(own)
    return in_zone_of_plan(strategy, instance, moment, elapses=is_fixed)


def _on_next_business_day(strategy: Strategy, instance: Instance) -> Instance:
    """Return the instance with its planned main event on a business day, not before its date. Raises: DateError."""
    main, zone, moment = instance.main_event, zone_of(strategy, instance), instance.plan.moment
    calendar = calendar_of(strategy, instance)
    if (
        main is None
        or moment is None
        or not is_planned(main)
        or calendar is None
        or not calendar.business_days
    ):
        return instance
    rule = replace(calendar.business_days, convention=Convention.FOLLOWING)
    day, _ = adjusted(instance, rule, moment_at(main.date, zone), zone)
    if day.at is None or day.why is None:
        return instance
    spread = 0 if main.move is None else main.move.spread_seconds
    move = None if day.at == moment.at else Move(planned=moment.at, why=day.why, spread_seconds=spread)
    main = replace(main, date=day.at, due_at=day.at, move=move)
    plan = instance.plan.at_cycle(instance.plan.cycle, moment, due=day.at, spread_seconds=spread)
    return replace(instance.with_event(main), plan=plan)


def calendar_of(strategy: Strategy, instance: Instance) -> Calendar | None:
    """Return the calendar of the open cycle; None if it has an own schedule, or the version has no such calendar."""
    calendars, key = strategy.definition.calendars, instance.plan.calendar
    if instance.plan.schedule is not None:
        return None
    if key is None:
        return calendars[0] if len(calendars) == 1 else None
    return next((calendar for calendar in calendars if calendar.key == key), None)


def entry_of(calendar: Calendar, main: Event, event: Event) -> LeadingUpTask | None:
    """Return the entry of a calendar that a leading-up event of the open cycle was planned for, or None."""
    # Each entry uses up a number, also one that is skipped, and the main event has the next number.
    entries = calendar.leading_up_tasks
    place = event.seq - main.seq + len(entries)
    entry = entries[place] if 0 <= place < len(entries) else None
    return entry if entry is not None and entry.task == event.task else None


def is_past_end(instance: Instance) -> bool:
    """Return whether the open cycle is planned or due after the plan's end date."""
    plan, end = instance.plan, instance.plan.end_date
    if plan.moment is None or plan.due is None or end is None:
        return False
    return max(plan.moment.at, plan.due_before_spread or plan.due) > end


def end_before(
    strategy: Strategy, instance: Instance, main: Event, *, now: datetime, why: str, by: Actor
) -> Change:
    """End the plan and close its open cycle, which has not begun."""
    doomed = [*unbegun_leading_ups(instance), main]
    change = close_all(instance, doomed, now=now, why=why, cause=ClosedBy.END_DATE, by=by)
    return change.then(_opened(strategy, change.instance, None, now=now))


def with_nothing_due(instance: Instance, *, now: datetime) -> Instance:
    """Return the instance whose last cycle does not run if it is due after now, so that no later one coincides with it.

    A cycle that is due up to now may have run.
    """
    plan = instance.plan
    if plan.moment is None or plan.due is None or plan.due <= now:
        return instance
    return replace(instance, plan=plan.at_cycle(plan.cycle, plan.moment, due=max(plan.moment.at, now)))


def cancel_events(
    strategy: Strategy,
    instance: Instance,
    doomed: Sequence[Event],
    *,
    now: datetime,
    why: str,
    cause: ClosedBy,
    by: Actor = ENGINE,
) -> Replanned:
    """Cancel these events. If a main event is among them, its cycle is skipped and the plan continues."""
    change = close_all(instance, doomed, now=now, why=why, cause=cause, by=by)
    if not any(event.is_main for event in doomed):
        return Replanned(change=change)
    # Leading-up events have no purpose without their main event.
    left = unbegun_leading_ups(change.instance)
    why = "its main event was canceled"
    change = change.then(close_all(change.instance, left, now=now, why=why, cause=ClosedBy.MAIN_EVENT, by=by))
    planned = plan_next(strategy, change.instance, now=now)
    return Replanned(change=change.then(planned.change), skipped=planned.skipped)


def close_for(instance: Instance, main: Event, skipped: Skipped, *, now: datetime, by: Actor) -> Change:
    """Close a main event, whose record represents a range of cycles that do not run; the plan is then at its end."""
    change = close(instance, main, EventStatus.CANCELED, now=now, why=skipped.why, cause=skipped.cause, by=by)
    cycles = (skipped.first_cycle, skipped.last_cycle)
    records = tuple(
        replace(record, skipped_cycles=cycles, skipped_until=skipped.last_at) for record in change.records
    )
    plan = instance.plan
    due, spread = skipped.last_at, skipped.spread_seconds
    if plan.due is not None and plan.due >= due:
        due, spread = plan.due, plan.spread_seconds
    plan = plan.at_cycle(skipped.last_cycle, skipped.moment, due=due, spread_seconds=spread)
    return Change(instance=replace(change.instance, plan=plan), records=records)


def overdue_leading_ups(instance: Instance, *, now: datetime) -> list[Event]:
    """Return the leading-up events that have not begun although their main event is overdue too."""
    main = instance.main_event
    # A lost wakeup can make a main event late by up to the grace. Within it, both still run, one after the other.
    if main is None or not is_overdue(main.date, now=now) or main.status is EventStatus.ONHOLD:
        return []
    waiting = [event for event in unbegun_leading_ups(instance) if event.status is EventStatus.PENDING]
    return [event for event in waiting if event.date < now]


def unbegun_leading_ups(instance: Instance) -> list[Event]:
    """Return the leading-up events that no runner has claimed."""
    return [event for event in instance.events if event.kind is EventKind.LEADING_UP and not event.has_begun]


def is_planned(event: Event) -> bool:
    """Return whether the event belongs to the plan and waits only for its date, or on hold."""
    of_plan = event.kind in (EventKind.MAIN, EventKind.LEADING_UP)
    return of_plan and not event.has_begun and event.status in (EventStatus.PENDING, EventStatus.ONHOLD)


def cycle_failed(strategy: Strategy, instance: Instance, error: CycleError, *, now: datetime) -> Change:
    """Cancel the instance because its next cycle cannot be dated."""
    by = Actor(name=ENGINE.name, reason=str(error))
    return cancel_instance(strategy, instance, CancelReason.CREATE_CYCLE_ERROR, by=by, now=now)


def _later(
    strategy: Strategy, instance: Instance, *, now: datetime, needed: bool
) -> tuple[CycleDate | None, CycleDate | None]:
    """Return the cycle after the open one, and the next one that runs; None if the plan ends before it.

    An error in their dates is raised only if ``needed``; otherwise None is returned.
    """
    try:
        coming = following(strategy, instance, now=now)
        return coming, outlook(strategy, instance, coming, now=now, rule_for=lambda _: EVERY).coming
    except CycleError:
        if needed:
            raise
        return None, None


def _opened(strategy: Strategy, instance: Instance, coming: CycleDate | None, *, now: datetime) -> Change:
    """Open the next cycle, or end the plan if there is none."""
    plan = instance.plan
    if coming is None:
        ended = replace(plan, has_ended=True, on_late=None)
        return complete_if_done(replace(instance, plan=ended, updated_at=now), now=now)
    if coming.due >= now:
        # The plan has caught up, so the last resume's rule no longer applies.
        instance = replace(instance, plan=replace(plan, on_late=None))
    return open_cycle(strategy, instance, coming, now=now)


def _replace_main(
    strategy: Strategy,
    instance: Instance,
    main: Event,
    skipped: Skipped,
    coming: CycleDate | None,
    *,
    now: datetime,
    by: Actor,
) -> Replanned:
    """Close the open main event for the whole skipped range, and continue the plan after the range."""
    change = close_for(instance, main, skipped, now=now, by=by)
    leading = unbegun_leading_ups(change.instance)
    why, cause = "its main event was skipped", skipped.cause
    change = change.then(close_all(change.instance, leading, now=now, why=why, cause=cause, by=by))
    change = change.then(_opened(strategy, change.instance, coming, now=now))
    return Replanned(change=change, skipped=skipped)


def _record_skipped(instance: Instance, skipped: Skipped, *, now: datetime) -> Change:
    """Record a range of dates that never became events, as one closed event."""
    # One record for the whole range, because a long pause may skip a thousand dates.
    reached = replace(instance, plan=replace(instance.plan, cycle=skipped.first_cycle))
    with_event = add_event(reached, EventKind.MAIN, skipped.task, skipped.first_at, now=now)
    return close_for(with_event, with_event.events[-1], skipped, now=now, by=ENGINE)


def _shifted(event: Event, by: timedelta, zone: ZoneInfo, *, planned_by: timedelta) -> Event:
    at = shifted(moment_at(event.date, zone), by, zone).at
    move = None
    if event.move is not None:
        planned = shifted(moment_at(event.move.planned, zone), planned_by, zone).at
        spread = event.move.spread_seconds + int((by - planned_by).total_seconds())
        why = f"{event.move.why}, before the plan was shifted"
        move = Move(planned=planned, why=why, spread_seconds=spread)
    return replace(event, date=at, due_at=at, move=move, wakeup_seq=event.wakeup_seq + 1)
