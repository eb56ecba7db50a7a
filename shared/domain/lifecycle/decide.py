"""``decide(strategy, instance, command, now)``: the result of every command. Pure and total.

The verdict's instance is saved only if the stored one still has the ``rev`` it was decided on. The loser of a race
loads and decides again. Source: docs/design.md section 2.
"""

from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from shared.domain.instance.downtime import record_downtime
from shared.domain.instance.due import Due, PlanExpired, back_off, beyond_horizon, next_action
from shared.domain.instance.model import Blocked, Instance, InstanceStatus, Sweep
from shared.domain.instance.verdict import ENGINE, Actor, AlreadyThere, Applied, Change, Verdict, audited
from shared.domain.lifecycle.add_event import add
from shared.domain.lifecycle.async_answer import await_answer, forgo_answer, note_overdue, take_answer
from shared.domain.lifecycle.cancel_events import cancel_event, cancel_tasks
from shared.domain.lifecycle.claim import block, claim, fence, give_back, renew, unblock
from shared.domain.lifecycle.commands import (
    AddEvent,
    Apply,
    ApplyCancellation,
    AwaitAnswer,
    Block,
    Cancel,
    CancelAt,
    CancelEvent,
    CancelTasks,
    Claim,
    Command,
    Conclude,
    Dismiss,
    EndPause,
    Execute,
    Fence,
    Finish,
    ForgoAnswer,
    GiveBack,
    Migrate,
    NoteOverdue,
    Pause,
    RecordSweep,
    Redrive,
    Renew,
    Reschedule,
    Resolve,
    Resume,
    RevokeCancellation,
    Skip,
    Stop,
    TakeAnswer,
    Unblock,
    Update,
    Wait,
)
from shared.domain.lifecycle.conclude import apply, conclude, stop, wait
from shared.domain.lifecycle.dated import apply_cancellation, cancel_at, end_pause, revoke_cancellation
from shared.domain.lifecycle.dismiss import dismiss
from shared.domain.lifecycle.migrate import migrate
from shared.domain.lifecycle.pause_resume_cancel import cancel, execute, pause, resolve, resume
from shared.domain.lifecycle.redrive import redrive
from shared.domain.lifecycle.reschedule import reschedule
from shared.domain.lifecycle.skip import skip
from shared.domain.lifecycle.update import update
from shared.domain.planning.closing import complete_if_done
from shared.domain.strategy.model import Strategy
from shared.expressions import spending


@spending()
def decide(strategy: Strategy, instance: Instance, command: Command, *, now: datetime) -> Verdict:
    """Return the verdict on a command to an instance under its strategy, at an instant."""
    if _done_before(instance, command):
        return AlreadyThere(instance=instance)
    verdict = _dispatch(strategy, instance, command, now=now)
    if not isinstance(verdict, Applied):
        return verdict
    return _with_bookkeeping(strategy, instance, verdict, command, now=now)


def _with_bookkeeping(
    strategy: Strategy, before: Instance, applied: Applied, command: Command, *, now: datetime
) -> Applied:
    """Return the verdict with the fields updated that every change updates."""
    after = applied.instance
    blocked = _still_blocked(before, after, command, now=now)
    # Any change but the sweeper's own resets the back-off. A fence alone brings the event no further.
    sweep = after.sweep if isinstance(command, RecordSweep | Fence) else Sweep()
    kept = replace(
        after,
        rev=before.rev + 1,
        has_run=after.has_run or _has_lost_a_begun_event(before, after),
        blocked=blocked,
        downtimes=record_downtime(before, after, blocked, now=now),
        sweep=replace(sweep, schedule_at=beyond_horizon(after, strategy.horizon, now=now)),
    )
    audit = applied.audit
    if audit is None and after.status is not before.status:
        # A rule of the engine changed the status, and someone may ask why.
        by = Actor(name=ENGINE.name, reason=after.stop_note)
        change = Change(instance=after)
        audit = audited(before, change, command=type(command).__name__.lower(), by=by, now=now).audit
    return replace(applied, instance=kept, audit=audit)


def _dispatch(strategy: Strategy, instance: Instance, command: Command, *, now: datetime) -> Verdict:  # noqa: C901, PLR0911, PLR0912 - one arm a command
    match command:
        case Pause():
            return pause(instance, command, now=now)
        case EndPause():
            return end_pause(strategy, instance, now=now)
        case CancelAt():
            return cancel_at(strategy, instance, command, now=now)
        case RevokeCancellation():
            return revoke_cancellation(instance, command, now=now)
        case ApplyCancellation():
            return apply_cancellation(strategy, instance, now=now)
        case Resume():
            return resume(strategy, instance, command, now=now)
        case Cancel():
            return cancel(strategy, instance, command, now=now)
        case Execute():
            return execute(instance, command, now=now)
        case AddEvent():
            return add(strategy, instance, command, now=now)
        case CancelEvent():
            return cancel_event(strategy, instance, command, now=now)
        case CancelTasks():
            return cancel_tasks(strategy, instance, command, now=now)
        case Update():
            return update(strategy, instance, command, now=now)
        case Migrate():
            return migrate(strategy, instance, command, now=now)
        case Reschedule():
            return reschedule(strategy, instance, command, now=now)
        case Skip():
            return skip(strategy, instance, command, now=now)
        case Dismiss():
            return dismiss(instance, command, now=now)
        case Resolve():
            return resolve(strategy, instance, command, now=now)
        case TakeAnswer():
            return take_answer(strategy, instance, command, now=now)
        case Redrive():
            return redrive(strategy, instance, command, now=now)
        case Fence():
            return fence(instance, command, now=now)
        case Claim():
            return claim(strategy, instance, command, now=now)
        case Renew():
            return renew(instance, command)
        case GiveBack():
            return give_back(instance, command, now=now)
        case Block():
            return block(instance, command, now=now)
        case Unblock():
            return unblock(strategy, instance, now=now)
        case Apply():
            return apply(strategy, instance, command, now=now)
        case Stop():
            return stop(instance, command, now=now)
        case Wait():
            return wait(instance, command, now=now)
        case AwaitAnswer():
            return await_answer(instance, command, now=now)
        case ForgoAnswer():
            return forgo_answer(instance, command, now=now)
        case NoteOverdue():
            return note_overdue(instance, now=now)
        case Conclude():
            return conclude(strategy, instance, command, now=now)
        case RecordSweep():
            return record_sweep(instance, now=now)
        case Finish():
            return finish(instance, command, now=now)
        case _:
            assert_never(command)


def _done_before(instance: Instance, command: Command) -> bool:
    """Return whether the command comes from a bulk operation that has already changed the instance."""
    match command:
        case (
            Pause(by=by)
            | Resume(by=by)
            | Cancel(by=by)
            | CancelAt(by=by)
            | CancelTasks(by=by)
            | Migrate(by=by)
            | Execute(by=by)
            | Redrive(by=by)
            | Resolve(by=by)
            | Update(by=by)
            | Reschedule(by=by)
            | Skip(by=by)
            | Dismiss(by=by)
        ):
            # After a crash, the next worker of the operation sends its batch again: the command must apply once.
            return by.operation is not None and by.operation in instance.operations
        case _:
            return False


def _has_lost_a_begun_event(before: Instance, after: Instance) -> bool:
    """Return whether an event that had begun is no longer on the instance."""
    return any(event.has_begun and after.event(event.seq) is None for event in before.events)


def _still_blocked(before: Instance, after: Instance, command: Command, *, now: datetime) -> Blocked | None:
    """Return the block that lasts after a change, or None.

    The block lasts only while a due event waits, or while the instance is PAUSED.
    """
    # Without a due event the block must end: its partition of the due index is not read once the flag is cleared, so
    # the next date would be lost. A claim does not end the block, nor do the sweep and the fence before a takeover: if
    # the flag is still paused, the runner returns the claim and the same block continues. Any other command after a
    # claim shows that the flag was cleared.
    if isinstance(command, RecordSweep | Fence | Claim) and after.lease is not None:
        return after.blocked
    is_over = before.lease is not None and not isinstance(command, Block)
    waits = after.status is InstanceStatus.PAUSED or isinstance(next_action(after, now), Due)
    return after.blocked if waits and not is_over else None


def record_sweep(instance: Instance, *, now: datetime) -> Verdict:
    """Record that the sweeper sent a wakeup. It checks again after a back-off unless something changes before.

    If the event has come within the horizon, the attempts start at zero, because its wakeup was not scheduled before.
    """
    schedule_at = instance.sweep.schedule_at
    if schedule_at is not None and schedule_at <= now:
        return Applied(instance=replace(instance, sweep=Sweep()))
    attempts = instance.sweep.attempts + 1
    sweep = Sweep(attempts=attempts, next_at=now + back_off(attempts))
    return Applied(instance=replace(instance, sweep=sweep))


def finish(instance: Instance, command: Finish, *, now: datetime) -> Verdict:
    """Complete the instance if its end date has passed and only events on hold are left."""
    if not isinstance(next_action(instance, now), PlanExpired):
        return AlreadyThere(instance=instance)
    ended = replace(instance, plan=replace(instance.plan, has_ended=True), updated_at=now)
    change = complete_if_done(ended, now=now)
    return audited(instance, change, command="finish", by=command.by, now=now)
