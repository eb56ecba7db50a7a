"""``decide(instance, command, now)``: what every command comes to. Pure and total.

Its verdict's instance is stored only if the stored one still has the ``rev`` it was decided on; the loser
of a race loads again and decides again. Source: design section 2.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from shared.domain.instance.downtime import record_downtime
from shared.domain.instance.due import Due, PlanExpired, back_off, beyond_horizon, next_action
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus
from shared.domain.instance.verdict import ENGINE, Actor, AlreadyThere, Applied, Change, Verdict, audited
from shared.domain.lifecycle.add_event import add
from shared.domain.lifecycle.async_answer import await_answer, forgo_answer, take_answer
from shared.domain.lifecycle.cancel_events import cancel_event, cancel_tasks
from shared.domain.lifecycle.claim import block, claim, renew, unblock
from shared.domain.lifecycle.commands import (
    AddEvent,
    Apply,
    AwaitAnswer,
    Block,
    Cancel,
    CancelEvent,
    CancelTasks,
    Claim,
    Command,
    Conclude,
    Execute,
    Finish,
    ForgoAnswer,
    Migrate,
    Pause,
    RecordSweep,
    Redrive,
    Renew,
    Resolve,
    Resume,
    Stop,
    TakeAnswer,
    Unblock,
    Update,
    Wait,
)
from shared.domain.lifecycle.conclude import apply, conclude, stop, wait
from shared.domain.lifecycle.migrate import migrate
from shared.domain.lifecycle.pause_resume_cancel import cancel, execute, pause, resolve, resume
from shared.domain.lifecycle.redrive import redrive
from shared.domain.lifecycle.update import update
from shared.domain.planning.closing import complete_if_done
from shared.domain.strategy.model import Strategy


def decide(strategy: Strategy, instance: Instance, command: Command, *, now: datetime) -> Verdict:
    """What a command comes to on an instance under its strategy, at an instant.

    A bulk operation changes an instance once: told again, by a runner that took over, it is AlreadyThere.
    """
    if _done_before(instance, command):
        return AlreadyThere(instance=instance)
    verdict = _decide(strategy, instance, command, now=now)
    if not isinstance(verdict, Applied):
        return verdict
    if verdict.audit is None and verdict.instance.status is not instance.status:
        verdict = _explained(instance, verdict, command, now=now)
    after = verdict.instance
    waits = isinstance(command, RecordSweep)
    held = _still_held(after, now)
    hold, stops = record_downtime(instance, after, held, claims=isinstance(command, Claim), now=now)
    settled = replace(
        after,
        rev=instance.rev + 1,
        has_run=after.has_run or _left_after_a_run(instance, after),
        nudges=after.nudges if waits else 0,
        nudged_until=after.nudged_until if waits else None,
        blocked_by=held,
        hold=hold,
        stops=stops,
        arm_at=beyond_horizon(after, strategy.horizon, now=now),
    )
    return replace(verdict, instance=settled)


def _done_before(instance: Instance, command: Command) -> bool:
    """Whether the bulk operation that commands has changed the instance already."""
    match command:
        case (
            Pause(by=by)
            | Resume(by=by)
            | Cancel(by=by)
            | CancelTasks(by=by)
            | Migrate(by=by)
            | Execute(by=by)
        ):
            return by.operation is not None and by.operation in instance.operations
        case _:
            return False


def _left_after_a_run(before: Instance, after: Instance) -> bool:
    """Whether an event that had begun is on the instance no more."""
    return any(event.has_begun and after.event(event.seq) is None for event in before.events)


def _explained(before: Instance, verdict: Applied, command: Command, *, now: datetime) -> Applied:
    """The verdict with an audit entry: a rule of the engine changed the status, and somebody may ask why."""
    change = Change(instance=verdict.instance)
    by = Actor(name=ENGINE.name, reason=verdict.instance.note)
    told = audited(before, change, command=type(command).__name__.lower(), by=by, now=now)
    return replace(verdict, audit=told.audit)


def _still_held(instance: Instance, now: datetime) -> BlockedBy | None:
    """What holds it, for as long as there is something to hold: a due event, or a pause it waits under.

    Otherwise its next date would stand in a partition that nobody reads any more once the flag has cleared.
    """
    paused = instance.status is InstanceStatus.PAUSED
    return instance.blocked_by if paused or isinstance(next_action(instance, now), Due) else None


def _decide(strategy: Strategy, instance: Instance, command: Command, *, now: datetime) -> Verdict:  # noqa: C901, PLR0911, PLR0912 - one arm a command
    match command:
        case Pause():
            return pause(instance, command, now=now)
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
        case Resolve():
            return resolve(strategy, instance, command, now=now)
        case TakeAnswer():
            return take_answer(strategy, instance, command, now=now)
        case Redrive():
            return redrive(strategy, instance, command, now=now)
        case Claim():
            return claim(strategy, instance, command, now=now)
        case Renew():
            return renew(instance, command)
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
        case Conclude():
            return conclude(strategy, instance, command, now=now)
        case RecordSweep():
            return record_sweep(instance, now=now)
        case Finish():
            return finish(instance, command, now=now)
        case _:
            assert_never(command)


def record_sweep(instance: Instance, *, now: datetime) -> Verdict:
    """The sweeper has rung; it looks again after a back-off unless something happens before.

    One whose event has come within the horizon starts anew: nothing has been rung for it yet.
    """
    if instance.arm_at is not None:
        return Applied(instance=replace(instance, nudges=0, nudged_until=None))
    nudges = instance.nudges + 1
    return Applied(instance=replace(instance, nudges=nudges, nudged_until=now + back_off(nudges)))


def finish(instance: Instance, command: Finish, *, now: datetime) -> Verdict:
    """COMPLETED, where its end date has come and only events on hold are left."""
    if not isinstance(next_action(instance, now), PlanExpired):
        return AlreadyThere(instance=instance)
    ended = replace(instance, plan_ended=True, updated_at=now)
    change = complete_if_done(ended, now=now)
    return audited(instance, change, command="finish", by=command.by, now=now)
