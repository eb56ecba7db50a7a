"""Changes of an instance's status at a date: a pause that ends, and a scheduled cancellation.

The date is stored with the instance, and a runner that finds that it has come decides the change. So a wakeup that is
lost, late or sent twice makes no difference but lateness.
Source: docs/decisions/0061-a-pause-that-ends-and-a-cancellation-at-a-date.md.
"""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.domain.calendar.dates import format_instant
from shared.domain.instance.due import CancelDue, ResumeDue, next_action
from shared.domain.instance.model import (
    CancelReason,
    Instance,
    InstanceStatus,
    RefusedResume,
    ScheduledCancellation,
)
from shared.domain.instance.phase import waits_for_call
from shared.domain.instance.verdict import (
    ENGINE,
    Actor,
    AlreadyThere,
    Change,
    RefusalRule,
    Refused,
    Verdict,
    audited,
)
from shared.domain.lifecycle.commands import CancelAt, Resume, RevokeCancellation
from shared.domain.lifecycle.pause_resume_cancel import date_problem, resume
from shared.domain.planning.closing import cancel_instance
from shared.domain.planning.cycles import CycleError, following
from shared.domain.strategy.model import Strategy

NO_CYCLE = "the plan has no further date; cancel the instance now, or give a date"


class _CycleEnd(Struct, frozen=True, kw_only=True):
    """The end of the current cycle: the planned date of ``from_cycle``, the first cycle that does not run."""

    at: datetime
    from_cycle: int


def end_pause(strategy: Strategy, instance: Instance, *, now: datetime) -> Verdict:
    """Resume an instance whose pause has reached its end, as an operator would.

    If the resume is refused, the pause has no end any more and is a problem for a person.
    """
    stop = instance.stop
    if not isinstance(next_action(instance, now), ResumeDue) or stop is None or stop.until is None:
        return AlreadyThere(instance=instance)
    by = Actor(name=ENGINE.name, reason=f"paused by {stop.by} until {format_instant(stop.until)}")
    verdict = resume(strategy, instance, Resume(by=by), now=now)
    if not isinstance(verdict, Refused):
        return verdict
    why = f"the pause ended at {format_instant(stop.until)}, but the resume was refused: {verdict.why}"
    # Without an end, or runners would be woken for it again and again.
    kept = replace(stop, until=None, refused=RefusedResume(at=now, why=why))
    change = Change(instance=replace(instance, stop=kept, updated_at=now))
    return audited(instance, change, command="resume-refused", by=replace(by, reason=why), now=now)


def cancel_at(strategy: Strategy, instance: Instance, command: CancelAt, *, now: datetime) -> Verdict:
    """Schedule the cancellation of an instance. Until its date, the instance is as it was."""
    if instance.status is InstanceStatus.CANCELED:
        return AlreadyThere(instance=instance)
    if instance.status is InstanceStatus.COMPLETED:
        return Refused(instance=instance, why="the instance is COMPLETED", rule=RefusalRule.STATE)
    if command.at is None:
        end = _end_of_cycle(strategy, instance, now=now)
        if isinstance(end, Refused):
            return end
        at, from_cycle = end.at, end.from_cycle
        options: tuple[str, ...] = ("at=endOfCycle", f"date={format_instant(end.at)}")
    else:
        problem = date_problem(command.at, "/at", now=now)
        if problem is not None:
            why = f"at {problem.message}"
            return Refused(instance=instance, why=why, rule=RefusalRule.INPUT, problems=(problem,))
        at, from_cycle, options = command.at, None, (f"at={format_instant(command.at)}",)
    earlier = instance.cancellation
    if earlier is not None and (earlier.at, earlier.from_cycle) == (at, from_cycle):
        return AlreadyThere(instance=instance)
    by = command.by
    scheduled = ScheduledCancellation(
        at=at, by=by.name, scheduled_at=now, note=by.reason, from_cycle=from_cycle
    )
    change = Change(instance=replace(instance, cancellation=scheduled, updated_at=now))
    by = replace(by, options=(*by.options, *options))
    return audited(instance, change, command="cancel-at", by=by, now=now)


def revoke_cancellation(instance: Instance, command: RevokeCancellation, *, now: datetime) -> Verdict:
    """Remove a scheduled cancellation: the events that it barred run again."""
    if instance.status.is_final:
        why = f"the instance is {instance.status.value}"
        return Refused(instance=instance, why=why, rule=RefusalRule.STATE)
    if instance.cancellation is None:
        return AlreadyThere(instance=instance)
    change = Change(instance=replace(instance, cancellation=None, updated_at=now))
    return audited(instance, change, command="revoke-cancel", by=command.by, now=now)


def apply_cancellation(strategy: Strategy, instance: Instance, *, now: datetime) -> Verdict:
    """Cancel an instance whose scheduled cancellation has come, as ``cancel`` does."""
    scheduled = instance.cancellation
    if not isinstance(next_action(instance, now), CancelDue) or scheduled is None:
        return AlreadyThere(instance=instance)
    author = Actor(name=scheduled.by, reason=scheduled.note)
    change = cancel_instance(strategy, instance, CancelReason.HTTP_REQUEST, by=author, now=now)
    why = f"scheduled by {scheduled.by} for {format_instant(scheduled.at)}"
    why = why if scheduled.note is None else f"{why}: {scheduled.note}"
    by = Actor(name=ENGINE.name, reason=why)
    applied = audited(instance, change, command="cancel", by=by, now=now)
    return replace(applied, canceled_events=len(change.records))


def _end_of_cycle(strategy: Strategy, instance: Instance, *, now: datetime) -> _CycleEnd | Refused:
    """Return the end of the current cycle, or why there is none."""
    main = instance.main_event
    if main is None or waits_for_call(instance):
        return Refused(instance=instance, why=NO_CYCLE, rule=RefusalRule.STATE)
    if not main.has_begun:
        return _CycleEnd(at=main.planned_date, from_cycle=main.created_cycle)
    try:
        coming = following(strategy, instance, now=now)
    except CycleError as error:
        why = f"the end of the cycle cannot be dated: {error}"
        return Refused(instance=instance, why=why, rule=RefusalRule.STATE)
    end_date = instance.plan.end_date
    if coming is None or (end_date is not None and coming.moment.at > end_date):
        return Refused(instance=instance, why=NO_CYCLE, rule=RefusalRule.STATE)
    return _CycleEnd(at=coming.moment.at, from_cycle=coming.cycle)
