"""The answers about the past: history and explanations. Source: docs/contracts/core.md section 5."""

from datetime import datetime

from shared.api.core import answers
from shared.api.core.paging import unreadable_shapes
from shared.api.core.render import date_text, error_shape, event_members, milliseconds
from shared.api.http.shapes import omit_unset
from shared.domain.calendar.dates import format_instant
from shared.domain.explain.event import Finding
from shared.domain.explain.instance import EventExplanation, Explanation, PlannedEvent
from shared.domain.instance.downtime import StatusAt
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.instance.run import Intent
from shared.domain.steps.history import PastEvent, StepOutcome, TakenStep
from shared.domain.steps.request_digest import CallTarget, target_of
from shared.domain.strategy.model import Strategy

# The service may have carried out these calls, although no response arrived.
_IN_DOUBT = (StepOutcome.UNANSWERED, StepOutcome.CUT_OFF)


@omit_unset
def past_event_shape(
    instance: Instance, past: PastEvent, strategy: Strategy | None
) -> answers.PastEventShape:
    """Return an event with every step of every run.

    ``strategy`` is in the version that the event is bound to, or None if that cannot be read.
    """
    record = past.record
    shape = event_members(instance, past.event, finished_at=None if record is None else record.finished_at)
    closing: answers.Closing = {} if record is None else _closing(record)
    return {
        **shape,
        **closing,
        "steps": [_step(step, past.event.task, strategy) for step in past.steps],
        "worker": instance.origin.worker,
    }


@omit_unset
def explanation_shape(instance: Instance, found: Explanation) -> answers.ExplanationShape:
    """Return the reason why something did or did not run."""
    return {
        **_evidence(found.finding),
        "at": format_instant(found.at),
        "instance": None if found.status is None else _status_then(found.status),
        "events": [_answer(instance, answer) for answer in found.events],
        "before": None if found.before is None else _planned(instance, found.before),
        "after": None if found.after is None else _planned(instance, found.after),
        "unreadable": unreadable_shapes(found.unreadable.items()) or None,
    }


@omit_unset
def _closing(record: EventRecord) -> answers.Closing:
    skipped = record.skipped_cycles
    return answers.Closing(
        closedBy=record.closed_by,
        by=record.by,
        why=record.why,
        reason=record.reason,
        inDoubt=record.in_doubt or None,
        skippedCycles=None if skipped is None else {"first": skipped[0], "last": skipped[1]},
        skippedUntil=date_text(record.skipped_until),
    )


@omit_unset
def _step(step: TakenStep, task: str, strategy: Strategy | None) -> answers.PastStep:
    """Return one execution of a step, without its response, which the event itself shows."""
    intent, entry = step.intent, step.entry
    error = None if entry is None else entry.outcome.error
    return answers.PastStep(
        step=step.step,
        path=step.path,
        run=step.run,
        attempt=step.attempt,
        outcome=step.outcome,
        fromCache=step.outcome is StepOutcome.FROM_CACHE,
        until=date_text(_repeated_at(step)),
        inDoubt=step.outcome in _IN_DOUBT or None,
        callKey=None if intent is None else intent.call_key,
        repeated=None if intent is None else intent.repeat or None,
        request=None
        if entry is None or entry.digest is None
        else _request(entry.digest, None if strategy is None else target_of(strategy, task, step.step)),
        status=None if entry is None else entry.answered,
        error=None if error is None else error_shape(error),
        notes=None if entry is None else list(entry.outcome.notes) or None,
        startedAt=None if entry is None else date_text(entry.started_at),
        finishedAt=None if entry is None else date_text(entry.finished_at),
        duration=None if entry is None else milliseconds(entry.finished_at - entry.started_at),
    )


def _repeated_at(step: TakenStep) -> datetime | None:
    """Return when a call is sent again that its service has refused for now, or None."""
    then = None if step.entry is None or step.outcome is not StepOutcome.REFUSED else step.entry.then
    return then.not_before if isinstance(then, Intent) else None


def _request(digest: str, target: CallTarget | None) -> answers.RequestDigest:
    # The strategy's settings have no call for this step, so only the digest is known.
    if target is None:
        return {"digest": digest}
    return {"digest": digest, "action": target.action, "method": target.method.upper(), "host": target.host}


@omit_unset
def _evidence(evidence: Finding) -> answers.Evidence:
    return answers.Evidence(
        reason=evidence.reason,
        since=date_text(evidence.since),
        until=date_text(evidence.until),
        by=evidence.by,
        why=evidence.why,
    )


@omit_unset
def _status_then(then: StatusAt) -> answers.StatusThen:
    return answers.StatusThen(status=then.status, since=date_text(then.since), by=then.by, why=then.why)


@omit_unset
def _answer(instance: Instance, answer: EventExplanation) -> answers.ExplainedEvent:
    event, past = answer.planned.event, answer.planned.past
    record = None if past is None else past.record
    skipped = None if record is None else record.skipped_cycles
    return {
        **_planned(instance, answer.planned),
        **_evidence(answer.finding),
        "attempt": event.attempt if event.has_begun else None,
        "executedAt": date_text(event.times.executed_at),
        "finishedAt": None if record is None else date_text(record.finished_at),
        "skippedCycles": None if skipped is None else {"first": skipped[0], "last": skipped[1]},
        "skippedUntil": None if record is None else date_text(record.skipped_until),
    }


@omit_unset
def _planned(instance: Instance, planned: PlannedEvent) -> answers.PlannedEvent:
    """Return an event by its planned date. It has a sid only if it exists already."""
    event = planned.event
    return answers.PlannedEvent(
        sid=None if planned.past is None else instance.event_sid(event),
        task=event.task,
        main=event.is_main,
        cycle=planned.cycle,
        date=format_instant(event.first_due_at),
        plannedDate=None if event.move is None else format_instant(event.move.planned),
        movedBy=None if event.move is None else event.move.why,
        status=event.status,
    )
