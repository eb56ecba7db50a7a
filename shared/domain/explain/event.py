"""Why one event of an instance had, or had not, run at an instant.

Source: contracts/core.md section 5 (``explain``); docs/decisions/0021.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from shared.domain.explain.reasons import Reason
from shared.domain.instance.downtime import StatusAt
from shared.domain.instance.event import Event, EventStatus, PausedFor
from shared.domain.instance.journal import ClosedBy, EventRecord, JournalEntry
from shared.domain.instance.model import BlockedBy, Instance
from shared.domain.instance.run import Ending, Intent, RunEnd
from shared.domain.steps.history import PastEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A reason, with its evidence: since and until when it held, by whom and why it came about."""

    reason: Reason
    since: datetime | None = None
    until: datetime | None = None
    by: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about an event: the state of things at ``at``, which is ``now`` or before it.

    stood: where its instance stood then. blocked_by: the flag that is up now, if one is.
    """

    instance: Instance
    stood: StatusAt
    at: datetime
    now: datetime
    blocked_by: BlockedBy | None = None


def told(asked: Question, past: PastEvent) -> Told:
    """Why the event had or had not run by then."""
    record, event = past.record, past.event
    if record is not None:
        fate = _fate(asked.instance, record)
        never_ran = fate.reason in (Reason.SKIPPED, Reason.SUPERSEDED)
        if record.finished_at <= asked.at or never_ran:
            return fate
    if event.created_at > asked.at:
        return stood_still(asked.stood) or Told(reason=Reason.CREATED_LATER, since=event.created_at)
    return (
        _under_way(asked, past)
        or _as_it_stands(asked, event)
        or _had_failed(asked, past)
        or stood_still(asked.stood)
        or _waiting(asked, past)
    )


def stood_still(stood: StatusAt) -> Told | None:
    """What kept the instance from running anything then; None where nothing is known to have."""
    downtime = stood.downtime
    if downtime is None:
        return None
    if downtime.blocked_by is not None:
        return replace(held(downtime.blocked_by), since=downtime.since, until=downtime.until)
    return Told(
        reason=Reason.PAUSED, since=stood.since, until=downtime.until, by=downtime.by, why=downtime.why
    )


def held(flag: BlockedBy) -> Told:
    """A flag that is up now."""
    return Told(reason=Reason.HELD_BY_QUEUE if flag is BlockedBy.QUEUE else Reason.HELD_BY_STRATEGY)


def _fate(instance: Instance, record: EventRecord) -> Told:
    """What a closed event came to in the end."""
    event, since = record.event, record.finished_at
    match record.closed_by:
        case ClosedBy.LATE_PLAN:
            return Told(reason=Reason.SKIPPED, since=since, by=record.by, why=record.reason or record.why)
        case ClosedBy.MIGRATION:
            return Told(reason=Reason.SUPERSEDED, since=since, by=record.by, why=record.reason or record.why)
        case ClosedBy.INSTANCE:
            by = None if instance.stop is None else instance.stop.by
            return Told(reason=Reason.CANCELED, since=since, by=by, why=_ended(instance, record))
        case ClosedBy.OPERATOR | ClosedBy.CONTROLLER | ClosedBy.MAIN_EVENT | ClosedBy.END_DATE:
            why = record.why if record.reason is None else f"{record.why}: {record.reason}"
            by = "controller" if record.closed_by is ClosedBy.CONTROLLER else record.by
            return Told(reason=Reason.CANCELED, since=since, by=by, why=why)
        case ClosedBy.RUN | ClosedBy.CRASHES:
            reason = {EventStatus.PROCESSED: Reason.RAN, EventStatus.FAILED: Reason.FAILED}.get(
                event.status, Reason.CANCELED
            )
            return Told(reason=reason, since=since, why=record.why)
        case _:
            assert_never(record.closed_by)


def _ended(instance: Instance, record: EventRecord) -> str | None:
    """Why its instance closed it, with what was given for that."""
    return record.why if instance.stop_note in (None, record.why) else f"{record.why}: {instance.stop_note}"


def _under_way(asked: Question, past: PastEvent) -> Told | None:
    """What its own run was at, as far as its steps tell; None where it was not, or had been set down."""
    entries = [step.entry for step in past.steps if step.entry is not None]
    begun = [entry for entry in entries if entry.started_at <= asked.at]
    if not begun:
        return None
    last = begun[-1]
    if last.finished_at > asked.at:
        return Told(reason=Reason.EXECUTING, since=_run_began(entries, last), until=_run_ended(past, last))
    is_hurried = (
        past.event.progress.delay_skipped and last is entries[-1] and past.event.updated_at <= asked.at
    )
    waits = None if is_hurried else _waits_after(last, asked.at)
    if waits is not None:
        return waits
    resumed = entries[len(begun)] if len(begun) < len(entries) else None
    goes_on = isinstance(last.then, Intent) and resumed is not None and resumed.run == last.run
    if goes_on and stood_still(asked.stood) is None:
        return Told(reason=Reason.EXECUTING, since=_run_began(entries, last), until=_run_ended(past, last))
    return None


def _waits_after(last: JournalEntry, at: datetime) -> Told | None:
    """A date that what follows a step waits for."""
    then = last.then
    if isinstance(then, Intent):
        if then.awaits:
            return Told(reason=Reason.WAITING_FOR_ANSWER, since=last.finished_at, until=then.answer_by)
        if then.not_before is None or then.not_before <= at:
            return None
        return Told(reason=Reason.WAITING_FOR_DELAY, since=last.finished_at, until=then.not_before)
    failure = then.failure
    if then.how is not Ending.RETRY or failure is None or failure.retry_at is None or failure.retry_at <= at:
        return None
    return Told(
        reason=Reason.WAITING_FOR_RETRY,
        since=failure.failed_at,
        until=failure.retry_at,
        why=failure.error.message,
    )


def _had_failed(asked: Question, past: PastEvent) -> Told | None:
    """The failure it had come to by then, where it was run again only later."""
    if past.event.updated_at <= asked.at and past.record is None:
        return None
    entries = [step.entry for step in past.steps if step.entry is not None]
    ends = [entry for entry in entries if entry.finished_at <= asked.at]
    then = ends[-1].then if ends else None
    failed = isinstance(then, RunEnd) and then.how is Ending.EXHAUSTED and then.failure
    if not failed or failed.pauses:
        return None
    return Told(reason=Reason.FAILED, since=failed.failed_at, why=failed.error.message)


def _as_it_stands(asked: Question, event: Event) -> Told | None:
    """What its status says, where that has not changed since then; None where it merely waits."""
    if event.updated_at > asked.at or event.status.is_final:
        return _off_hold_since(asked, event)
    match event.status:
        case EventStatus.EXECUTING:
            return Told(reason=Reason.EXECUTING, since=event.times.executed_at)
        case EventStatus.ONHOLD:
            return Told(reason=Reason.ON_HOLD, since=event.created_at, why=event.problem)
        case EventStatus.PAUSED if event.paused_for is not None:
            return _paused(asked, event, event.paused_for)
        case _:
            return None


def _off_hold_since(asked: Question, event: Event) -> Told | None:
    if event.times.off_hold_at is None or event.times.off_hold_at <= asked.at:
        return None
    return Told(reason=Reason.ON_HOLD, since=event.created_at, until=event.times.off_hold_at)


def _paused(asked: Question, event: Event, what_for: PausedFor) -> Told:
    """Whom it waits for. Its instance's pause says who did it; alone on a final instance, its own error does."""
    instance = stood_still(asked.stood) or Told(reason=Reason.PAUSED, since=event.updated_at)
    why = instance.why or event.last_error
    match what_for:
        case PausedFor.ANSWER:
            answer_by = None if event.pause is None else event.pause.answer_by
            return Told(reason=Reason.WAITING_FOR_ANSWER, since=event.updated_at, until=answer_by)
        case PausedFor.IN_DOUBT:
            return replace(instance, reason=Reason.IN_DOUBT, since=event.updated_at, why=event.last_error)
        case PausedFor.EXHAUSTED | PausedFor.POISONED | PausedFor.OPERATOR:
            return replace(instance, reason=Reason.PAUSED, why=why)
        case _:
            assert_never(what_for)


def _waiting(asked: Question, past: PastEvent) -> Told:
    """An event that was open then, and that nothing we know of kept from running."""
    event = past.event
    if past.record is None and event.updated_at <= asked.at:
        if event.due_at > asked.at:
            return Told(reason=Reason.NOT_YET_DUE, until=event.due_at)
        if asked.at == asked.now and asked.blocked_by is not None:
            return held(asked.blocked_by)
        running = asked.instance.executing
        if asked.at == asked.now and running is not None:
            return Told(reason=Reason.IN_LINE, since=running.times.executed_at)
        return Told(reason=Reason.DUE, since=event.due_at)
    return Told(reason=Reason.UNKNOWN)


def _run_began(entries: list[JournalEntry], of: JournalEntry) -> datetime:
    return next(entry.started_at for entry in entries if entry.run == of.run)


def _run_ended(past: PastEvent, of: JournalEntry) -> datetime | None:
    last = [step.entry for step in past.steps if step.entry is not None and step.run == of.run][-1]
    return None if isinstance(last.then, Intent) else last.finished_at
