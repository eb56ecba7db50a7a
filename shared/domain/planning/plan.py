"""How a plan goes on: opening cycles, and catching up where dates have passed unrun.

Source: design section 4; contracts/core.md section 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from shared.domain.calendar.dates import Moment, moment_at, shifted
from shared.domain.instance.due import GRACE
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, Instance
from shared.domain.instance.skipped import Skipped
from shared.domain.instance.verdict import ENGINE, Actor, Change
from shared.domain.planning.closing import add_event, cancel_instance, close, close_all, complete_if_done
from shared.domain.planning.cycles import (
    CycleDate,
    CycleError,
    Outlook,
    coming_cycles,
    first_cycle,
    following,
    outlook,
)
from shared.domain.planning.offset_dates import leading_up_date
from shared.domain.strategy.model import OnResume, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Replanned:
    """A plan that went on, and which of its dates were left out."""

    change: Change
    skipped: Skipped | None = None


def late_rule(strategy: Strategy, instance: Instance) -> OnResume:
    """What becomes of passed dates: as its last resume said until the plan has caught up, else as the strategy says."""
    return instance.plan.on_late or strategy.definition.on_resume


def open_cycle(strategy: Strategy, instance: Instance, dated: CycleDate, *, now: datetime) -> Instance:
    """The instance with a cycle's main event and the leading-up events before it.

    A leading-up date that has passed runs at once, but is left out where the main date has passed too.
    """
    on_call = instance.plan.schedule is not None and instance.plan.schedule.on_call
    on_hold = strategy.definition.manual_trigger or on_call
    plan = replace(instance.plan, cycle=dated.cycle, moment=dated.moment)
    instance = replace(instance, plan=plan, updated_at=now)
    for entry in dated.calendar.leading_up_tasks:
        date, problem = leading_up_date(strategy, instance, entry, dated, now=now)
        if date < now and dated.moment.at < now:
            continue
        instance = add_event(
            instance, EventKind.LEADING_UP, entry.task, date, now=now, on_hold=on_hold, problem=problem
        )
    return add_event(
        instance,
        EventKind.MAIN,
        dated.calendar.task,
        dated.moment.at,
        now=now,
        on_hold=on_hold,
        problem=dated.problem,
    )


def plan_next(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned:
    """The cycle after the instance's current one, whose main event has closed.

    No next cycle ends the plan; one that cannot be dated cancels the instance with CREATE_CYCLE_ERROR.
    """
    if instance.plan.moment is None or instance.plan.has_ended:
        return Replanned(change=complete_if_done(instance, now=now))
    return continue_plan(strategy, instance, now=now)


def continue_plan(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned:
    """The cycle after the last that was planned, or the first one, of an instance without an open cycle."""
    moment = instance.plan.moment
    try:
        if moment is None:
            coming: CycleDate | None = first_cycle(strategy, instance, now=now)
        else:
            coming = following(strategy, instance, cycle=instance.plan.cycle, moment=moment, now=now)
        ahead = outlook(strategy, instance, coming, now=now, on_late=late_rule(strategy, instance))
    except CycleError as error:
        return Replanned(change=cycle_failed(strategy, instance, error, now=now))
    return continue_from(strategy, instance, ahead, now=now)


def continue_from(strategy: Strategy, instance: Instance, ahead: Outlook, *, now: datetime) -> Replanned:
    """The plan continued as an outlook says: skipped dates recorded, then the next cycle or the end."""
    change = Change(instance=instance)
    if ahead.skipped is not None:
        change = _record_skipped(strategy, instance, ahead.skipped, now=now)
    opened = _opened(strategy, change.instance, ahead.coming, now=now)
    return Replanned(change=change.then(opened), skipped=ahead.skipped)


def catch_up(
    strategy: Strategy,
    instance: Instance,
    *,
    now: datetime,
    on_late: OnResume | None = None,
    while_stopped: bool | None = None,
    by: Actor = ENGINE,
) -> Replanned:
    """The rule for late plans, on an open main event that has not begun.

    It is replaced only if a later planned date has passed as well, or, under ``skip``, if it fell due
    while something was paused; one that is merely late stays, and so does one that an operator has in hand
    (on hold, or told to run). on_late, while_stopped: the rule, and whether it fell due while something was paused;
    None: as the instance says. by: whose resume it is, where it is one. Raises: CycleError.
    """
    on_late = on_late or late_rule(strategy, instance)
    while_stopped = fell_due_while_stopped(instance) if while_stopped is None else while_stopped
    unchanged = Replanned(change=Change(instance=instance))
    main, moment = instance.main_event, instance.plan.moment
    if main is None or moment is None or main.has_begun or main.status is not EventStatus.PENDING:
        return unchanged
    if main.date >= now or on_late is OnResume.ALL:
        return unchanged
    must_go = on_late is OnResume.SKIP and while_stopped
    later = _later(strategy, instance, moment, now=now, needed=must_go)
    if later is not None and later.moment.at < now:
        ahead = outlook(strategy, instance, later, now=now, on_late=on_late, walked=1)
    elif must_go:
        ahead = Outlook(coming=later)
    else:
        return unchanged
    last = ahead.skipped
    skipped = Skipped(
        task=main.task,
        first_cycle=instance.plan.cycle,
        last_cycle=instance.plan.cycle if last is None else last.last_cycle,
        first_at=moment.at,
        last_at=moment.at if last is None else last.last_at,
    )
    return _replace_main(strategy, instance, main, skipped, ahead.coming, now=now, by=by)


def fell_due_while_stopped(instance: Instance) -> bool:
    """Whether the open main event's date came while the instance was paused or blocked."""
    main, stop = instance.main_event, instance.stop
    passed = main is not None and stop is not None and stop.at <= main.date
    return passed or instance.blocked_by is not None


def shift(
    strategy: Strategy, instance: Instance, span: timedelta, *, now: datetime, by: Actor = ENGINE
) -> Change:
    """The plan moved by elapsed time, with what of its open cycle has not begun; asked for anew.

    A cycle moved beyond the end date does not come. Raises: DateError: a date cannot be represented.
    """
    moment, zone = instance.plan.moment, strategy.definition.zone
    if moment is None:
        return Change(instance=instance)
    events = tuple(_shifted(event, span, zone) if is_planned(event) else event for event in instance.events)
    plan = replace(instance.plan, moment=shifted(moment, span, zone))
    moved = replace(instance, plan=plan, events=events, updated_at=now)
    main, end = moved.main_event, moved.plan.end_date
    if main is None or end is None or main.date <= end or not is_planned(main):
        return Change(instance=moved)
    return end_before(strategy, moved, main, now=now, why="moved beyond the end date", by=by)


def end_before(
    strategy: Strategy, instance: Instance, main: Event, *, now: datetime, why: str, by: Actor
) -> Change:
    """The plan ended before its open cycle, which has not begun: that one closes."""
    doomed = [*unbegun_leading_ups(instance), main]
    change = close_all(instance, doomed, now=now, why=why, cause=ClosedBy.END_DATE, by=by)
    return change.then(_opened(strategy, change.instance, None, now=now))


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
    """These events closed. With its main event a cycle is skipped, and the plan goes on with the next."""
    change = close_all(instance, doomed, now=now, why=why, cause=cause, by=by)
    if not any(event.is_main for event in doomed):
        return Replanned(change=change)
    left = unbegun_leading_ups(change.instance)
    why = "its main event was canceled"
    change = change.then(close_all(change.instance, left, now=now, why=why, cause=ClosedBy.MAIN_EVENT, by=by))
    planned = plan_next(strategy, change.instance, now=now)
    return Replanned(change=change.then(planned.change), skipped=planned.skipped)


def overdue_leading_ups(instance: Instance, *, now: datetime) -> list[Event]:
    """Leading-up events that have not begun although their main event's date has passed too.

    By more than a lost doorbell can cost: within that, they still run, one after the other.
    """
    main = instance.main_event
    if main is None or main.date >= now - GRACE or main.status is EventStatus.ONHOLD:
        return []
    waiting = [event for event in unbegun_leading_ups(instance) if event.status is EventStatus.PENDING]
    return [event for event in waiting if event.date < now]


def unbegun_leading_ups(instance: Instance) -> list[Event]:
    """Leading-up events that no runner has set out on."""
    return [event for event in instance.events if event.kind is EventKind.LEADING_UP and not event.has_begun]


def is_planned(event: Event) -> bool:
    """Whether it waits for a date of the plan, and for nothing else."""
    of_plan = event.kind in (EventKind.MAIN, EventKind.LEADING_UP)
    return of_plan and not event.has_begun and event.status in (EventStatus.PENDING, EventStatus.ONHOLD)


def cycle_failed(strategy: Strategy, instance: Instance, error: CycleError, *, now: datetime) -> Change:
    """The instance canceled because its next cycle cannot be dated."""
    by = Actor(name=ENGINE.name, reason=str(error))
    return cancel_instance(strategy, instance, CancelReason.CREATE_CYCLE_ERROR, by=by, now=now)


def _later(
    strategy: Strategy, instance: Instance, moment: Moment, *, now: datetime, needed: bool
) -> CycleDate | None:
    """The cycle after the open one, None where the plan ends before it.

    Where it is not needed, one that cannot be dated is no reason to give up the open one.
    """
    try:
        coming = following(strategy, instance, cycle=instance.plan.cycle, moment=moment, now=now)
        return next(coming_cycles(strategy, instance, coming, now=now), None)
    except CycleError:
        if needed:
            raise
        return None


def _opened(strategy: Strategy, instance: Instance, coming: CycleDate | None, *, now: datetime) -> Change:
    """The instance with its next cycle opened, or with its plan ended. With a future date it has caught up."""
    plan = instance.plan
    if coming is None:
        ended = replace(plan, has_ended=True, on_late=None)
        return complete_if_done(replace(instance, plan=ended, updated_at=now), now=now)
    if coming.moment.at >= now:
        instance = replace(instance, plan=replace(plan, on_late=None))
    return Change(instance=open_cycle(strategy, instance, coming, now=now))


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
    """The open main event closed for the whole skipped range, and the plan continued after it."""
    late = ClosedBy.LATE_PLAN
    why = "skipped: its date has passed"
    change = close(instance, main, EventStatus.CANCELED, now=now, why=why, cause=late, by=by)
    change = _with_range(strategy, change, skipped)
    leading = unbegun_leading_ups(change.instance)
    why = "its main event was skipped"
    change = change.then(close_all(change.instance, leading, now=now, why=why, cause=late, by=by))
    change = change.then(_opened(strategy, change.instance, coming, now=now))
    return Replanned(change=change, skipped=skipped)


def _record_skipped(strategy: Strategy, instance: Instance, skipped: Skipped, *, now: datetime) -> Change:
    """One record for a range of dates that never became events."""
    reached = replace(instance, plan=replace(instance.plan, cycle=skipped.first_cycle))
    with_event = add_event(reached, EventKind.MAIN, skipped.task, skipped.first_at, now=now)
    event = with_event.events[-1]
    why = "skipped: its date had passed"
    change = close(with_event, event, EventStatus.CANCELED, now=now, why=why, cause=ClosedBy.LATE_PLAN)
    return _with_range(strategy, change, skipped)


def _with_range(strategy: Strategy, change: Change, skipped: Skipped) -> Change:
    """The closing of one main event made to stand for a range: its cycles are used up."""
    cycles = (skipped.first_cycle, skipped.last_cycle)
    records = tuple(
        replace(record, skipped_cycles=cycles, skipped_until=skipped.last_at) for record in change.records
    )
    moment = moment_at(skipped.last_at, strategy.definition.zone)
    plan = replace(change.instance.plan, cycle=skipped.last_cycle, moment=moment)
    return Change(instance=replace(change.instance, plan=plan), records=records)


def _shifted(event: Event, by: timedelta, zone: ZoneInfo) -> Event:
    at = shifted(moment_at(event.date, zone), by, zone).at
    return replace(event, date=at, due_at=at, wakeup_seq=event.wakeup_seq + 1)
