"""The next action on an instance, and when the sweeper must check it.

A wakeup only says "check this instance". If a wakeup is lost, ``sweep_at`` bounds how late the event can be.
Source: docs/design.md sections 3.1 to 3.3.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from msgspec import Struct

from shared.domain.ids import dated_change_name, wakeup_name
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus, Lease

# EventBridge Scheduler invokes within a minute of the date. A wakeup that is later than this counts as lost.
GRACE = timedelta(seconds=180)
"""How long after its date an event is left to its wakeup before the sweeper acts."""

# datetime cannot represent a later instant than this one plus the grace.
_LATEST = datetime.max.replace(tzinfo=UTC, microsecond=0) - GRACE

LEASE_MARGIN = timedelta(seconds=20)
"""How much longer a lease lasts than the work it covers."""

SWEEP_MARGIN = timedelta(seconds=5)
"""How long the sweeper waits after the end of a lease."""

# EventBridge Scheduler takes dates from a minute ahead and is precise to a minute.
SHORT_NOTICE = timedelta(seconds=60)
"""For an event due within this time a runner is invoked at once, and waits for the date itself."""

FIRST_BACK_OFF = timedelta(seconds=60)
"""When the sweeper checks again after its first wakeup without effect; each further wait is twice as long."""

MAX_BACK_OFF = timedelta(hours=1)


class Idle(Struct, frozen=True):
    """No event can start by itself. Only a command or the end date changes that."""


class Leased(Struct, frozen=True, kw_only=True):
    """A runner holds the lease until ``until``."""

    until: datetime


class Scheduled(Struct, frozen=True, kw_only=True):
    """The next event is due later, the status changes by itself later, or a runner gave its claim back until then."""

    at: datetime
    wakeup_name: str


class Due(Struct, frozen=True, kw_only=True):
    """An event is due. ``abandoned`` is its expired lease if its runner crashed or gave the claim back, else None."""

    event: Event
    abandoned: Lease | None = None


class AnswerOverdue(Struct, frozen=True, kw_only=True):
    """Events wait for answers without a time limit, and the first was expected by ``at``. That is not noted yet."""

    at: datetime


class PlanExpired(Struct, frozen=True):
    """The end date has passed and no dated event is left."""


class ResumeDue(Struct, frozen=True, kw_only=True):
    """The end of a pause, which has come."""

    at: datetime


class CancelDue(Struct, frozen=True, kw_only=True):
    """The date of a scheduled cancellation, which has come. Events that were due before it have run."""

    at: datetime


DatedChange = ResumeDue | CancelDue
"""A change of an instance's status at a date."""

NextRun = Leased | Scheduled | Due | ResumeDue | CancelDue
"""The next run or dated change of an instance."""

NextAction = NextRun | Idle | AnswerOverdue | PlanExpired
"""The next action on an instance."""


def next_action(instance: Instance, now: datetime) -> NextAction:
    """Return the next action on an instance.

    Events run one at a time, in the order of their due dates. If dates are equal, a cycle's main event runs after its
    leading-up events. The event of a crashed runner comes first. The status changes by itself when no event is due and
    none is executing. An overdue answer is noted as soon as nothing else is due.
    """
    action = next_run(instance, now)
    if isinstance(action, Leased | Due | ResumeDue | CancelDue):
        return action
    expected = answer_expected_at(instance)
    if expected is not None and expected <= now and instance.executing is None:
        return AnswerOverdue(at=expected)
    end = ends_at(instance)
    if end is not None and end <= now:
        return PlanExpired()
    return action or Idle()


def next_run(instance: Instance, now: datetime) -> NextRun | None:
    """Return the next run or dated change, now or later, or None if nothing runs or changes by itself."""
    leased = _of_lease(instance, now)
    if leased is not None:
        return leased
    event, change = next_event(instance), next_change(instance)
    if event is not None and event.due_at <= now:
        return Due(event=event)
    if change is not None and change.at <= now:
        return change
    # A runner that comes for the first of them schedules the wakeup of the other.
    if event is not None and (change is None or event.due_at <= change.at):
        return Scheduled(at=event.due_at, wakeup_name=wakeup_name_of(instance, event))
    return change and Scheduled(at=change.at, wakeup_name=dated_change_name(instance.sid, change.at))


def _of_lease(instance: Instance, now: datetime) -> Leased | Scheduled | Due | None:
    """Return the ``NextRun`` of the event that a runner has claimed, or None if there is none."""
    running = instance.executing
    if instance.lease is None or running is None:
        return None
    if instance.lease.until > now and instance.lease.given_back is not None:
        return Scheduled(at=instance.lease.until, wakeup_name=wakeup_name_of(instance, running))
    if instance.lease.until > now:
        return Leased(until=instance.lease.until)
    # The lease has expired although the event has not ended: its runner has crashed, or gave it back.
    return Due(event=running, abandoned=instance.lease)


def next_change(instance: Instance) -> DatedChange | None:
    """Return the next change of the status at a date, or None. At the same date, the cancellation comes first."""
    until = instance.stop.until if instance.stop is not None and not instance.status.is_final else None
    scheduled = instance.cancellation
    if scheduled is not None and not _ends_first(instance) and (until is None or scheduled.at <= until):
        return CancelDue(at=scheduled.at)
    return None if until is None else ResumeDue(at=until)


def _ends_first(instance: Instance) -> bool:
    """Return whether a cancellation at the end of a cycle waits for a main event that has begun.

    A paused instance is canceled at its date all the same: its event could not end.
    """
    main, scheduled = instance.main_event, instance.cancellation
    if main is None or scheduled is None or scheduled.from_cycle is None:
        return False
    is_active = instance.status is InstanceStatus.ACTIVE
    return is_active and main.has_begun and main.created_cycle < scheduled.from_cycle


def must_be_fenced(instance: Instance, due: Due) -> bool:
    """Return whether the runner of an expired lease could continue by its own clock: the fence has not moved since."""
    return due.abandoned is not None and due.event.claim.fence == instance.fence


def due_since(instance: Instance, due: Due) -> datetime:
    """Return from when on the event could have been claimed.

    That is its due date, but not before it was created (a start date may lie in the past), and not before the end of
    the instance's last pause or block. The event of a crashed runner could be taken over from the end of its lease on.
    """
    if due.abandoned is not None:
        return due.abandoned.until
    return max([due.event.due_at, due.event.created_at, *_ends_of_downtimes(instance)])


def _ends_of_downtimes(instance: Instance) -> list[datetime]:
    return [downtime.until for downtime in instance.downtimes if downtime.until is not None]


def next_event(instance: Instance, *, besides: Event | None = None) -> Event | None:
    """Return the event that starts next if nothing changes, or None if no event can start by itself.

    The event ``besides`` is left out.
    """
    left_out = None if besides is None else besides.seq
    startable = [event for event in instance.events if event.seq != left_out and instance.lets_start(event)]
    return min(startable, key=_order, default=None)


def planned_event(instance: Instance) -> Event | None:
    """Return the event that would start next if no cancellation were scheduled, or None."""
    waiting = [event for event in instance.events if instance.waits_to_start(event)]
    return min(waiting, key=_order, default=None)


def answer_expected_at(instance: Instance) -> datetime | None:
    """Return by when the first answer without a time limit is expected, or None.

    Overdue answers that are noted do not count, nor do those of events that the instance's status does not let run.
    After a pause or a block it is at the earliest the end of that.
    """
    pauses = [event.pause for event in instance.events if instance.lets_run(event)]
    expected = [pause.expected_by for pause in pauses if pause is not None and not pause.is_overdue]
    first = min((at for at in expected if at is not None), default=None)
    # Else after a long pause the entry in the due index would look as if the instance had waited for a runner since.
    return None if first is None else max([first, *_ends_of_downtimes(instance)])


def wakeup_name_of(instance: Instance, event: Event) -> str:
    """Return the name of an event's wakeup."""
    return wakeup_name(instance.event_sid(event), event.wakeup_seq)


def ends_at(instance: Instance) -> datetime | None:
    """Return the end date of an active instance if it has no unfinished dated event, else None."""
    if instance.status is not InstanceStatus.ACTIVE or instance.plan.end_date is None:
        return None
    dated = any(event.status is not EventStatus.ONHOLD for event in instance.events)
    return None if dated else instance.plan.end_date


def sweep_at(instance: Instance) -> datetime | None:
    """Return when the sweeper must check the instance if nothing else changes it.

    Return None if only a command can change the instance.
    """
    instants = [at for at in (first_run_sweep_at(instance), answer_expected_at(instance)) if at is not None]
    return min((_backed_off(instance, at) for at in instants), default=None)


def _backed_off(instance: Instance, at: datetime) -> datetime:
    """Return an instant at which the sweeper must check, postponed by the back-off if a sweep has checked it."""
    next_at = instance.sweep.next_at
    if next_at is None:
        return at
    # What comes after the last sweep is not postponed: that sweep was for something else.
    swept_at = next_at - back_off(instance.sweep.attempts)
    return next_at if at <= swept_at else at


def first_run_sweep_at(instance: Instance) -> datetime | None:
    """Return when the sweeper had to check the next event, change of status or end of the plan, for the first time.

    That is without any back-off that followed. Return None if nothing runs or changes by itself.
    """
    running = instance.executing
    if instance.lease is not None and running is not None:
        # A lease shorter than the grace leaves the due index as it is, which saves a write per claim.
        return max(_graced(running.due_at), instance.lease.until + SWEEP_MARGIN)
    event, change, end = next_event(instance), next_change(instance), ends_at(instance)
    dates = ([] if event is None else [event.due_at]) + ([] if change is None else [change.at])
    if not dates:
        return end
    first = instance.sweep.schedule_at or _graced(min(dates))
    return first if end is None else min(first, end)


def _graced(at: datetime) -> datetime:
    """Return an instant plus the grace, capped at the last representable instant."""
    return min(at, _LATEST) + GRACE


def back_off(attempts: int) -> timedelta:
    """Return the wait after ``attempts`` wakeups without effect: 1 min, 2, 4, ... up to an hour."""
    return min(FIRST_BACK_OFF * (1 << min(attempts - 1, 10)), MAX_BACK_OFF)


def spread(key: str) -> float:
    """Return a fraction from 0 up to 1 that depends on ``key`` alone, to spread instants that would coincide."""
    return int.from_bytes(sha256(key.encode()).digest()[:4], "big") / (1 << 32)


SHARDS = 16
"""How many partitions the due index has for all instances, and how many for each flag that blocks instances."""


def beyond_horizon(instance: Instance, horizon: timedelta | None, *, now: datetime) -> datetime | None:
    """Return when to schedule the next wakeup if it lies beyond ``horizon``, else None.

    That is one horizon before its date, plus up to a quarter of the horizon.
    """
    action = next_run(instance, now)
    if horizon is None or not isinstance(action, Scheduled) or action.at - now <= horizon:
        return None
    # The sid spreads the times: a million plans for the same morning must not be scheduled in the same minute.
    at = action.at - horizon + spread(instance.sid) * horizon / 4
    return at.replace(microsecond=0)


def partition(instance: Instance) -> str:
    """Return the instance's partition of the due index.

    It is the flag's partition if a flag blocks the instance. Otherwise it is the shard's near partition, or its far
    one if the wakeup is not scheduled yet.
    """
    # A flag does not keep the status from changing, and the sweeper does not read the flag's partition. The job that
    # releases what a flag blocked leaves paused instances alone, so it need not find this one.
    is_dated = instance.status is InstanceStatus.PAUSED and next_change(instance) is not None
    if instance.blocked_by is None or is_dated:
        near = instance.sweep.schedule_at is None
        return swept_partition(instance.shard) if near else far_partition(instance.shard)
    owner = instance.account_id if instance.blocked_by is BlockedBy.QUEUE else instance.strategy_sid
    return blocked_partition(instance.blocked_by, owner, instance.shard)


def swept_partition(shard: int) -> str:
    """Return the partition that the sweeper reads for a shard."""
    return f"{shard}"


def far_partition(shard: int) -> str:
    """Return the partition of a shard's instances whose wakeups are not scheduled yet. The sweeper reads it too."""
    return f"far#{shard}"


def blocked_partition(flag: BlockedBy, owner: str, shard: int) -> str:
    """Return the partition of the instances that a flag blocks. ``owner`` is the account (queue) or the strategy."""
    return f"blocked#{flag.value}:{owner}#{shard}"


def _order(event: Event) -> tuple[datetime, bool, int]:
    return event.due_at, event.is_main, event.seq
