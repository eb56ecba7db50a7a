"""The instance: the one aggregate, in which everything that may not contradict itself is kept together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.domain.calendar.dates import Moment
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import AccountId, EventSid, InstanceSid, OperationSid, StrategySid, event_sid
from shared.domain.instance.event import Event, EventStatus
from shared.domain.strategy.model import Json, OnResume

MAX_ADDED_KEYS = 16
"""How many requests that have added events are remembered, to recognise a repeated one."""

MAX_DOWNTIMES = 4
"""How many downtimes an instance remembers."""

MAX_OPERATIONS = 4
"""How many bulk operations that have changed an instance are remembered."""

MAX_UNFINISHED_EVENTS = 50
"""An aggregate holds at most this many unfinished events."""


class InstanceStatus(StrEnum):
    """Where an instance stands. Source: design section 1."""

    ACTIVE = "ACTIVE"
    """It runs. Put there at creation and by resume; left by pause, cancel and completion."""
    PAUSED = "PAUSED"
    """Nothing of it starts. Put there by pause, by a controller, by used-up attempts under
    ``pauseBeforeCancel``, by a call in doubt and by crashes; left by resume and cancel."""
    CANCELED = "CANCELED"
    """Final. Put there by cancel, by a controller, by used-up attempts or by a cycle that cannot be dated."""
    COMPLETED = "COMPLETED"
    """Final. Put there when the plan has ended and the last dated event has closed."""

    @property
    def is_final(self) -> bool:
        """Whether nothing leaves it any more."""
        return self in (InstanceStatus.CANCELED, InstanceStatus.COMPLETED)


UNFINISHED = (InstanceStatus.ACTIVE, InstanceStatus.PAUSED)
"""The statuses that something leaves."""


class CancelReason(StrEnum):
    """Who or what canceled an instance. Source: contracts/core.md section 2.3."""

    HTTP_REQUEST = "HTTP_REQUEST"
    CONTROLLER_HELPER = "CONTROLLER_HELPER"
    MAX_ATTEMPTS = "MAX_ATTEMPTS"
    CREATE_CYCLE_ERROR = "CREATE_CYCLE_ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run one event, held by one runner until ``until``."""

    seq: int
    until: datetime


class BlockedBy(StrEnum):
    """Which paused flag keeps a due event of an active instance from starting."""

    QUEUE = "queue"
    STRATEGY = "strategy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A due event waits under a paused flag. since: when a runner first found the flag up."""

    by: BlockedBy
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """A time in which an instance did not run what was due.

    blocked_by: the paused flag; None for a pause of the instance itself.
    until: None while it lasts. by, why: who paused the instance, and the reason they gave.
    """

    blocked_by: BlockedBy | None = None
    since: datetime
    until: datetime | None = None
    by: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stoppage:
    """How an instance that is not ACTIVE was stopped: paused, canceled or completed.

    for_event: the event whose end or doubt paused it.
    drained_at: when the last running event came to rest; None while one is still in flight.
    """

    at: datetime
    by: str
    note: str | None = None
    for_event: int | None = None
    drained_at: datetime | None = None
    cancel_reason: CancelReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When an instance runs, and how far its plan has come.

    schedule: when the instance runs; None if the calendars of its strategy decide.
    cycle: the number of the planned cycle, from 1. moment: its planned date, and the local date and time it was
    computed from; retries do not move it.
    end_date: no cycle is planned after it. has_ended: no further cycle follows.
    on_late: how the last resume wants passed dates to be treated, until the plan has caught up.
    """

    schedule: OwnSchedule | None = None
    cycle: int = 1
    moment: Moment | None = None
    end_date: datetime | None = None
    has_ended: bool = False
    on_late: OnResume | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """When the sweeper must check an instance, if that is not at its due date. Every other change resets it.

    attempts: how often the sweeper has sent a wakeup without effect. next_at: when it checks again.
    schedule_at: when to schedule the wakeup of an event beyond the deployment's horizon; None if within it.
    """

    attempts: int = 0
    next_at: datetime | None = None
    schedule_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The request that created an instance.

    strategy_id: the strategy as the caller named it. created_by: the access key's id.
    request_hash: of the body, if the request may be repeated.
    order_id: the name among orders, from which the sid is derived. worker: who the caller wants to do the work.
    """

    strategy_id: str
    created_by: str | None = None
    request_hash: str | None = None
    order_id: str | None = None
    worker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A request that has added an event. key, body: hashes of its Idempotency-Key and of what it asked for."""

    seq: int
    key: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One subscription, order or process under a strategy version.

    shard: 0 to 15, its partition of the due index.
    stop: None while it is ACTIVE.
    events: its unfinished events. next_seq: the number of the next one.
    has_run: an event of it that had begun is no longer on it.
    fence: rises with each claim and kill; a writer with a lower one is too late.
    rev: rises with each stored change.
    blocked: see ``blocked_by``. downtimes: the last ones that have ended, latest last.
    added: the last requests that have added events and may be sent again.
    operations: the last bulk operations that have changed it; each does so once.
    outputs: the latest of each name that its events have produced.
    """

    sid: InstanceSid
    account_id: AccountId
    strategy_sid: StrategySid
    strategy_version: int
    origin: Origin
    start_date: datetime
    created_at: datetime
    updated_at: datetime
    shard: int
    description: str = ""
    attributes: Mapping[str, Json] = field(default_factory=dict)
    status: InstanceStatus = InstanceStatus.ACTIVE
    stop: Stoppage | None = None
    plan: Plan = field(default_factory=Plan)
    events: tuple[Event, ...] = ()
    next_seq: int = 1
    has_run: bool = False
    fence: int = 0
    lease: Lease | None = None
    rev: int = 0
    blocked: Blocked | None = None
    downtimes: tuple[Downtime, ...] = ()
    sweep: Sweep = field(default_factory=Sweep)
    added: tuple[Added, ...] = ()
    operations: tuple[OperationSid, ...] = ()
    outputs: Mapping[str, Json] = field(default_factory=dict)

    def event(self, seq: int) -> Event | None:
        """Its unfinished event of that number."""
        return next((event for event in self.events if event.seq == seq), None)

    def event_sid(self, event: Event) -> EventSid:
        """The sid of one of its events."""
        return event_sid(self.sid, event.seq)

    @property
    def main_event(self) -> Event | None:
        """Its unfinished main event."""
        return next((event for event in self.events if event.is_main), None)

    @property
    def has_begun(self) -> bool:
        """Whether a runner has ever set out on any of its events."""
        return self.has_run or any(event.has_begun for event in self.events)

    @property
    def cancel_reason(self) -> CancelReason | None:
        """Who or what canceled it."""
        return None if self.stop is None else self.stop.cancel_reason

    @property
    def stop_note(self) -> str | None:
        """Why it was stopped, for people."""
        return None if self.stop is None else self.stop.note

    def is_paused_for(self, event: Event) -> bool:
        """Whether it is PAUSED because of what one of its events came to."""
        return (
            self.status is InstanceStatus.PAUSED
            and self.stop is not None
            and self.stop.for_event == event.seq
        )

    @property
    def is_draining(self) -> bool:
        """Whether it is stopped while an event that ran when it was stopped is still in flight."""
        return self.stop is not None and self.stop.drained_at is None

    @property
    def blocked_by(self) -> BlockedBy | None:
        """The paused flag its due event waits under; None while a claim tries whether the flag is still up."""
        return None if self.blocked is None or self.lease is not None else self.blocked.by

    @property
    def executing(self) -> Event | None:
        """The event the lease is for; a lease ends with its event at the latest."""
        return None if self.lease is None else self.event(self.lease.seq)

    def is_claimed(self, seq: int, fence: int) -> bool:
        """Whether the claim of that fence still holds it for that event."""
        return self.lease is not None and self.lease.seq == seq and self.fence == fence

    def claimed_event(self, seq: int, fence: int) -> Event | None:
        """The event if the claim of that fence still holds it."""
        return self.event(seq) if self.is_claimed(seq, fence) else None

    def with_event(self, changed: Event) -> "Instance":
        """Itself with the event of the same number replaced."""
        return replace(self, events=tuple(changed if e.seq == changed.seq else e for e in self.events))

    def without(self, closed: frozenset[int]) -> "Instance":
        """Itself without the events of these numbers."""
        return replace(self, events=tuple(e for e in self.events if e.seq not in closed))

    def stopped(self, status: InstanceStatus, stop: Stoppage) -> "Instance":
        """Itself PAUSED, CANCELED or COMPLETED."""
        return replace(self, status=status, stop=stop, updated_at=stop.at)

    def at_rest(self, *, now: datetime) -> "Instance":
        """Itself with the lease given back; if it is stopped, it has drained by now."""
        stop = self.stop
        if stop is not None and stop.drained_at is None:
            stop = replace(stop, drained_at=now)
        return replace(self, lease=None, stop=stop, updated_at=now)

    def lets_run(self, event: Event) -> bool:
        """Whether its status lets this event run: any while ACTIVE, only spared ones once final."""
        if self.status.is_final:
            return event.after_cancellation
        return self.status is InstanceStatus.ACTIVE

    def lets_start(self, event: Event) -> bool:
        """Whether this event starts by itself when it is due; one that waits for an answer, when it waits no more."""
        lapses = event.pause is not None and event.pause.answer_by is not None
        waits = event.status in (EventStatus.PENDING, EventStatus.QUEUED) or lapses
        return waits and self.lets_run(event)
