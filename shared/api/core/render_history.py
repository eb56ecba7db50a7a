"""History and explanations in the core dialect's shapes. Source: contracts/core.md section 5."""

from shared.api.core.render import Shape, date_text, event_members, given, milliseconds
from shared.domain.explain.event import Finding
from shared.domain.explain.instance import EventExplanation, Explanation, PlannedEvent
from shared.domain.instance.downtime import StatusAt
from shared.domain.instance.journal import EventRecord
from shared.domain.instance.model import Instance
from shared.domain.steps.history import PastEvent, StepOutcome, TakenStep
from shared.domain.steps.request_digest import CallTarget, target_of
from shared.domain.strategy.model import Strategy

_IN_DOUBT = (StepOutcome.UNANSWERED, StepOutcome.CUT_OFF)


def past_event_shape(instance: Instance, past: PastEvent, strategy: Strategy) -> Shape:
    """An event with every step of every run. strategy: in the version the event is bound to."""
    record = past.record
    shape = event_members(instance, past.event, finished_at=None if record is None else record.finished_at)
    closing = {} if record is None else _closing(record)
    return {
        **shape,
        **given(worker=instance.origin.worker),
        **closing,
        "steps": [_step(step, past.event.task, strategy) for step in past.steps],
    }


def explanation_shape(instance: Instance, found: Explanation) -> Shape:
    """Why something did or did not run."""
    return given(
        at=date_text(found.at),
        **_told(found.finding),
        instance=None if found.status is None else _stood(found.status),
        events=[_answer(instance, answer) for answer in found.events],
        before=None if found.before is None else _planned(instance, found.before),
        after=None if found.after is None else _planned(instance, found.after),
    )


def _closing(record: EventRecord) -> Shape:
    skipped = record.skipped_cycles
    return given(
        closedBy=record.closed_by.value,
        by=record.by,
        why=record.why,
        reason=record.reason,
        inDoubt=record.in_doubt or None,
        skippedCycles=None if skipped is None else {"first": skipped[0], "last": skipped[1]},
        skippedUntil=date_text(record.skipped_until),
    )


def _step(step: TakenStep, task: str, strategy: Strategy) -> Shape:
    """One step, without its response: that is told where its event is read."""
    intent, entry = step.intent, step.entry
    error = None if entry is None else entry.outcome.error
    return given(
        step=step.step,
        path=step.path.value,
        run=step.run,
        attempt=step.attempt,
        outcome=step.outcome.value,
        fromCache=step.outcome is StepOutcome.FROM_CACHE,
        inDoubt=step.outcome in _IN_DOUBT or None,
        callKey=None if intent is None else intent.call_key,
        repeated=None if intent is None else intent.repeat or None,
        request=None
        if entry is None or entry.digest is None
        else _request(entry.digest, target_of(strategy, task, step.step)),
        status=None if entry is None else entry.answered,
        error=None if error is None else given(message=error.message, status=error.status),
        notes=None if entry is None else list(entry.outcome.notes) or None,
        startedAt=None if entry is None else date_text(entry.started_at),
        finishedAt=None if entry is None else date_text(entry.finished_at),
        duration=None if entry is None else milliseconds(entry.finished_at - entry.started_at),
    )


def _request(digest: str, target: CallTarget | None) -> Shape:
    went = {"action": target.action, "method": target.method.upper(), "host": target.host} if target else {}
    return {"digest": digest, **went}


def _told(told: Finding) -> Shape:
    return given(
        reason=told.reason.value,
        since=date_text(told.since),
        until=date_text(told.until),
        by=told.by,
        why=told.why,
    )


def _stood(stood: StatusAt) -> Shape:
    status = None if stood.status is None else stood.status.value
    return given(status=status, since=date_text(stood.since), by=stood.by, why=stood.why)


def _answer(instance: Instance, answer: EventExplanation) -> Shape:
    event, past = answer.planned.event, answer.planned.past
    record = None if past is None else past.record
    skipped = None if record is None else record.skipped_cycles
    return {
        **_planned(instance, answer.planned),
        **_told(answer.finding),
        **given(
            attempt=event.attempt if event.has_begun else None,
            executedAt=date_text(event.times.executed_at),
            finishedAt=None if record is None else date_text(record.finished_at),
            skippedCycles=None if skipped is None else {"first": skipped[0], "last": skipped[1]},
            skippedUntil=None if record is None else date_text(record.skipped_until),
        ),
    }


def _planned(instance: Instance, one: PlannedEvent) -> Shape:
    """An event by its planned date; without a sid it is only foreseen."""
    event = one.event
    return given(
        sid=None if one.past is None else instance.event_sid(event),
        task=event.task,
        main=event.is_main,
        cycle=one.cycle,
        date=date_text(event.planned_at),
        status=event.status.value,
    )
