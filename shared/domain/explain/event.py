"""The reason why one event of an instance had, or had not, run at an instant.

Source: docs/contracts/core.md section 5 (``explain``); docs/decisions/0021.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from shared.domain.explain.reasons import Reason
from shared.domain.instance.downtime import StatusAt
from shared.domain.instance.event import Event, EventStatus, Move, PausedFor
from shared.domain.instance.journal import ClosedBy, EventRecord, JournalEntry
from shared.domain.instance.model import BlockedBy, Instance, ScheduledCancellation
from shared.domain.instance.run import Ending, Intent, RunEnd
from shared.domain.instance.verdict import AuditEntry
from shared.domain.steps.history import PastEvent


class Finding(Struct, frozen=True, kw_only=True):
    """A reason with its evidence: from when until when it applied, who caused it, and why."""

    reason: Reason
    since: datetime | None = None
    until: datetime | None = None
    by: str | None = None
    why: str | None = None


class Question(Struct, frozen=True, kw_only=True):
    """A question about an event at the instant ``at``, which is ``now`` or earlier.

    ``status`` is the status of its instance at that instant. ``blocked_by`` is the flag that is paused now, if any.
    ``unread`` says why the settings of its version cannot be read now, if they cannot. ``audit`` are entries about the
    instance from before the instant, needed if ``needs_audit`` returns True for a record. ``limits`` are the limits
    that events wait for now, as text, by event number.
    """

    instance: Instance
    status: StatusAt
    at: datetime
    now: datetime
    blocked_by: BlockedBy | None = None
    unread: str | None = None
    audit: tuple[AuditEntry, ...] = ()
    limits: Mapping[int, str] = field(default_factory=dict)


_SCHEDULED = "cancel-at"
_SCHEDULING = (_SCHEDULED, "revoke-cancel")
"""The commands of the audit entries about a scheduled cancellation."""

_NEVER_RAN = (Reason.SKIPPED, Reason.COINCIDES, Reason.NO_BUSINESS_DAY, Reason.SUPERSEDED)


def explain_event(question: Question, past: PastEvent) -> Finding:
    """Return why the event had, or had not, run at the instant."""
    record, event = past.record, past.event
    if record is not None:
        outcome = closed_finding(question.instance, record)
        never_ran = outcome.reason in _NEVER_RAN
        if record.finished_at <= question.at or never_ran:
            return outcome
    if event.created_at > question.at:
        return downtime_finding(question.status) or Finding(
            reason=Reason.CREATED_LATER, since=event.created_at
        )
    # The most specific evidence first: the steps around the instant, then the event's status, then its instance's.
    return (
        _in_run(question, past)
        or _by_status(question, event)
        or _had_failed(question, past)
        or downtime_finding(question.status)
        or _to_be_canceled(question, past)
        or _moved(question, event)
        or _waiting(question, past)
    )


def downtime_finding(status: StatusAt) -> Finding | None:
    """Return the downtime that kept the instance from running due events, or None if none is known."""
    downtime = status.downtime
    if downtime is None:
        return None
    if downtime.blocked_by is not None:
        return replace(flag_finding(downtime.blocked_by), since=downtime.since, until=downtime.until)
    return Finding(
        reason=Reason.PAUSED, since=status.since, until=downtime.until, by=downtime.by, why=downtime.why
    )


def cancellation_finding(scheduled: ScheduledCancellation) -> Finding:
    """Return the finding that the instance is canceled before something could run."""
    return Finding(
        reason=Reason.TO_BE_CANCELED,
        since=scheduled.scheduled_at,
        until=scheduled.at,
        by=scheduled.by,
        why=scheduled.note,
    )


def moved_finding(event: Event, move: Move) -> Finding:
    """Return the finding that an event is due on another date than the one it is planned for."""
    return Finding(reason=Reason.MOVED, until=event.first_due_at, why=move.why)


def unread_finding(why: str) -> Finding:
    """Return the finding that the settings cannot be read."""
    return Finding(reason=Reason.UNREADABLE_SETTINGS, why=why)


def flag_finding(flag: BlockedBy) -> Finding:
    """Return the finding for a flag that is paused now."""
    return Finding(reason=Reason.BLOCKED_BY_QUEUE if flag is BlockedBy.QUEUE else Reason.BLOCKED_BY_STRATEGY)


def closed_finding(instance: Instance, record: EventRecord) -> Finding:
    """Return how a closed event ended."""
    event, since = record.event, record.finished_at
    match record.closed_by:
        case ClosedBy.LATE_PLAN:
            # Its author is the one whose resume skipped the date, if any.
            return Finding(reason=Reason.SKIPPED, since=since, by=record.by, why=record.reason or record.why)
        case ClosedBy.COINCIDES | ClosedBy.NO_BUSINESS_DAY:
            return Finding(reason=Reason(record.closed_by.value), since=since, why=record.why)
        case ClosedBy.MIGRATION:
            why = record.reason or record.why
            return Finding(reason=Reason.SUPERSEDED, since=since, by=record.by, why=why)
        case ClosedBy.INSTANCE:
            by = None if instance.stop is None else instance.stop.by
            return Finding(reason=Reason.CANCELED, since=since, by=by, why=_why_ended(instance, record))
        case ClosedBy.OPERATOR | ClosedBy.CONTROLLER | ClosedBy.MAIN_EVENT | ClosedBy.END_DATE:
            why = record.why if record.reason is None else f"{record.why}: {record.reason}"
            by = "controller" if record.closed_by is ClosedBy.CONTROLLER else record.by
            reason = Reason.CANCELED if record.skipped_cycles is None else Reason.SKIPPED
            return Finding(reason=reason, since=since, by=by, why=why)
        case ClosedBy.RUN | ClosedBy.CRASHES:
            reason = {EventStatus.PROCESSED: Reason.RAN, EventStatus.FAILED: Reason.FAILED}.get(
                event.status, Reason.CANCELED
            )
            return Finding(reason=reason, since=since, why=record.why)
        case _:
            assert_never(record.closed_by)


def _why_ended(instance: Instance, record: EventRecord) -> str | None:
    """Return why the event closed with its instance, with the reason given for that."""
    return record.why if instance.stop_note in (None, record.why) else f"{record.why}: {instance.stop_note}"


def _in_run(question: Question, past: PastEvent) -> Finding | None:
    """Return the activity of the event's run by its steps, or None if it was not running or waiting."""
    entries = [step.entry for step in past.steps if step.entry is not None]
    begun = [entry for entry in entries if entry.started_at <= question.at]
    if not begun:
        return None
    last = begun[-1]
    if last.finished_at > question.at:
        return _executing(past, entries, last)
    # An operator's ``execute`` ends the wait, although the journal still has its date.
    is_delay_skipped = (
        past.event.progress.delay_skipped and last is entries[-1] and past.event.updated_at <= question.at
    )
    waits = None if is_delay_skipped else _waits_after(last, question.at)
    if waits is not None:
        return waits
    following = entries[len(begun)] if len(begun) < len(entries) else None
    continues = isinstance(last.then, Intent) and following is not None and following.run == last.run
    if continues and downtime_finding(question.status) is None:
        return _executing(past, entries, last)
    return None


def _executing(past: PastEvent, entries: list[JournalEntry], entry: JournalEntry) -> Finding:
    """Return the finding for an event that was executing the run of a journal entry."""
    began_at = next(other.started_at for other in entries if other.run == entry.run)
    return Finding(reason=Reason.EXECUTING, since=began_at, until=_run_ended_at(past, entry))


def _waits_after(last: JournalEntry, at: datetime) -> Finding | None:
    """Return the wait that follows a step, or None if it does not last until the instant."""
    then = last.then
    if isinstance(then, Intent):
        if then.awaits:
            return Finding(reason=Reason.WAITING_FOR_ANSWER, since=last.finished_at, until=then.answer_by)
        if then.not_before is None or then.not_before <= at:
            return None
        if then.refusal is not None:
            why = None if last.outcome.error is None else last.outcome.error.message
            return Finding(
                reason=Reason.WAITING_FOR_SERVICE, since=then.refusal.since, until=then.not_before, why=why
            )
        return Finding(reason=Reason.WAITING_FOR_DELAY, since=last.finished_at, until=then.not_before)
    failure = then.failure
    if then.how is not Ending.RETRY or failure is None or failure.retry_at is None or failure.retry_at <= at:
        return None
    return Finding(
        reason=Reason.WAITING_FOR_RETRY,
        since=failure.failed_at,
        until=failure.retry_at,
        why=failure.error.message,
    )


def _had_failed(question: Question, past: PastEvent) -> Finding | None:
    """Return the failure of an event that was redriven after the instant, else None."""
    if past.event.updated_at <= question.at and past.record is None:
        return None
    entries = [step.entry for step in past.steps if step.entry is not None]
    ended = [entry for entry in entries if entry.finished_at <= question.at]
    then = ended[-1].then if ended else None
    failure = then.failure if isinstance(then, RunEnd) and then.how is Ending.EXHAUSTED else None
    if failure is None or failure.pauses:
        return None
    return Finding(reason=Reason.FAILED, since=failure.failed_at, why=failure.error.message)


def _by_status(question: Question, event: Event) -> Finding | None:
    """Return the finding for the event's status, if it is unchanged since the instant; None if it just waits."""
    if event.updated_at > question.at or event.status.is_final:
        return _was_onhold(question, event)
    match event.status:
        case EventStatus.EXECUTING:
            return Finding(reason=Reason.EXECUTING, since=event.times.executed_at)
        case EventStatus.ONHOLD:
            return Finding(reason=Reason.ONHOLD, since=event.created_at, why=event.problem)
        case EventStatus.PAUSED if event.paused_for is not None:
            return _paused(question, event, event.paused_for)
        case _:
            return None


def _was_onhold(question: Question, event: Event) -> Finding | None:
    if event.times.left_onhold_at is None or event.times.left_onhold_at <= question.at:
        return None
    return Finding(reason=Reason.ONHOLD, since=event.created_at, until=event.times.left_onhold_at)


def _paused(question: Question, event: Event, paused_for: PausedFor) -> Finding:
    """Return the finding for a PAUSED event.

    The instance's pause has the actor. On a final instance there is none, and the event's own error is the reason.
    """
    pause = downtime_finding(question.status) or Finding(reason=Reason.PAUSED, since=event.updated_at)
    match paused_for:
        case PausedFor.ANSWER:
            answer_by = None if event.pause is None else event.pause.answer_by
            return Finding(reason=Reason.WAITING_FOR_ANSWER, since=event.updated_at, until=answer_by)
        case PausedFor.IN_DOUBT:
            return replace(pause, reason=Reason.IN_DOUBT, since=event.updated_at, why=event.last_error)
        case PausedFor.EXHAUSTED | PausedFor.POISONED | PausedFor.OPERATOR:
            return replace(pause, reason=Reason.PAUSED, why=pause.why or event.last_error)
        case _:
            assert_never(paused_for)


def _to_be_canceled(question: Question, past: PastEvent) -> Finding | None:
    """Return the scheduled cancellation that keeps an event from running, or kept it until it closed, or None."""
    if past.record is not None:
        return _was_to_be_canceled(question, past.record)
    scheduled = question.instance.cancellation
    is_known = scheduled is not None and scheduled.scheduled_at <= question.at
    if not is_known or scheduled is None or not question.instance.bars(past.event):
        return None
    return cancellation_finding(scheduled)


def needs_audit(record: EventRecord) -> bool:
    """Return whether a scheduled cancellation may have kept the event from running; only the audit trail knows."""
    return record.closed_by is ClosedBy.INSTANCE and not record.event.has_begun


def _was_to_be_canceled(question: Question, record: EventRecord) -> Finding | None:
    """Return the cancellation that was scheduled at the instant and closed the event later, or None."""
    if not needs_audit(record):
        return None
    entries = [one for one in question.audit if one.command in _SCHEDULING and one.at <= question.at]
    last = max(entries, key=lambda entry: entry.at, default=None)
    if last is None or last.command != _SCHEDULED:
        return None
    return Finding(
        reason=Reason.TO_BE_CANCELED, since=last.at, until=record.finished_at, by=last.by, why=last.reason
    )


def _moved(question: Question, event: Event) -> Finding | None:
    """Return where an event was moved whose date was later than the instant, or None."""
    move = event.move
    return None if move is None or event.first_due_at <= question.at else moved_finding(event, move)


def _waiting(question: Question, past: PastEvent) -> Finding:
    """Return the finding for an event that was open, with nothing known that kept it from running."""
    event = past.event
    if past.record is None and event.updated_at <= question.at:
        if event.due_at > question.at:
            return _not_yet_due(question, event)
        # Flags and leases have no history, so they explain only the present.
        if question.at == question.now and question.blocked_by is not None:
            return flag_finding(question.blocked_by)
        running = question.instance.executing
        if question.at == question.now and running is not None:
            return Finding(reason=Reason.IN_LINE, since=running.times.executed_at)
        if question.at == question.now and question.unread is not None:
            return unread_finding(question.unread)
        return Finding(reason=Reason.DUE, since=event.due_at)
    return Finding(reason=Reason.UNKNOWN)


def _not_yet_due(question: Question, event: Event) -> Finding:
    """Return the finding for an event that waits inside its run, or that is planned for later."""
    limit = question.limits.get(event.seq)
    if limit is None:
        return Finding(reason=Reason.NOT_YET_DUE, until=event.due_at)
    return Finding(reason=Reason.WAITING_FOR_LIMIT, since=event.updated_at, until=event.due_at, why=limit)


def _run_ended_at(past: PastEvent, entry: JournalEntry) -> datetime | None:
    """Return when the run of a journal entry ended, or None if its last known step was not its end."""
    last = [step.entry for step in past.steps if step.entry is not None and step.run == entry.run][-1]
    return None if isinstance(last.then, Intent) else last.finished_at
