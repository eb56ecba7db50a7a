"""Operators' commands: pause, resume, cancel, execute and resolve.

Source: docs/contracts/core.md section 3.8; docs/design.md sections 3.6, 3.7 and 4.
"""

from datetime import datetime, timedelta
from typing import assert_never

from msgspec.structs import replace

from shared.domain.calendar.dates import format_instant
from shared.domain.errors import DateError, Problem
from shared.domain.ids import EventSid
from shared.domain.instance.due import CancelDue, next_action
from shared.domain.instance.event import Event, EventStatus, PausedFor, RunProgress
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus, Stoppage
from shared.domain.instance.reason import Cause, StopReason
from shared.domain.instance.verdict import (
    Actor,
    AlreadyThere,
    Applied,
    Change,
    RefusalRule,
    Refused,
    Verdict,
    audited,
)
from shared.domain.lifecycle.commands import Cancel, Execute, Pause, Resolve, Resume
from shared.domain.lifecycle.conclude import stop_event
from shared.domain.planning.closing import cancel_instance, close, complete_if_done
from shared.domain.planning.cycles import CycleError, TooManyMissedError, is_dated_by_cron
from shared.domain.planning.missed_dates import resume_rule
from shared.domain.planning.plan import (
    Replanned,
    catch_up,
    cycle_failed,
    shift,
)
from shared.domain.strategy.model import OnResume, Strategy

MAX_AHEAD = timedelta(days=3653)
"""How far ahead a pause may end, and a cancellation be scheduled: ten years."""


def date_problem(at: datetime, pointer: str, *, now: datetime) -> Problem | None:
    """Return the problem of a date at which the status is to change, or None."""
    if at <= now:
        return Problem(pointer=pointer, rule="range", message="must be after now")
    if at - now > MAX_AHEAD:
        return Problem(pointer=pointer, rule="range", message="must be at most ten years ahead")
    return None


def pause(instance: Instance, command: Pause, *, now: datetime) -> Verdict:
    """Pause the instance: its events keep their state and do not start. A running one stops after its current step.

    If the engine or a controller has paused it before, the pause becomes the operator's: neither ``resolve`` nor a
    redrive ends it any more, and no bulk operation finds it by the former reason. Of an operator's pause, only the end
    can change.
    """
    if instance.status.is_final:
        return Refused(
            instance=instance, why=f"the instance is {instance.status.value}", rule=RefusalRule.STATE
        )
    problem = None if command.until is None else date_problem(command.until, "/until", now=now)
    if problem is not None:
        why = f"until {problem.message}"
        return Refused(instance=instance, why=why, rule=RefusalRule.INPUT, problems=(problem,))
    earlier, by = instance.stop, command.by
    if command.sets_until:
        until = "null" if command.until is None else format_instant(command.until)
        by = replace(by, options=(*by.options, f"until={until}"))
    if instance.status is InstanceStatus.PAUSED:
        # The dates that were missed count from the first pause.
        stop = None if earlier is None else _changed_pause(earlier, command)
        if stop == earlier:
            return _killed_again(instance, command.kill, command, now=now)
        paused = replace(instance, stop=stop, updated_at=now)
    else:
        drained_at = now if instance.lease is None else None
        reason = StopReason(cause=Cause.OPERATOR, detail=by.name)
        stop = Stoppage(
            at=now, by=by.name, reason=reason, note=by.reason, drained_at=drained_at, until=command.until
        )
        paused = instance.stopped(InstanceStatus.PAUSED, stop)
    change = _killed(paused, command.kill, now=now)
    return audited(instance, change, command="pause", by=by, now=now)


def cancel(strategy: Strategy, instance: Instance, command: Cancel, *, now: datetime) -> Verdict:
    """Cancel the instance for good: unfinished events close, and on-cancel events are created."""
    match instance.status:
        case InstanceStatus.ACTIVE | InstanceStatus.PAUSED if command.unless_begun and instance.has_begun:
            why = "the instance has already started an event"
            return Refused(instance=instance, why=why, rule=RefusalRule.BEGUN)
        case InstanceStatus.ACTIVE | InstanceStatus.PAUSED:
            open_before = sum(not event.after_cancellation for event in instance.events)
            change = cancel_instance(
                strategy, instance, CancelReason.HTTP_REQUEST, by=command.by, now=now, kill=command.kill
            )
            applied = audited(instance, change, command="cancel", by=command.by, now=now)
            return replace(applied, canceled_events=open_before)
        case InstanceStatus.CANCELED:
            kill = command.kill and not command.unless_begun
            return _killed_again(instance, kill, command, now=now)
        case InstanceStatus.COMPLETED:
            return Refused(instance=instance, why="the instance is COMPLETED", rule=RefusalRule.STATE)
        case _:
            assert_never(instance.status)


def resume(strategy: Strategy, instance: Instance, command: Resume, *, now: datetime) -> Verdict:
    """Make the instance ACTIVE again, and apply the rules for missed dates."""
    match instance.status:
        case InstanceStatus.ACTIVE:
            return AlreadyThere(instance=instance)
        case InstanceStatus.CANCELED | InstanceStatus.COMPLETED:
            return Refused(
                instance=instance, why=f"the instance is {instance.status.value}", rule=RefusalRule.STATE
            )
        case InstanceStatus.PAUSED:
            active = restart_paused_events(activate(instance, now=now), now=now)
            return apply_resume(strategy, instance, active, command.on_late, "resume", by=command.by, now=now)
        case _:
            assert_never(instance.status)


def execute(instance: Instance, command: Execute, *, now: datetime) -> Verdict:
    """Queue an event that waits for its date, for the end of a step's delay, or for an operator."""
    event = instance.event(command.seq)
    if event is None:
        return Refused(instance=instance, why="the event is finished", rule=RefusalRule.FINISHED)
    match event.status:
        case EventStatus.ONHOLD | EventStatus.PENDING:
            # A waiting retry has no first action: it starts a new run and has no delay to skip.
            is_delayed = event.status is EventStatus.PENDING and event.progress.first_action is not None
            called = queued(event, now=now)
            # At the date the runner may be late. A retry that the cancellation bars must not run in the meantime.
            is_over = instance.bars(event) and isinstance(next_action(instance, now), CancelDue)
            if is_over or instance.bars(called):
                why = "the instance is canceled before the event runs; revoke the cancellation first"
                return Refused(instance=instance, why=why, rule=RefusalRule.STATE)
            called = replace(called, progress=replace(called.progress, delay_skipped=is_delayed))
            if event.status is EventStatus.ONHOLD:
                called = replace(called, times=replace(called.times, left_onhold_at=now))
            change = Change(instance=replace(instance.with_event(called), updated_at=now))
            return audited(instance, change, command="execute", by=command.by, now=now, event=event)
        case EventStatus.QUEUED | EventStatus.EXECUTING:
            return AlreadyThere(instance=instance)
        case _:
            return Refused(
                instance=instance, why=f"the event is {event.status.value}", rule=RefusalRule.STATE
            )


def resolve(strategy: Strategy, instance: Instance, command: Resolve, *, now: datetime) -> Verdict:
    """Decide a call in doubt: the event continues, and so does the instance if it was paused for it."""
    event = instance.event(command.seq)
    if event is None:
        return Refused(instance=instance, why="the event is finished", rule=RefusalRule.FINISHED)
    if event.paused_for is not PausedFor.IN_DOUBT:
        return Refused(
            instance=instance, why="the event is not paused for a call in doubt", rule=RefusalRule.STATE
        )
    resolved = queued(event, now=now)
    progress = replace(resolved.progress, resolution=command.resolution, in_doubt_since=now)
    resolved = replace(resolved, progress=progress)
    after = replace(instance.with_event(resolved), updated_at=now)
    name = f"resolve {command.resolution.value}"
    return apply_decision(strategy, instance, after, event, name, by=command.by, now=now)


def apply_decision(
    strategy: Strategy,
    before: Instance,
    after: Instance,
    event: Event,
    command: str,
    *,
    by: Actor,
    now: datetime,
) -> Verdict:
    """Make the instance ACTIVE if it was paused for the event's call in doubt, and audit the command."""
    if before.is_paused_for(event):
        active = activate(after, now=now)
        resumed = apply_resume(strategy, before, active, None, command, by=by, now=now)
        return with_audited_event(resumed, before.event_sid(event))
    return audited(before, Change(instance=after), command=command, by=by, now=now, event=event)


def with_audited_event(verdict: Verdict, event: EventSid) -> Verdict:
    """Return the verdict with the event in its audit entry."""
    if not isinstance(verdict, Applied) or verdict.audit is None:
        return verdict
    return replace(verdict, audit=replace(verdict.audit, event=event))


def apply_resume(
    strategy: Strategy,
    before: Instance,
    active: Instance,
    on_late: OnResume | None,
    command: str,
    *,
    by: Actor,
    now: datetime,
) -> Verdict:
    """Return the verdict on an instance made ACTIVE again, after the rules for missed dates."""
    active = replace(active, plan=replace(active.plan, on_late=on_late or before.plan.on_late))
    policy = resume_rule(strategy, active)
    if policy is OnResume.SHIFT and is_dated_by_cron(strategy.definition, before):
        # Its dates are fixed by the expression; a shifted date would not match it.
        return Refused(instance=before, why="a plan dated by cron cannot be shifted", rule=RefusalRule.SHIFT)
    try:
        replanned = _late_plan(strategy, before, active, policy, by=by, now=now)
    except TooManyMissedError as error:
        return Refused(instance=before, why=str(error), rule=RefusalRule.TOO_MANY_MISSED)
    except DateError as error:
        return Refused(instance=before, why=str(error), rule=RefusalRule.SHIFT)
    except CycleError as error:
        replanned = Replanned(change=cycle_failed(strategy, active, error, now=now))
    change = _caught_up(replanned.change, now=now)
    change = change.then(complete_if_done(change.instance, now=now))
    # The rule decides which missed dates are charged, so the audit trail has the one that applied.
    by = replace(by, options=(*by.options, f"onResume={policy.value}"))
    applied = audited(before, change, command=command, by=by, now=now)
    return replace(applied, skipped=replanned.skipped)


def _caught_up(change: Change, *, now: datetime) -> Change:
    """Drop this resume's rule for missed dates once the plan has caught up.

    The rule is kept while a missed date is still to run, also after a retry that is not due yet, unless it is
    ``shift``.
    """
    plan, main = change.instance.plan, change.instance.main_event
    is_behind = main is not None and plan.due is not None and plan.due < now
    if is_behind and plan.on_late is not OnResume.SHIFT:
        return change
    return replace(change, instance=replace(change.instance, plan=replace(plan, on_late=None)))


def _late_plan(
    strategy: Strategy,
    before: Instance,
    active: Instance,
    on_late: OnResume,
    *,
    by: Actor,
    now: datetime,
) -> Replanned:
    if on_late is OnResume.SHIFT:
        paused_for = now - (now if before.stop is None else before.stop.at)
        return Replanned(change=shift(strategy, active, paused_for, now=now, by=by))
    return catch_up(strategy, active, now=now, paused=before, by=by)


def activate(instance: Instance, *, now: datetime) -> Instance:
    """Return the instance ACTIVE, without its stop and block."""
    return replace(instance, status=InstanceStatus.ACTIVE, stop=None, blocked=None, updated_at=now)


def restart_paused_events(instance: Instance, *, now: datetime) -> Instance:
    """Return the instance with its paused events queued, except those that wait for an answer or a decision."""
    for event in instance.events:
        match event.paused_for:
            case PausedFor.EXHAUSTED:
                instance = instance.with_event(queued(with_new_run(event), now=now))
            case PausedFor.OPERATOR | PausedFor.POISONED:
                instance = instance.with_event(queued(event, now=now))
            case PausedFor.ANSWER | PausedFor.IN_DOUBT | None:
                pass
            case _:
                assert_never(event.paused_for)
    return instance


def with_new_run(event: Event) -> Event:
    """Return the event at the start of a new run: attempt 1, without the stored results of side paths."""
    run = event.run + 1
    reuse = replace(event.reuse, side_results_from=run)
    return replace(event, attempt=1, run=run, progress=RunProgress(), reuse=reuse)


def queued(event: Event, *, now: datetime) -> Event:
    """Return the event QUEUED by an operator or an answer; earlier crashes no longer count."""
    called = event.queued(now=now)
    return replace(called, progress=replace(called.progress, crashes=0, give_backs=0))


def _changed_pause(stop: Stoppage, command: Pause) -> Stoppage:
    """Return a pause after another command to pause: an operator's, with the end that the command sets."""
    if stop.reason.cause is not Cause.OPERATOR:
        stop = _operators(stop, command.by)
    if command.sets_until and (stop.until != command.until or stop.refused is not None):
        stop = replace(stop, until=command.until, refused=None)
    return stop


def _operators(stop: Stoppage, by: Actor) -> Stoppage:
    """Return a pause as that of an operator."""
    reason = StopReason(cause=Cause.OPERATOR, detail=by.name)
    return replace(stop, by=by.name, reason=reason, note=by.reason, for_event=None)


def _killed(instance: Instance, kill: bool, *, now: datetime) -> Change:  # noqa: FBT001 - a field of the command
    """With ``kill``, release the running event at once and move the fence, so that its runner's writes fail."""
    event = instance.executing
    if not kill or event is None:
        return Change(instance=instance)
    fenced = replace(instance, fence=instance.fence + 1)
    # The runner may be in the middle of a call, and may have journaled more steps than the instance knows of. What was
    # known at its claim stays, because it separates the entries of earlier runners that came too late.
    progress = replace(event.progress.with_doubt(now), resolution=None, was_killed=True)
    killed = replace(event, progress=progress)
    return stop_event(fenced, killed, now=now)


def _killed_again(instance: Instance, kill: bool, command: Pause | Cancel, *, now: datetime) -> Verdict:  # noqa: FBT001 - a field of the command
    """Return AlreadyThere for a stopped instance, unless a step in flight is to be killed."""
    event = instance.executing
    if not kill or event is None or event.after_cancellation:
        return AlreadyThere(instance=instance)
    if instance.status is InstanceStatus.PAUSED:
        change = _killed(instance, kill, now=now)
    else:
        change = close(instance, event, EventStatus.CANCELED, now=now, why="killed", cause=ClosedBy.INSTANCE)
    return audited(instance, change, command="kill", by=command.by, now=now)
