"""The instance: the one aggregate, in which everything that may not contradict itself is kept together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.domain.calendar.dates import Moment
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import AccountId, EventSid, InstanceSid, OperationSid, StrategySid, event_sid
from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.strategy.model import Json, OnResume

MAX_ADDED_KEYS = 16
"""So many requests that added events can be recognised when they are sent again."""

MAX_DOWNTIMES = 4
"""So many of the times an instance stood still are remembered on it."""

MAX_OPERATIONS = 4
"""So many bulk operations that have changed an instance are remembered: the last ones."""

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
    """What keeps a due event of an active instance from starting."""

    QUEUE = "queue"
    STRATEGY = "strategy"


class StoodFor(StrEnum):
    """What kept an instance from running what was due."""

    PAUSE = "pause"
    QUEUE = "queue"
    STRATEGY = "strategy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """A time in which an instance stood still.

    since: a pause began then, or a flag was first found to hold it; until: it ended then, None while it lasts.
    by, why: of a pause, who paused it and what for.
    """

    what: StoodFor
    since: datetime
    until: datetime | None = None
    by: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A request that has added an event. key, body: hashes of its Idempotency-Key and of what it asked for."""

    seq: int
    key: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One subscription, order or process under a strategy version.

    cycle: number of the cycle that is planned; from 1. plan: its planned date, and the local date
    and time it was asked for; retries do not move it.
    plan_ended: no further cycle will come.
    events: its unfinished events. next_seq: the number of the next one.
    fence: rises with each claim and kill; a writer with a lower one is too late.
    rev: rises with each stored change.
    stopped_at, stopped_by, note: when and by whom it was last paused or ended, and why.
    stopped_for: the event whose end or doubt paused it.
    drained_at: when the last running event of a stopped instance came to rest.
    held: set while its due event waits for a paused queue or strategy.
    hold: since when ``held`` has held it. stops: the last times it stood still, latest last.
    nudges, nudged_until: how often the sweeper rang in vain, and when it looks again.
    shard: 0 to 15, its partition of the due index.
    arm_at: set while its next event lies beyond the deployment's horizon: its wakeup is armed only then.
    added: the last requests that have added events and may be sent again.
    on_late: how its last resume wanted passed dates to be treated, until its plan has caught up.
    outputs: the latest of each name that its events have come to.
    operations: the last bulk operations that have changed it; each does so once.
    created_by: the access key's id. request_hash: of the body it was created by, where that may be repeated.
    schedule: when it runs, where its strategy's calendars do not say so.
    order_id: what it is called among orders; its sid is derived from that. worker: who its caller wants to do it.
    has_run: an event of it that had begun is no longer on it.
    """

    sid: InstanceSid
    account_id: AccountId
    strategy_sid: StrategySid
    strategy_version: int
    strategy_id: str
    start_date: datetime
    created_at: datetime
    updated_at: datetime
    shard: int
    description: str = ""
    status: InstanceStatus = InstanceStatus.ACTIVE
    cycle: int = 1
    plan: Moment | None = None
    plan_ended: bool = False
    end_date: datetime | None = None
    attributes: Mapping[str, Json] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    next_seq: int = 1
    fence: int = 0
    lease: Lease | None = None
    rev: int = 0
    cancel_reason: CancelReason | None = None
    stopped_at: datetime | None = None
    stopped_by: str | None = None
    note: str | None = None
    stopped_for: int | None = None
    drained_at: datetime | None = None
    blocked_by: BlockedBy | None = None
    hold: Downtime | None = None
    stops: tuple[Downtime, ...] = ()
    nudges: int = 0
    nudged_until: datetime | None = None
    arm_at: datetime | None = None
    created_by: str | None = None
    request_hash: str | None = None
    added: tuple[Added, ...] = ()
    outputs: Mapping[str, Json] = field(default_factory=dict)
    on_late: OnResume | None = None
    operations: tuple[OperationSid, ...] = ()
    schedule: OwnSchedule | None = None
    order_id: str | None = None
    worker: str | None = None
    has_run: bool = False

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
    def is_draining(self) -> bool:
        """Whether it is stopped while an event that ran when it was stopped is still in flight."""
        return self.status is not InstanceStatus.ACTIVE and self.drained_at is None

    @property
    def executing(self) -> Event | None:
        """The event the lease is for; a lease ends with its event at the latest."""
        return None if self.lease is None else self.event(self.lease.seq)

    def is_claimed(self, seq: int, fence: int) -> bool:
        """Whether the claim of that fence still holds it for that event."""
        return self.lease is not None and self.lease.seq == seq and self.fence == fence

    def with_event(self, changed: Event) -> "Instance":
        """Itself with the event of the same number replaced."""
        return replace(self, events=tuple(changed if e.seq == changed.seq else e for e in self.events))

    def without(self, closed: frozenset[int]) -> "Instance":
        """Itself without the events of these numbers."""
        return replace(self, events=tuple(e for e in self.events if e.seq not in closed))

    def at_rest(self, *, now: datetime) -> "Instance":
        """Itself with the lease given back; where it is stopped, it has drained by now."""
        drained = now if self.status is not InstanceStatus.ACTIVE else None
        return replace(self, lease=None, drained_at=self.drained_at or drained, updated_at=now)

    def lets_run(self, event: Event) -> bool:
        """Whether its status lets this event run: any while ACTIVE, only spared ones once final."""
        if self.status.is_final:
            return event.after_cancellation
        return self.status is InstanceStatus.ACTIVE

    def lets_start(self, event: Event) -> bool:
        """Whether this event starts by itself when it is due; one that waits for an answer, when it waits no more."""
        lapses = event.paused_for is PausedFor.ANSWER and event.answer_by is not None
        waits = event.status in (EventStatus.PENDING, EventStatus.QUEUED) or lapses
        return waits and self.lets_run(event)
