"""What operators do to an instance: pause, resume, cancel, run now, decide a doubt.

Source: contracts/core.md section 3.8; design sections 3.6, 3.7 and 4.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from shared.domain.errors import DateError
from shared.domain.ids import EventSid
from shared.domain.instance.event import ANY_VISITS, Event, EventStatus, PausedFor, RunProgress
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import CancelReason, Instance, InstanceStatus, Stoppage
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
from shared.domain.planning.cycles import CycleError, TooManyMissedError, goes_by_cron
from shared.domain.planning.plan import (
    Replanned,
    catch_up,
    cycle_failed,
    fell_due_while_stopped,
    late_rule,
    shift,
)
from shared.domain.strategy.model import OnResume, Strategy


def pause(instance: Instance, command: Pause, *, now: datetime) -> Verdict:
    """PAUSED: events stay as they are and do not start; a running one stops after its current step."""
    match instance.status:
        case InstanceStatus.ACTIVE:
            drained_at = now if instance.lease is None else None
            stop = Stoppage(at=now, by=command.by.name, note=command.by.reason, drained_at=drained_at)
            change = _killed(instance.stopped(InstanceStatus.PAUSED, stop), command.kill, now=now)
            return audited(instance, change, command="pause", by=command.by, now=now)
        case InstanceStatus.PAUSED:
            return _killed_again(instance, command.kill, command, now=now)
        case InstanceStatus.CANCELED | InstanceStatus.COMPLETED:
            return Refused(
                instance=instance, why=f"the instance is {instance.status.value}", rule=RefusalRule.STATE
            )
        case _:
            assert_never(instance.status)


def cancel(strategy: Strategy, instance: Instance, command: Cancel, *, now: datetime) -> Verdict:
    """CANCELED for good; unfinished events close, on-cancel events are created."""
    match instance.status:
        case InstanceStatus.ACTIVE | InstanceStatus.PAUSED if command.unless_begun and instance.has_begun:
            return Refused(instance=instance, why="an event of it has begun", rule=RefusalRule.BEGUN)
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
    """ACTIVE again; dates that passed meanwhile fall under the rule for late plans."""
    match instance.status:
        case InstanceStatus.ACTIVE:
            return AlreadyThere(instance=instance)
        case InstanceStatus.CANCELED | InstanceStatus.COMPLETED:
            return Refused(
                instance=instance, why=f"the instance is {instance.status.value}", rule=RefusalRule.STATE
            )
        case InstanceStatus.PAUSED:
            active = restarted(activated(instance, now=now), now=now)
            return apply_resume(strategy, instance, active, command.on_late, "resume", by=command.by, now=now)
        case _:
            assert_never(instance.status)


def execute(instance: Instance, command: Execute, *, now: datetime) -> Verdict:
    """An event that waits for its date, the end of a step's delay or an operator wants to run now."""
    event = instance.event(command.seq)
    if event is None:
        return Refused(instance=instance, why="the event is finished", rule=RefusalRule.FINISHED)
    match event.status:
        case EventStatus.ONHOLD | EventStatus.PENDING:
            is_delayed = event.status is EventStatus.PENDING and event.progress.first_action is not None
            called = queued(event, now=now)
            called = replace(called, progress=replace(called.progress, delay_skipped=is_delayed))
            if event.status is EventStatus.ONHOLD:
                called = replace(called, times=replace(called.times, off_hold_at=now))
            change = Change(instance=replace(instance.with_event(called), updated_at=now))
            return audited(instance, change, command="execute", by=command.by, now=now, event=event)
        case EventStatus.QUEUED | EventStatus.EXECUTING:
            return AlreadyThere(instance=instance)
        case _:
            return Refused(
                instance=instance, why=f"the event is {event.status.value}", rule=RefusalRule.STATE
            )


def resolve(strategy: Strategy, instance: Instance, command: Resolve, *, now: datetime) -> Verdict:
    """A call in doubt is decided: the event runs on, and its instance, where it was paused for it."""
    event = instance.event(command.seq)
    if event is None:
        return Refused(instance=instance, why="the event is finished", rule=RefusalRule.FINISHED)
    if event.paused_for is not PausedFor.IN_DOUBT:
        return Refused(
            instance=instance, why="the event is not paused for a call in doubt", rule=RefusalRule.STATE
        )
    resolved = queued(event, now=now)
    resolved = replace(resolved, progress=replace(resolved.progress, resolution=command.resolution))
    after = replace(instance.with_event(resolved), updated_at=now)
    name = f"resolve {command.resolution.value}"
    return decided(strategy, instance, after, event, name, by=command.by, now=now)


def decided(
    strategy: Strategy,
    before: Instance,
    after: Instance,
    event: Event,
    command: str,
    *,
    by: Actor,
    now: datetime,
) -> Verdict:
    """What is known about a call in doubt of an event lets its instance go on, where it was paused for it."""
    if before.is_paused_for(event):
        active = activated(after, now=now)
        resumed = apply_resume(strategy, before, active, None, command, by=by, now=now)
        return about(resumed, before.event_sid(event))
    return audited(before, Change(instance=after), command=command, by=by, now=now, event=event)


def about(verdict: Verdict, event: EventSid) -> Verdict:
    """The verdict with the event that was meant in its audit entry."""
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
    """An instance made ACTIVE again, dates that passed meanwhile treated by the rule for late plans."""
    active = replace(active, plan=replace(active.plan, on_late=on_late or before.plan.on_late))
    policy = late_rule(strategy, active)
    if policy is OnResume.SHIFT and goes_by_cron(strategy.definition, before):
        return Refused(
            instance=before, why="a plan by cron cannot be shifted off its dates", rule=RefusalRule.SHIFT
        )
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
    applied = audited(before, change, command=command, by=by, now=now)
    return replace(applied, skipped=replanned.skipped)


def _caught_up(change: Change, *, now: datetime) -> Change:
    """Without a passed date that is still to run, how such dates are treated is no longer this resume's to say."""
    main = change.instance.main_event
    if main is not None and main.date < now and change.instance.plan.on_late is not OnResume.SHIFT:
        return change
    plan = replace(change.instance.plan, on_late=None)
    return replace(change, instance=replace(change.instance, plan=plan))


def _late_plan(
    strategy: Strategy, before: Instance, active: Instance, on_late: OnResume, *, by: Actor, now: datetime
) -> Replanned:
    if on_late is OnResume.SHIFT:
        paused_for = now - (now if before.stop is None else before.stop.at)
        return Replanned(change=shift(strategy, active, paused_for, now=now, by=by))
    while_stopped = fell_due_while_stopped(before)
    return catch_up(strategy, active, now=now, on_late=on_late, while_stopped=while_stopped, by=by)


def activated(instance: Instance, *, now: datetime) -> Instance:
    """The instance made ACTIVE again."""
    return replace(instance, status=InstanceStatus.ACTIVE, stop=None, blocked=None, updated_at=now)


def restarted(instance: Instance, *, now: datetime) -> Instance:
    """The instance with its paused events running on; others wait for an answer or a decision."""
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
    """The event as its next run sets out: attempt 1, its stored successes kept, but for those of side paths."""
    run = event.run + 1
    reuse = replace(event.reuse, side_results_from=run)
    return replace(event, attempt=1, run=run, progress=RunProgress(), reuse=reuse)


def queued(event: Event, *, now: datetime) -> Event:
    """The event QUEUED by an operator or an answer; crashes before that no longer count."""
    called = event.queued(now=now)
    return replace(called, progress=replace(called.progress, crashes=0))


def _killed(instance: Instance, kill: bool, *, now: datetime) -> Change:  # noqa: FBT001 - a field of the command
    """With ``kill``, the event in flight set down at once and its runner made harmless."""
    event = instance.executing
    if not kill or event is None:
        return Change(instance=instance)
    fenced = replace(instance, fence=instance.fence + 1)
    progress = replace(event.progress, call_in_doubt=True, resolution=None, known_visits=ANY_VISITS)
    killed = replace(event, progress=progress)
    return stop_event(fenced, killed, now=now)


def _killed_again(instance: Instance, kill: bool, command: Pause | Cancel, *, now: datetime) -> Verdict:  # noqa: FBT001 - a field of the command
    """An instance that is stopped already: nothing, unless a step still in flight is to be killed."""
    event = instance.executing
    if not kill or event is None or event.after_cancellation:
        return AlreadyThere(instance=instance)
    if instance.status is InstanceStatus.PAUSED:
        change = _killed(instance, kill, now=now)
    else:
        change = close(instance, event, EventStatus.CANCELED, now=now, why="killed", cause=ClosedBy.INSTANCE)
    return audited(instance, change, command="kill", by=command.by, now=now)
