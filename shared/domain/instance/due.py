"""What there is to do on an instance, and when the sweeper must check it.

A wakeup only says "check this instance". ``sweep_at`` bounds how late a lost one can make an event.
Source: design section 3, items 1 to 3.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from shared.domain.ids import wakeup_name
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus

GRACE = timedelta(seconds=180)
"""How long after its date the sweeper leaves an event to its wakeup."""

_LATEST = datetime.max.replace(tzinfo=UTC, microsecond=0) - GRACE

LEASE_MARGIN = timedelta(seconds=20)
"""How much longer a lease is than the work it covers."""

SWEEP_MARGIN = timedelta(seconds=5)
"""How long after a lease's end the sweeper waits."""

EARLY = timedelta(seconds=5)
"""A runner woken at most this early waits; a wakeup due within it is an invoke, not a schedule."""

FIRST_BACK_OFF = timedelta(seconds=60)
"""When the sweeper checks again after its first wakeup without effect; then after twice as long."""

MAX_BACK_OFF = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Idle:
    """No event can start by itself; only a command or the end date changes that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A runner holds the lease until then."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """The next event is due later."""

    at: datetime
    wakeup_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An event is due. abandoned: its runner has crashed, and its lease has passed."""

    event: Event
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class PlanExpired:
    """The end date of an instance without dated events has come."""


NextAction = Idle | Leased | Scheduled | Due | PlanExpired
"""What there is to do on an instance."""


def next_action(instance: Instance, now: datetime) -> NextAction:
    """Return what there is to do on an instance.

    Events run one at a time, in the order of their due dates, a cycle's main event after its leading-up events.
    The event of a crashed runner comes first.
    """
    running = instance.executing
    if instance.lease is not None and running is not None:
        if instance.lease.until > now:
            return Leased(until=instance.lease.until)
        return Due(event=running, abandoned=True)
    event = next_event(instance)
    if event is not None:
        if event.due_at <= now:
            return Due(event=event)
        return Scheduled(at=event.due_at, wakeup_name=wakeup_name_of(instance, event))
    end = ends_at(instance)
    return PlanExpired() if end is not None and end <= now else Idle()


def next_event(instance: Instance) -> Event | None:
    """Return the event that starts next if nothing changes; None if none can start by itself."""
    startable = [event for event in instance.events if instance.lets_start(event)]
    return min(startable, key=_order, default=None)


def wakeup_name_of(instance: Instance, event: Event) -> str:
    """Return the name of an event's wakeup."""
    return wakeup_name(instance.event_sid(event), event.wakeup_seq)


def ends_at(instance: Instance) -> datetime | None:
    """Return the end date of an active instance if no dated event is ahead of it."""
    if instance.status is not InstanceStatus.ACTIVE or instance.plan.end_date is None:
        return None
    dated = any(event.status is not EventStatus.ONHOLD for event in instance.events)
    return None if dated else instance.plan.end_date


def sweep_at(instance: Instance) -> datetime | None:
    """Return when the sweeper must check the instance if nothing else has changed it.

    None if only a command can change anything.
    """
    base = _undisturbed(instance)
    if base is None or instance.sweep.next_at is None:
        return base
    return max(base, instance.sweep.next_at)


def _undisturbed(instance: Instance) -> datetime | None:
    running = instance.executing
    if instance.lease is not None and running is not None:
        return max(_graced(running.due_at), instance.lease.until + SWEEP_MARGIN)
    event = next_event(instance)
    if event is not None:
        return instance.sweep.schedule_at or _graced(event.due_at)
    return ends_at(instance)


def _graced(at: datetime) -> datetime:
    """An instant and its grace; at the end of the last year there is, as much of it as there is."""
    return min(at, _LATEST) + GRACE


def back_off(attempts: int) -> timedelta:
    """Return how long to wait after so many wakeups without effect: 1 min, 2, 4, ... at most an hour."""
    return min(FIRST_BACK_OFF * (1 << min(attempts - 1, 10)), MAX_BACK_OFF)


SHARDS = 16
"""How many partitions the due index has for all instances, and for those that each flag blocks."""


def beyond_horizon(instance: Instance, horizon: timedelta | None, *, now: datetime) -> datetime | None:
    """Return when to schedule the wakeup of its next event, if that lies beyond the horizon; else None.

    That is one horizon before the event, less up to a quarter, so that a million plans for the same morning are not
    scheduled in the same minute.
    """
    found = next_action(instance, now)
    if horizon is None or not isinstance(found, Scheduled) or found.at - now <= horizon:
        return None
    spread = int.from_bytes(sha256(instance.sid.encode()).digest()[:4], "big") / (1 << 32)
    at = found.at - horizon + spread * horizon / 4
    return at.replace(microsecond=0)


def partition(instance: Instance) -> str:
    """Return its partition of the due index: of its shard, near or far, or of the flag that blocks it."""
    if instance.blocked_by is None:
        near = instance.sweep.schedule_at is None
        return swept_partition(instance.shard) if near else far_partition(instance.shard)
    owner = instance.account_id if instance.blocked_by is BlockedBy.QUEUE else instance.strategy_sid
    return blocked_partition(instance.blocked_by, owner, instance.shard)


def swept_partition(shard: int) -> str:
    """The partition the sweeper reads for a shard."""
    return f"{shard}"


def far_partition(shard: int) -> str:
    """Return the partition of a shard's instances whose wakeups are not scheduled yet; the sweeper reads it too."""
    return f"far#{shard}"


def blocked_partition(flag: BlockedBy, owner: str, shard: int) -> str:
    """Return the partition of what a flag blocks: the queue of an account, or a strategy."""
    return f"blocked#{flag.value}:{owner}#{shard}"


def _order(event: Event) -> tuple[datetime, bool, int]:
    return event.due_at, event.is_main, event.seq
