"""The reason why something did, or did not, run on an instance at an instant.

It is derived from the instance, its events around that time, its forecast, and the flags that are paused now.
Source: docs/contracts/core.md section 5; docs/api/core.md (the meaning of ``at``); docs/decisions/0021.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from shared.domain.explain.event import (
    Finding,
    Question,
    cancellation_finding,
    closed_finding,
    downtime_finding,
    explain_event,
    flag_finding,
    moved_finding,
    unread_finding,
)
from shared.domain.explain.moved_dates import A_MINUTE, moved_away
from shared.domain.explain.reasons import Reason
from shared.domain.instance.downtime import StatusAt, status_at
from shared.domain.instance.due import GRACE
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.instance.model import BlockedBy, Instance, InstanceStatus
from shared.domain.instance.skipped import Skipped
from shared.domain.instance.verdict import AuditEntry
from shared.domain.planning.forecast import ForeseenCycle
from shared.domain.steps.history import PastEvent

_REASON_OF = {
    ClosedBy.OPERATOR: Reason.SKIPPED,
    ClosedBy.COINCIDES: Reason.COINCIDES,
    ClosedBy.NO_BUSINESS_DAY: Reason.NO_BUSINESS_DAY,
}
"""Why future cycles do not run, by the ``ClosedBy`` of a cycle."""

MAX_SUBJECTS = 20
"""The most events that an explanation is about."""


class Evidence(Struct, frozen=True, kw_only=True):
    """The facts that an explanation is derived from.

    ``events`` are open and closed events, at least those around the instant. ``ahead`` are the forecast cycles, at
    least up to an instant in the future; with ``plan_ends`` they are all that follow. ``reminders`` are leading-up
    events that run without their cycle, and ``skipped`` the cycles between that will not run. ``blocked_by`` is the
    flag that is paused now. ``audit`` are entries about the instance from around the instant. ``unread`` says why the
    settings cannot be read now, if they cannot; nothing is forecast then. With ``is_incomplete``, events from around
    the instant are no longer kept, or cannot be read. ``limits`` are the limits that events wait for now, as text, by
    event number.
    """

    instance: Instance
    now: datetime
    events: tuple[PastEvent, ...] = ()
    ahead: tuple[ForeseenCycle, ...] = ()
    reminders: tuple[Event, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    plan_ends: bool = False
    blocked_by: BlockedBy | None = None
    audit: tuple[AuditEntry, ...] = ()
    unread: str | None = None
    is_incomplete: bool = False
    limits: Mapping[int, str] = field(default_factory=dict)


class PlannedEvent(Struct, frozen=True, kw_only=True):
    """An event with its cycle. ``past`` is None if it is only forecast."""

    event: Event
    cycle: int
    past: PastEvent | None = None


class EventExplanation(Struct, frozen=True, kw_only=True):
    """The reason why one event had, or had not, run."""

    planned: PlannedEvent
    finding: Finding


class Explanation(Struct, frozen=True, kw_only=True):
    """The reason why something did, or did not, run.

    ``finding`` is that of the first event or, if no event was to run then, of the instance. ``before`` and ``after``
    are the nearest planned events, as far as they are known. ``unreadable`` has the events and audit entries from
    around the instant that cannot be read, by their ids, with the reasons.
    """

    at: datetime
    finding: Finding
    status: StatusAt | None
    events: tuple[EventExplanation, ...] = ()
    before: PlannedEvent | None = None
    after: PlannedEvent | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)


def subjects(instance: Instance, records: Iterable[EventRecord], at: datetime) -> tuple[int, ...]:
    """Return the numbers of the events that a question about an instant refers to, main events first.

    These are the events planned for that minute, last begun in it, or skipped with a range of dates around it. If there
    are none, these are the events whose date had passed and that had not closed.
    """
    # The record of an event that is open again does not count.
    closed = [record for record in records if instance.event(record.event.seq) is None]
    pairs: list[tuple[Event, EventRecord | None]] = [(record.event, record) for record in closed]
    pairs += [(event, None) for event in instance.events]
    minute = at.replace(second=0, microsecond=0)
    found = [(event, record) for event, record in pairs if _belongs_to(event, record, minute)]
    if not found:
        found = [(event, record) for event, record in pairs if _was_open(event, record, at)]
    found.sort(key=lambda pair: (not pair[0].is_main, _coincides(pair[1]), -pair[0].seq))
    return tuple(event.seq for event, _ in found[:MAX_SUBJECTS])


def has_gap(
    instance: Instance, seqs_created: Mapping[int, datetime], at: datetime, *, first: int = 1
) -> bool:
    """Return whether an event that was created about an instant is not known.

    ``seqs_created`` has the known events, open and closed, by number. All from ``first`` on have been read. Events are
    numbered as they are created, and an event that ran at the instant is among the last ones created before its minute.
    """
    minute = at.replace(second=0, microsecond=0)
    below = max((seq for seq, created_at in seqs_created.items() if created_at < minute), default=0)
    above = min(
        (seq for seq, created_at in seqs_created.items() if created_at > at), default=instance.next_seq
    )
    return any(seq not in seqs_created for seq in range(max(below + 1, first), above))


def explain(evidence: Evidence, event_seqs: Sequence[int], at: datetime) -> Explanation:
    """Return the explanation for an instant.

    ``event_seqs`` are the events to explain, as ``subjects`` returns them; none if ``at`` is in the future.
    """
    before, after = _neighbours(evidence, at)
    if at < evidence.instance.created_at:
        created = Finding(reason=Reason.CREATED_LATER, since=evidence.instance.created_at)
        return Explanation(at=at, finding=created, status=None, after=after)
    if at > evidence.now:
        return _ahead(evidence, at, before, after)
    status = status_at(evidence.instance, at, evidence.audit)
    events = tuple(_explained_events(evidence, event_seqs, at)) or _moved_by_command(evidence, at)
    finding = events[0].finding if events else _without_event(evidence, status, at, after)
    return Explanation(at=at, finding=finding, status=status, events=events, before=before, after=after)


def _explained_events(
    evidence: Evidence, event_seqs: Sequence[int], at: datetime
) -> Iterator[EventExplanation]:
    minute = at.replace(second=0, microsecond=0)
    by_seq = {past.event.seq: past for past in evidence.events}
    for seq in event_seqs:
        past = by_seq.get(seq)
        if past is None:
            continue
        # An event of this minute is judged when it should have begun at the latest, even after a lost wakeup.
        belongs = _belongs_to(past.event, past.record, minute)
        judged_at = min(minute + A_MINUTE + GRACE, evidence.now) if belongs else at
        question = Question(
            instance=evidence.instance,
            status=status_at(evidence.instance, judged_at, evidence.audit),
            at=judged_at,
            now=evidence.now,
            blocked_by=evidence.blocked_by,
            unread=evidence.unread,
            audit=evidence.audit,
            limits=evidence.limits,
        )
        yield EventExplanation(planned=_planned(past), finding=explain_event(question, past))


def _without_event(evidence: Evidence, status: StatusAt, at: datetime, after: PlannedEvent | None) -> Finding:
    """Return why no event was to run at the instant: by the instance's status, or because none was planned."""
    downtime = downtime_finding(status)
    if downtime is not None:
        return downtime
    if status.status is InstanceStatus.CANCELED:
        return Finding(reason=Reason.CANCELED, since=status.since, by=status.by, why=status.why)
    if status.status is InstanceStatus.COMPLETED:
        return Finding(reason=Reason.COMPLETED, since=status.since, by=status.by, why=status.why)
    if at == evidence.now and evidence.blocked_by is not None:
        return flag_finding(evidence.blocked_by)
    if status.status is None or evidence.is_incomplete:
        return Finding(reason=Reason.UNKNOWN)
    has_ended = evidence.instance.plan.has_ended and after is None
    return Finding(reason=Reason.PLAN_ENDED if has_ended else Reason.NOT_PLANNED)


def _ahead(
    evidence: Evidence, at: datetime, before: PlannedEvent | None, after: PlannedEvent | None
) -> Explanation:
    """Return the explanation for a future instant, by the present state and the forecast."""
    instance = evidence.instance
    status = status_at(instance, evidence.now)
    flag = None if evidence.blocked_by is None else flag_finding(evidence.blocked_by)
    unread = None if evidence.unread is None else unread_finding(evidence.unread)
    downtime = downtime_finding(status)
    if downtime is not None and downtime.until is not None and downtime.until <= at:
        downtime = None  # the pause ends by itself before
    obstacle = downtime or flag or unread
    events = tuple(_explained_ahead(evidence, at, obstacle)) or _moved_by_command(evidence, at)
    not_run = next((one for one in evidence.skipped if _is_in(one, at)), None)
    if events:
        finding = events[0].finding
    elif instance.status.is_final:
        finding = _without_event(evidence, status, at, after)
    elif instance.cancellation is not None and instance.cancellation.at <= at:
        finding = cancellation_finding(instance.cancellation)
    elif not_run is not None:
        finding = Finding(reason=_REASON_OF[not_run.cause], why=not_run.why)
    else:
        finding = obstacle or _not_forecast(evidence, after)
    return Explanation(at=at, finding=finding, status=status, events=events, before=before, after=after)


def _explained_ahead(evidence: Evidence, at: datetime, obstacle: Finding | None) -> list[EventExplanation]:
    """Return the events of a future minute: those that are due then, that are moved away from it, and closed ones."""
    minute, instance = at.replace(second=0, microsecond=0), evidence.instance
    due: list[EventExplanation] = []
    others: list[EventExplanation] = []
    for planned in _all_planned(evidence):
        event, record = planned.event, None if planned.past is None else planned.past.record
        if record is not None:
            if _belongs_to(event, record, minute):
                others.append(EventExplanation(planned=planned, finding=closed_finding(instance, record)))
        elif minute <= event.date < minute + A_MINUTE:
            due.append(EventExplanation(planned=planned, finding=_not_yet(instance, event, obstacle)))
        elif event.move is not None and minute <= event.move.planned < minute + A_MINUTE:
            finding = _not_on_date(instance, event) or moved_finding(event, event.move)
            others.append(EventExplanation(planned=planned, finding=finding))
    found = [*_main_first(due), *_main_first(others)]
    return found[:MAX_SUBJECTS]


def _moved_by_command(evidence: Evidence, at: datetime) -> tuple[EventExplanation, ...]:
    """Return the event that a command moved away from the minute, as the audit entries have it; none if unknown."""
    move = moved_away(evidence.audit, at.replace(second=0, microsecond=0))
    past = next((past for past in evidence.events if move and past.event.seq == move.seq), None)
    if move is None or past is None:
        return ()
    finding = Finding(
        reason=Reason.MOVED, since=move.at, until=past.event.first_due_at, by=move.by, why=move.why
    )
    barred = _not_on_date(evidence.instance, past.event) if past.record is None else None
    return (EventExplanation(planned=_planned(past), finding=barred or finding),)


def _main_first(found: list[EventExplanation]) -> list[EventExplanation]:
    return sorted(found, key=lambda one: not one.planned.event.is_main)


def _not_yet(instance: Instance, event: Event, obstacle: Finding | None) -> Finding:
    waits = obstacle or Finding(reason=Reason.NOT_YET_DUE, until=event.date)
    return _not_on_date(instance, event) or waits


def _not_on_date(instance: Instance, event: Event) -> Finding | None:
    """Return why an open event does not run on whatever date it has, or None."""
    if instance.cancellation is not None and instance.bars(event):
        return cancellation_finding(instance.cancellation)
    if event.status is EventStatus.ONHOLD:
        return Finding(reason=Reason.ONHOLD, since=event.created_at, why=event.problem)
    return None


def _is_in(skipped: Skipped, at: datetime) -> bool:
    """Return whether an instant is among dates that will not run. Those that a pause lets pass are its own reason."""
    first, minute = skipped.first_at, at.replace(second=0, microsecond=0)
    return skipped.cause in _REASON_OF and first < minute + A_MINUTE and minute <= skipped.last_at


def _not_forecast(evidence: Evidence, after: PlannedEvent | None) -> Finding:
    if after is not None or evidence.instance.cancellation is not None:
        return Finding(reason=Reason.NOT_PLANNED)
    return Finding(reason=Reason.PLAN_ENDED if evidence.plan_ends else Reason.UNKNOWN)


def _neighbours(evidence: Evidence, at: datetime) -> tuple[PlannedEvent | None, PlannedEvent | None]:
    """Return the planned events nearest to the minute of an instant, before it and after it."""
    minute = at.replace(second=0, microsecond=0)
    planned = sorted(_all_planned(evidence), key=lambda planned: planned.event.first_due_at)
    before = [earlier for earlier in planned if earlier.event.first_due_at < minute]
    after = (later for later in planned if later.event.first_due_at >= minute + A_MINUTE)
    return (before[-1] if before else None), next(after, None)


def _all_planned(evidence: Evidence) -> Iterator[PlannedEvent]:
    """Yield the known events, and the forecast ones that are not among them."""
    for past in evidence.events:
        yield _planned(past)
    known_seqs = {event.seq for event in evidence.instance.events}
    for cycle in evidence.ahead:
        for event in (*cycle.leading_up, cycle.main):
            if event.seq not in known_seqs:
                yield PlannedEvent(event=event, cycle=cycle.cycle)
    for event in evidence.reminders:
        if event.seq not in known_seqs:
            yield PlannedEvent(event=event, cycle=event.created_cycle)


def _planned(past: PastEvent) -> PlannedEvent:
    return PlannedEvent(event=past.event, cycle=past.event.created_cycle, past=past)


def _belongs_to(event: Event, record: EventRecord | None, minute: datetime) -> bool:
    """Return whether it was planned for a minute, last begun in it, or skipped with dates around it."""
    end = minute + A_MINUTE
    begun = event.times.executed_at
    dates = [event.first_due_at, event.planned_date, *([] if begun is None else [begun])]
    if any(minute <= date < end for date in dates):
        return True
    until = None if record is None else record.skipped_until
    return until is not None and event.first_due_at < end and minute <= until


def _coincides(record: EventRecord | None) -> bool:
    """Return whether the record is of cycles that did not run because another one did."""
    return record is not None and record.closed_by is ClosedBy.COINCIDES


def _was_open(event: Event, record: EventRecord | None, at: datetime) -> bool:
    return event.first_due_at <= at and (record is None or record.finished_at > at)
