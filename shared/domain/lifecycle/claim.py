"""Claiming an instance to run its due event, or to repair it before an event can run.

Source: docs/design.md sections 3.3, 3.6, 3.7 and 3.9; section 4, missed dates.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.domain.instance.due import LEASE_MARGIN, Due, back_off, must_be_fenced, next_action, spread
from shared.domain.instance.event import Event, EventStatus, LastClaim
from shared.domain.instance.journal import ClosedBy
from shared.domain.instance.model import Blocked, GivenBack, Instance, InstanceStatus, Lease
from shared.domain.instance.replay import chain, position
from shared.domain.instance.run import Intent, Then
from shared.domain.instance.verdict import AlreadyThere, Applied, Verdict
from shared.domain.lifecycle.commands import Block, Claim, Fence, GiveBack, Renew
from shared.domain.lifecycle.conclude import stop_event
from shared.domain.lifecycle.takeover import may_have_called, take_over
from shared.domain.planning.closing import close_all
from shared.domain.planning.cycles import CycleError
from shared.domain.planning.offset_dates import MAIN_OVERDUE
from shared.domain.planning.plan import Replanned, catch_up, cycle_failed, overdue_leading_ups
from shared.domain.steps.flow import StepContext, first_action
from shared.domain.steps.outcome import longest
from shared.domain.strategy.model import Strategy

MAX_SHARED_LEASE = timedelta(seconds=120)
"""The longest time that a lease covers for several short steps. It always covers the next step in full."""

MAX_TOKEN = 8
"""How much of a claim's token its lease keeps, from the end. That distinguishes the few claims of the same fence."""

MAX_GIVE_BACK = timedelta(minutes=4)
"""The longest time for which a runner gives its claim back, before the part that spreads the runners."""


def fence(instance: Instance, command: Fence, *, now: datetime) -> Verdict:
    """Move the fence past a runner whose lease has expired. It may still run, but nothing that it decides is stored.

    A runner checks the fence between two calls, after it has journaled the first. So if it has sent the second one, a
    history that is read after this holds the first. Return AlreadyThere if there is no such runner.
    """
    action = next_action(instance, now)
    if not isinstance(action, Due) or action.event.seq != command.seq or not must_be_fenced(instance, action):
        return AlreadyThere(instance=instance)
    return Applied(instance=replace(instance, fence=instance.fence + 1, updated_at=now))


def claim(strategy: Strategy, instance: Instance, command: Claim, *, now: datetime) -> Verdict:
    """Claim the due event under a new fence and lease, or repair the instance first.

    The event is claimed if the verdict's instance has a lease. Otherwise the plan has caught up with missed dates, or
    the event of a crashed runner was closed or paused. Return AlreadyThere if there is nothing to run, or if an earlier
    runner must be fenced first.
    """
    action = next_action(instance, now)
    if not isinstance(action, Due) or action.event.seq != command.seq or must_be_fenced(instance, action):
        return AlreadyThere(instance=instance)
    event = action.event
    if action.abandoned is not None:
        applied, taken = take_over(
            strategy,
            instance,
            event,
            command.event_history,
            current=command.current or strategy,
            lease=action.abandoned,
            now=now,
        )
        if taken is None:
            return applied
        return replace(applied, instance=_claimed(strategy, applied.instance, taken, command, now=now))
    if not event.has_begun:
        late = _caught_up(strategy, instance, event, now=now)
        if late is not None:
            return late
    return Applied(instance=_claimed(strategy, instance, event, command, now=now))


def lease_until(strategy: Strategy, event: Event, then: Then | None, *, now: datetime) -> datetime:
    """Return the end of a lease taken now: the longest time that the next steps can take, and a margin.

    Several short steps count at most two minutes together. The next step always counts in full.
    """
    if not isinstance(then, Intent):
        return now + LEASE_MARGIN
    steps = strategy.definition.tasks[event.task].steps
    together = sum((longest(strategy, step) for step in steps.values()), timedelta())
    span = max(longest(strategy, steps[then.step]), min(together, MAX_SHARED_LEASE))
    return now + span + LEASE_MARGIN


def renew(instance: Instance, command: Renew) -> Verdict:
    """Extend the lease. Source: docs/design.md section 3.3."""
    lease = instance.lease
    if lease is None or lease.given_back is not None or not instance.is_claimed(command.seq, command.fence):
        return AlreadyThere(instance=instance)
    return Applied(instance=replace(instance, lease=replace(lease, until=command.until)))


def give_back(instance: Instance, command: GiveBack, *, now: datetime) -> Verdict:
    """Leave the event of a runner that cannot use a store, until the end of a back-off.

    The back-off is 1, 2 and then 4 minutes, and up to half as long again. The event stays EXECUTING: the next claim
    takes it over like that of a crashed runner, but counts no crash. Another runner may have moved the fence, as long
    as it has not claimed.
    """
    event, lease = instance.executing, instance.lease
    if event is None or lease is None or lease.given_back is not None:
        return AlreadyThere(instance=instance)
    if (event.seq, event.claim.fence, lease.token) != (command.seq, command.fence, command.token):
        return AlreadyThere(instance=instance)
    event = event.after_visits(command.known_visits)
    times = event.progress.give_backs + 1
    # Else all runners that were stopped by an overload would return at the same instant and overload the store again.
    wait = min(back_off(times), MAX_GIVE_BACK) * (1 + spread(f"{instance.sid}-{command.fence}") / 2)
    until = (now + wait).replace(microsecond=0)
    left = replace(
        event,
        wakeup_seq=event.wakeup_seq + 1,  # a new name: the wakeup of its date may still exist
        updated_at=now,
        progress=replace(event.progress, give_backs=times),
    )
    lease = Lease(seq=event.seq, until=until, given_back=GivenBack(sent_visit=command.sent_visit))
    return Applied(instance=replace(instance.with_event(left), lease=lease, updated_at=now))


def block(instance: Instance, command: Block, *, now: datetime) -> Verdict:
    """Undo a claim, and block the instance until the flag is cleared."""
    before = command.before
    claimed = instance.claimed_event(before.seq, command.fence)
    if claimed is None:
        return AlreadyThere(instance=instance)
    if before.status is EventStatus.EXECUTING:
        # The event was taken over from a crashed runner, whose possible calls must stay known.
        before = replace(claimed, status=EventStatus.QUEUED)
    # An answer that came since the claim was accepted.
    before = replace(before, answered=claimed.answered)
    if instance.status.is_final and not instance.lets_run(before):
        # The instance was canceled since the claim, and the cancel left the running event to its runner.
        stopped = stop_event(instance, before, now=now)
        return Applied(instance=stopped.instance, records=stopped.records)
    at_rest = instance.with_event(replace(before, updated_at=now)).at_rest(now=now)
    blocked = instance.blocked
    if blocked is None or blocked.by is not command.blocked_by:
        blocked = Blocked(by=command.blocked_by, since=now)
    return Applied(instance=replace(at_rest, blocked=blocked))


def unblock(strategy: Strategy, instance: Instance, *, now: datetime) -> Verdict:
    """End the block of an instance whose flag was cleared, and apply the rule for missed dates."""
    if instance.blocked_by is None or instance.status is InstanceStatus.PAUSED:
        return AlreadyThere(instance=instance)  # the resume of a PAUSED instance handles missed dates itself
    replanned = _late_dates(strategy, replace(instance, updated_at=now), now=now)
    free = replace(replanned.change.instance, blocked=None)
    return Applied(instance=free, records=replanned.change.records, skipped=replanned.skipped)


def _claimed(
    strategy: Strategy, instance: Instance, event: Event, command: Claim, *, now: datetime
) -> Instance:
    if event.progress.first_action is None:
        event = _with_new_run(strategy, instance, event, command, now=now)
    visits, fence = len(chain(command.event_history, event.run)), instance.fence + 1
    if visits < event.progress.known_visits:
        # A late runner has replaced a step after which an earlier claim knew more. Those calls have been sent, so their
        # delays are over.
        known = replace(event, progress=replace(event.progress, delay_skipped=True))
        if may_have_called(strategy, known, command.event_history, now=now):
            event = replace(event, progress=event.progress.with_doubt(now))
    # The event stays bound to the version of its first claim, so a migration does not change a begun flow.
    started = replace(
        event,
        status=EventStatus.EXECUTING,
        pause=None,
        updated_at=now,
        times=replace(event.times, begun_at=event.times.begun_at or now),
        claim=LastClaim(fence=fence, job=command.job, version=event.claim.version or strategy.version),
        progress=replace(event.progress.after_visits(visits), known_visits=visits, was_killed=False),
    )
    until = lease_until(strategy, started, position(command.event_history, started), now=now)
    lease = Lease(seq=event.seq, until=until, token=command.token[-MAX_TOKEN:])
    return replace(instance.with_event(started), lease=lease, fence=fence, updated_at=now)


def _with_new_run(
    strategy: Strategy, instance: Instance, event: Event, command: Claim, *, now: datetime
) -> Event:
    """Return the event with the first action of its next run."""
    context = StepContext(
        strategy=strategy,
        instance=instance,
        event=event,
        event_history=command.event_history,
        now=now,
        token=command.token,
    )
    scheduled_at = event.times.scheduled_at if event.status is EventStatus.QUEUED else now
    return replace(
        event,
        times=replace(event.times, scheduled_at=scheduled_at, executed_at=now),
        progress=replace(event.progress, first_action=first_action(context)),
    )


def _caught_up(strategy: Strategy, instance: Instance, event: Event, *, now: datetime) -> Verdict | None:
    """Apply the rule for missed dates before an event that has not begun; None if that changes nothing."""
    replanned = _late_dates(strategy, instance, now=now)
    change = replanned.change
    doomed = overdue_leading_ups(change.instance, now=now)
    if event in doomed:
        change = change.then(
            close_all(
                change.instance,
                doomed,
                now=now,
                why=MAIN_OVERDUE,
                cause=ClosedBy.LATE_PLAN,
            )
        )
    if change.instance is instance:
        return None
    return Applied(instance=change.instance, records=change.records, skipped=replanned.skipped)


def _late_dates(strategy: Strategy, instance: Instance, *, now: datetime) -> Replanned:
    try:
        return catch_up(strategy, instance, now=now)
    except CycleError as error:
        return Replanned(change=cycle_failed(strategy, instance, error, now=now))
