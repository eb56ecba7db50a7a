"""Moving the date of one event, or the rhythm from there on.

Source: docs/contracts/core.md section 5; docs/decisions/0056 and 0062.
"""

from datetime import datetime

from msgspec.structs import replace

from shared.domain.calendar.dates import Moment, format_instant, moment_at
from shared.domain.errors import DateError, Problem
from shared.domain.instance.event import Event, EventKind, EventStatus, Move
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Instance
from shared.domain.instance.verdict import (
    Actor,
    AlreadyThere,
    Change,
    RefusalRule,
    Refused,
    Verdict,
    audited,
    dates_before,
)
from shared.domain.instance.zone import zone_of
from shared.domain.lifecycle.commands import Reschedule
from shared.domain.planning.closing import close
from shared.domain.planning.cycles import CycleDate, CycleError, LeftOut, following, is_dated_by_cron, outlook
from shared.domain.planning.missed_dates import EVERY
from shared.domain.planning.offset_dates import TOO_LATE, LeadingUpDate, is_overdue, leading_up_date
from shared.domain.planning.plan import calendar_of, dated_in_present_zone, entry_of, is_planned
from shared.domain.strategy.model import Calendar, LeadingUpTask, Strategy

MOVED_TOO_LATE = "skipped: its date had passed when its main event was moved"
"""Why a leading-up event does not run after its main event was moved."""


def reschedule(strategy: Strategy, instance: Instance, command: Reschedule, *, now: datetime) -> Verdict:
    """Move a waiting event to a date, which no business-day rule moves on; return AlreadyThere if it is there.

    If it is a main event, its leading-up events that have not begun move along. A move after which another cycle
    would not run is refused, and so is a move to a date at which the instance is canceled.
    """
    event = instance.main_event if command.seq is None else instance.event(command.seq)
    if event is None:
        return _without_event(instance, command)
    why = _obstacle(instance, event)
    if why is not None:
        return Refused(instance=instance, why=why, rule=RefusalRule.STATE)
    problems = _problems(strategy, instance, event, command, now=now)
    if problems:
        return _invalid(instance, problems)
    why = _beyond_cancellation(instance, event, command.date)
    if why is not None:
        return Refused(instance=instance, why=why, rule=RefusalRule.SHIFT)
    moment = instance.plan.moment
    if event.is_main and moment is not None:
        moved = _with_main_moved(strategy, instance, event, moment, command, now=now)
    elif event.date == command.date:
        moved = AlreadyThere(instance=instance)
    else:
        why = _why(command.by)
        moved = Change(
            instance=instance.with_event(_at(event, command.date, why, planned=event.planned_date))
        )
    if not isinstance(moved, Change):
        return moved
    change = replace(moved, instance=replace(moved.instance, updated_at=now))
    options = [f"date={format_instant(command.date)}", *dates_before(instance, change.instance, event)]
    options += [f"keepAnchor={str(command.keep_anchor).lower()}"] if event.is_main else []
    by = replace(command.by, options=(*command.by.options, *options))
    return audited(instance, change, command="reschedule", by=by, now=now, event=event)


def _with_main_moved(
    strategy: Strategy, instance: Instance, main: Event, moment: Moment, command: Reschedule, *, now: datetime
) -> Change | AlreadyThere | Refused:
    """Return the instance with its open cycle at the date. ``moment`` is its planned date."""
    if not command.keep_anchor and is_dated_by_cron(strategy.definition, instance):
        why = "the dates of a plan by cron are fixed, so that keepAnchor must be true"
        return Refused(instance=instance, why=why, rule=RefusalRule.SHIFT)
    if main.date == command.date and (command.keep_anchor or moment.at == command.date):
        return AlreadyThere(instance=instance)
    try:
        # The planned date of an earlier zone is dated again, as it would be when the next cycle is counted from it.
        planned, _ = dated_in_present_zone(strategy, instance, moment)
    except DateError as error:
        return Refused(instance=instance, why=str(error), rule=RefusalRule.SHIFT)
    moment = planned if command.keep_anchor else moment_at(command.date, zone_of(strategy, instance))
    lost = _lost_cycle(strategy, instance, command, now=now)
    if lost is not None:
        why = f"cycle {lost.cycle} is due on {format_instant(lost.due)} and would not run; choose an earlier date, "
        why += "or skip this cycle and reschedule the next one"
        return Refused(instance=instance, why=why, rule=RefusalRule.SHIFT)
    moved = _with_main_at(instance, main, moment, command)
    return _with_leading_ups(strategy, moved, main, command, moment, now=now)


def _invalid(instance: Instance, problems: list[Problem]) -> Refused:
    why = "the request is not valid"
    return Refused(instance=instance, why=why, rule=RefusalRule.INPUT, problems=tuple(problems))


def _without_event(instance: Instance, command: Reschedule) -> Refused:
    """Return the refusal of a command whose event is not open."""
    if command.seq is None:
        ended = "the plan has ended" if instance.plan.has_ended else "there is no open cycle"
        why = f"the instance is {instance.status.value}" if instance.status.is_final else ended
        return Refused(instance=instance, why=why, rule=RefusalRule.STATE)
    if 1 <= command.seq < instance.next_seq:
        return Refused(instance=instance, why="the event is finished", rule=RefusalRule.FINISHED)
    problem = Problem(pointer="/event", rule="reference", message="is no event of this instance")
    return _invalid(instance, [problem])


def _obstacle(instance: Instance, event: Event) -> str | None:
    """Return why the state of the instance or the event does not allow a move, or None."""
    schedule = instance.plan.schedule
    if instance.status.is_final and not event.after_cancellation:
        return f"the instance is {instance.status.value}"
    if event.has_begun:
        state = "waits for its next attempt" if event.is_retrying else f"is {event.status.value}"
        return f"the event has begun and {state}, so its date cannot be moved"
    if event.status not in (EventStatus.PENDING, EventStatus.ONHOLD):
        return f"the event is {event.status.value} and runs now"
    if event.is_main and schedule is not None and schedule.on_call:
        return "the instance runs on call and has no date"
    return None


def _beyond_cancellation(instance: Instance, event: Event, date: datetime) -> str | None:
    """Return why the event would not run on the date because the instance is canceled before, or None.

    An event that the cancellation bars already may move: it runs on its date if the cancellation is revoked.
    """
    scheduled = instance.cancellation
    if scheduled is None or instance.bars(event) or not instance.bars(replace(event, date=date, due_at=date)):
        return None
    why = f"the instance is canceled at {format_instant(scheduled.at)}, before the event would run; "
    return f"{why}choose an earlier date, or revoke the cancellation first"


def _problems(
    strategy: Strategy, instance: Instance, event: Event, command: Reschedule, *, now: datetime
) -> list[Problem]:
    """Return every problem of the command's values."""
    found: list[Problem] = []

    def date_problem(message: str) -> None:
        found.append(Problem(pointer="/date", rule="range", message=message))

    end, main = instance.plan.end_date, instance.main_event
    of_plan = event.kind in (EventKind.MAIN, EventKind.LEADING_UP)
    if command.date < now:
        date_problem("must not be in the past")
    if of_plan and end is not None and command.date > end:
        date_problem(f"must not be after the end date of the instance, {format_instant(end)}")
    if event.kind is EventKind.LEADING_UP and main is not None and command.date > main.date:
        date_problem(f"must not be after its main event, {format_instant(main.date)}")
    try:
        moment_at(command.date, zone_of(strategy, instance))
    except DateError as error:
        date_problem(str(error))
    if not command.keep_anchor and not event.is_main:
        message = "must be true for an event that is no main event, because it has no rhythm"
        found.append(Problem(pointer="/keepAnchor", rule="range", message=message))
    return found


def _why(by: Actor) -> str:
    return f"rescheduled by {by.name}"


def _at(event: Event, date: datetime, why: str, *, planned: datetime) -> Event:
    """Return the event at another date than the planned one, under a new wakeup name."""
    move = None if date == planned else Move(planned=planned, why=why)
    return replace(event, date=date, due_at=date, move=move, wakeup_seq=event.wakeup_seq + 1)


def _with_main_at(instance: Instance, main: Event, moment: Moment, command: Reschedule) -> Instance:
    """Return the instance with its open cycle at the date, and without a rule of an earlier resume."""
    moved = _at(main, command.date, _why(command.by), planned=moment.at)
    plan = instance.plan.at_cycle(instance.plan.cycle, moment, due=command.date)
    return replace(instance.with_event(moved), plan=replace(plan, on_late=None))


def _lost_cycle(
    strategy: Strategy, instance: Instance, command: Reschedule, *, now: datetime
) -> CycleDate | None:
    """Return the next cycle that runs if it would coincide with the open one after the move, else None."""
    if not command.keep_anchor:
        return None
    # The plan after the move is not computed: a dense one may have thousands of cycles up to the date.
    try:
        following_cycle = following(strategy, instance, now=now)
        coming = outlook(strategy, instance, following_cycle, now=now, rule_for=lambda _: EVERY).coming
    except CycleError:
        return None  # the move is not the reason
    return coming if coming is not None and coming.due <= command.date else None


def _with_leading_ups(
    strategy: Strategy,
    instance: Instance,
    before: Event,
    command: Reschedule,
    moment: Moment,
    *,
    now: datetime,
) -> Change:
    """Move the leading-up events that have not begun to their dates ahead of the moved main event.

    A leading-up event whose date has passed closes. ``before`` is the main event before the move.
    """
    change, calendar = Change(instance=instance), _calendar_of(strategy, instance)
    for event in instance.events:
        if event.kind is not EventKind.LEADING_UP or not is_planned(event):
            continue
        entry = None if calendar is None else _entry_of(calendar, before, event)
        if calendar is None or entry is None:
            # Another version planned it, so only its distance is known.
            ahead = _at_distance(command.date - before.date + event.date, now=now)
        else:
            cycle = instance.plan.cycle
            dated = CycleDate(cycle=cycle, moment=moment, due=command.date, calendar=calendar)
            ahead = leading_up_date(strategy, change.instance, entry, dated, now=now)
        change = change.then(_moved_along(change.instance, event, ahead, now=now, by=command.by))
    return change


def _moved_along(
    instance: Instance, event: Event, ahead: LeadingUpDate, *, now: datetime, by: Actor
) -> Change:
    if ahead.left_out is not None:
        why = MOVED_TOO_LATE if ahead.left_out.why == TOO_LATE else ahead.left_out.why
        cause = ahead.left_out.cause
        return close(instance, event, EventStatus.CANCELED, now=now, why=why, cause=cause, by=by)
    if ahead.at == event.date:
        return Change(instance=instance)
    moved = replace(
        event,
        date=ahead.at,
        due_at=ahead.at,
        move=ahead.move,
        problem=ahead.problem,
        wakeup_seq=event.wakeup_seq + 1,
    )
    return Change(instance=instance.with_event(moved))


def _at_distance(date: datetime, *, now: datetime) -> LeadingUpDate:
    left_out = LeftOut(cause=ClosedBy.LATE_PLAN, why=TOO_LATE) if is_overdue(date, now=now) else None
    return LeadingUpDate(at=date, left_out=left_out)


def _calendar_of(strategy: Strategy, instance: Instance) -> Calendar | None:
    # With an own schedule, too, the calendar has the leading-up tasks.
    return calendar_of(strategy, replace(instance, plan=replace(instance.plan, schedule=None)))


def _entry_of(calendar: Calendar, main: Event, event: Event) -> LeadingUpTask | None:
    """Return the entry of a leading-up event, also if another version has the entries in another order."""
    by_task = (entry for entry in calendar.leading_up_tasks if entry.task == event.task)
    return entry_of(calendar, main, event) or next(by_task, None)
