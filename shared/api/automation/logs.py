"""The executions of a workflow's steps, and its errors. Source: docs/contracts/automation.md A.2 and A.3."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from shared.api.automation.answers import ErrorsShape, StepLog, WorkflowError
from shared.api.automation.errors import timestamp
from shared.api.automation.statuses import StepStatus
from shared.api.http.unreadable import UnreadableItems
from shared.application.history import history_page
from shared.application.ports import Ports, Unreadable
from shared.domain.errors import StoredShapeError
from shared.domain.ids import AccountId, event_sid, sid_of_request
from shared.domain.instance.event import Event, EventStatus
from shared.domain.instance.journal import ClosedBy, EventRecord
from shared.domain.instance.model import CancelReason, Instance
from shared.domain.instance.phase import Phase, phase_of
from shared.domain.instance.replay import position
from shared.domain.instance.run import Intent, RunEnd, Then
from shared.domain.steps.history import PastEvent, StepOutcome, TakenStep

MAX_RUNS = 100
"""The maximum number of runs in an answer. A workflow that this dialect made has one."""

STATUS_OF: Mapping[StepOutcome, StepStatus | None] = {
    StepOutcome.SUCCEEDED: StepStatus.COMPLETE,
    StepOutcome.FAILED: StepStatus.FAILED,
    StepOutcome.UNANSWERED: StepStatus.FAILED,
    StepOutcome.REFUSED: None,
    StepOutcome.SENT: StepStatus.RUNNING,
    StepOutcome.AWAITED: StepStatus.WAITING_FOR_EVENT,
    StepOutcome.FROM_CACHE: None,
    StepOutcome.RUNNING: StepStatus.RUNNING,
    StepOutcome.CUT_OFF: StepStatus.RUNNING,
}
"""The status of an execution by the step's outcome; None if nothing was executed, or if a later visit repeats it."""

_NOT_YET_FAILED = (StepOutcome.SENT, StepOutcome.REFUSED)

_UNFINISHED = (StepStatus.RUNNING, StepStatus.WAITING_FOR_EVENT, StepStatus.PENDING, StepStatus.SLEEPING)


class _Item(Struct, frozen=True, kw_only=True):
    """One execution of a step."""

    step: str
    run: int
    visit: int
    status: StepStatus
    started_at: datetime | None
    completed_at: datetime | None = None
    correlation_id: str | None = None


def logs(ports: Ports, instance: Instance, unreadable: UnreadableItems) -> list[StepLog]:
    """Return the executions of a workflow's steps, oldest first. Runs that cannot be read go to ``unreadable``."""
    executions: list[StepLog] = []
    for past in _past(ports, instance, unreadable):
        try:
            ahead = _next_action(ports, instance, past)
        except StoredShapeError as error:
            # An answer to the run, which is not among its steps.
            unreadable.add([Unreadable(key=instance.event_sid(past.event), why=str(error))])
            continue
        items = _items(past, ahead, now=ports.clock.now())
        executions += [_shape(instance, past.event, item) for item in items]
    return executions


def errors(ports: Ports, instance: Instance, unreadable: UnreadableItems) -> ErrorsShape:
    """Return the errors of a workflow, oldest first. A workflow that an error ended has at least one.

    Runs that cannot be read go to ``unreadable``.
    """
    past = _past(ports, instance, unreadable)
    rows = [row for one in past for row in _rows(instance, one)]
    if phase_of(instance, now=ports.clock.now()) is Phase.FAULTED:
        rows += _final_error(instance, past, is_reported=bool(rows))
    return rows


def _past(ports: Ports, instance: Instance, unreadable: UnreadableItems) -> Sequence[PastEvent]:
    """Return the runs of a workflow, oldest first."""
    page = history_page(ports, instance, before=None, limit=MAX_RUNS)
    unreadable.add(
        Unreadable(key=event_sid(instance.sid, item.key), why=item.why) for item in page.unreadable
    )
    return page.events[::-1]


def _next_action(ports: Ports, instance: Instance, past: PastEvent) -> Then | None:
    """Return the next action of a run that waits, or None if the run is executing, finished or has not begun."""
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
        # Sending a call and receiving its answer are one execution.
        awaits = step.intent is not None and step.intent.awaits and bool(found)
        found.append(replace(item, started_at=found.pop().started_at) if awaits else item)
        before = item.completed_at or before
    # A run that waits has no entry for its next step yet, so it is added here.
    if isinstance(ahead, Intent) and not any(_is_of(item, past.event, ahead) for item in found):
        item = _about_to(ahead, past.event, before, now=now)
        found.append(replace(item, started_at=found.pop().started_at) if ahead.awaits and found else item)
    # A step that will be retried is shown as sleeping.
    failed = _to_be_retried(past)
    last = max((index for index, item in enumerate(found) if item.step == failed), default=None)
    if last is not None:
        found[last] = replace(found[last], status=StepStatus.SLEEPING, completed_at=None)
    return found if past.record is None else [_closed(item, past.record) for item in found]


def _item(step: TakenStep, before: datetime | None) -> _Item | None:
    """Return an execution, or None if nothing was executed. The run was free for it since ``before``."""
    status, intent, entry = STATUS_OF[step.outcome], step.intent, step.entry
    if status is None or intent is None:
        return None
    if step.outcome is StepOutcome.UNANSWERED and intent.awaits:
        status = StepStatus.CANCELLED
    is_over = entry is not None and step.outcome is not StepOutcome.SENT
    waited = intent.not_before is not None
    # A step with a delay has waited since the run was free for it.
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
    """Return the execution of the next step of a run: sleeping during its delay, else pending."""
    sleeps = intent.not_before is not None and intent.not_before > now
    return _Item(
        step=intent.step,
        run=event.run,
        visit=intent.visit,
        status=StepStatus.SLEEPING if sleeps else StepStatus.PENDING,
        started_at=before if sleeps else None,
    )


def _to_be_retried(past: PastEvent) -> str | None:
    """Return the step whose failure waits for its retry, or None."""
    waits = past.event.status is EventStatus.PENDING and past.event.progress.first_action is None
    entries = [step.entry for step in past.steps if step.entry is not None]
    then = entries[-1].then if entries and waits else None
    return then.failure.step if isinstance(then, RunEnd) and then.failure is not None else None


def _closed(item: _Item, record: EventRecord) -> _Item:
    """Return an execution of a closed run. If the run was closed from outside, executions in flight are cancelled."""
    if item.status not in _UNFINISHED:
        return item
    return replace(item, status=StepStatus.CANCELLED, completed_at=record.finished_at, correlation_id=None)


def _shape(instance: Instance, event: Event, item: _Item) -> StepLog:
    # The vendor's ids of executions are UUIDs, so ours are derived from event, run and visit.
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
    """Yield an error for each step that failed. A missing reply is an error only if it ended the run."""
    reported: set[str] = set()
    for step in past.steps:
        entry = step.entry
        if entry is None or entry.outcome.error is None or step.outcome in _NOT_YET_FAILED:
            continue
        if entry.intent.awaits and entry.outcome.in_doubt and entry.then.failure is None:
            continue
        reported.add(step.step)
        yield _row(instance, step.step, entry.outcome.error.message, entry.finished_at)
    record = past.record
    if record is None:
        return
    end = record.end
    if isinstance(end, RunEnd) and end.failure is not None and end.failure.step not in reported:
        yield _row(instance, end.failure.step, end.failure.error.message, end.failure.failed_at)
    if record.closed_by is ClosedBy.CRASHES:
        yield _row(instance, past.event.task, record.why or "its runners crashed", record.finished_at)


def _final_error(
    instance: Instance, past: Sequence[PastEvent], *, is_reported: bool
) -> Iterator[WorkflowError]:
    """Yield the error that ended a workflow, unless the error of a step is the same one (``is_reported``)."""
    # The last failed step is the error already.
    if instance.cancel_reason is CancelReason.MAX_ATTEMPTS and is_reported:
        return
    reason = instance.cancel_reason.value if instance.cancel_reason is not None else ""
    step = next((name for one in past for name in _canceling_steps(one)), "schedule")
    at = instance.updated_at if instance.stop is None else instance.stop.at
    yield _row(instance, step, instance.stop_note or reason, at)


def _canceling_steps(past: PastEvent) -> Iterator[str]:
    for step in past.steps:
        ordered = None if step.entry is None else step.entry.outcome.directives
        if ordered and "cancelInstance" in ordered:
            yield step.step


def _row(instance: Instance, step: str, message: str, at: datetime) -> WorkflowError:
    return {"workflowId": instance.sid, "step": step, "message": message, "errorTime": timestamp(at)}
