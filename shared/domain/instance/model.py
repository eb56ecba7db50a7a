"""The instance: the aggregate that holds all data that must change together."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain.calendar.dates import Moment
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.ids import AccountId, EventSid, InstanceSid, OperationSid, StrategySid, event_sid
from shared.domain.instance.event import Event, EventKind, EventStatus
from shared.domain.instance.reason import EventFailure, StopReason
from shared.domain.strategy.model import Json, OnResume

# The instance is a single item that every command reads and writes, so its lists are short.
MAX_ADDED_KEYS = 16
"""How many requests to add an event or to skip cycles an instance remembers, to recognise repeats."""

MAX_FAILED_EVENTS = 8
"""How many failed events an instance remembers until they are redriven or dismissed."""

MAX_DOWNTIMES = 4
"""How many downtimes an instance remembers."""

MAX_OPERATIONS = 4
"""How many bulk operations an instance remembers, so that each changes it only once."""

MAX_UNFINISHED_EVENTS = 50
"""The most unfinished events that an instance may have."""


class InstanceStatus(StrEnum):
    """The status of an instance. Source: docs/design.md section 1."""

    ACTIVE = "ACTIVE"
    """Its events run. Set at creation and by ``resume``. Left by ``pause``, ``cancel`` and completion."""
    PAUSED = "PAUSED"
    """No event starts. Set by ``pause``, by a controller, by used-up attempts under ``pauseBeforeCancel``, by a call in
    doubt, and by repeated crashes. Left by ``resume`` and ``cancel``.
    """
    CANCELED = "CANCELED"
    """Final. Set by ``cancel``, by a controller, by used-up attempts, or if the next cycle cannot be dated."""
    COMPLETED = "COMPLETED"
    """Final. Set when the plan has ended and the last dated event has closed."""

    @property
    def is_final(self) -> bool:
        """Return whether the status can never change again."""
        return self in (InstanceStatus.CANCELED, InstanceStatus.COMPLETED)


UNFINISHED = (InstanceStatus.ACTIVE, InstanceStatus.PAUSED)
"""The statuses that can still change."""


class CancelReason(StrEnum):
    """The cause that canceled an instance. Source: docs/contracts/core.md section 2.3."""

    HTTP_REQUEST = "HTTP_REQUEST"
    CONTROLLER_HELPER = "CONTROLLER_HELPER"
    MAX_ATTEMPTS = "MAX_ATTEMPTS"
    CREATE_CYCLE_ERROR = "CREATE_CYCLE_ERROR"


class GivenBack(Struct, frozen=True, kw_only=True):
    """The mark of a runner that stopped because a store was unavailable.

    ``sent_visit`` is the visit whose call it sent without recording the result, or None if there is none.
    """

    sent_visit: int | None = None


class Lease(Struct, frozen=True, kw_only=True):
    """One runner's right to run one event until ``until``.

    ``token`` is that of its claim alone: if two runners claim at once, both have the same fence, and one of the claims
    is stored. If ``given_back`` is set, no runner works on the event, and the next one may claim it from ``until`` on.
    """

    seq: int
    until: datetime
    token: str | None = None
    given_back: GivenBack | None = None


class BlockedBy(StrEnum):
    """The paused flag that keeps a due event of an active instance from starting."""

    QUEUE = "queue"
    STRATEGY = "strategy"


class Blocked(Struct, frozen=True, kw_only=True):
    """A due event waits because a flag is paused. ``since`` is when a runner first found the flag paused."""

    by: BlockedBy
    since: datetime


class Downtime(Struct, frozen=True, kw_only=True):
    """A period in which an instance did not run due events.

    ``blocked_by`` is the paused flag, or None if the instance itself was paused. ``until`` is None while the period
    lasts. ``by`` and ``why`` are who paused the instance, and the reason they gave.
    """

    blocked_by: BlockedBy | None = None
    since: datetime
    until: datetime | None = None
    by: str | None = None
    why: str | None = None


class RefusedResume(Struct, frozen=True, kw_only=True):
    """A pause reached its end, and the resume was refused. ``why`` is text for users."""

    at: datetime
    why: str


class Stoppage(Struct, frozen=True, kw_only=True):
    """How an instance that is not ACTIVE was stopped: paused, canceled or completed.

    ``reason`` is the class that lists and bulk operations select by; ``note`` is text for users. ``for_event`` is the
    event whose failure or call in doubt paused the instance. ``drained_at`` is when its last running event stopped,
    None while a step is still in flight. ``dismissed_at`` is when an operator dismissed the stop as a problem.

    ``until`` is when a pause ends by itself, None if only a resume ends it. ``refused`` is set if the resume at that
    date was refused: ``until`` is None then, and the pause waits for a person.
    """

    at: datetime
    by: str
    reason: StopReason
    note: str | None = None
    for_event: int | None = None
    drained_at: datetime | None = None
    cancel_reason: CancelReason | None = None
    dismissed_at: datetime | None = None
    until: datetime | None = None
    refused: RefusedResume | None = None


class ScheduledCancellation(Struct, frozen=True, kw_only=True):
    """A cancellation that takes effect at a date.

    Events due at ``at`` or later do not start. ``from_cycle`` is the first cycle that does not run, if the instance is
    canceled at the end of a cycle; None if the caller gave the date. ``by`` and ``note`` are who scheduled it, and why.
    """

    at: datetime
    by: str
    scheduled_at: datetime
    note: str | None = None
    from_cycle: int | None = None


class FailedEvent(Struct, frozen=True, kw_only=True):
    """A closed event that FAILED, remembered until it is redriven or an operator dismisses it."""

    seq: int
    kind: EventKind
    task: str
    failure: EventFailure


class Plan(Struct, frozen=True, kw_only=True):
    """The plan of an instance, and how far it has advanced.

    ``schedule`` is the instance's own schedule, None if the strategy's calendars apply. ``calendar`` is the key of the
    calendar of the open cycle, None if the strategy has only one. ``cycle`` is the number of
    the planned cycle, from 1. ``moment`` is its planned date, with the local date and time it was computed from;
    retries do not move it. ``moved_to`` is when the last cycle that ran, or will run, is due, None if that is
    ``moment``; it is ``spread_seconds`` later only to spread the load. No cycle is planned or due after ``end_date``.
    ``has_ended`` means that no further cycle follows. ``on_late`` is the last resume's rule for missed dates, until the
    plan has caught up. ``dated_in`` is the zone in which ``moment`` was computed if the plan has another zone since,
    None otherwise. ``to_skip`` is how many of the cycles that are planned next an operator wants left out.
    """

    schedule: OwnSchedule | None = None
    cycle: int = 1
    moment: Moment | None = None
    moved_to: datetime | None = None
    spread_seconds: int = 0
    calendar: str | None = None
    end_date: datetime | None = None
    has_ended: bool = False
    on_late: OnResume | None = None
    dated_in: str | None = None
    to_skip: int = 0

    @property
    def due(self) -> datetime | None:
        """Return when the last cycle that ran, or will run, is due; None before the first cycle."""
        return self.moved_to or (None if self.moment is None else self.moment.at)

    @property
    def due_before_spread(self) -> datetime | None:
        """Return when that cycle would be due if its calendar did not spread the load."""
        return None if self.due is None else self.due - timedelta(seconds=self.spread_seconds)

    def at_cycle(self, cycle: int, moment: Moment, *, due: datetime, spread_seconds: int = 0) -> "Plan":
        """Return the plan at a cycle."""
        moved_to = None if due == moment.at else due
        # A planned date that stays is still the one that was computed in the earlier zone.
        dated_in = self.dated_in if moment == self.moment else None
        return replace(
            self,
            cycle=cycle,
            moment=moment,
            moved_to=moved_to,
            spread_seconds=spread_seconds,
            dated_in=dated_in,
        )

    def in_another_zone(self, before: str, after: str) -> "Plan":
        """Return the plan after a change of its zone that does not move the planned date.

        An own schedule that names its zone is never dated in that of the plan.
        """
        if self.moment is None or (self.schedule is not None and self.schedule.timezone is not None):
            return self
        known = self.dated_in or before
        return replace(self, dated_in=None if known == after else known)


class Sweep(Struct, frozen=True, kw_only=True):
    """When the sweeper must check an instance, if not at its due date. Every other change resets it.

    ``attempts`` counts the sweeper's wakeups without effect, and ``next_at`` is its next check. ``schedule_at`` is
    when to schedule the wakeup of an event beyond the deployment's horizon, None if the event is within it.
    """

    attempts: int = 0
    next_at: datetime | None = None
    schedule_at: datetime | None = None


class Origin(Struct, frozen=True, kw_only=True):
    """The request that created an instance.

    ``strategy_id`` is the strategy as the caller named it. ``created_by`` is the id of the access key.
    ``request_hash`` is the hash of the body, if the request may be repeated. ``order_id`` is the order's name, from
    which the sid is derived. ``worker`` is the worker that the caller named. ``reference`` is the caller's business
    key.
    """

    strategy_id: str
    created_by: str | None = None
    request_hash: str | None = None
    order_id: str | None = None
    worker: str | None = None
    reference: str | None = None


class Added(Struct, frozen=True, kw_only=True):
    """A request to add an event or to skip cycles. ``key`` and ``body`` are hashes of its Idempotency-Key and its body.

    ``seq`` is the event that it added, or the main event from which on it skipped.
    """

    seq: int
    key: str
    body: str


class Instance(Struct, frozen=True, kw_only=True):
    """One subscription, order or process under a strategy version.

    ``shard`` is its partition of the due index, 0 to 15. ``stop`` is None while it is ACTIVE. ``events`` are its
    unfinished events, and ``next_seq`` is the number of the next one. ``has_run`` means that an event that had begun
    is no longer on it. ``searchable`` are the attributes that it is found by, as its version declares them.

    ``fence`` rises with each claim, takeover and kill, and writes with a lower fence are rejected. ``rev`` rises with
    each saved change. ``blocked`` is the current block (see ``blocked_by``). ``downtimes`` are the last ones that have
    ended, latest last.

    ``failed_events`` are closed events that FAILED and need a person, latest last. ``added`` are the last requests to
    add an event or to skip cycles, which may be repeated. ``operations`` are the last bulk operations that
    changed it. ``outputs`` holds the latest value of each output of its events. ``cancellation`` is set while the
    instance is to be canceled at a date.
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
    searchable: tuple[str, ...] = ()
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
    failed_events: tuple[FailedEvent, ...] = ()
    added: tuple[Added, ...] = ()
    operations: tuple[OperationSid, ...] = ()
    outputs: Mapping[str, Json] = field(default_factory=dict)
    cancellation: ScheduledCancellation | None = None

    def event(self, seq: int) -> Event | None:
        """Return the unfinished event with that number, or None."""
        return next((event for event in self.events if event.seq == seq), None)

    def event_sid(self, event: Event) -> EventSid:
        """Return the sid of an event of the instance."""
        return event_sid(self.sid, event.seq)

    @property
    def main_event(self) -> Event | None:
        """Return its unfinished main event, or None."""
        return next((event for event in self.events if event.is_main), None)

    @property
    def has_begun(self) -> bool:
        """Return whether a runner has ever claimed an event of the instance."""
        return self.has_run or any(event.has_begun for event in self.events)

    @property
    def cancel_reason(self) -> CancelReason | None:
        """Return the cause that canceled it, or None."""
        return None if self.stop is None else self.stop.cancel_reason

    @property
    def stop_note(self) -> str | None:
        """Return why it was stopped, as text for users."""
        return None if self.stop is None else self.stop.note

    def is_paused_for(self, event: Event) -> bool:
        """Return whether it is PAUSED because of this event."""
        return (
            self.status is InstanceStatus.PAUSED
            and self.stop is not None
            and self.stop.for_event == event.seq
        )

    @property
    def is_draining(self) -> bool:
        """Return whether it is stopped while an event that was running then is still in flight."""
        return self.stop is not None and self.stop.drained_at is None

    @property
    def blocked_by(self) -> BlockedBy | None:
        """Return the paused flag that blocks it, or None.

        Also return None while an event is claimed, because the claim checks whether the flag is still paused.
        """
        # The instance then belongs to the partition that the sweeper reads, in case the runner crashes.
        return None if self.blocked is None or self.lease is not None else self.blocked.by

    @property
    def executing(self) -> Event | None:
        """Return the event that the lease covers, or None."""
        return None if self.lease is None else self.event(self.lease.seq)

    def is_claimed(self, seq: int, fence: int) -> bool:
        """Return whether the claim with that fence still holds the event, and nothing has moved the fence since."""
        event = self.executing
        return event is not None and event.seq == seq and event.claim.fence == self.fence == fence

    def claimed_event(self, seq: int, fence: int) -> Event | None:
        """Return the event if the claim with that fence still holds it, else None."""
        return self.event(seq) if self.is_claimed(seq, fence) else None

    def with_event(self, changed: Event) -> "Instance":
        """Return the instance with the event of the same number replaced."""
        return replace(self, events=tuple(changed if e.seq == changed.seq else e for e in self.events))

    def without(self, closed: frozenset[int]) -> "Instance":
        """Return the instance without the events with these numbers."""
        return replace(self, events=tuple(e for e in self.events if e.seq not in closed))

    def stopped(self, status: InstanceStatus, stop: Stoppage) -> "Instance":
        """Return the instance PAUSED, CANCELED or COMPLETED. A final one has no scheduled cancellation."""
        cancellation = None if status.is_final else self.cancellation
        return replace(self, status=status, stop=stop, cancellation=cancellation, updated_at=stop.at)

    def at_rest(self, *, now: datetime) -> "Instance":
        """Return the instance with the lease released. If it is stopped, ``drained_at`` is set."""
        stop = self.stop
        if stop is not None and stop.drained_at is None:
            stop = replace(stop, drained_at=now)
        return replace(self, lease=None, stop=stop, updated_at=now)

    def lets_run(self, event: Event) -> bool:
        """Return whether the instance's status allows this event to run.

        An ACTIVE instance allows every event. A final instance allows only events with ``after_cancellation``.
        """
        if self.status.is_final:
            return event.after_cancellation
        return self.status is InstanceStatus.ACTIVE

    def lets_start(self, event: Event) -> bool:
        """Return whether this event starts by itself when it is due.

        An event that waits for an answer starts if the wait has a time limit. An event that a scheduled cancellation
        bars does not start.
        """
        return self.waits_to_start(event) and not self.bars(event)

    def waits_to_start(self, event: Event) -> bool:
        """Return whether this event starts by itself when it is due, unless a scheduled cancellation bars it."""
        # A paused event starts by itself only when the time for its answer is over.
        lapses = event.pause is not None and event.pause.answer_by is not None
        waits = event.status in (EventStatus.PENDING, EventStatus.QUEUED) or lapses
        return waits and self.lets_run(event)

    def bars(self, event: Event) -> bool:
        """Return whether the scheduled cancellation keeps this event from starting.

        It bars events due at its date or later, and under ``from_cycle`` the events of that cycle and of later ones
        that have not begun. A main event of an earlier cycle that has begun is never barred: it ends first.
        """
        scheduled = self.cancellation
        if scheduled is None or event.after_cancellation:
            return False
        if scheduled.from_cycle is not None and event.is_of_plan:
            is_later = event.created_cycle >= scheduled.from_cycle
            if is_later and not event.has_begun:
                return True
            if event.is_main and event.has_begun and not is_later:
                return False
        # A run that began late, and continues in another invocation, is due before the date like its first step.
        continues = event.status is EventStatus.QUEUED and event.has_begun and event.date < scheduled.at
        return event.due_at >= scheduled.at and not continues
