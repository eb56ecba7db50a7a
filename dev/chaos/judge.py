"""Compare the calls that services received with the history that the engine stored: facts in, violations out."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

REFUSALS = (409, 425, 429, 503)
"""Statuses by which a service refuses a call for now: it says that there was no effect, and is called again.

The key stays the same. So even if the service lies, a second effect shows that the key has changed.
"""

_STARTS = ("PENDING", "QUEUED", "EXECUTING")
"""Statuses of an open event that starts, or ends, without a command."""


class Rule(StrEnum):
    """A rule that must hold, whatever went wrong."""

    UNKNOWN_CALL = "unknown call"
    """A call was received that the history does not know."""
    UNRECEIVED = "unreceived"
    """The history has an answer to a call that no service gave."""
    DOUBLED = "doubled unmarked"
    """A call was received twice, or took effect twice, and the event is not marked as in doubt."""
    LOST = "lost"
    """An event was due and neither ran nor was stopped by a command."""
    COMMAND = "command without effect"
    """A command was answered with success and has not taken effect."""
    STARTED_TWICE = "started twice"
    """Requests under one Idempotency-Key started more than one instance."""
    CALLED_AFTER_STOP = "called after a stop"
    """A call began after a cancel or a pause of its instance, with no step in flight (``dev.chaos.stops``)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule, and the event, instance or call that shows it."""

    rule: Rule
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call as a service received it at ``at``, real time. ``status`` is the one it answered or tried to answer."""

    key: str
    at: datetime
    path: str
    status: int
    effect: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFact:
    """A stored step. ``sent`` means that it made a call, ``answered`` is the HTTP status that the engine read."""

    key: str
    success: bool
    in_doubt: bool = False
    repeat: bool = False
    sent: bool = True
    answered: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFact:
    """A stored event. ``cycle`` is the last cycle it stands for, ``first_cycle`` the first one.

    ``skipped`` says that these cycles did not run, because their dates had passed. ``begun_at`` is its first claim;
    ``job`` the invocation of its last one. With ``after_cancellation`` it may run after a cancel of its instance.
    """

    sid: str
    status: str
    is_main: bool
    cycle: int
    first_cycle: int
    date: datetime
    due_at: datetime
    is_open: bool
    in_doubt: bool = False
    skipped: bool = False
    after_cancellation: bool = False
    begun_at: datetime | None = None
    job: str | None = None
    steps: tuple[StepFact, ...] = ()

    @property
    def is_marked(self) -> bool:
        """Whether the event, or a step of it, says that a call may have been sent twice."""
        return self.in_doubt or any(step.in_doubt or step.repeat for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFact:
    """A stored instance. ``period`` and ``end`` are those of its plan if it is known to recur evenly.

    ``retries`` says whether its attempts never run out. Else a failed step may end it. ``has_own_schedule`` says
    whether a cron expression of its own dates it, which may have no date at all. ``start_key`` is the Idempotency-Key
    of the request that started it, which it has as an attribute. ``drained_at`` is when the last step in flight of an
    ended instance had ended, by the engine's clock.
    """

    sid: str
    status: str
    start: datetime
    cycle: int
    events: tuple[EventFact, ...]
    retries: bool = True
    has_own_schedule: bool = False
    period: timedelta | None = None
    end: datetime | None = None
    start_key: str | None = None
    drained_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The requests to start one instance, all under one Idempotency-Key.

    ``sids`` are the instances that the answers name. ``succeeded`` says whether an answer was a success.
    """

    key: str
    sids: frozenset[str] = frozenset()
    succeeded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The commands that were sent: instances that were created, and how often each command was sent and answered.

    A command that was sent and not answered may or may not have taken effect.
    """

    created: Sequence[str] = ()
    starts: Sequence[Start] = ()
    cancels_sent: Sequence[str] = ()
    cancels_answered: Sequence[str] = ()


def judge(
    instances: Sequence[InstanceFact], ledger: Sequence[Call], commands: Commands, *, now: datetime
) -> list[Violation]:
    """Return every violation. ``now`` is a moment at which nothing runs and everything is healthy."""
    found = [*_calls(instances, ledger)]
    cancelable = set(commands.cancels_sent)
    for instance in instances:
        found += _lost(instance, now, may_be_canceled=instance.sid in cancelable)
    found += _unkept(instances, commands)
    found += _started(instances, commands.starts)
    return found


def _calls(instances: Sequence[InstanceFact], ledger: Sequence[Call]) -> Iterator[Violation]:
    received: Mapping[str, list[Call]] = _by_key(ledger)
    events = {event.sid: event for instance in instances for event in instance.events}
    known = {step.key for event in events.values() for step in event.steps}
    for key, calls in received.items():
        event = events.get(event_of(key))
        if event is None:
            yield Violation(Rule.UNKNOWN_CALL, f"{key} belongs to no event")
            continue
        if key not in known and not event.is_marked:
            yield Violation(Rule.UNKNOWN_CALL, f"{key} was received and is not in the history")
        arrivals = sum(call.status not in REFUSALS for call in calls)
        if arrivals > 1 and not event.is_marked:
            yield Violation(Rule.DOUBLED, f"{key} was received {arrivals} times")
    effects = Counter((event_of(call.key), call.path) for call in ledger if call.effect)
    for (sid, path), times in effects.items():
        if times > 1 and sid in events and not events[sid].is_marked:
            yield Violation(Rule.DOUBLED, f"{sid} took effect {times} times at {path}")
    for event in events.values():
        yield from _answers(event, received)


def _answers(event: EventFact, received: Mapping[str, list[Call]]) -> Iterator[Violation]:
    for step in event.steps:
        if not step.sent:
            continue
        calls = received.get(step.key, [])
        if step.success and not calls:
            yield Violation(Rule.UNRECEIVED, f"{step.key} succeeded and was never received")
        elif step.answered is not None and step.answered not in {call.status for call in calls}:
            seen = sorted({call.status for call in calls})
            yield Violation(
                Rule.UNRECEIVED, f"{step.key} was answered {step.answered}; the service says {seen}"
            )


def _lost(instance: InstanceFact, now: datetime, *, may_be_canceled: bool) -> Iterator[Violation]:
    is_canceled = instance.status == "CANCELED"
    has_failed = any(_may_have_failed(instance, event) for event in instance.events)
    if is_canceled and not may_be_canceled and not has_failed:
        yield Violation(Rule.LOST, f"{instance.sid} is canceled, and no cancel was sent")
    for event in instance.events:
        waits = event.is_open and event.status in _STARTS and event.due_at <= now
        if waits and (event.status == "EXECUTING" or not is_canceled):
            yield Violation(Rule.LOST, f"{event.sid} is {event.status} since {event.due_at.isoformat()}")
        if not event.is_open and event.status == "FAILED" and not _may_have_failed(instance, event):
            yield Violation(Rule.LOST, f"{event.sid} was given up")
        if event.status == "CANCELED" and not (event.is_open or is_canceled or _made_up_for(instance, event)):
            yield Violation(Rule.LOST, f"{event.sid} is canceled, and its instance is {instance.status}")
    mains = [event for event in instance.events if event.is_main]
    cycles = sorted(cycle for event in mains for cycle in range(event.first_cycle, event.cycle + 1))
    is_dateless = instance.has_own_schedule and not mains and instance.status == "COMPLETED"
    if cycles != list(range(1, instance.cycle + 1)) and not is_dateless:
        yield Violation(Rule.LOST, f"{instance.sid} has the cycles {cycles} of {instance.cycle}")
    yield from _unplanned(instance, mains, is_canceled=is_canceled)


def _made_up_for(instance: InstanceFact, skipped: EventFact) -> bool:
    """Return whether the next main event makes up for skipped cycles, as in an own schedule (ADR 63)."""
    return (
        instance.has_own_schedule
        and skipped.skipped
        and any(event.is_main and event.first_cycle == skipped.cycle + 1 for event in instance.events)
    )


def _may_have_failed(instance: InstanceFact, event: EventFact) -> bool:
    """Return whether an event failed because its last step did, and nothing else would have repeated it."""
    return (
        not instance.retries
        and event.status == "FAILED"
        and bool(event.steps)
        and not event.steps[-1].success
    )


def _unplanned(
    instance: InstanceFact, mains: Sequence[EventFact], *, is_canceled: bool
) -> Iterator[Violation]:
    """Check the dates of an even plan, and that it has reached its end."""
    if instance.period is None or instance.end is None:
        return
    for event in mains:
        planned = instance.start + instance.period * (event.first_cycle - 1)
        if event.date != planned:
            yield Violation(
                Rule.LOST, f"{event.sid} is dated {event.date.isoformat()}, not {planned.isoformat()}"
            )
    planned_cycles = 1 + (instance.end - instance.start) // instance.period
    if not is_canceled and instance.cycle != planned_cycles:
        yield Violation(Rule.LOST, f"{instance.sid} has {instance.cycle} of {planned_cycles} cycles")


def _unkept(instances: Sequence[InstanceFact], commands: Commands) -> Iterator[Violation]:
    status = {instance.sid: instance.status for instance in instances}
    for sid in commands.created:
        if sid not in status:
            yield Violation(Rule.COMMAND, f"{sid} was created and does not exist")
    for sid in commands.cancels_answered:
        if status.get(sid) not in ("CANCELED", "COMPLETED"):
            yield Violation(Rule.COMMAND, f"{sid} was canceled and is {status.get(sid)}")


def _started(instances: Sequence[InstanceFact], starts: Sequence[Start]) -> Iterator[Violation]:
    # Not every dialect names the instance in its answer, and an answer may be lost. The attribute is always there.
    stored: defaultdict[str | None, set[str]] = defaultdict(set)
    for instance in instances:
        stored[instance.start_key].add(instance.sid)
    for start in starts:
        sids = start.sids | stored[start.key]
        if len(sids) > 1:
            yield Violation(Rule.STARTED_TWICE, f"{start.key} started {', '.join(sorted(sids))}")
        if start.succeeded and not sids:
            yield Violation(Rule.COMMAND, f"{start.key} was answered with success and started nothing")


def event_of(key: str) -> str:
    """Return the sid of the event that a call key belongs to."""
    return key.rsplit("-", 2)[0]


def _by_key(ledger: Sequence[Call]) -> Mapping[str, list[Call]]:
    found: defaultdict[str, list[Call]] = defaultdict(list)
    for call in ledger:
        found[call.key].append(call)
    return found
