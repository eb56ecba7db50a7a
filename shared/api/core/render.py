"""The answers about strategies, instances, events, keys and the audit trail.

Source: docs/contracts/core.md sections 2.1, 2.3 and 2.4.
"""

from datetime import datetime, timedelta
from typing import cast

from shared.api.core import answers
from shared.api.http.shapes import omit_unset
from shared.application.ports import SavedSettings
from shared.domain.access import AccessKey
from shared.domain.calendar.dates import format_instant
from shared.domain.calendar.instance_schedule import OwnSchedule
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import EventHistory, EventRecord, JournalEntry
from shared.domain.instance.model import Instance, ScheduledCancellation
from shared.domain.instance.phase import phase_of, reason_of
from shared.domain.instance.replay import chain, is_refused, last_run, position
from shared.domain.instance.run import Intent, Refusal, StepError
from shared.domain.instance.verdict import AuditEntry
from shared.domain.notifications.webhook import Webhook
from shared.domain.strategy.model import StrategyHead, StrategyVersion
from shared.domain.strategy.redaction import without_credentials


def strategy_shape(head: StrategyHead) -> answers.StrategyShape:
    """Return a strategy without its settings."""
    return {
        "sid": head.sid,
        "name": head.name,
        "description": head.description,
        "version": head.version,
        "folder": head.folder,
        "status": "paused" if head.is_paused else "active",
        "createdAt": format_instant(head.created_at),
        "updatedAt": format_instant(head.updated_at),
    }


def strategy_with_settings(head: StrategyHead, saved: SavedSettings) -> answers.StrategyWithSettingsShape:
    """Return a strategy with the settings of its latest version, as they were sent."""
    return {**strategy_shape(head), "settings": dict(saved.plain)}


@omit_unset
def version_shape(head: StrategyHead, version: StrategyVersion) -> answers.VersionSummaryShape:
    """Return a version of a strategy without its settings."""
    return answers.VersionSummaryShape(
        sid=head.sid,
        name=head.name,
        description=version.description,
        version=version.version,
        createdAt=format_instant(version.created_at),
        createdBy=version.created_by,
    )


@omit_unset
def key_shape(key: AccessKey) -> answers.KeyShape:
    """Return an access key without its secret."""
    return answers.KeyShape(
        keyId=key.key_id,
        role=key.role,
        description=key.description,
        createdAt=format_instant(key.created_at),
        createdBy=key.created_by,
    )


@omit_unset
def webhook_shape(webhook: Webhook, *, secret: str | None = None) -> answers.WebhookShape:
    """Return a webhook, with its secret only if that was made now."""
    return answers.WebhookShape(
        url=webhook.url,
        kinds=list(webhook.kinds) or None,
        secret=secret,
        updatedAt=format_instant(webhook.updated_at),
        updatedBy=webhook.updated_by,
    )


@omit_unset
def audit_shape(entry: AuditEntry) -> answers.AuditEntryShape:
    """Return an entry of the audit trail."""
    return {
        "at": format_instant(entry.at),
        "by": entry.by,
        "command": entry.command,
        "target": entry.target,
        "event": entry.event,
        "from": entry.from_state,
        "to": entry.to_state,
        "reason": entry.reason,
        "operation": entry.operation,
        "minutesSpent": entry.minutes_spent,
        "ticket": entry.ticket,
        "options": list(entry.options) or None,
    }


def summary_shape(instance: Instance, *, now: datetime) -> answers.InstanceSummaryShape:
    """Return an instance without its attributes, for callers that need not know its strategy's secret."""
    # Attributes are for callers that know the strategy's secret.
    shape: answers.InstanceSummaryShape = {**instance_shape(instance, now=now)}
    del shape["attributes"]
    return shape


@omit_unset
def instance_shape(instance: Instance, *, now: datetime) -> answers.InstanceShape:
    """Return an instance as it is at an instant."""
    main, stop, reason = instance.main_event, instance.stop, reason_of(instance)
    return answers.InstanceShape(
        sid=instance.sid,
        description=instance.description,
        strategyId=instance.origin.strategy_id,
        strategyVersion=instance.strategy_version,
        status=instance.status,
        phase=phase_of(instance, now=now),
        reason=None if reason is None else reason.text,
        cycle=instance.plan.cycle,
        startDate=format_instant(instance.start_date),
        endDate=date_text(instance.plan.end_date),
        executionDate=date_text(instance.plan.due),
        plannedDate=None if instance.plan.moment is None else date_text(instance.plan.moment.at),
        executionDay=None if instance.plan.moment is None else instance.plan.moment.anchor.day,
        cyclesToSkip=instance.plan.to_skip or None,
        attributes=dict(instance.attributes),
        outputs=dict(instance.outputs) or None,
        schedule=None if instance.plan.schedule is None else schedule_shape(instance.plan.schedule),
        reference=instance.origin.reference,
        orderId=instance.origin.order_id,
        worker=instance.origin.worker,
        nextEvent=None
        if main is None
        else {"sid": instance.event_sid(main), "date": format_instant(main.date)},
        cancelReason=instance.cancel_reason,
        note=instance.stop_note,
        stoppedAt=None if stop is None else date_text(stop.at),
        stoppedBy=None if stop is None else stop.by,
        pausedUntil=None if stop is None else date_text(stop.until),
        resumeRefused=None
        if stop is None or stop.refused is None
        else {"date": format_instant(stop.refused.at), "why": stop.refused.why},
        cancelAt=None if instance.cancellation is None else cancellation_shape(instance.cancellation),
        draining=instance.is_draining,
        drainedAt=None if stop is None else date_text(stop.drained_at),
        heldBy=instance.blocked_by,
        createdBy=instance.origin.created_by,
        createdAt=format_instant(instance.created_at),
        updatedAt=format_instant(instance.updated_at),
    )


@omit_unset
def cancellation_shape(scheduled: ScheduledCancellation) -> answers.CancelAtShown:
    """Return a scheduled cancellation."""
    return answers.CancelAtShown(
        date=format_instant(scheduled.at),
        endOfCycle=scheduled.from_cycle is not None,
        by=scheduled.by,
        reason=scheduled.note,
    )


@omit_unset
def schedule_shape(schedule: OwnSchedule) -> answers.ScheduleShown:
    """Return an instance's own schedule."""
    return answers.ScheduleShown(
        cron=schedule.cron,
        timezone=schedule.timezone,
        once=schedule.is_single,
        atOnce=schedule.at_once,
        opensAt=date_text(schedule.opens_at),
        onCall=schedule.on_call,
        retryTimes=schedule.retry_times,
        goesOn=schedule.goes_on,
    )


@omit_unset
def paused_shape(
    instance: Instance,
    head: StrategyHead,
    saved: SavedSettings | None,
    *,
    is_complete: bool,
    now: datetime,
    plan: answers.ComingShape | None = None,
    dry_run: bool = False,
) -> answers.PausedShape:
    """Return a paused instance with its strategy, in the version the instance is on.

    ``saved`` is None if the settings of that version cannot be read. Then the answer has none. Otherwise they are as
    they were sent if ``is_complete``, else without credentials. ``plan`` lists the runs after the pause.
    """
    # The version and its description replace those of the latest version.
    members = {**strategy_shape(head), "version": instance.strategy_version}
    strategy = cast("answers.PausedStrategy", members)
    if saved is not None:
        sealed = saved.sealed
        strategy["description"] = saved.version.description
        strategy["settings"] = dict(saved.plain) if is_complete else without_credentials(saved.plain)
        strategy["encryptedSettings"] = {
            "iv": sealed.iv,
            "hash": sealed.hash,
            "encryptedText": sealed.encrypted_text,
        }
    return {
        **instance_shape(instance, now=now),
        "strategy": strategy,
        "plan": plan,
        "dryRun": dry_run or None,
    }


@omit_unset
def open_event_shape(instance: Instance, event: Event, event_history: EventHistory) -> answers.EventShape:
    """Return an unfinished event, with the results of its steps so far."""
    shape = event_members(instance, event, finished_at=None)
    then = position(event_history, event)
    # The correlation id is shown only while the call still waits for its answer.
    waits = isinstance(then, Intent) and then.awaits and not event.has_answer_to(then.correlation_id)
    entries = list(chain(event_history, event.run))
    # A call that was refused for now, and waits to be sent again.
    is_pending = isinstance(then, Intent) and event.status is EventStatus.PENDING
    refusal = then.refusal if isinstance(then, Intent) and is_pending else None
    return {
        **shape,
        "correlationId": then.correlation_id if waits and isinstance(then, Intent) else None,
        "answerBy": None if event.pause is None else date_text(event.pause.answer_by),
        "refused": None if refusal is None else _refused_call(event, refusal, entries[-1]),
        "taskStatus": _task_status(entries),
        "why": None,
        "inDoubt": None,
    }


@omit_unset
def _refused_call(event: Event, refusal: Refusal, last: JournalEntry) -> answers.RefusedCall:
    return answers.RefusedCall(
        step=last.intent.step,
        message="" if last.outcome.error is None else last.outcome.error.message,
        status=last.answered,
        times=refusal.times,
        since=format_instant(refusal.since),
        until=format_instant(event.due_at),
    )


def event_shape(instance: Instance, seq: int, event_history: EventHistory) -> answers.EventShape | None:
    """Return an event, finished or not, with the results of its steps, or None if there is no event of that number."""
    event = instance.event(seq)
    if event is not None:
        return open_event_shape(instance, event, event_history)
    record = event_history.record
    return None if record is None else _closed_event_shape(instance, record, event_history)


@omit_unset
def _closed_event_shape(
    instance: Instance, record: EventRecord, event_history: EventHistory
) -> answers.EventShape:
    steps = list(last_run(event_history, record))
    shape = event_members(instance, record.event, finished_at=record.finished_at)
    outputs = None if record.end is None else dict(record.end.outputs) or None
    return {
        **shape,
        "why": record.why,
        "refused": None,
        "inDoubt": record.in_doubt or None,
        "outputs": outputs,
        "taskStatus": _task_status(steps),
    }


@omit_unset
def event_members(instance: Instance, event: Event, *, finished_at: datetime | None) -> answers.EventMembers:
    """Return the members that every answer about an event has. ``finished_at`` is None while the event is open."""
    times = event.times
    return answers.EventMembers(
        sid=instance.event_sid(event),
        instanceSid=instance.sid,
        strategySid=instance.strategy_sid,
        status=event.status,
        pausedFor=event.paused_for,
        main=event.is_main,
        afterCancellation=event.after_cancellation,
        task=event.task,
        date=format_instant(event.date),
        plannedDate=None if event.move is None else format_instant(event.move.planned),
        movedBy=None if event.move is None else event.move.why,
        data=dict(event.data) or None,
        scheduledAt=date_text(times.scheduled_at),
        executedAt=date_text(times.executed_at),
        finishedAt=date_text(finished_at),
        createdCycle=event.created_cycle,
        attempt=event.attempt,
        run=event.run,
        jobId=event.claim.job,
        lastError=event.last_error,
        problem=event.problem,
        createdAt=format_instant(event.created_at),
        updatedAt=format_instant(event.updated_at),
        executionTime=_milliseconds_between(times.executed_at, finished_at),
        scheduleDelta=_milliseconds_between(event.date, times.scheduled_at),
        executionDelta=_milliseconds_between(event.date, times.executed_at),
        finishDelta=_milliseconds_between(event.date, finished_at),
    )


def _task_status(steps: list[JournalEntry]) -> answers.TaskStatus:
    """Return the results of the steps. A call that was refused for now has no result yet."""
    results: list[answers.StepResult] = []
    steps = [entry for entry in steps if not is_refused(entry)]
    for index, entry in enumerate(steps):
        reply = steps[index - 1] if entry.intent.awaits else None
        # The answer to an asynchronous call replaces the result of sending it, so that clients see one result.
        if reply is not None:
            results.pop()
        results.append(_step(entry, reply))
    return {"lastStep": steps[-1].intent.step if steps else None, "taskResults": results}


@omit_unset
def _step(entry: JournalEntry, reply: JournalEntry | None) -> answers.StepResult:
    error, outcome = entry.outcome.error, entry.outcome
    return answers.StepResult(
        step=entry.intent.step,
        success=outcome.success,
        fromCache=False,
        response=outcome.response,
        cached=None if reply is None else reply.outcome.response,
        error=None if error is None else _error_with_data(error),
        attempt=entry.intent.attempt,
        run=entry.run,
        callKey=entry.intent.call_key,
        repeated=entry.intent.repeat or None,
        unanswered=outcome.in_doubt or None,
        startedAt=date_text((reply or entry).started_at),
        finishedAt=date_text(entry.finished_at),
    )


@omit_unset
def error_shape(error: StepError) -> answers.StepErrorShown:
    """Return the error of a step without its data, which only the event itself shows."""
    return answers.StepErrorShown(message=error.message, status=error.status)


@omit_unset
def _error_with_data(error: StepError) -> answers.StepErrorWithData:
    return {**error_shape(error), "data": error.data}


def _milliseconds_between(start: datetime | None, end: datetime | None) -> int | None:
    return None if start is None or end is None else milliseconds(end - start)


def milliseconds(span: timedelta) -> int:
    """Return a duration in whole milliseconds."""
    return round(span.total_seconds() * 1000)


def date_text(at: datetime | None) -> str | None:
    """Return an instant as answers show it."""
    return None if at is None else format_instant(at)
