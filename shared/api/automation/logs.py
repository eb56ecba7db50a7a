"""What the steps of a workflow came to, and what went wrong with it. Source: contracts/automation.md A.2 and A.3."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.api.automation.answers import ErrorsShape, StepLog, WorkflowError
from shared.api.automation.errors import timestamp
from shared.api.automation.statuses import StepStatus
from shared.application.history import history_page
from shared.application.ports import Ports
from shared.domain.ids import AccountId, sid_of_request
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.instance.model import CancelReason, Instance
from shared.domain.instance.phase import Phase, phase_of
from shared.domain.instance.replay import position
from shared.domain.instance.run import Intent, RunEnd, Then
from shared.domain.steps.history import PastEvent, StepOutcome, TakenStep

MAX_RUNS = 100
"""The latest so many runs of a workflow are told; one of this dialect has one."""

STATUS_OF: Mapping[StepOutcome, StepStatus | None] = {
    StepOutcome.SUCCEEDED: StepStatus.COMPLETE,
    StepOutcome.FAILED: StepStatus.FAILED,
    StepOutcome.UNANSWERED: StepStatus.FAILED,
    StepOutcome.SENT: StepStatus.RUNNING,
    StepOutcome.AWAITED: StepStatus.WAITING_FOR_EVENT,
    StepOutcome.FROM_CACHE: None,
    StepOutcome.UNDER_WAY: StepStatus.RUNNING,
    StepOutcome.CUT_OFF: StepStatus.RUNNING,
}
"""The status of an execution; None where nothing was executed."""

_UNDER_WAY = (StepStatus.RUNNING, StepStatus.WAITING_FOR_EVENT, StepStatus.PENDING, StepStatus.SLEEPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One execution of a step."""

    step: str
    run: int
    visit: int
    status: StepStatus
    started_at: datetime | None
    completed_at: datetime | None = None
    correlation_id: str | None = None


def logs(ports: Ports, instance: Instance) -> list[StepLog]:
    """The executions of its steps, in their order."""
    return [
        _shape(instance, past.event, item)
        for past in _past(ports, instance)
        for item in _items(past, _ahead(ports, instance, past), now=ports.clock.now())
    ]


def errors(ports: Ports, instance: Instance) -> ErrorsShape:
    """What went wrong, in its order; at least one thing where it ended by an error."""
    past = _past(ports, instance)
    rows = [row for one in past for row in _rows(instance, one)]
    if phase_of(instance, now=ports.clock.now()) is Phase.FAULTED:
        rows += _of_its_end(instance, past, is_told=bool(rows))
    return rows


def _past(ports: Ports, instance: Instance) -> Sequence[PastEvent]:
    """Its runs, oldest first."""
    return history_page(ports, instance, before=None, limit=MAX_RUNS).events[::-1]


def _ahead(ports: Ports, instance: Instance, past: PastEvent) -> Then | None:
    """What a run that has begun was about to do when it was left; None where that is known or there is nothing."""
    event = past.event
    if not event.has_begun or event.status in (
        EventStatus.EXECUTING,
        EventStatus.PROCESSED,
        EventStatus.FAILED,
    ):
        return None
    return position(ports.instances.event_history(instance.sid, event.seq), event)


def _items(past: PastEvent, ahead: Then | None, *, now: datetime) -> list[_Item]:
    found: list[_Item] = []
    before = past.event.times.begun_at
    for step in past.steps:
        item = _item(step, before)
        if item is None:
            continue
        # The sending and its answer are one execution.
        awaits = step.intent is not None and step.intent.awaits and bool(found)
        found.append(replace(item, started_at=found.pop().started_at) if awaits else item)
        before = item.completed_at or before
    if isinstance(ahead, Intent) and not any(_is_of(item, past.event, ahead) for item in found):
        item = _about_to(ahead, past.event, before, now=now)
        found.append(replace(item, started_at=found.pop().started_at) if ahead.awaits and found else item)
    failed = _to_be_retried(past)
    last = max((index for index, item in enumerate(found) if item.step == failed), default=None)
    if last is not None:
        found[last] = replace(found[last], status=StepStatus.SLEEPING, completed_at=None)
    return found if past.record is None else [_closed(item, past.record) for item in found]


def _item(step: TakenStep, before: datetime | None) -> _Item | None:
    """An execution. before: when the run was free for it; a step that waits first has waited since."""
    status, intent, entry = STATUS_OF[step.outcome], step.intent, step.entry
    if status is None or intent is None:
        return None
    if step.outcome is StepOutcome.UNANSWERED and intent.awaits:
        status = StepStatus.CANCELLED
    is_over = entry is not None and step.outcome is not StepOutcome.SENT
    waited = intent.not_before is not None
    return _Item(
        step=step.step,
        run=step.run,
        visit=intent.visit,
        status=status,
        started_at=before if entry is None or waited else entry.started_at,
        completed_at=entry.finished_at if entry is not None and is_over else None,
        correlation_id=intent.correlation_id if status is StepStatus.WAITING_FOR_EVENT else None,
    )


def _is_of(item: _Item, event: Event, intent: Intent) -> bool:
    return (item.run, item.visit) == (event.run, intent.visit)


def _about_to(intent: Intent, event: Event, before: datetime | None, *, now: datetime) -> _Item:
    """A step that a run is to go on with: it lets its delay pass, or can begin at any moment."""
    sleeps = intent.not_before is not None and intent.not_before > now
    return _Item(
        step=intent.step,
        run=event.run,
        visit=intent.visit,
        status=StepStatus.SLEEPING if sleeps else StepStatus.PENDING,
        started_at=before if sleeps else None,
    )


def _to_be_retried(past: PastEvent) -> str | None:
    """The step whose failure is slept over until the next attempt, where that is so."""
    waits = past.event.status is EventStatus.PENDING and past.event.progress.first_action is None
    entries = [step.entry for step in past.steps if step.entry is not None]
    then = entries[-1].then if entries and waits else None
    return then.failure.step if isinstance(then, RunEnd) and then.failure is not None else None


def _closed(item: _Item, record: EventRecord) -> _Item:
    """What was under way when its run was closed from outside was cancelled."""
    if item.status not in _UNDER_WAY:
        return item
    return replace(item, status=StepStatus.CANCELLED, completed_at=record.finished_at, correlation_id=None)


def _shape(instance: Instance, event: Event, item: _Item) -> StepLog:
    key = f"{instance.event_sid(event)}-{item.run}-{item.visit}"
    shape: StepLog = {
        "id": sid_of_request(AccountId(instance.account_id), "step", key),
        "stepName": item.step,
        "startedAt": None if item.started_at is None else timestamp(item.started_at),
        "completedAt": None if item.completed_at is None else timestamp(item.completed_at),
        "status": item.status,
    }
    if item.correlation_id is not None:
        shape["correlationId"] = item.correlation_id
    return shape


def _rows(instance: Instance, past: PastEvent) -> Iterator[WorkflowError]:
    """Every step that failed; the lack of a reply only where nothing went on from it."""
    told: set[str] = set()
    for step in past.steps:
        entry = step.entry
        if entry is None or entry.outcome.error is None or (step.outcome is StepOutcome.SENT):
            continue
        if entry.intent.awaits and entry.outcome.unanswered and entry.then.failure is None:
            continue
        told.add(step.step)
        yield _row(instance, step.step, entry.outcome.error.message, entry.finished_at)
    record = past.record
    if record is None:
        return
    end = record.end
    if isinstance(end, RunEnd) and end.failure is not None and end.failure.step not in told:
        yield _row(instance, end.failure.step, end.failure.error.message, end.failure.failed_at)
    if record.closed_by is ClosedBy.CRASHES:
        yield _row(instance, past.event.task, record.why or "its runners died", record.finished_at)


def _of_its_end(instance: Instance, past: Sequence[PastEvent], *, is_told: bool) -> Iterator[WorkflowError]:
    """What ended it, where no step of it has told that already."""
    if instance.cancel_reason is CancelReason.MAX_ATTEMPTS and is_told:
        return
    reason = instance.cancel_reason.value if instance.cancel_reason is not None else ""
    step = next((name for one in past for name in _that_ended_it(one)), "schedule")
    at = instance.updated_at if instance.stop is None else instance.stop.at
    yield _row(instance, step, instance.stop_note or reason, at)


def _that_ended_it(past: PastEvent) -> Iterator[str]:
    for step in past.steps:
        ordered = None if step.entry is None else step.entry.outcome.directives
        if ordered and "cancelInstance" in ordered:
            yield step.step


def _row(instance: Instance, step: str, message: str, at: datetime) -> WorkflowError:
    return {"workflowId": instance.sid, "step": step, "message": message, "errorTime": timestamp(at)}
