"""How a plan goes on: opening cycles, and catching up where dates have passed unrun.

Source: design section 4; contracts/core.md section 3.2.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.decision import ENGINE, Actor, Change
from shared.domain.ending import add_event, cancel_instance, close, close_all, complete_if_done
from shared.domain.event import Event, EventKind, EventStatus
from shared.domain.instance import CancelReason, Instance
from shared.domain.journal import EventRecord
from shared.domain.recurrence import (
    CycleDate,
    CycleError,
    Outlook,
    Skipped,
    calendar_for,
    following,
    leading_up_date,
    outlook,
)
from shared.domain.strategy import OnResume, Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Replanned:
    """A plan that went on, and which of its dates were left out."""

    change: Change
    skipped: Skipped | None = None


def open_cycle(strategy: Strategy, instance: Instance, dated: CycleDate, *, now: datetime) -> Instance:
    """The instance with a cycle's main event and the leading-up events before it.

    A leading-up date that has passed runs at once, but is left out where the main date has passed too.
    """
    on_hold = strategy.definition.manual_trigger
    instance = replace(instance, cycle=dated.cycle, plan=dated.moment, updated_at=now)
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


def plan_next(
    strategy: Strategy, instance: Instance, *, now: datetime, on_late: OnResume | None = None
) -> Replanned:
    """The cycle after the instance's current one, whose main event has closed.

    No next cycle ends the plan; one that cannot be dated cancels the instance with CREATE_CYCLE_ERROR.
    """
    if instance.plan is None or instance.plan_ended:
        return Replanned(change=complete_if_done(instance, now=now))
    policy = on_late or strategy.definition.on_resume
    try:
        coming = following(strategy, instance, cycle=instance.cycle, moment=instance.plan, now=now)
        ahead = outlook(strategy, instance, coming, now=now, on_late=policy)
        return go_on(strategy, instance, ahead, now=now)
    except CycleError as error:
        return Replanned(change=cycle_failed(strategy, instance, error, now=now))


def go_on(strategy: Strategy, instance: Instance, ahead: Outlook, *, now: datetime) -> Replanned:
    """The plan continued as an outlook says: skipped dates recorded, then the next cycle or the end."""
    change = Change(instance=instance)
    if ahead.skipped is not None:
        change = _record_skipped(instance, ahead.skipped, now=now)
    if ahead.coming is None:
        ended = replace(change.instance, plan_ended=True, updated_at=now)
        change = change.then(complete_if_done(ended, now=now))
    else:
        change = change.then(Change(instance=open_cycle(strategy, change.instance, ahead.coming, now=now)))
    return Replanned(change=change, skipped=ahead.skipped)


def catch_up(
    strategy: Strategy,
    instance: Instance,
    *,
    now: datetime,
    on_late: OnResume,
    fell_due_while_stopped: bool,
) -> Replanned:
    """The rule for late plans, on an open main event that has not begun.

    It is replaced only if a later planned date has passed as well, or, under ``skip``, if it fell due
    while something was paused; one that is merely late stays. Raises: CycleError.
    """
    main = instance.main_event
    if main is None or main.has_begun or instance.plan is None or main.date >= now:
        return Replanned(change=Change(instance=instance))
    if on_late is OnResume.ALL or main.status is not EventStatus.PENDING:
        return Replanned(change=Change(instance=instance))
    own = CycleDate(
        cycle=instance.cycle,
        moment=instance.plan,
        calendar=calendar_for(strategy, instance, cycle=instance.cycle, now=now),
    )
    if on_late is OnResume.SKIP and not fell_due_while_stopped:
        later = following(strategy, instance, cycle=own.cycle, moment=own.moment, now=now)
        if later.moment.at >= now:
            return Replanned(change=Change(instance=instance))
    ahead = outlook(strategy, instance, own, now=now, on_late=on_late)
    if ahead.coming is not None and ahead.coming.cycle == own.cycle:
        return Replanned(change=Change(instance=instance))
    return _replace_main(strategy, instance, main, ahead, now=now)


def overdue_leading_ups(instance: Instance, *, now: datetime) -> list[Event]:
    """Leading-up events that have not begun although their main event's date has passed too."""
    main = instance.main_event
    if main is None or main.date >= now or main.status is EventStatus.ONHOLD:
        return []
    waiting = [event for event in unbegun_leading_ups(instance) if event.status is EventStatus.PENDING]
    return [event for event in waiting if event.date < now]


def unbegun_leading_ups(instance: Instance) -> list[Event]:
    """Leading-up events that no runner has set out on."""
    return [event for event in instance.events if event.kind is EventKind.LEADING_UP and not event.has_begun]


def cycle_failed(strategy: Strategy, instance: Instance, error: CycleError, *, now: datetime) -> Change:
    """The instance canceled because its next cycle cannot be dated."""
    by = Actor(name=ENGINE.name, reason=str(error))
    return cancel_instance(strategy, instance, CancelReason.CREATE_CYCLE_ERROR, by=by, now=now)


def _replace_main(
    strategy: Strategy, instance: Instance, main: Event, ahead: Outlook, *, now: datetime
) -> Replanned:
    change = close(instance, main, EventStatus.CANCELED, now=now, why="skipped: its date has passed")
    gone = close_all(
        change.instance, unbegun_leading_ups(change.instance), now=now, why="its main event was skipped"
    )
    replanned = go_on(strategy, gone.instance, _without_own_record(ahead), now=now)
    records = _with_range(change.records, ahead.skipped) + gone.records
    return Replanned(
        change=Change(instance=replanned.change.instance, records=records + replanned.change.records),
        skipped=ahead.skipped,
    )


def _without_own_record(ahead: Outlook) -> Outlook:
    """The same outlook; the skipped range stands on the replaced main event's own record."""
    return Outlook(coming=ahead.coming)


def _with_range(records: tuple[EventRecord, ...], skipped: Skipped | None) -> tuple[EventRecord, ...]:
    if skipped is None:
        return records
    cycles = (skipped.first_cycle, skipped.last_cycle)
    return tuple(replace(record, skipped_cycles=cycles) for record in records)


def _record_skipped(instance: Instance, skipped: Skipped, *, now: datetime) -> Change:
    """One record for a range of dates that never became events."""
    with_event = add_event(instance, EventKind.MAIN, "", skipped.first_at, now=now)
    event = with_event.events[-1]
    change = close(with_event, event, EventStatus.CANCELED, now=now, why="skipped: its date had passed")
    return Change(instance=change.instance, records=_with_range(change.records, skipped))
