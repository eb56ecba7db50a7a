"""Taking an instance to run the event that is due, and what a look before that may find instead.

Source: design section 3, items 3, 6, 7 and 9; section 4, late plans.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.attention import LEASE_MARGIN, Ready, look
from shared.domain.commands import Claim, Release, Renew
from shared.domain.conclude import advance, stop_event
from shared.domain.decision import AlreadyThere, Applied, Verdict
from shared.domain.ending import close, close_all
from shared.domain.event import Event, EventStatus, PausedFor
from shared.domain.instance import Instance, InstanceStatus, Lease
from shared.domain.journal import Trail
from shared.domain.planning import Replanned, catch_up, cycle_failed, overdue_leading_ups
from shared.domain.recurrence import CycleError
from shared.domain.replay import chain, position
from shared.domain.run import Intent, Then
from shared.domain.step import longest
from shared.domain.strategy import Strategy
from shared.domain.walk import Walk, set_out

MAX_CRASHES = 5
"""A run whose runners died so often without progress is not tried again by itself."""

LONGEST_SHARED_LEASE = timedelta(seconds=120)
"""A lease covers several short steps up to this long, and always the whole of the next one."""


def claim(strategy: Strategy, instance: Instance, command: Claim, *, now: datetime) -> Verdict:
    """EXECUTING under a new fence and lease, or whatever has to happen to the event instead.

    Claimed is what the verdict's instance holds a lease for. Otherwise the plan was caught up with, a dead
    runner's event was closed or parked, or, AlreadyThere, there is nothing to run.
    """
    found = look(instance, now)
    if not isinstance(found, Ready) or found.event.seq != command.seq:
        return AlreadyThere(instance=instance)
    event = found.event
    if found.abandoned:
        repaired = _repaired(strategy, instance, event, command.trail, now=now)
        if repaired is not None:
            return repaired
    elif not event.has_begun:
        late = _caught_up(strategy, instance, event, now=now)
        if late is not None:
            return late
    return Applied(instance=_claimed(strategy, instance, event, command, abandoned=found.abandoned, now=now))


def lease_until(strategy: Strategy, event: Event, then: Then, *, now: datetime) -> datetime:
    """Until when a lease taken now holds: what the next steps can take, and a margin.

    At most two minutes for several short steps, always the whole of the next one.
    """
    if not isinstance(then, Intent):
        return now + LEASE_MARGIN
    steps = strategy.definition.tasks[event.task].steps
    together = sum((longest(strategy, step) for step in steps.values()), timedelta())
    span = max(longest(strategy, steps[then.step]), min(together, LONGEST_SHARED_LEASE))
    return now + span + LEASE_MARGIN


def renew(instance: Instance, command: Renew) -> Verdict:
    """The lease lasts longer. Source: design section 3, item 3."""
    if not holds(instance, command.seq, command.fence):
        return AlreadyThere(instance=instance)
    return Applied(instance=replace(instance, lease=Lease(seq=command.seq, until=command.until)))


def release(instance: Instance, command: Release, *, now: datetime) -> Verdict:
    """The claim undone, and the instance parked until the flag that holds it clears."""
    before, claimed = command.before, instance.executing
    if claimed is None or not holds(instance, before.seq, command.fence):
        return AlreadyThere(instance=instance)
    if before.status is EventStatus.EXECUTING:
        # Taken over from a dead runner: what that one may have done stays known.
        before = replace(claimed, status=EventStatus.QUEUED)
    parked = instance.with_event(replace(before, updated_at=now))
    drained = now if instance.status is not InstanceStatus.ACTIVE else instance.drained_at
    return Applied(
        instance=replace(parked, lease=None, held=command.held, drained_at=drained, updated_at=now)
    )


def unpark(strategy: Strategy, instance: Instance, *, now: datetime) -> Verdict:
    """What a paused queue or strategy held is free again; dates that passed meanwhile fall under the rule."""
    if instance.held is None:
        return AlreadyThere(instance=instance)
    replanned = _late_rule(strategy, replace(instance, held=None, updated_at=now), stopped=True, now=now)
    return Applied(
        instance=replanned.change.instance, records=replanned.change.records, skipped=replanned.skipped
    )


def holds(instance: Instance, seq: int, fence: int) -> bool:
    """Whether the claim of that fence still holds the instance for that event."""
    return instance.lease is not None and instance.lease.seq == seq and instance.fence == fence


def _claimed(
    strategy: Strategy, instance: Instance, event: Event, command: Claim, *, abandoned: bool, now: datetime
) -> Instance:
    fresh = event.outset is None
    walk = Walk(
        strategy=strategy, instance=instance, event=event, trail=command.trail, now=now, token=command.token
    )
    outset = set_out(walk) if event.outset is None else event.outset
    visits = len(chain(command.trail, event.run))
    unsure = event.unsure or (abandoned and _may_have_called(strategy, event, command.trail, now=now))
    started = replace(
        event,
        status=EventStatus.EXECUTING,
        paused_for=None,
        updated_at=now,
        version=event.version or strategy.version,
        begun_at=event.begun_at or now,
        scheduled_at=event.scheduled_at if event.status is EventStatus.QUEUED else now,
        executed_at=now if fresh or event.executed_at is None else event.executed_at,
        outset=outset,
        known_visits=visits,
        crashes=_crashes(event, visits) if abandoned else event.crashes,
        unsure=unsure,
        in_doubt=event.in_doubt or unsure,
        job=command.job,
    )
    then = position(command.trail, started) or outset
    lease = Lease(seq=event.seq, until=lease_until(strategy, event, then, now=now))
    return replace(
        instance.with_event(started), lease=lease, fence=instance.fence + 1, held=None, updated_at=now
    )


def _repaired(
    strategy: Strategy, instance: Instance, event: Event, trail: Trail, *, now: datetime
) -> Verdict | None:
    """What a dead runner left, where it is not simply to be run on."""
    record = trail.record
    if record is not None and record.end is not None and record.fence == instance.fence:
        applied = advance(strategy, _fenced(instance), event, record.end, now=now)
        others = tuple(other for other in applied.records if other.event.seq != event.seq)
        return replace(applied, records=others)  # its own record stands, with the run's last step in it
    if instance.status is not InstanceStatus.ACTIVE and not event.after_cancellation:
        unsure = event.unsure or _may_have_called(strategy, event, trail, now=now)
        stopped = stop_event(_fenced(instance), replace(event, unsure=unsure), now=now)
        return Applied(instance=stopped.instance, records=stopped.records)
    if _crashes(event, len(chain(trail, event.run))) >= MAX_CRASHES:
        return _poisoned(_fenced(instance), event, now=now)
    return None


def _poisoned(instance: Instance, event: Event, *, now: datetime) -> Verdict:
    """A main event is paused with its instance; any other, and any of a final instance, has failed."""
    why = f"its runner died {MAX_CRASHES} times without progress"
    if event.is_main and not instance.status.is_final:
        paused = replace(
            event,
            status=EventStatus.PAUSED,
            paused_for=PausedFor.POISONED,
            updated_at=now,
            crashes=MAX_CRASHES,
            unsure=True,
            in_doubt=True,
            last_error=why,
        )
        after = replace(
            instance.with_event(paused),
            lease=None,
            status=InstanceStatus.PAUSED,
            stopped_at=now,
            stopped_by="engine",
            stopped_for=event.seq,
            note=why,
            drained_at=now,
            updated_at=now,
        )
        return Applied(instance=after)
    failed = replace(event, in_doubt=True, last_error=why)
    change = close(instance.with_event(failed), failed, EventStatus.FAILED, now=now, why=why)
    return Applied(instance=change.instance, records=change.records)


def _caught_up(strategy: Strategy, instance: Instance, event: Event, *, now: datetime) -> Verdict | None:
    """The rule for late plans, before an event that has not begun; None where it changes nothing."""
    replanned = _late_rule(strategy, instance, stopped=instance.held is not None, now=now)
    change = replanned.change
    doomed = overdue_leading_ups(change.instance, now=now)
    if event in doomed:
        change = change.then(
            close_all(change.instance, doomed, now=now, why="skipped: its main event is overdue too")
        )
    if change.instance is instance:
        return None
    return Applied(instance=change.instance, records=change.records, skipped=replanned.skipped)


def _late_rule(strategy: Strategy, instance: Instance, *, stopped: bool, now: datetime) -> Replanned:
    try:
        return catch_up(
            strategy,
            instance,
            now=now,
            on_late=strategy.definition.on_resume,
            fell_due_while_stopped=stopped,
        )
    except CycleError as error:
        return Replanned(change=cycle_failed(strategy, instance, error, now=now))


def _fenced(instance: Instance) -> Instance:
    """The instance with its fence moved, so that the runner that left it is harmless."""
    return replace(instance, fence=instance.fence + 1)


def _crashes(event: Event, visits: int) -> int:
    return 1 if visits > event.known_visits else event.crashes + 1


def _may_have_called(strategy: Strategy, event: Event, trail: Trail, *, now: datetime) -> bool:
    """Whether the dead runner may have sent a call whose answer is not known."""
    then = position(trail, event)
    if not isinstance(then, Intent) or (then.not_before is not None and then.not_before > now):
        return False
    return strategy.definition.tasks[event.task].steps[then.step].action is not None
